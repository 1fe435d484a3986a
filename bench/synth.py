"""The embedded face set: procedural faces, and a wild degradation that no method is told.

A face is a shaded ellipsoid seen under a pose: every feature sits on its surface, and moves, shrinks and hides with yaw,
pitch and roll. Drawn twice as large and averaged down, in numpy, one face at a time from a seed of its own.
"""

from __future__ import annotations

import copy
import io
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

VERSION = 1  # part of the fingerprint's file name: raise it with any change of the pictures
OVERSAMPLING = 2

SKIN = np.array([[244, 208, 177], [231, 187, 150], [209, 158, 118], [173, 121, 86], [132, 88, 60], [92, 60, 43]]) / 255
HAIR = np.array([[28, 22, 20], [58, 38, 26], [96, 62, 38], [146, 102, 58], [198, 160, 104], [122, 58, 32], [150, 148, 146]]) / 255  # fmt: skip
IRIS = np.array([[70, 46, 30], [92, 64, 36], [84, 104, 70], [88, 124, 158], [110, 120, 126]]) / 255


@dataclass(frozen=True)
class Person:
    """What stays the same in every picture of one identity. Lengths are in units of half the face's height."""

    skin: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    width: float  # of the head
    jaw: float  # 0 round, 1 square
    eye_gap: float
    eye_size: float
    eye_tilt: float
    brow: float  # thickness
    brow_height: float
    nose_length: float
    nose_width: float
    mouth_width: float
    lip: float
    lip_red: float
    hairline: float
    parting: float
    hair_length: float
    volume: float
    bald: bool
    beard: float
    glasses: bool
    freckles: float
    age: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Person:
        def between(low: float, high: float) -> float:
            return float(rng.uniform(low, high))

        tone = between(0, len(SKIN) - 1.001)
        skin = SKIN[int(tone)] * (1 - tone % 1) + SKIN[int(tone) + 1] * (tone % 1)
        masculine = rng.random() < 0.5
        hair = HAIR[rng.integers(2 if tone > 3.5 else len(HAIR))]
        return cls(
            skin=(skin * rng.uniform(0.96, 1.03, 3)).astype(np.float32),
            hair=(hair * between(0.8, 1.2)).astype(np.float32),
            iris=IRIS[rng.integers(2 if tone > 3 else len(IRIS))].astype(np.float32),
            width=between(0.70, 0.84),
            jaw=between(0.3, 0.9) if masculine else between(0.0, 0.5),
            eye_gap=between(0.29, 0.36),
            eye_size=between(0.11, 0.145),
            eye_tilt=between(-0.12, 0.18),
            brow=between(0.035, 0.06) if masculine else between(0.018, 0.035),
            brow_height=between(0.15, 0.22),
            nose_length=between(0.30, 0.42),
            nose_width=between(0.11, 0.18) + 0.03 * (tone > 3),
            mouth_width=between(0.22, 0.32),
            lip=between(0.035, 0.055) if masculine else between(0.05, 0.085),
            lip_red=between(0.15, 0.4) if masculine else between(0.3, 0.85),
            hairline=between(0.52, 0.70),
            parting=between(-0.5, 0.5),
            hair_length=between(-0.2, 0.15) if masculine else between(0.4, 1.5),
            volume=between(1.03, 1.14) if masculine else between(1.08, 1.26),
            bald=bool(masculine and rng.random() < 0.12),
            beard=between(0.35, 0.95) if masculine and rng.random() < 0.4 else 0.0,
            glasses=bool(rng.random() < 0.22),
            freckles=between(0, 0.08),
            age=between(0, 1),
        )


