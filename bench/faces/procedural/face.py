"""A head's expression and its light: eyes, brows, nose and mouth drawn on the unrolled head, then shaded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter

from bench.faces.procedural.head import DEPTH, EYE, TURN, Head, bell, over, rgb, step


@dataclass
class Face:
    """The expression of one picture."""

    smile: float  # -0.5 sad to 1
    open: float  # mouth, 0 to 1
    lids: float  # 1 relaxed, 0 shut
    brows: float  # raised
    gaze: tuple[float, float]


def express(head: Head, face: Face) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Relief (H, W), albedo (3, H, W) in linear light, and gloss (H, W) of this expression."""
    p = head.person
    smile, up = max(face.smile, 0), 0.03 * max(face.smile, 0)
    tip, lips = p.nose_length, 0.615 - 0.01 * smile
    ridge = np.clip((head.v + 0.14) / (tip + 0.12), 0, 1) ** 1.35 * step(tip + 0.035 - head.v, 0.065)
    nose = p.nose_height * ridge * np.exp(-0.5 * (head.u / (0.055 + 0.030 * np.clip(head.v / tip, 0, 1))) ** 2)
    relief = head.relief + nose * (1 - head.cover)
    relief += head.spots(
        *head.pair(p.nose_width * 0.80, tip - 0.015, 0.034, 0.045, 0.075), (0, tip - 0.02, 0.055, 0.05, 0.045),
        *head.pair(p.eye_gap, EYE - 0.01, 0.13, 0.075, -0.085), *head.pair(p.eye_gap, EYE, 0.075, 0.05, 0.045),
        *head.pair(0.10, EYE - 0.02, 0.05, 0.07, -0.035),
        *head.pair(0.27, -0.19, 0.16, 0.05, 0.028), (0, -0.55, 0.4, 0.18, 0.03),
        *head.pair(0.40, 0.24 - up, 0.15, 0.11, 0.035 + 0.03 * p.cheek + 0.055 * smile),
        *head.pair(0.62, 0.42, 0.12, 0.14, -0.035 * (1 - p.cheek)),
        (0, lips, 0.22, 0.13, 0.075), (0, lips + 0.145, 0.13, 0.03, -0.035),
        (0, 0.90, 0.13, 0.09, 0.06 + 0.05 * p.chin),
        (0, 0.47, 0.018, 0.05, -0.014),
        *head.pair(1.20, 0.10, 0.055, 0.16, 0.20 * (p.style not in ("bob", "long", "wavy"))),
        *head.pair(1.17, 0.10, 0.025, 0.09, -0.09),
    )  # fmt: skip
    fold = np.exp(-0.5 * ((np.abs(head.u) - 0.16 - 0.34 * (head.v - tip)) / 0.020) ** 2) * bell(
        head.v - tip - 0.13, 0.09
    )
    relief -= fold * (0.006 + 0.022 * smile + 0.014 * p.age)
    if p.age > 0.35:
        relief += (p.age - 0.3) * 0.010 * np.sin(head.v * 58) * head.spots((0, -0.45, 0.3, 0.10, 1.0))
        relief -= (p.age - 0.3) * head.spots(*head.pair(p.eye_gap, EYE + 0.13, 0.10, 0.018, 0.035))
    relief += (0.04 / head.unit) * head.pores
    albedo = head.albedo.copy()
    gloss = 0.085 + head.spots((0, tip - 0.05, 0.06, 0.07, 0.07), (0, -0.4, 0.3, 0.15, 0.03))
    gloss -= 0.07 * head.whiskers
    for side in (-1, 1):
        eye(head, albedo, gloss, side, face)
        brow(head, albedo, side, face)
        nostril(head, albedo, side)
    mouth(head, albedo, gloss, relief, lips, face)
    over(albedo, head.locks, head.cover)
    return relief, albedo, gloss * (1 - head.cover)


