"""Random changes of training faces, on the device."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.api.training import Augment
from bench.core.colour import BT601
from bench.core.image import to_float


def augmented(faces: Tensor, augment: Augment, generator: torch.Generator) -> Tensor:
    """(n, 3, H, W) uint8 -> floats in [0, 1], each face changed by its own random draw."""
    count, device = len(faces), faces.device

    def uniform(amount: float) -> Tensor:
        return torch.empty(count, device=device).uniform_(-amount, amount, generator=generator)

    mirror = torch.rand(count, device=device, generator=generator) < 0.5 if augment.flip else None
    if augment.zoom or augment.rotate:  # one resampling for mirror, zoom and rotation
        angle, factor = torch.deg2rad(uniform(augment.rotate)), 1 / (1 + uniform(augment.zoom))
        sign = torch.ones(count, device=device) if mirror is None else 1 - 2 * mirror.float()
        cos, sin, zero = factor * angle.cos(), factor * angle.sin(), torch.zeros(count, device=device)
        matrix = torch.stack([cos * sign, -sin, zero, sin * sign, cos, zero], 1).view(count, 2, 3)
        grid = F.affine_grid(matrix, list(faces.shape), align_corners=False)
        larger = _enlarged(to_float(faces))
        images = F.grid_sample(larger, grid, "bicubic", padding_mode="reflection", align_corners=False).clamp_(0, 1)
    else:
        if mirror is not None:
            faces = faces.clone()
            faces[mirror] = faces[mirror].flip(-1)
        images = to_float(faces)
    if augment.jitter:
        brightness, contrast, saturation = (1 + uniform(augment.jitter) for _ in range(3))
        luma = torch.tensor(BT601, device=device)
        pixels = images.flatten(2)
        grey = pixels.mean(2) @ luma
        gain = (brightness * contrast).view(-1, 1, 1)
        mix = saturation.view(-1, 1, 1) * torch.eye(3, device=device) + (1 - saturation).view(-1, 1, 1) * luma
        offset = (brightness * (1 - contrast) * grey).view(-1, 1, 1)
        images = torch.baddbmm(offset.expand(-1, 3, 1), gain * mix, pixels).view_as(images).clamp_(0, 1)
    return images


def _enlarged(images: Tensor) -> Tensor:
    """(n, 3, H, W) at twice the size, by cosine interpolation, which loses no frequency (mirrored at the border).

    Cubic sampling of it keeps fine detail and noise, of which bilinear sampling of the image itself keeps half.
    """
    rows, columns = (_cosine_matrix(n).to(images) for n in images.shape[-2:])
    return rows @ images @ columns.T


@lru_cache(maxsize=16)
def _cosine_matrix(size: int) -> Tensor:
    """(2 * size, size) float64: the sum of cosines through the pixels of a line, at twice as many places."""
    frequency = torch.arange(size, dtype=torch.float64)
    here, there = ((torch.arange(n, dtype=torch.float64) + 0.5) * math.pi / n for n in (size, 2 * size))
    weight = torch.where(frequency == 0, 1.0, 2.0) / size
    return (there[:, None] * frequency).cos() @ (weight[:, None] * (frequency[:, None] * here).cos())
