"""Models at work outside training: built on trained weights, run over face sets, their outputs checked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.api.metric import batches
from bench.api.model import Model
from bench.core.image import to_uint8
from bench.errors import CellFailed
from bench.faces.faceset import FaceSet
from bench.grid.files import load_weights
from bench.grid.recipe import Recipe

LARGEST = {"cpu": 16, "cuda": 64}  # images in a batch: more gain nothing
PIXELS = {"cpu": 64 * 64 * 16, "cuda": 256 * 256 * 64}  # of the input in a batch, so that memory stays bounded
LOW_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")  # as torch says it of a CPU or a GPU


def batch_size(shape: tuple[int, ...], device: torch.device) -> int:
    """How many images of (..., H, W) go together on a device."""
    return max(1, min(LARGEST[device.type], PIXELS[device.type] // (shape[-2] * shape[-1])))


def fast(model: Model) -> Model:
    """The model with its convolutions' weights in the order that convolutions compute in."""
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@torch.inference_mode()
def halving(function: Callable[[torch.Tensor], torch.Tensor], batch: torch.Tensor) -> torch.Tensor:
    """``function`` of a batch; where memory does not suffice, of its halves. Raises CellFailed where one is too many."""
    try:
        return function(batch)
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not isinstance(error, MemoryError) and not any(words in str(error).lower() for words in LOW_MEMORY):
            raise
        if len(batch) == 1:
            size = f"{batch.shape[-1]}x{batch.shape[-2]}"
            raise CellFailed(f"out of memory for one image of {size} px; give it smaller images or tiles") from None
    if batch.device.type == "cuda":
        torch.cuda.empty_cache()
    return torch.cat([halving(function, half) for half in batch.chunk(2)])


def for_training(recipe: Recipe, degradation: Path | None) -> Model:
    """A model for training: new itself, on a trained degradation."""
    model = recipe.build()
    if degradation:
        assert model.degradation is not None
        load_weights(model.degradation, degradation)
    return model


OVER = 0.5  # how far outside [0, 1] an output may reach before it is taken for another range


def checked_sr(sr: torch.Tensor, lr: torch.Tensor, scale: int, label: str) -> torch.Tensor:
    """``checked`` for a method that is no recipe."""
    return _checked(sr, (*lr.shape[:2], lr.shape[2] * scale, lr.shape[3] * scale), lr, label)


def checked(sr: torch.Tensor, lr: torch.Tensor, method: Recipe) -> torch.Tensor:
    """The method's output, or CellFailed where it has the wrong shape, is not finite or of another range."""
    return _checked(sr, (*lr.shape[:2], lr.shape[2] * method.scale, lr.shape[3] * method.scale), lr, method.label)


def checked_lr(lr: torch.Tensor, hr: torch.Tensor, scale: int, label: str) -> torch.Tensor:
    """A degradation's output in [0, 1], or CellFailed as for a method."""
    return _checked(lr, (*hr.shape[:2], hr.shape[2] // scale, hr.shape[3] // scale), hr, label).clamp(0, 1)


def _checked(found: torch.Tensor, shape: tuple[int, ...], given: torch.Tensor, label: str) -> torch.Tensor:
    if not isinstance(found, torch.Tensor) or not found.is_floating_point():
        kind = str(found.dtype) if isinstance(found, torch.Tensor) else type(found).__name__
        raise CellFailed(f"{label} returned {kind}, expected a tensor of floats in [0, 1]")
    if tuple(found.shape) != shape:
        raise CellFailed(f"{label} returned {tuple(found.shape)} for {tuple(given.shape)}, expected {shape}")
    if not torch.isfinite(found).all():
        raise CellFailed(f"{label} returned values that are not finite")
    low, high = found.min().item(), found.max().item()
    if low < -OVER or high > 1 + OVER:
        raise CellFailed(f"{label} returned values from {low:.3g} to {high:.3g}, expected the range [0, 1]")
    return found


@torch.inference_mode()
def degrade(model: Model, images: torch.Tensor, seed: int, label: str = "", *, clean: bool = False) -> torch.Tensor:
    """LR of these HR faces, or (``clean``) degraded LR of clean LR, reproducibly: all randomness from ``seed``.

    Raises CellFailed as ``checked_lr``.
    """
    generator = torch.Generator(images.device).manual_seed(seed)
    made = (model.degrade_clean if clean else model.infer)(images.clone(), generator)  # type: ignore[misc, operator]
    return checked_lr(made, images, 1 if clean else model.scale, label or type(model).__name__)


@torch.inference_mode()
def apply(
    function: Callable[[torch.Tensor], torch.Tensor], faces: FaceSet, device: torch.device, size: int = 0
) -> list[np.ndarray]:
    """A function of float batches over a face set, as uint8 images in the set's order.

    ``size``: of every batch, for a function to which that matters; 0: what suits the device and memory.
    """
    images = faces.images()
    results: list[Any] = [None] * len(images)
    sizes: dict[int, list[int]] = {}
    for index, image in enumerate(images):
        sizes.setdefault(size or batch_size(image.shape, device), []).append(index)
    for most, group in sizes.items():
        for indices, batch in batches([images[i] for i in group], size=most, device=device):
            restored = function(batch) if size else halving(function, batch)
            for index, image in zip(indices, to_uint8(restored).cpu().numpy(), strict=True):
                results[group[index]] = image
    return results
