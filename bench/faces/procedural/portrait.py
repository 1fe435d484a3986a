"""The embedded face set: procedural portraits, and a wild degradation that no method is told.

A person is a relief map with colours (`bench.synth_head`) that gets an expression and light (`bench.synth_draw`); here
it is turned, traced from the camera at twice the resolution, set before a background, and averaged down. Each picture
has a seed of its own.
"""

from __future__ import annotations

import io
import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.ndimage import gaussian_filter, grey_opening, map_coordinates

from bench.faces.procedural.face import Face, express, lit
from bench.faces.procedural.head import BOTTOM, DEPTH, EYE, TOP, TURN, Head, Person, over, step

OVERSAMPLING = 2
HEAD = 0.415  # half a head, as a share of the picture's side
MARCH = 8  # steps along a ray

ROOMS = np.array([[196, 190, 180], [120, 126, 132], [58, 62, 70], [150, 170, 190], [98, 116, 88], [150, 120, 96],
                  [226, 224, 220], [64, 84, 112], [176, 158, 132], [110, 84, 74]]) / 255  # fmt: skip
CLOTHES = np.array([[34, 38, 52], [220, 218, 214], [60, 66, 74], [116, 40, 44], [44, 76, 112], [72, 96, 74],
                    [170, 150, 120], [150, 84, 100], [24, 24, 26], [196, 150, 70], [120, 150, 178]]) / 255  # fmt: skip


