"""Training patches, and the eight ways to turn and mirror an image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def crops(images: Tensor, side: int) -> Tensor:
    """A random crop of each image: (B, C, H, W) -> (B, C, side, side); a shorter side of the images is kept whole."""
    height, width = images.shape[-2:]
    side_y, side_x = min(side, height), min(side, width)
    tops = torch.randint(height - side_y + 1, (len(images),)).tolist()
    lefts = torch.randint(width - side_x + 1, (len(images),)).tolist()
    return torch.stack([x[:, y : y + side_y, z : z + side_x] for x, y, z in zip(images, tops, lefts, strict=True)])


def turn(images: Tensor, way: int) -> Tensor:
    """(..., H, W) turned by ``way % 4`` quarters, after a mirror left-right where ``way`` is 4 to 7."""
    return torch.rot90(images.flip(-1) if way >= 4 else images, way % 4, (-2, -1))


def turn_back(images: Tensor, way: int) -> Tensor:
    """The inverse of ``turn``."""
    images = torch.rot90(images, -(way % 4), (-2, -1))
    return images.flip(-1) if way >= 4 else images


def turned(images: Tensor) -> Tensor:
    """Each of (B, C, S, S) in one of its eight ways, drawn at random."""
    return torch.stack([turn(x, way) for x, way in zip(images, torch.randint(8, (len(images),)).tolist(), strict=True)])


def self_ensemble(function: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """The mean of ``function`` over the eight ways, each turned back (Lim 2017, section 4.3)."""
    return torch.stack([turn_back(function(turn(images, way)), way) for way in range(8)]).mean(0)
