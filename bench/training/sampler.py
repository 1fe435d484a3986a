"""Training batches: drawn from resident faces and augmented on the device, with no loader process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from bench.api.model import Model
from bench.api.training import Augment, View
from bench.core.image import resize, to_float, to_uint8
from bench.errors import UsageError
from bench.faces.faceset import Data, FaceSet
from bench.training.augment import augmented

CHUNK = 1024  # faces that are resized at a time


class Sampler:
    """Draws training batches of (n, 3, side, side) from a face set that lives on the device.

    ``view``: whole faces, resized once, or patches at random places. ``note``: gets a sentence on what did not fit.
    """

    def __init__(self, faces: FaceSet, view: View, device: torch.device, note: Callable[[str], Any] = print) -> None:
        self.side, self.device = view.side, device
        counts = {size: len(bucket) for size, bucket in faces.buckets.items()}
        small, total = sum(n for size, n in counts.items() if min(size) < view.side), sum(counts.values())
        if view.whole:
            parts = [self._resized(b) for b in faces.buckets.values()]
            self.buckets = [torch.cat(parts)] if len(parts) > 1 else parts
            if small:
                note(
                    f"{small} of {total} faces of {faces.source} are smaller than {view.side} px and are enlarged to it"
                )
        else:
            self.buckets = [b for (h, w), b in faces.buckets.items() if min(h, w) >= view.side]
            if not self.buckets:
                raise UsageError(f"{faces.source}: no face has {view.side} px on its shorter side")
            if small:
                note(f"{small} of {total} faces of {faces.source} are smaller than {view.side} px and are left out")
        if device.type == "cuda" and sum(b.numel() for b in self.buckets) < 0.25 * torch.cuda.mem_get_info(device)[0]:
            self.buckets = [b.to(device) for b in self.buckets]
        self.weights = torch.tensor([float(len(b)) for b in self.buckets])

    def _resized(self, bucket: Tensor) -> Tensor:
        """(n, 3, H, W) uint8 -> (n, 3, side, side) uint8, where it was."""
        if tuple(bucket.shape[-2:]) == (self.side, self.side):
            return bucket
        chunks = (resize(to_float(chunk.to(self.device)), self.side) for chunk in bucket.split(CHUNK))
        return torch.cat([to_uint8(chunk).to(bucket.device) for chunk in chunks])

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
        if (height, width) == (self.side, self.side):
            return faces
        corner = torch.rand(2, count, device=self.device, generator=generator)
        top = (corner[0] * (height - self.side + 1)).long().view(-1, 1, 1, 1)
        left = (corner[1] * (width - self.side + 1)).long().view(-1, 1, 1, 1)
        span = torch.arange(self.side, device=self.device)
        batch = torch.arange(count, device=self.device).view(-1, 1, 1, 1)
        channel = torch.arange(3, device=self.device).view(1, 3, 1, 1)
        return faces[batch, channel, top + span.view(1, 1, -1, 1), left + span.view(1, 1, 1, -1)]


def samplers(
    model: Model, data: Data, device: torch.device, note: Callable[[str], Any]
) -> tuple[Sampler, Sampler | None]:
    """What draws a model's HR and real LR faces, as its ``views`` say."""
    views = model.views()
    real = Sampler(data.lr_train, views["lr_real"], device, note) if data.lr_train else None
    return Sampler(data.hr_train, views["hr"], device, note), real


def of_real_lr(augment: Augment) -> Augment:
    """What may change real LR faces: mirroring."""
    return replace(augment, zoom=0.0, rotate=0.0, jitter=0.0)
