"""Interpolation: the methods that know nothing of faces."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

import bench
from bench.core.image import upsample


class Bicubic(bench.Method):
    """Cubic convolution with a = -0.5 (Keys 1981), as MATLAB's imresize."""

    scales = (4, 2, 8)

    @dataclass(frozen=True)
    class Params:
        edges: Literal["matlab", "torch"] = "matlab"  # mirrored at the border; torch: as PyTorch and Pillow, cut off

    def infer(self, lr: Tensor) -> Tensor:
        return upsample(lr, self.scale, edges=self.params.edges).clamp(0, 1)


class Bilinear(bench.Method):
    """Linear interpolation between pixel centres."""

    scales = (4, 2, 8)

    def infer(self, lr: Tensor) -> Tensor:
        return upsample(lr, self.scale, "bilinear").clamp(0, 1)


class Lanczos(bench.Method):
    """Sinc windowed by a sinc of three lobes (Lanczos), as Pillow: weights renormalised at the border."""

    scales = (4, 2, 8)

    def infer(self, lr: Tensor) -> Tensor:
        height, width = (lanczos_matrix(n, n * self.scale).to(lr) for n in lr.shape[-2:])
        return (height @ lr @ width.T).clamp(0, 1)


def lanczos_matrix(size: int, target: int, lobes: int = 3) -> Tensor:
    """(target, size) float64: the weights of each input pixel in each output pixel, for target >= size."""
    centre = (torch.arange(target, dtype=torch.float64) + 0.5) * size / target - 0.5
    distance = centre[:, None] - torch.arange(size, dtype=torch.float64)
    weight = torch.sinc(distance) * torch.sinc(distance / lobes) * (distance.abs() < lobes)
    return weight / weight.sum(1, keepdim=True)