def eye(head: Head, albedo: np.ndarray, gloss: np.ndarray, side: int, face: Face) -> None:
    p, px = head.person, head.pixel * 0.7
    a, centre = p.eye_size, side * p.eye_gap
    place, du, dv = head.window(centre, EYE, a * 1.7, a * 1.6)
    patch, x = albedo[:, place[0], place[1]], side * du / a  # x: -1 inner corner, 1 outer
    dv = dv + p.eye_tilt * (x * a)
    lift = p.eye_open * a * face.lids * (1 - 0.18 * max(face.smile, 0))
    arch = np.clip(1 - np.abs(x + 0.08) ** 2.2, 0, 1)
    upper, lower = -1.15 * lift * arch**0.8, 0.78 * lift * np.clip(1 - np.abs(x - 0.1) ** 2.4, 0, 1)
    socket = bell(dv + 0.05, 0.085) * bell(x, 0.85)
    over(patch, p.skin**2 * rgb(0.50, 0.42, 0.42), 0.45 * socket)
    white = step(dv - upper, px) * step(lower - dv, px) * (np.abs(x) < 1.05)
    shadow = 0.45 + 0.55 * step(dv - upper - 0.035, 0.05)
    over(
        patch,
        (rgb(0.66, 0.61, 0.58) * float(0.7 + 0.3 * p.skin[1]))[:, None, None] * (shadow * (1 - 0.30 * x**2)),
        white,
    )
    iu, iv = du - face.gaze[0] * a * 0.5, dv - face.gaze[1] * lift * 0.5 + 0.16 * lift
    r = np.hypot(iu, iv) / (0.46 * a)
    over(patch, p.iris**2 * 0.25, white * step(1 - r, px / (0.46 * a)))
    over(
        patch,
        (p.iris**2)[:, None, None] * (1.0 + 0.8 * np.clip(iv / 0.06, -0.6, 1)),
        white * step(0.82 - r, px / (0.46 * a)),
    )
    over(patch, rgb(0.004, 0.004, 0.004), white * step(0.42 - r, px / (0.46 * a)))
    glint = step(0.020 - np.hypot(iu + 0.022, iv + 0.026), px)
    over(patch, rgb(1.6, 1.6, 1.6), white * glint)
    lash = step(0.011 + 0.011 * p.lash - np.abs(dv - upper + 0.006 * p.lash), px * 1.2) * (
        np.abs(x) < 1.06 + 0.16 * p.lash * (x > 0)
    )
    over(patch, rgb(0.008, 0.008, 0.008) + p.hair**2 * 0.1, lash * (0.55 + 0.45 * p.lash))
    over(patch, p.skin**2 * 0.25, 0.55 * step(0.008 - np.abs(dv - lower), px * 1.2) * (np.abs(x) < 1.0))
    crease = step(0.008 - np.abs(dv - upper * 1.25 + 0.042), px * 1.3) * (np.abs(x) < 1.05)
    over(patch, p.skin**2 * 0.32, 0.55 * crease)
    over(patch, p.skin**2 * 0.55, (0.10 + 0.30 * p.age) * bell(dv - lower - 0.07, 0.022) * bell(x, 0.7))
    gloss[place] = gloss[place] * (1 - white)


def brow(head: Head, albedo: np.ndarray, side: int, face: Face) -> None:
    p = head.person
    place, du, dv = head.window(side * (p.eye_gap + 0.015), EYE - p.brow_height, 0.27, 0.16)
    x = side * du / 0.20
    line = 0.03 - 1.5 * p.brow_arch * np.cos((x - 0.15) * 1.5) - 0.02 * face.brows * (1 - 0.5 * x) + 0.02 * x
    thick = p.brow * np.clip(1.0 - 0.45 * np.clip(x, -0.4, 1.2), 0.2, 1.2)
    hairs = np.sin((du * side * 0.9 + dv * 0.8) * 150)
    cover = step(thick - np.abs(dv - line), 0.018) * step(1.0 - np.abs(x), 0.12)
    over(albedo[:, place[0], place[1]], (p.hair * 0.75) ** 2, cover * (0.80 + 0.16 * hairs))


def nostril(head: Head, albedo: np.ndarray, side: int) -> None:
    p, tip = head.person, head.person.nose_length
    place, du, dv = head.window(side * p.nose_width * 0.48, tip + 0.028, 0.16, 0.14)
    patch = albedo[:, place[0], place[1]]
    over(
        patch,
        p.skin**2 * rgb(0.20, 0.11, 0.10),
        0.9 * step(1 - np.hypot(du / 0.042, (dv + 0.15 * np.abs(du)) / 0.019), 0.5),
    )
    wing = np.hypot((side * du - p.nose_width * 0.30) / 0.06, (dv + 0.045) / 0.07)
    over(
        patch,
        p.skin**2 * rgb(0.5, 0.40, 0.38),
        0.55 * bell(wing - 1, 0.16) * step(side * du - 0.03, 0.03) * step(dv + 0.09, 0.05),
    )


