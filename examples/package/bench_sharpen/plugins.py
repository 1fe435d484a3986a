"""A method without training, and a degradation with randomness."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

import bench
from bench.api import downsample, upsample


class Sharpen(bench.Method):
    """x + amount * (x - blurred x), x the bicubic enlargement."""

    @dataclass(frozen=True)
    class Params:
        amount: float = 0.8
        sigma: float = 1.5  # px of the enlarged face

    variants = {"strong": {"amount": 2.0}}

    def infer(self, lr):  # (B, 3, h, w) -> (B, 3, scale*h, scale*w), both in [0, 1]
        large = upsample(lr, self.scale)
        at = torch.arange(-4, 5, device=lr.device, dtype=lr.dtype)
        row = torch.softmax(-(at**2) / (2 * self.params.sigma**2), 0)
        kernel = torch.outer(row, row).expand(3, 1, 9, 9)
        blurred = F.conv2d(F.pad(large, (4, 4, 4, 4), mode="replicate"), kernel, groups=3)
        return (large + self.params.amount * (large - blurred)).clamp(0, 1)


class Motion(bench.Degradation):
    """A line of ``length`` px in a random direction, one for each face."""

    @dataclass(frozen=True)
    class Params:
        length: int = 7  # px of the HR face

    stochastic = True

    def infer(self, hr, generator=None):  # (B, 3, H, W) -> (B, 3, H/scale, W/scale), both in [0, 1]
        angles = torch.rand(len(hr), device=hr.device, generator=generator) * math.pi
        steps = torch.linspace(-0.5, 0.5, self.params.length, device=hr.device) * self.params.length
        height, width = hr.shape[-2:]
        identity = F.affine_grid(torch.eye(2, 3, device=hr.device).expand(len(hr), 2, 3), hr.shape, align_corners=False)
        blurred = torch.zeros_like(hr)
        for step in steps:
            shift = torch.stack([2 * step * angles.cos() / width, 2 * step * angles.sin() / height], 1)
            grid = identity + shift[:, None, None]
            blurred += F.grid_sample(hr, grid, padding_mode="border", align_corners=False) / len(steps)
        return downsample(blurred, self.scale).clamp(0, 1)
