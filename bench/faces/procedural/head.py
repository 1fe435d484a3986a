"""A person and the head unrolled: relief and colour over longitude and height, before any expression.

The head is a cylinder-like surface: at longitude t (0 at the nose) and height v (down, the crown at -1, the chin at 1)
it lies at (width r sin t, v, DEPTH r cos t), where r(t, v) is the relief. Features are drawn at u = REACH t, about
their place as seen from the front. All lengths are in half heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

DEPTH, REACH = 0.92, 0.75
TURN = 2.15  # radians of longitude to each side
TOP, BOTTOM = -1.42, 1.62
EYE = -0.02  # height of the eyes

SKIN = np.array([[247, 214, 190], [238, 194, 162], [218, 168, 130], [186, 134, 98], [141, 95, 66], [98, 64, 46]]) / 255
HAIR = np.array([[20, 17, 17], [44, 30, 22], [78, 52, 34], [128, 88, 52], [190, 150, 96], [126, 58, 30],
                 [150, 148, 146]]) / 255  # fmt: skip
IRIS = np.array([[62, 40, 26], [90, 60, 34], [92, 108, 74], [92, 128, 160], [116, 126, 132]]) / 255
STYLES = ("bald", "buzz", "short", "side", "quiff", "afro", "bob", "long", "wavy", "bun")

THICKNESS = {"bald": 0, "buzz": 0.02, "short": 0.09, "side": 0.12, "quiff": 0.13, "afro": 0.42, "bun": 0.06}  # of hair


@dataclass(frozen=True)
class Person:
    """What stays the same in every picture of one identity."""

    skin: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    lips: np.ndarray
    width: float  # of the head
    jaw: float  # 0 pointed, 1 square
    cheek: float
    chin: float
    eye_gap: float
    eye_size: float
    eye_open: float
    eye_tilt: float
    lash: float
    brow: float  # thickness
    brow_height: float
    brow_arch: float
    nose_length: float
    nose_width: float
    nose_height: float
    mouth_width: float
    lip: float
    style: str
    hairline: float
    fringe: bool
    part: float  # longitude of the parting
    volume: float
    beard: float  # 0 none, up to 1 full
    stubble: float
    glasses: int  # 0 none, then kinds of frame
    freckles: float
    age: float
    seed: int  # of strands, freckles and pores

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Person:
        def between(low: float, high: float) -> float:
            return float(rng.uniform(low, high))

        tone = between(0, len(SKIN) - 1.001)
        skin = SKIN[int(tone)] * (1 - tone % 1) + SKIN[int(tone) + 1] * (tone % 1)
        skin = skin * rng.uniform(0.96, 1.03, 3)
        masculine, age = rng.random() < 0.5, between(0, 1) ** 1.3
        shade = 6 if rng.random() < 0.8 * (age - 0.45) else rng.integers(2 if tone > 3.2 else 6)
        red = between(0.3, 0.6) if masculine else between(0.5, 1.1)
        style = rng.choice(STYLES, p=[0.10, 0.15, 0.30, 0.20, 0.17, 0.08, 0, 0, 0, 0] if masculine else
                           [0, 0, 0.07, 0.06, 0.04, 0.10, 0.22, 0.22, 0.17, 0.12])  # fmt: skip
        return cls(
            skin=skin.astype(np.float32),
            hair=(HAIR[shade] * between(0.8, 1.25)).astype(np.float32),
            iris=IRIS[rng.integers(2 if tone > 3 else len(IRIS))].astype(np.float32),
            lips=(skin * (1 - 0.6 * red) + rgb(0.68, 0.20, 0.23) * 0.6 * red * (0.45 + 0.55 * skin[0])).astype(
                np.float32
            ),
            width=between(0.71, 0.79) + 0.02 * masculine,
            jaw=between(0.4, 1.0) if masculine else between(0.05, 0.6),
            cheek=between(0, 1),
            chin=between(0, 1),
            eye_gap=between(0.275, 0.325),
            eye_size=between(0.145, 0.170) + 0.008 * (not masculine),
            eye_open=between(0.34, 0.46) + 0.06 * (not masculine),
            eye_tilt=between(-0.06, 0.16),
            lash=between(0.2, 0.45) if masculine else between(0.5, 1.0),
            brow=between(0.032, 0.052) if masculine else between(0.018, 0.034),
            brow_height=between(0.150, 0.195) + 0.02 * (not masculine),
            brow_arch=between(0.01, 0.04) + 0.02 * (not masculine),
            nose_length=between(0.33, 0.42),
            nose_width=between(0.095, 0.135) + 0.02 * (tone > 3),
            nose_height=between(0.17, 0.27) - 0.03 * (tone > 3.5),
            mouth_width=between(0.25, 0.31),
            lip=between(0.060, 0.085) if masculine else between(0.078, 0.108),
            style=str(style),
            hairline=between(0.52, 0.66),
            fringe=bool(rng.random() < (0.1 if masculine else 0.35)),
            part=between(0.15, 0.7) * (1 if rng.random() < 0.5 else -1),
            volume=between(0.5, 1.0),
            beard=between(0.6, 1.0) if masculine and rng.random() < 0.33 else 0.0,
            stubble=between(0.1, 0.5) if masculine else 0.0,
            glasses=int(rng.integers(1, 4)) if rng.random() < 0.22 else 0,
            freckles=between(0, 1) ** 3 * (tone < 3),
            age=age,
            seed=int(rng.integers(2**32)),
        )


def step(x: np.ndarray, soft: float | np.ndarray) -> np.ndarray:
    """0 to 1 across x = 0, over about ``soft`` to each side."""
    x = np.clip(x * (0.5 / soft) + 0.5, 0, 1)
    return x * x * (3 - 2 * x)


def bell(x: np.ndarray, width: float) -> np.ndarray:
    return np.exp(-0.5 * (x / width) ** 2)


def over(canvas: np.ndarray, colour: np.ndarray, cover: np.ndarray) -> None:
    """Lay a colour, (3,) or (3, H, W), on the (3, H, W) canvas where ``cover`` is."""
    colour = np.asarray(colour, np.float32)
    canvas += ((colour[:, None, None] if colour.ndim == 1 else colour) - canvas) * np.asarray(cover, np.float32)


def rgb(red: float, green: float, blue: float) -> np.ndarray:
    return np.array([red, green, blue], np.float32)


class Head:
    """One person's relief and colours before any expression, on a grid of ``unit`` pixels to half a head."""

    def __init__(self, person: Person, unit: float) -> None:
        self.person, self.unit = person, unit
        rng = np.random.default_rng(person.seed)
        height, width = round((BOTTOM - TOP) * unit), round(2 * TURN * REACH * unit)
        self.shape = height, width
        self.t = np.linspace(-TURN, TURN, width, dtype=np.float32)[None]
        self.v = np.linspace(TOP, BOTTOM, height, dtype=np.float32)[:, None]
        self.u = REACH * self.t
        self.pixel = 1 / unit
        self.relief = self._skull()
        self._hair(rng)
        self._skin(rng)

    def spots(self, *spots: tuple[float, ...]) -> np.ndarray:
        """A sum of Gaussians (u, v, width, height, amount) over the grid: separable, so one product of matrices."""
        u, v, a, b, amount = (np.array(column, np.float32)[:, None] for column in zip(*spots, strict=True))
        across, down = np.exp(-0.5 * ((self.u - u) / a) ** 2), np.exp(-0.5 * ((self.v.T - v) / b) ** 2)
        # In double precision, so that the order of summation, which threads may change, does not show.
        return ((amount * down).T.astype(float) @ across.astype(float)).astype(np.float32)

    def pair(self, u: float, v: float, a: float, b: float, amount: float) -> list[tuple[float, ...]]:
        return [(-u, v, a, b, amount), (u, v, a, b, amount)]

    def _skull(self) -> np.ndarray:
        p, v = self.person, self.v
        crown = np.clip(1 - np.abs(np.clip(v, -1, 0)) ** 2.5, 0, 1) ** 0.45
        lower = 1 - (0.29 - 0.10 * p.jaw) * np.clip(v - 0.1, 0, 1) ** 1.4
        jawline = 1.0 - (0.66 - 0.16 * p.jaw) * (1 - np.cos(np.clip(np.abs(self.t), 0, 1.6))) ** (0.78 + 0.35 * p.jaw)
        self.above_jaw = step(jawline - v, 0.09)
        neck = 0.50 + 0.13 * p.jaw + 0.06 * np.clip(v - 1.1, 0, 1) - 0.10 * np.cos(self.t)
        return (neck + (crown * lower - neck) * self.above_jaw).astype(np.float32)

    def _hair(self, rng: np.random.Generator) -> None:
        p, t, v, style = self.person, self.t, self.v, self.person.style
        long = {"bob": 0.78, "long": 0.98, "wavy": 0.98, "afro": 0.45}.get(style, 0.0)
        front = -p.hairline - (0.12 if style in ("quiff", "bun") else 0)
        if p.fringe and style in ("short", "side", "bob", "long", "wavy"):
            front = -0.30
        away = np.abs(t)
        line = front + 0.16 * bell(away - 0.75, 0.25) * (
            -1 if style in ("short", "buzz", "quiff") and p.age > 0.4 else 0.4
        )
        if style in ("side", "long", "wavy", "bob") and not p.fringe:
            line = line - 0.16 * bell(t - p.part, 0.22)
        noise = np.interp(np.arange(self.shape[1]) / self.unit * 22, np.arange(256), rng.standard_normal(256))
        line = line + (0.025 * noise * (style != "buzz"))[None]
        side = long if long else (0.22 if style != "bun" else 0.05)
        edge = 1.12 - 0.22 * bool(long) + (0.10 if style in ("bun", "afro") else 0)
        line = line + (side - front) * step(away - edge, 0.16)
        nape = max(long, 0.55)
        line = line + np.clip(nape - line, 0, 2) * step(away - 1.75, 0.12)
        soft = 0.10 if style == "buzz" else 0.035
        past = (line - v) / np.sqrt(1 + (np.gradient(line, axis=1) * self.unit) ** 2)  # the distance from the hairline
        cover = step(past, soft)
        ear = step(0.14 - np.hypot((away - 1.62) * REACH / 0.75, (v - 0.10) / 1.5), 0.03)
        cover = cover * (1 - ear * (not long))
        # Under the jaw, long hair stands far off the neck: what is seen in between is hair in the dark.
        under = (1 - self.above_jaw) * bool(long)
        low = bool(long) * step(v - 0.25, 0.35)
        past = past + low * (np.minimum((away - edge) * REACH, long - v) - past)
        cover = np.maximum(cover, low * step(past + 0.05, 0.05))
        # Strands: stripes along v, sheared away from the parting, wavy or curly with the style.
        x = (t - p.part * (style in ("side", "long", "wavy", "bob"))) * REACH
        bend = 0.22 * np.sin(x * 2) * (v + 0.6) + (0.05 * np.sin(v * 11 + 4 * x) if style == "wavy" else 0)
        if style in ("side", "quiff", "short"):
            bend = bend + (0.35 if style == "side" else 0.15) * np.sign(-p.part) * np.clip(-v, 0, 1.4)
        if style in ("afro",):
            fine = 0.33 * (self._grain(rng, 1.1) + self._grain(rng, 2.2))
        else:
            table = 0.55 * rng.standard_normal(1024)
            table = table + np.convolve(rng.standard_normal(1024), np.full(9, 0.18), "same")
            stripes = np.interp((x + bend) * 26 + 300, np.arange(1024), table).astype(np.float32)
            fine = stripes + 0.25 * self._grain(rng, (2.5, 0.5))
        grow = THICKNESS.get(style, 0.17) * (0.6 + 0.4 * p.volume)
        rise = grow * (0.5 if style == "afro" else 0.75)
        crown = np.clip(1 - np.abs(np.clip((v + 0.02) / (1 + rise), -1, 0)) ** 2.4, 0, 1) ** 0.45
        shell = crown * (1 + grow * (0.8 if not long else 1.0))
        if style == "quiff":
            shell = shell + 0.16 * bell(v + 0.85, 0.22) * bell(t, 0.7) * crown
        if style == "afro":
            shell = crown * (1 + grow) * (1 - 0.16 * np.clip(v + 0.1, 0, 1)) + 0.015 * fine
        if long:
            shell = (
                shell
                + 0.10 * np.clip(v - 0.1, 0, 1) * (style != "afro")
                - 0.25 * np.clip(v - 0.62, 0, 1) * (style == "bob")
            )
        thickness = np.clip(shell - self.relief, 0, None)
        body = cover if style == "buzz" else step(past - 0.03 - 0.05 * low, 0.09 + 0.06 * low) * cover
        if style == "bald":
            cover, body = cover * 0, body * 0
        self.lit = (1 - under * (1 - step(past - 0.08, 0.14))).astype(np.float32)
        self.cover = (cover * (0.72 if style == "buzz" else 1.0)).astype(np.float32)
        self.relief = (self.relief + thickness * body + 0.006 * fine * body * self.above_jaw).astype(np.float32)
        self.relief[self.relief < 0.03] = -0.2  # nothing above the crown
        self.fine = fine
        root = 1 - 0.25 * (v < -0.4) * bell(np.abs(v + 0.9), 0.3)
        streaks = np.clip((1 + 0.30 * fine) * root, 0.25, 2) * (0.15 + 0.85 * self.lit)
        self.locks = (p.hair[:, None, None] ** 2 * streaks).astype(np.float32)

    def _grain(self, rng: np.random.Generator, sigma: float | tuple[float, float]) -> np.ndarray:
        """Smooth noise of unit variance."""
        field = gaussian_filter(rng.standard_normal(self.shape, dtype=np.float32), sigma, mode="wrap", truncate=2.5)
        return field / field.std()

    def _skin(self, rng: np.random.Generator) -> None:
        """Albedo (linear light) and pores, without eyes, brows and lips."""
        p, v = self.person, self.v
        self.pores = self._grain(rng, 0.7)
        blotch = self._grain(rng, 3.5)
        colour = (p.skin**2)[:, None, None] * (1 + 0.035 * self.pores + 0.035 * blotch)
        flush = self.spots(*self.pair(0.36, 0.28, 0.14, 0.12, 0.7), *self.pair(1.22, 0.1, 0.12, 0.2, 1.2),
                           (0, 0.34, 0.10, 0.08, 0.8), (0, 0.90, 0.14, 0.08, 0.4))  # fmt: skip
        colour = colour * (1 - rgb(0.02, 0.22, 0.20)[:, None, None] * flush)
        if p.freckles > 0.1:
            dots = np.clip(self._grain(rng, 0.8) - 1.1, 0, 1) * self.spots(
                *self.pair(0.3, 0.2, 0.2, 0.16, 1.0), (0, 0.2, 0.1, 0.1, 0.6)
            )
            colour = colour * (1 - rgb(0.3, 0.5, 0.6)[:, None, None] * dots * p.freckles)
        below = 1 - self.above_jaw
        colour = colour * (1 - 0.12 * below)
        shaved = self.spots(
            (0, 0.50, 0.20, 0.045, 0.9), (0, 0.88, 0.25, 0.13, 1.0), *self.pair(0.55, 0.62, 0.22, 0.2, 1.0)
        )
        shaved = np.clip(shaved, 0, 1) * step(0.75 - np.abs(self.u), 0.15)
        if p.stubble:
            over(
                colour, p.hair**2, np.clip(shaved * p.stubble * (0.45 + 0.25 * self.pores), 0, 0.6) * (1 - 0.6 * below)
            )
        self.whiskers = np.zeros(self.shape, np.float32)
        if p.beard:
            away = np.abs(self.u)
            edge = 0.50 + 0.22 * bell(away, 0.12) - 0.62 * step(away - 0.62, 0.22)
            full = step(v - edge, 0.10) * step(1.16 - v - 0.3 * away, 0.10) * step(1.0 - away, 0.06)
            tache = step(0.055 - np.abs(v - 0.505 - 0.25 * away**2), 0.035) * step(0.30 - away, 0.08)
            clear = step(np.hypot(away / (p.mouth_width * 0.95), (v - 0.615) / 0.085) - 1, 0.25)
            self.whiskers = (
                np.clip((full + tache) * clear, 0, 1)
                * p.beard
                * np.clip(0.9 + 0.28 * self._grain(rng, (1.3, 0.6)), 0, 1)
            )
            over(colour, (p.hair * 0.95) ** 2, self.whiskers)
            self.relief = self.relief + 0.05 * gaussian_filter(self.whiskers, 2) * p.beard
        self.albedo = colour.astype(np.float32)

    def window(self, u: float, v: float, a: float, b: float) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
        """The part of the grid around a feature, and its coordinates relative to the feature."""
        rows, columns = (
            slice(np.searchsorted(line, middle - reach), np.searchsorted(line, middle + reach))
            for line, middle, reach in ((self.v[:, 0], v, b), (self.u[0], u, a))
        )
        return (rows, columns), self.u[:, columns] - u, self.v[rows] - v
