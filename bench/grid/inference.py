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

INFER_BATCH = 64


def for_training(recipe: Recipe, degradation: Path | None) -> Model:
    """A model for training: new itself, on a trained degradation."""
    model = recipe.build()
    if degradation:
        assert model.degradation is not None
        load_weights(model.degradation, degradation)
    return model


def checked(sr: torch.Tensor, lr: torch.Tensor, method: Recipe) -> torch.Tensor:
    """The method's output, or CellFailed where it has the wrong shape or is not finite."""
    shape = (*lr.shape[:2], lr.shape[2] * method.scale, lr.shape[3] * method.scale)
    if tuple(sr.shape) != shape:
        raise CellFailed(f"{method.label} returned {tuple(sr.shape)} for {tuple(lr.shape)}, expected {shape}")
    if not torch.isfinite(sr).all():
        raise CellFailed(f"{method.label} returned values that are not finite")
    return sr


@torch.inference_mode()
def degrade(model: Model, hr: torch.Tensor, seed: int) -> torch.Tensor:
    """LR of these faces, reproducibly: all randomness from ``seed``."""
    generator = torch.Generator(hr.device).manual_seed(seed)
    return model.infer(hr, generator).clamp(0, 1)


@torch.inference_mode()
def apply(function: Callable[[torch.Tensor], torch.Tensor], faces: FaceSet, device: torch.device) -> list[np.ndarray]:
    """A function of float batches over a face set, as uint8 images in the set's order."""
    images = faces.images()
    results: list[Any] = [None] * len(images)
    for indices, batch in batches(images, size=INFER_BATCH, device=device):
        for index, image in zip(indices, to_uint8(function(batch)).cpu().numpy(), strict=True):
            results[index] = image
    return results
