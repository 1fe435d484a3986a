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
        x = pad_to(torch.cat([hr, noise_plane(self.noise, z, self.size, hr)], 1), 16)
        return self.leave(self.groups(self.enter(x)))[..., : height // self.scale, : width // self.scale]


def noise_plane(layer: nn.Linear, z: Tensor, size: int, like: Tensor) -> Tensor:
    """(B, noise) -> (B, 1, H, W) of ``like``'s size, through a layer for ``size`` x ``size``."""
    plane = layer(z).view(-1, 1, size, size)
    if tuple(like.shape[-2:]) != (size, size):
        plane = F.interpolate(plane, size=tuple(like.shape[-2:]), mode="bilinear", align_corners=False)
    return plane.to(like)


class ReleasedGenerator(nn.Module):
    """As HighToLowGenerator, in the layout of the released code for 64 -> 16.

    12 residual blocks at full size, conv3 of stride 2, 3 blocks, conv3 of stride 2 (once for each halving), two
    convolutions with skips, conv3, tanh. Blocks activate after their convolutions: x + bn(conv3(relu(bn(conv3(x))))).
    """

    def __init__(self, width: int, noise: int, size: int, scale: int) -> None:
        super().__init__()
        self.size = size
        self.noise = nn.Linear(noise, size * size)
        layers: list[nn.Module] = [nn.Conv2d(4, width, 3, padding=1), nn.ReLU()]
        for index in range(int(math.log2(scale))):
            layers += [PostBlock(width) for _ in range(3 if index else 12)]
            layers += [nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, width, 3, stride=2, padding=1)]
        self.layers = nn.Sequential(*layers)
        self.last = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.leave = nn.Sequential(nn.Conv2d(width, 3, 3, padding=1), nn.Tanh())

    def forward(self, hr: Tensor, z: Tensor) -> Tensor:
        x = self.layers(torch.cat([hr, noise_plane(self.noise, z, self.size, hr)], 1))
        for conv in self.last:
            x = x + F.relu(conv(x))
        return self.leave(x)


class PostBlock(nn.Module):
    """x + bn(conv3(relu(bn(conv3(x))))), (B, C, H, W) -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)
