"""The generator of High-to-Low (Bulat 2018, section 3.3, fig. 4a)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.kit.blocks import ResidualBlock, pad_to


class HighToLowGenerator(nn.Module):
    """HR and noise to LR: (B, 3, H, W) in [-1, 1] and (B, noise) -> (B, 3, H/scale, W/scale) in [-1, 1].

    Groups of two pre-activation residual blocks: four with pooling (H -> H/16), then one with pixel shuffle for each
    doubling back to H/scale (two at scale 4: 12 blocks in 6 groups). Noise becomes one more input channel by a fully
    connected layer at ``size`` x ``size``, resized bilinearly where the input has another size.
    """

    def __init__(self, width: int, noise: int, size: int, scale: int) -> None:
        super().__init__()
        self.size, self.scale = size, scale
        self.noise = nn.Linear(noise, size * size)
        self.enter = nn.Conv2d(4, width, 3, padding=1)
        down = [nn.Sequential(ResidualBlock(width), ResidualBlock(width), nn.AvgPool2d(2)) for _ in range(4)]
        up = [
            nn.Sequential(
                ResidualBlock(width),
                ResidualBlock(width),
                nn.Conv2d(width, 4 * width, 3, padding=1),
                nn.PixelShuffle(2),
            )
            for _ in range(int(math.log2(16 // scale)))
        ]
        self.groups = nn.Sequential(*down, *up)
        self.leave = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 3, 3, padding=1), nn.Tanh())

    def forward(self, hr: Tensor, z: Tensor) -> Tensor:
        height, width = hr.shape[-2:]
        plane = self.noise(z).view(-1, 1, self.size, self.size)
        if (height, width) != (self.size, self.size):
            plane = F.interpolate(plane, size=(height, width), mode="bilinear", align_corners=False)
        x = pad_to(torch.cat([hr, plane.to(hr)], 1), 16)
        return self.leave(self.groups(self.enter(x)))[..., : height // self.scale, : width // self.scale]