def faces(identities: int, per_identity: int, size: int = 64, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Procedural portraits: (N, 3, size, size) uint8 and their (N,) identities, N = identities * per_identity.

    Each identity and each picture has its own seed: a smaller set is the beginning of a larger one with the same
    ``per_identity``.
    """
    images = np.empty((identities * per_identity, 3, size, size), np.uint8)
    for identity in range(identities):
        head = Head(Person.draw(np.random.default_rng((seed, identity))), HEAD * size * OVERSAMPLING)
        for shot in range(per_identity):
            rng = np.random.default_rng((seed, identity, shot + 1))
            images[identity * per_identity + shot] = portrait(head, size, rng)
    return images, np.repeat(np.arange(identities), per_identity)


# ---------------------------------------------------------------- one picture


def portrait(head: Head, size: int, rng: np.random.Generator) -> np.ndarray:
    """One picture of a person, (3, size, size) uint8: pose, expression, light and background are drawn anew."""
    side, p = size * OVERSAMPLING, head.person
    yaw, pitch, roll = rng.normal(0, 0.30), rng.normal(0, 0.12), rng.normal(0, 0.09)
    turn = rotation(float(np.clip(yaw, -0.75, 0.75)), float(np.clip(pitch, -0.3, 0.3)), float(roll))
    smile = float(np.clip(rng.normal(0.4, 0.45), -0.45, 1))
    face = Face(
        smile,
        max(0.0, float(rng.normal(0.30 if smile > 0.5 else -0.15, 0.30))),
        float(np.clip(rng.normal(1, 0.12), 0.55, 1.2)),
        float(rng.normal(0, 0.5)),
        tuple(rng.normal(0, 0.3, 2) * (1, 0.5)),
    )
    # A key light from above and one side, a fill from all around; both slightly warm or cool.
    angle = rng.uniform(-1.15, 1.15)
    key = np.array([math.sin(angle), -rng.uniform(0.15, 0.75), math.cos(angle) * 0.9 + 0.15])
    key = (key / np.linalg.norm(key)).astype(np.float32)
    ambient = float(rng.uniform(0.20, 0.52))
    warmth = float(rng.normal(0, 0.06))
    tint = (1 + warmth, 1.0, 1 - warmth)
    relief, albedo, gloss = express(head, face)
    surface = lit(head, relief, albedo, gloss, turn.T @ key, turn[2], ambient, tint)

    unit = head.unit * float(rng.uniform(0.94, 1.06))
    aim = turn @ np.array([0, 0.12, 0.55 * DEPTH])  # a point between the eyes and the mouth stays near the middle
    shift = rng.normal(0, 0.03, 2).astype(np.float32) + (0, 0.02) + aim[:2] * -0.75
    axis = (np.arange(side, dtype=np.float32) + 0.5 - side / 2) / unit
    x, y = (axis - shift[0])[None], (axis - shift[1])[:, None]

    canvas = background(side, rng)
    behind(canvas, head, turn, x, y, key, ambient)
    low = int(np.searchsorted(y[:, 0], 1.0))
    clothes(canvas[:, low:], x, y[low:], rng, ambient, key)
    place = trace(head, relief, surface, turn, x, y)
    layer = F.grid_sample(torch.from_numpy(place[1]), place[0], padding_mode="border", align_corners=True)[0].numpy()
    over(canvas, layer[:3], place[2] * np.clip(layer[3], 0, 1))
    if p.glasses and rng.random() < 0.85:
        spectacles(canvas, head, turn, x, y, place[2])
    canvas *= float(rng.uniform(0.85, 1.2)) * (1 + rng.normal(0, 0.02, 3))[:, None, None].astype(np.float32)
    canvas = tone(F.avg_pool2d(torch.from_numpy(canvas), OVERSAMPLING).numpy())
    canvas += rng.standard_normal(canvas.shape, dtype=np.float32) * 0.005
    return (canvas.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Head to camera (x right, y down, z towards the camera); yaw turns first, roll last."""
    (cy, cp, cr), (sy, sp, sr) = np.cos((yaw, pitch, roll)), np.sin((yaw, pitch, roll))
    return (
        np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        @ np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
        @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    ).astype(np.float32)


def tone(linear: np.ndarray) -> np.ndarray:
    """Linear light to display values: a square root, with a shoulder for highlights."""
    value = np.sqrt(np.clip(linear, 0, None))
    return np.where(value > 0.8, 0.8 + 0.2 * np.tanh((value - 0.8) / 0.2), value)


def trace(
    head: Head, relief: np.ndarray, surface: np.ndarray, turn: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """Where each pixel's ray meets the relief: (1, H, W, 2) grid coordinates, the (1, 4, h, w) layer, (H, W) coverage.

    Newton's method from outside, on every second pixel.
    """
    p = head.person
    shape = torch.from_numpy(np.ascontiguousarray(relief, np.float32))[None, None]
    xs, ys = (a.reshape(-1, 2).mean(1) for a in (x[0], y[:, 0]))
    gx, gy = np.meshgrid(xs, ys)
    start = [turn[0, i] * gx + turn[1, i] * gy for i in range(3)]  # the ray's point nearest the head's centre plane
    ahead = turn[2]
    # The surface lies within the elliptic cylinder of its largest radius.
    a, c = start[0] / p.width, start[2] / DEPTH
    da, dc = ahead[0] / p.width, ahead[2] / DEPTH
    square, mix = da * da + dc * dc, a * da + c * dc
    room = mix * mix - square * (a * a + c * c - float(relief.max()) ** 2)
    z = (np.sqrt(np.clip(room, 0, None)) - mix) / square
    deepest = np.full(gx.shape, np.inf, np.float32)
    for _ in range(MARCH):
        qa, qc, v = a + z * da, c + z * dc, start[1] + z * ahead[1]
        q = np.sqrt(qa * qa + qc * qc) + 1e-6
        grid = np.stack([np.arctan2(qa, qc) / TURN, (v - TOP) * (2 / (BOTTOM - TOP)) - 1], -1)
        field = torch.from_numpy(grid.astype(np.float32))[None]
        gap = q - F.grid_sample(shape, field, padding_mode="border", align_corners=True)[0, 0].numpy()
        deepest = np.minimum(deepest, gap)
        slope = (qa * da + qc * dc) / q
        inside = np.minimum(gap, 0) * 0.4  # halved steps back: a cliff of the relief is met from outside
        z = z - np.where(slope > 0.05, (np.maximum(gap, 0) * 0.85 + inside) / np.maximum(slope, 0.35), 0)
    low = len(deepest) // 2
    deepest[low:] = grey_opening(deepest[low:], 3)  # rays that graze the chin have not reached the neck yet
    cut = step(np.maximum(1.32 - 0.16 * np.cos(head.t), 9 * head.cover) - head.v, 0.03)  # the neck ends at the collar
    if p.style in ("long", "wavy"):  # and hair below goes on behind the neck
        cut = cut * (1 - head.cover * step(head.v - 0.72, 0.20))
    layer = np.concatenate([surface, cut[None]]).astype(np.float32)[None]
    whole = torch.cat([field.permute(0, 3, 1, 2), torch.from_numpy(deepest.astype(np.float32))[None, None]], 1)
    whole = F.interpolate(whole, scale_factor=2, mode="bilinear", align_corners=False)
    cover = step(0.7 * head.pixel - whole[0, 2].numpy() * p.width, 0.7 * head.pixel)
    return whole[:, :2].permute(0, 2, 3, 1), layer, cover


def background(side: int, rng: np.random.Generator) -> np.ndarray:
    """A room or a garden out of focus, (3, side, side) in linear light; drawn small and enlarged."""
    n = 32
    y, x = np.mgrid[:n, :n].astype(np.float32) / n
    base = ROOMS[rng.integers(len(ROOMS))] * rng.uniform(0.7, 1.15)
    mix = np.clip(0.5 + (x - 0.5) * rng.normal(0, 0.7) + (y - 0.5) * rng.normal(0.3, 0.6), 0, 1)
    canvas = (base[:, None, None] * (0.65 + 0.5 * mix)).astype(np.float32)
    kind = rng.random()
    for _ in range(0 if kind < 0.35 else rng.integers(3, 10)):
        colour = ROOMS[rng.integers(len(ROOMS))] * rng.uniform(0.4, 1.2)
        cx, cy, radius = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.04, 0.2)
        shape = np.abs(x - cx) / radius if kind < 0.6 else np.hypot(x - cx, y - cy) / radius
        over(canvas, colour, step(1 - shape, 0.15) * rng.uniform(0.25, 0.8))
    canvas = gaussian_filter(canvas, (0, *[rng.uniform(0.5, 1.6)] * 2), mode="nearest")
    large = F.interpolate(torch.from_numpy(canvas)[None], size=(side, side), mode="bilinear", align_corners=False)
    return np.clip(large[0].numpy(), 0, 1) ** 2


def behind(
    canvas: np.ndarray, head: Head, turn: np.ndarray, x: np.ndarray, y: np.ndarray, key: np.ndarray, ambient: float
):
    """Long hair that falls behind the neck, or a bun above the head."""
    p, px = head.person, head.pixel
    along, down = x * turn[0, 0] + y * turn[1, 0], y
    if p.style in ("long", "wavy", "bob"):
        edge = (
            (0.66 if p.style == "bob" else 0.86) * p.width / 0.72
            + 0.10 * p.volume
            + (0.04 * np.sin(down * 9) if p.style == "wavy" else 0)
        )
        cover = step(edge - np.abs(x + 0.12 * turn[2, 0]), 3 * px) * step(down + 0.2, 0.2)
        cover = cover * step((0.88 if p.style == "bob" else 3) - down, 0.05)
        strands = (
            0.38
            + 0.30 * step(np.abs(x) - 0.42, 0.25)
            + 0.10 * np.sin(along * 70 + 3 * np.sin(down * 4))
            + 0.06 * np.sin(along * 151 + down * 6)
        )
        over(canvas, (p.hair**2)[:, None, None] * strands * (0.6 + ambient), cover)
    elif p.style == "bun":
        centre = turn @ np.array([0, -1.12, -0.35])
        r = np.hypot(x - centre[0], y - centre[1]) / 0.30
        light = ambient + 0.6 * np.clip(0.6 + ((x - centre[0]) * key[0] + (y - centre[1]) * key[1]) * 2.2, 0, 1)
        strands = 1 + 0.25 * np.sin(r * 30 + 2 * np.arctan2(y - centre[1], x - centre[0]))
        over(canvas, (p.hair**2)[:, None, None] * strands * light, step(1 - r, px * 4))


def clothes(
    canvas: np.ndarray, x: np.ndarray, y: np.ndarray, rng: np.random.Generator, ambient: float, key: np.ndarray
):
    """Shoulders in a shirt, a jersey or a jacket."""
    colour = CLOTHES[rng.integers(len(CLOTHES))] * rng.uniform(0.7, 1.15)
    top = 1.12 + 0.30 * np.clip(np.abs(x) - 0.45, 0, 2) ** 1.2
    weave = 1 + 0.08 * np.sin(x * rng.uniform(4, 9) + y * rng.normal(0, 6)) + 0.05 * np.sin(x * 120) * np.sin(y * 120)
    if rng.random() < 0.25:
        weave = weave + 0.25 * np.sign(np.sin(y * 45 + 4 * x**2))
    light = (ambient + 0.55 * np.clip(0.55 + 0.5 * x * key[0], 0, 1)) * weave
    over(canvas, (colour**2)[:, None, None] * light, step(y - top, 0.03))
    if rng.random() < 0.4:  # a jacket's lapels, open on a shirt
        shirt = CLOTHES[rng.integers(len(CLOTHES))]
        over(
            canvas,
            (shirt**2)[:, None, None] * light,
            step(0.62 - 0.5 * (y - 1.05) - np.abs(x), 0.03) * step(y - top, 0.03),
        )


def spectacles(
    canvas: np.ndarray, head: Head, turn: np.ndarray, x: np.ndarray, y: np.ndarray, cover: np.ndarray
) -> None:
    """Frames in a plane before the eyes, seen under the head's pose, with arms to the ears."""
    p, px = head.person, head.pixel * 0.8
    plane = 1.0 * DEPTH
    flat = np.linalg.inv(turn[:2, :2])
    ox, oy = x - plane * turn[0, 2], y - plane * turn[1, 2]
    u, v = flat[0, 0] * ox + flat[0, 1] * oy, flat[1, 0] * ox + flat[1, 1] * oy - EYE - 0.03
    colour = [np.full(3, 0.012), p.hair**2 * 0.5, np.array([0.25, 0.22, 0.18])][p.glasses - 1]
    a, b, power, thick = [(0.205, 0.155, 4, 0.020), (0.20, 0.165, 2.6, 0.024), (0.205, 0.15, 3, 0.011)][p.glasses - 1]
    for side in (-1, 1):
        du, dv = np.abs(u - side * (p.eye_gap - 0.045)), np.abs(v)
        r = ((du / a) ** power + (dv / b) ** power) ** (1 / power)
        over(canvas, np.full(3, 0.8), 0.05 * step(1 - r, 0.05) * (1 + np.clip(2 * (u + v), -1, 1)))
        over(canvas, colour, 0.95 * step(thick - np.abs(r - 1) * b, px))
        if side * turn[0, 2] < 0.12 and p.style not in (
            "long",
            "wavy",
            "bob",
            "afro",
        ):  # the arm on the side that faces the camera
            first = turn @ np.array([side * (p.eye_gap - 0.045 + a), EYE - 0.02, plane])
            last = turn @ np.array([side * p.width, EYE + 0.02, 0.1])
            d = last[:2] - first[:2]
            s = np.clip(((x - first[0]) * d[0] + (y - first[1]) * d[1]) / (d @ d), 0, 1)
            line = np.hypot(x - first[0] - s * d[0], y - first[1] - s * d[1])
            over(canvas, colour, 0.9 * step(thick * 0.8 - line, px) * cover)
    bridge = step(thick * 0.8 - np.abs(v + 0.035), px) * (np.abs(u) < p.eye_gap - 0.045 - a)
    over(canvas, colour, 0.95 * bridge)


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
    light = light * rng.uniform(0.82, 1.18, (3, 1, 1)) * rng.uniform(0.65, 1.2)
    shot, read = rng.uniform(0.0005, 0.006), rng.uniform(0.002, 0.012)
    light = light + rng.standard_normal(light.shape) * np.sqrt(shot * light.clip(0) + read**2)
    levels = (light.clip(0, 1) ** (1 / rng.uniform(1.9, 2.5)) * 255 + 0.5).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels.transpose(1, 2, 0)).save(file, "JPEG", quality=int(rng.integers(25, 85)))
    return np.asarray(Image.open(file)).transpose(2, 0, 1)
