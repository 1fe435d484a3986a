"""Training batches: drawn from resident faces and augmented on the device, with no loader process."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .data import FaceSet
from .errors import UsageError
from .image import to_float
from .model import Augment


class Sampler:
    """Draws training batches of (n, 3, size, size) from a face set that lives on the device.

    Faces larger than ``size`` are cropped at random places, smaller ones are never drawn.
    """

    def __init__(self, faces: FaceSet, size: int, device: torch.device) -> None:
        self.size, self.device = size, device
        self.buckets = [b for (h, w), b in faces.buckets.items() if min(h, w) >= size]
        if not self.buckets:
            raise UsageError(f"{faces.source}: no face has {size} px on its shorter side")
        total = sum(b.numel() for b in self.buckets)
        if device.type == "cuda" and total < 0.25 * torch.cuda.mem_get_info(device)[0]:
            self.buckets = [b.to(device) for b in self.buckets]
        self.weights = torch.tensor([float(len(b)) for b in self.buckets])

    def draw(self, count: int, augment: Augment, generator: torch.Generator) -> Tensor:
        """``count`` faces with replacement, augmented, as floats in [0, 1] on the device."""
        if len(self.buckets) == 1:
            return augmented(self._pick(self.buckets[0], count, generator), augment, generator)
        share = torch.multinomial(self.weights.to(self.device), count, replacement=True, generator=generator)
        counts = torch.bincount(share, minlength=len(self.buckets)).tolist()
        parts = [self._pick(b, n, generator) for b, n in zip(self.buckets, counts, strict=True) if n]
        return augmented(torch.cat(parts), augment, generator)

    def _pick(self, bucket: Tensor, count: int, generator: torch.Generator) -> Tensor:
        rows = torch.randint(len(bucket), (count,), device=self.device, generator=generator)
        height, width = bucket.shape[-2:]
        faces = bucket.index_select(0, rows.to(bucket.device)).to(self.device, non_blocking=True)
        if (height, width) == (self.size, self.size):
            return faces
        corner = torch.rand(2, count, device=self.device, generator=generator)
        top = (corner[0] * (height - self.size + 1)).long().view(-1, 1, 1, 1)
        left = (corner[1] * (width - self.size + 1)).long().view(-1, 1, 1, 1)
        span = torch.arange(self.size, device=self.device)
        batch = torch.arange(count, device=self.device).view(-1, 1, 1, 1)
        channel = torch.arange(3, device=self.device).view(1, 3, 1, 1)
        return faces[batch, channel, top + span.view(1, 1, -1, 1), left + span.view(1, 1, 1, -1)]


LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


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
        luma = torch.tensor(LUMA, device=device)
        pixels = images.flatten(2)
        grey = pixels.mean(2) @ luma
        gain = (brightness * contrast).view(-1, 1, 1)
        mix = saturation.view(-1, 1, 1) * torch.eye(3, device=device) + (1 - saturation).view(-1, 1, 1) * luma
        offset = (brightness * (1 - contrast) * grey).view(-1, 1, 1)
        images = torch.baddbmm(offset.expand(-1, 3, 1), gain * mix, pixels).view_as(images).clamp_(0, 1)
    return images