def mouth(head: Head, albedo: np.ndarray, gloss: np.ndarray, relief: np.ndarray, v: float, face: Face) -> None:
    p, px = head.person, head.pixel * 0.7
    smile = max(face.smile, 0)
    wide = p.mouth_width * (1 + 0.26 * smile - 0.10 * face.open)
    place, du, dv = head.window(0, v, wide * 1.35, 0.27)
    patch, x = albedo[:, place[0], place[1]], du / wide
    dv = dv + face.smile * 0.055 * np.clip(np.abs(x), 0, 1.2) ** 1.8 - 0.012 * face.smile
    taper = np.clip(1 - x**2, 0, 1)
    bow = 1 + 0.22 * bell(np.abs(x) - 0.25, 0.13) - 0.10 * bell(x, 0.10)
    gap = (0.085 * face.open + 0.035 * smile * (face.open > 0.05)) * taper**0.6
    top, bottom = -gap * 0.45, gap * 0.55
    upper = top - p.lip * 0.80 * bow * taper**0.75 * (1 - 0.25 * smile)
    lower = bottom + p.lip * 1.05 * taper**0.6 * (1 - 0.15 * smile)
    wrinkle = 1 + 0.05 * np.sin(du * 190)
    inside = np.abs(x) < 1.0
    lips = (p.lips**2)[:, None, None] * wrinkle
    over(patch, lips * 0.72, step(dv - upper, px * 1.4) * step(top - dv, px) * inside * 0.92)
    over(patch, lips * 1.05, step(dv - bottom, px) * step(lower - dv, px * 1.6) * inside * 0.92)
    relief[place] += (
        0.020 * bell(dv - (top + upper) / 2, 0.02) + 0.036 * bell(dv - (bottom + lower) / 2, 0.026)
    ) * taper
    relief[place] -= 0.022 * bell(dv - (top + bottom) / 2, 0.016) * taper
    hole = step(dv - top, px) * step(bottom - dv, px) * inside * (gap > 0.004)
    over(patch, rgb(0.035, 0.008, 0.008), hole)
    teeth = (0.62 + 0.16 * np.clip(np.cos(du * 82), -0.5, 1)) * (1 - 0.55 * np.clip(np.abs(x), 0, 1) ** 2)
    over(patch, rgb(1.0, 0.95, 0.86)[:, None, None] * teeth, hole * step(top + 0.075 - dv, px * 1.5))
    line = step(0.008 - np.abs(dv - (top + bottom) / 2), px * 1.3) * (gap < 0.02) * (np.abs(x) < 1.05)
    over(patch, p.lips**2 * 0.12, 0.8 * line)
    corner = bell(np.abs(x) - 1.04, 0.07) * bell(dv, 0.022)
    over(patch, p.skin**2 * 0.3, 0.6 * corner)
    gloss[place] = gloss[place] * (1 - hole) + 0.10 * step(dv - bottom, px) * step(lower - dv, px) * inside


def lit(head: Head, relief: np.ndarray, albedo: np.ndarray, gloss: np.ndarray, light: np.ndarray, eye: np.ndarray,
        ambient: float, tint: tuple[float, float, float]) -> np.ndarray:  # fmt: skip
    """The unrolled head under a light: (3, H, W), linear. ``light``, ``eye``: unit vectors in the head's frame."""
    p, sin, cos = head.person, np.sin(head.t), np.cos(head.t)
    rt, rv = np.gradient(relief, 2 * TURN / (head.shape[1] - 1), axis=1), np.gradient(relief, head.pixel, axis=0)
    tx, tz = p.width * (rt * sin + relief * cos), DEPTH * (rt * cos - relief * sin)
    nx, ny, nz = -tz, tz * p.width * rv * sin - tx * DEPTH * rv * cos, tx
    length = 1 / np.sqrt(nx * nx + ny * ny + nz * nz + 1e-9)
    nx, ny, nz = nx * length, ny * length, nz * length
    facing = nx * light[0] + ny * light[1] + nz * light[2]
    # Cast shadows: how far the relief towards the light stands above the ray, at three distances.
    shadow = np.zeros_like(relief)
    for far in (0.05, 0.11, 0.20):
        shift = round(far * light[1] * head.unit), round(far * light[0] * head.unit)
        ahead = np.roll(relief, (-shift[0], -shift[1]), (0, 1))
        np.maximum(shadow, (ahead - relief) * DEPTH - far * (0.25 + 0.5 * max(light[2], 0)), out=shadow)
    shadow = 1 - 0.75 * np.clip(shadow * 9, 0, 1)
    hollow = np.clip(1 - 4.0 * (uniform_filter(relief, round(0.16 * head.unit)) - relief), 0.35, 1.12)
    around = ambient * hollow * (0.80 - 0.25 * ny)
    half = (light + eye) / np.linalg.norm(light + eye)
    shine = np.clip(nx * half[0] + ny * half[1] + nz * half[2], 0, 1) ** 2
    shine = shine * shine * shine  # the 6th power
    shine = gloss * (0.35 * shine + 2.2 * shine * shine * shine) * shadow
    # Hair shines in a band across the strands.
    band = bell(ny - half[1] * 0.7 - 0.06 * head.fine, 0.16) * np.clip(facing + 0.25, 0, 1) * head.cover * head.lit
    shine = shine + band * (0.05 + 0.16 * p.hair.mean()) * np.clip(1 + 0.5 * head.fine, 0, 2)
    picture = np.empty_like(albedo)
    for channel, wrap in enumerate((0.34, 0.20, 0.16)):  # red light goes furthest under the skin
        direct = np.clip((facing + wrap) / (1 + wrap), 0, 1) * (shadow + (1 - shadow) * wrap * 0.5)
        picture[channel] = (
            albedo[channel] * (around + (1.25 - 0.6 * ambient) * direct * tint[channel]) + shine * tint[channel] * 0.9
        )
    return picture
