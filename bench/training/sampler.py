"""Training batches: drawn from resident faces and augmented on the device, with no loader process."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.api.training import Augment
from bench.errors import UsageError
from bench.faces.faceset import FaceSet
from bench.training.augment import augmented


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
