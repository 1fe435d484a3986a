"""Random changes of training faces, on the device."""

from __future__ import annotations

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
        images = F.grid_sample(to_float(faces), grid, padding_mode="reflection", align_corners=False)
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