def faces(identities: int, per_identity: int, size: int = 64, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Procedural portraits: (N, 3, size, size) uint8 and their (N,) identities, N = identities * per_identity.

    Each identity and each picture has its own seed: a smaller set is the beginning of a larger one with the same
    ``per_identity``.
    """
    images = np.empty((identities * per_identity, 3, size, size), np.uint8)
    for identity in range(identities):
        person = Person.draw(np.random.default_rng((seed, identity)))
        for shot in range(per_identity):
            rng = np.random.default_rng((seed, identity, shot + 1))
            images[identity * per_identity + shot] = portrait(person, size, rng)
    return images, np.repeat(np.arange(identities), per_identity)


# ---------------------------------------------------------------- the picture


def portrait(person: Person, size: int, rng: np.random.Generator) -> np.ndarray:
    """One picture, (3, size, size) uint8: pose, expression, light and background are drawn anew."""
    side = size * OVERSAMPLING
    view = View(person, side, rng)
    canvas = background(side, rng)
    hair_behind(canvas, view)
    neck_and_clothes(canvas, view, rng)
    head(canvas, view, rng)
    eyes(canvas, view)
    nose(*around(canvas, view, 0.35, -0.2, person.nose_length + 0.2))
    mouth(*around(canvas, view, 0.6, person.nose_length, 1.0))
    if person.beard:
        beard(canvas, view, rng)
    hair_in_front(canvas, view)
    if person.glasses and rng.random() < 0.85:
        glasses(*around(canvas, view, 1.2, -0.35, 0.25))
    canvas *= rng.uniform(0.9, 1.1, 3)[:, None, None] ** 0.5
    canvas += rng.normal(0, 0.006, canvas.shape)
    small = canvas.reshape(3, size, OVERSAMPLING, size, OVERSAMPLING).mean((2, 4))
    return (small.clip(0, 1) * 255 + 0.5).astype(np.uint8)


class View:
    """A person under one pose, expression and light; knows where a point of the face lies in the picture.

    Face coordinates: u to the right, v down, both in half head heights from the head's centre, on the surface of an
    ellipsoid. ``u``, ``v`` are those of every pixel, ``inside`` the head's soft silhouette.
    """

    def __init__(self, person: Person, side: int, rng: np.random.Generator) -> None:
        self.person, self.side = person, side
        self.yaw, self.pitch, self.roll = (float(rng.normal(0, spread)) for spread in (0.26, 0.13, 0.10))
        self.smile = float(np.clip(rng.normal(0.35, 0.45), -0.5, 1.1))
        self.open = max(0.0, float(rng.normal(-0.1, 0.35)))
        self.lids = float(np.clip(rng.normal(1, 0.18), 0.45, 1.25))
        self.gaze = rng.normal(0, 0.18, 2).tolist()
        self.unit = side * float(rng.uniform(0.385, 0.44))
        self.centre = (side * (np.array([0.5, 0.51]) + rng.normal(0, 0.018, 2))).tolist()
        angle = rng.uniform(-1.2, 1.2)
        light = np.array([np.sin(angle), -rng.uniform(0.2, 0.7), np.cos(angle) * 0.9 + 0.35])
        self.light, self.ambient = (light / np.linalg.norm(light)).tolist(), float(rng.uniform(0.35, 0.62))
        y, x = np.mgrid[:side, :side].astype(np.float32)
        x, y = (x + 0.5 - self.centre[0]) / self.unit, (y + 0.5 - self.centre[1]) / self.unit
        cos, sin = math.cos(self.roll), math.sin(self.roll)
        self.x, self.y = cos * x + sin * y, -sin * x + cos * y
        # The head: an ellipse whose lower half narrows towards the chin; a square jaw narrows late.
        below = np.clip(self.y, 0, 1.1)
        self.half = person.width * (1 - (0.34 - 0.16 * person.jaw) * below ** (1.7 + 1.6 * person.jaw))
        radius = np.sqrt((self.x / self.half) ** 2 + self.y**2)
        self.inside = self.soft(1 - radius, 1.2)
        # The surface's normal, and the face coordinates that the pose brings to each pixel.
        self.nx = np.clip(self.x / self.half, -0.995, 0.995)
        self.ny = np.clip(self.y, -0.995, 0.995)
        self.nz = np.sqrt(np.clip(1 - self.nx**2 - self.ny**2 * 0.85, 0.02, 1))
        self.u = (self.nx - math.sin(self.yaw) * self.nz) * person.width
        self.v = self.ny - math.sin(self.pitch) * self.nz * 0.8

        for name in self.ARRAYS:
            setattr(self, name, getattr(self, name).astype(np.float32))

    ARRAYS = ("x", "y", "half", "inside", "nx", "ny", "nz", "u", "v")

    def part(self, rows: slice, columns: slice) -> View:
        """The same view of fewer pixels."""
        smaller = copy.copy(self)
        for name in self.ARRAYS:
            setattr(smaller, name, getattr(self, name)[rows, columns])
        return smaller

    def soft(self, distance: np.ndarray, pixels: float = 1.0) -> np.ndarray:
        """Coverage from a signed distance (positive inside) in face units, soft over some pixels."""
        return np.clip(distance * self.unit / pixels / 2 + 0.5, 0, 1)

    def ellipse(self, u: float, v: float, a: float, b: float, pixels: float = 1.0, tilt: float = 0.0) -> np.ndarray:
        """Coverage of an ellipse on the face, half axes a and b."""
        du, dv = self.u - u, self.v - v
        du, dv = du + dv * tilt, dv - du * tilt
        radius = np.sqrt((du / a) ** 2 + (dv / b) ** 2)
        return self.soft((1 - radius) * min(a, b), pixels) * self.inside

    def blob(self, u: float, v: float, a: float, b: float) -> np.ndarray:
        """A Gaussian spot on the face."""
        return np.exp(-0.5 * (((self.u - u) / a) ** 2 + ((self.v - v) / b) ** 2)) * self.inside


def around(canvas: np.ndarray, view: View, u: float, top: float, bottom: float) -> tuple[np.ndarray, View]:
    """The part of the picture with |u| and v in these bounds: the same memory, fewer pixels to work on."""
    wanted = (np.abs(view.u) < u) & (view.v > top) & (view.v < bottom) & (view.inside > 0)
    rows, columns = (np.flatnonzero(wanted.any(axis)) for axis in (1, 0))
    if not len(rows):
        return canvas[:, :0, :0], view.part(slice(0), slice(0))
    part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return canvas[:, part[0], part[1]], view.part(*part)


def over(canvas: np.ndarray, colour: np.ndarray, cover: np.ndarray) -> None:
    """Lay a colour, (3,) or (3, H, W), over the canvas where ``cover`` is."""
    colour, cover = np.asarray(colour, np.float32), np.asarray(cover, np.float32)
    canvas += ((colour[:, None, None] if colour.ndim == 1 else colour) - canvas) * cover


def texture(side: int, rng: np.random.Generator, sigma: float | tuple[float, float]) -> np.ndarray:
    """Smooth random texture of unit variance."""
    field = gaussian_filter(rng.standard_normal((side, side)).astype(np.float32), sigma, mode="wrap")
    return field / (field.std() + 1e-6)


def muted(rng: np.random.Generator) -> np.ndarray:
    """A colour of rooms and clothes: any lightness, little saturation."""
    grey = rng.uniform(0.06, 0.88)
    return np.clip(grey + rng.normal(0, 0.13, 3), 0.02, 0.98)


def background(side: int, rng: np.random.Generator) -> np.ndarray:
    """A gradient, and out-of-focus lights and furniture."""
    y, x = np.mgrid[:side, :side].astype(np.float32) / side
    first, second = muted(rng), muted(rng)
    mix = np.clip(0.5 + (x - 0.5) * rng.normal(0, 0.8) + (y - 0.5) * rng.normal(0, 0.8), 0, 1)
    canvas = (first[:, None, None] * mix + second[:, None, None] * (1 - mix)).astype(np.float32)
    for _ in range(rng.integers(0, 6)):
        cx, cy, radius = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.05, 0.25)
        shape = np.abs(x - cx) / radius if rng.random() < 0.4 else np.hypot(x - cx, y - cy) / radius
        over(canvas, muted(rng), np.clip((1 - shape) * 4, 0, 1) * rng.uniform(0.2, 0.7))
    return canvas


def shade(view: View, colour: np.ndarray, bumps: np.ndarray | float = 0.0) -> np.ndarray:
    """A colour on the head's surface under the light, (3, H, W): Lambert, warm where it turns from the light."""
    normal = view.nx * view.light[0] + view.ny * view.light[1] + view.nz * view.light[2]
    lit = view.ambient + (1.12 - view.ambient) * np.clip(normal + bumps, 0, 1)
    lit = np.asarray(np.clip(lit, 0.05, 1.3), np.float32)
    return np.stack([float(c) * lit**warm for c, warm in zip(colour, (1.0, 1.12, 1.22), strict=True)])


def strands(view: View, frequency: float = 1.0) -> np.ndarray:
    """Hair: fine stripes that follow the skull, (H, W) around 0."""
    angle = np.arctan2(view.x - 0.3 * view.person.parting, -(view.y - 0.6))
    radius = np.hypot(view.x, view.y)
    wave = np.sin(angle * 46 * frequency + 3 * np.sin(radius * 9)) + 0.7 * np.sin(angle * 97 * frequency - radius * 7)
    return wave * 0.10 + 0.22 * np.exp(-(((radius - 0.93) / 0.13) ** 2)) * np.cos(angle - view.light[0] * 1.2)


def hair_behind(canvas: np.ndarray, view: View) -> None:
    p = view.person
    if p.bald:
        return
    grow = p.width * p.volume * 1.06
    top = np.where(view.y < 0, np.hypot(view.x / grow, view.y / (1.0 * p.volume)), np.abs(view.x) / grow)
    fall = view.soft(p.hair_length - view.y, 4)
    over(canvas, p.hair[:, None, None] * (0.75 + strands(view)), view.soft(1 - top, 1.5) * fall)


def neck_and_clothes(canvas: np.ndarray, view: View, rng: np.random.Generator) -> None:
    p = view.person
    neck = view.soft(0.40 * p.width / 0.77 - np.abs(view.x) + 0.1 * np.clip(view.y - 0.8, 0, 1), 1.5) * view.soft(
        view.y - 0.4
    )
    shadow = 0.52 + 0.25 * np.clip((view.y - 0.95) * 2, 0, 1)
    over(canvas, p.skin[:, None, None] * shadow, neck)
    collar = 1.12 + 0.25 * np.abs(view.x) ** 1.5 - 0.2 * np.exp(-((view.x / 0.55) ** 2)) * (rng.random() < 0.5)
    cloth = muted(rng)
    folds = 0.85 + 0.10 * np.sin(view.x * rng.uniform(3, 14) + view.y * rng.normal(0, 6))
    over(canvas, cloth[:, None, None] * folds, view.soft(view.y - collar + 0.12, 1.5))


def head(canvas: np.ndarray, view: View, rng: np.random.Generator) -> None:
    p = view.person
    for sign in (-1, 1):  # ears: the far one hides
        reach = sign * (p.width * 0.985) - 0.10 * math.sin(view.yaw)
        ear = np.hypot((view.x - reach) / 0.10, (view.y - 0.02) / 0.19)
        lit = 0.7 + 0.25 * sign * view.light[0]
        over(canvas, p.skin * lit * np.array([1.02, 0.88, 0.85]), view.soft((1 - ear) * 0.1) * (p.hair_length < 0.4))
    pores = texture(view.side, rng, 0.8) * 0.012 + texture(view.side, rng, 5) * 0.012
    eye_v = -0.06
    hollow = sum(view.blob(s * p.eye_gap, eye_v, 0.17, 0.11) for s in (-1, 1))
    cheek = sum(view.blob(s * 0.36, 0.30, 0.16, 0.14) for s in (-1, 1))
    fold = sum(
        np.exp(-((np.abs(view.u - s * (0.20 + 0.30 * (view.v - 0.25))) / 0.022) ** 2))
        * np.clip(1 - np.abs(view.v - 0.40) / 0.17, 0, 1) for s in (-1, 1)
    )  # fmt: skip
    lines = np.sin(view.v * 62) ** 8 * view.blob(0, -0.55, 0.35, 0.13)
    bumps = (
        pores + 0.10 * cheek * (1 + 0.6 * max(view.smile, 0)) - 0.20 * hollow - 0.10 * view.blob(0, 0.66, 0.14, 0.03)
    )
    bumps = bumps - fold * (0.05 + 0.11 * max(view.smile, 0) + 0.08 * p.age) - 0.10 * p.age**2 * lines
    colour = shade(view, p.skin, bumps)
    blush = (cheek * 0.5 + view.blob(0, 0.28, 0.12, 0.1) * 0.6) * 0.16
    colour = colour * (1 - blush * np.array([0.0, 0.8, 0.7])[:, None, None])
    spots = np.clip(texture(view.side, rng, 1.0) - 1.6, 0, 1) * p.freckles * 3
    over(canvas, colour * (1 - spots), view.inside)


def eyes(whole: np.ndarray, face: View) -> None:
    p = face.person
    canvas, view = around(whole, face, 0.75, -0.5, 0.3)
    for sign in (-1, 1):
        u, v, size = sign * p.eye_gap, -0.06, p.eye_size
        height = size * 0.50 * view.lids * (1 - 0.22 * max(view.smile, 0))
        tilt = -sign * p.eye_tilt
        over(canvas, p.skin * 0.48, 0.55 * view.ellipse(u, v - 0.012, size * 1.16, height * 1.75, 3, tilt))
        white = view.ellipse(u, v, size, height, 1.0, tilt)
        over(canvas, shade(view, np.array([0.93, 0.91, 0.90])) * 0.97, white)
        iu, iv = u + view.gaze[0] * size * 0.55, v + view.gaze[1] * height * 0.4
        over(canvas, p.iris * 0.45, white * view.ellipse(iu, iv, size * 0.50, size * 0.50))
        over(canvas, p.iris * 1.25, white * view.ellipse(iu, iv, size * 0.42, size * 0.42))
        over(canvas, np.full(3, 0.03), white * view.ellipse(iu, iv, size * 0.20, size * 0.20))
        glint = view.ellipse(iu + 0.03 * math.copysign(1, view.light[0]), iv - 0.03, 0.024, 0.024)
        over(canvas, np.ones(3), white * glint)
        upper = view.ellipse(u, v - height * 0.25, size * 1.08, height * 1.18, 1, tilt) - white
        over(canvas, p.hair * 0.35, np.clip(upper, 0, 1) * (view.v < v + 0.2 * height) * 0.9)
        crease = np.exp(-(((view.v - (v - height * 1.75 + 1.5 * (view.u - u) ** 2)) / 0.014) ** 2)) * (
            np.abs(view.u - u) < size
        )
        over(canvas, p.skin * 0.55, 0.5 * crease * view.inside)
        bag = np.exp(-(((view.v - (v + height * 1.9 - 1.6 * (view.u - u) ** 2)) / 0.018) ** 2)) * (
            np.abs(view.u - u) < size
        )
        over(canvas, p.skin * 0.62, (0.10 + 0.35 * p.age) * bag * view.inside)
        # The brow: an arch with a thin outer end, of short hairs.
        along = sign * (view.u - u) / (size * 1.5)
        arch = v - p.brow_height - 0.045 * np.cos(along * 1.6) + 0.02 - 0.02 * view.smile * along
        thick = p.brow * np.clip(1.15 - 0.55 * along, 0.2, 1.5) * (np.abs(along) < 1)
        grain = 0.80 + 0.25 * np.sin(view.u * 130 + view.v * 60 * sign)
        over(
            canvas,
            p.hair * 0.62,
            0.9 * grain * view.soft(thick - np.abs(view.v - arch), 1.3) * view.inside * (np.abs(along) < 1),
        )


def nose(canvas: np.ndarray, view: View) -> None:
    p = view.person
    tip = 0.0 + p.nose_length
    lean = 0.16 * math.sin(view.yaw)  # the nose stands off the face, so it moves further than the rest
    along = np.clip((view.v + 0.12) / (tip + 0.12), 0, 1)
    axis, half = lean * along, 0.035 + (p.nose_width - 0.06) * along**2.5
    span = ((view.v > -0.14) & (view.v < tip + 0.06)) * view.inside
    across = (view.u - axis) / (half + 0.03)
    side = -math.copysign(1, view.light[0])
    over(canvas, p.skin * 0.50, 0.40 * np.exp(-((across - side * 1.25) ** 2) * 2.4) * span * (0.35 + 0.65 * along))
    over(
        canvas,
        np.minimum(p.skin * 1.25, 1),
        0.42 * np.exp(-((across + side * 0.15) ** 2) * 3.5) * span * (0.5 + 0.5 * along),
    )
    u = lean
    over(canvas, np.minimum(p.skin * 1.3, 1), 0.35 * view.blob(u - 0.02 * side, tip - 0.035, 0.038, 0.03))
    for sign in (-1, 1):
        wing = view.blob(u + sign * p.nose_width * 0.92, tip - 0.01, 0.022, 0.05)
        over(canvas, p.skin * 0.52, 0.55 * wing)
        over(canvas, p.skin * 0.22, 0.85 * view.ellipse(u + sign * p.nose_width * 0.48, tip + 0.035, 0.040, 0.020, 1.4))
    over(canvas, p.skin * 0.55, 0.40 * view.blob(u, tip + 0.075, p.nose_width * 0.8, 0.025))


def mouth(canvas: np.ndarray, view: View) -> None:
    p = view.person
    wide = p.mouth_width * (1 + 0.22 * max(view.smile, 0))
    v = p.nose_length + 0.235
    gap = 0.075 * view.open + 0.035 * max(view.smile - 0.45, 0)
    t = view.u / wide
    line = v - view.smile * 0.075 * t**2 + 0.012  # the corners rise with a smile
    taper = np.sqrt(np.clip(1 - t**2, 0, 1))
    bow = 1 - 0.28 * np.exp(-((view.u / 0.035) ** 2))
    red = p.skin * (1 - p.lip_red * 0.6) + np.array([0.72, 0.28, 0.28]) * p.lip_red * 0.6 * (0.5 + 0.5 * p.skin[0])
    upper = (view.v > line - gap * taper - p.lip * taper * bow) & (np.abs(t) < 1)
    above = np.minimum(view.v - (line - (gap + p.lip * bow) * taper), line - view.v)
    under = np.minimum(view.v - line, line + (gap + p.lip * 1.25) * taper - view.v)
    inner = gap * taper - np.abs(view.v - line)
    over(canvas, shade(view, red * 0.80), view.soft(above, 1.2) * view.inside * upper)
    over(canvas, shade(view, np.minimum(red * 1.04, 1), 0.08), view.soft(under, 1.2) * view.inside * (np.abs(t) < 1))
    if gap > 0.012:
        hole = view.soft(inner, 1.0) * view.inside * (np.abs(t) < 1)
        over(canvas, np.array([0.16, 0.05, 0.05]), hole)
        teeth = 0.88 + 0.06 * np.cos(view.u * 85)
        over(
            canvas,
            np.array([0.95, 0.93, 0.88])[:, None, None] * teeth,
            hole * view.soft(line + gap * 0.35 - view.v, 1.2),
        )
    else:
        over(
            canvas, red * 0.38, 0.85 * view.soft(0.012 - np.abs(view.v - line), 1.2) * view.inside * (np.abs(t) < 1.04)
        )
    over(canvas, p.skin * 0.6, 0.35 * view.blob(0, v + gap + p.lip * 1.25 + 0.06, wide * 0.55, 0.028))


def beard(canvas: np.ndarray, view: View, rng: np.random.Generator) -> None:
    p = view.person
    region = np.clip((view.v - 0.30 - 0.25 * (np.abs(view.u) < 0.33)) * 7, 0, 1) + np.clip(
        (np.abs(view.u) - 0.5) * 6, 0, 1
    ) * (view.v > 0)
    lip = np.clip(1 - np.hypot(view.u / 0.34, (view.v - p.nose_length - 0.15) / 0.065), 0, 1) * 3
    clear = np.clip(np.hypot(view.u / (p.mouth_width * 1.1), (view.v - p.nose_length - 0.25) / 0.10) - 0.8, 0, 1) * 3
    grain = 0.75 + 0.22 * texture(view.side, rng, (1.4, 0.6))
    cover = np.clip(np.clip(region, 0, 1) * np.clip(clear, 0, 1) + np.clip(lip, 0, 1) * 0.9, 0, 1) * p.beard * grain
    over(canvas, shade(view, p.hair * 1.05), np.clip(cover, 0, 0.95) * view.inside)


def hair_in_front(canvas: np.ndarray, view: View) -> None:
    p = view.person
    if p.bald:
        return
    # Above the hairline, which dips at the temples and rises at the parting.
    dip = (
        p.hairline
        - 0.24 * (np.abs(view.u) / p.width) ** 2.2
        - 0.10 * np.exp(-(((view.u - p.parting * 0.5) / 0.22) ** 2))
    )
    temple = view.soft(np.abs(view.u) - p.width * 0.94, 2) * view.soft(0.12 + max(p.hair_length, -0.1) - view.v, 3)
    radius = np.hypot(view.x / (p.width * p.volume), view.y / p.volume)
    cap = view.soft(1 - radius, 1.5) * view.soft(-view.v - dip, 1.6)
    lit = shade(view, p.hair * 1.15, 0.1) * (0.92 + 1.3 * strands(view))
    over(canvas, np.clip(lit, 0, 1), np.clip(np.maximum(cap, temple * view.inside), 0, 1))


def glasses(canvas: np.ndarray, view: View) -> None:
    p = view.person
    frame = p.hair * 0.4
    for sign in (-1, 1):
        u, v = sign * p.eye_gap, -0.05
        du, dv = np.abs(view.u - u) / 0.215, np.abs(view.v - v) / 0.165
        ring = (du**4 + dv**4) ** 0.25
        over(canvas, np.ones(3), 0.07 * view.soft((1 - ring) * 0.16) * view.inside)
        over(canvas, frame, 0.92 * view.soft(0.024 - np.abs(ring - 1) * 0.17, 1.1) * view.inside)
        arm = (sign * view.u > p.eye_gap + 0.2) * view.soft(0.022 - np.abs(view.v + 0.09))
        over(canvas, frame, 0.9 * arm * view.inside)
    bridge = view.soft(0.018 - np.abs(view.v + 0.08 + 0.4 * view.u**2)) * (np.abs(view.u) < p.eye_gap - 0.2)
    over(canvas, frame, 0.92 * bridge * view.inside)


# ---------------------------------------------------------------- the wild degradation


def wild(hr: np.ndarray, scale: int = 4, seed: int = 0) -> np.ndarray:
    """(N, 3, H, W) uint8 to the LR of an unknown camera, (N, 3, H/scale, W/scale) uint8; each face by its own draw.

    Motion blur, defocus, area downsampling, colour cast and gamma, noise that grows with the signal, JPEG.
    """
    return np.stack([_wild(image, scale, np.random.default_rng((seed, 77, index))) for index, image in enumerate(hr)])


def _wild(image: np.ndarray, scale: int, rng: np.random.Generator) -> np.ndarray:
    light = (image.astype(np.float32) / 255) ** 2.2
    length, angle = rng.gamma(2.0, 1.1), rng.uniform(0, np.pi)
    grid = np.mgrid[: image.shape[1], : image.shape[2]].astype(np.float32)
    steps = np.linspace(-0.5, 0.5, 7) * length
    moved = [
        [
            map_coordinates(c, [grid[0] + s * np.sin(angle), grid[1] + s * np.cos(angle)], order=1, mode="nearest")
            for c in light
        ]
        for s in steps
    ]
    light = gaussian_filter(np.mean(moved, 0), (0, *[rng.uniform(0.4, 1.5)] * 2), mode="nearest")
    channels, height, width = light.shape
    light = light.reshape(channels, height // scale, scale, width // scale, scale).mean((2, 4))
    light = light * rng.uniform(0.75, 1.25, (3, 1, 1)) * rng.uniform(0.6, 1.25)
    shot, read = rng.uniform(0.0005, 0.006), rng.uniform(0.002, 0.012)
    light = light + rng.standard_normal(light.shape) * np.sqrt(shot * light.clip(0) + read**2)
    levels = (light.clip(0, 1) ** (1 / rng.uniform(1.9, 2.5)) * 255 + 0.5).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels.transpose(1, 2, 0)).save(file, "JPEG", quality=int(rng.integers(25, 85)))
    return np.asarray(Image.open(file)).transpose(2, 0, 1)
