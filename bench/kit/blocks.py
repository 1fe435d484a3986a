"""Networks that degradations and methods share: Bulat's residual blocks and critic."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class ResidualBlock(nn.Module):
    """x + conv3(relu(bn(conv3(relu(bn(x)))))): pre-activation (He 2016, fig. 4e), (B, C, H, W) -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class CriticBlock(nn.Module):
    """A residual block without batch norm; max-pooling halves its output. ``first`` leaves raw pixels unactivated."""

    def __init__(self, inputs: int, channels: int, *, pool: bool, first: bool = False, normalize: bool = True) -> None:
        super().__init__()
        wrap = spectral_norm if normalize else nn.Identity()
        self.conv1 = wrap(nn.Conv2d(inputs, channels, 3, padding=1))
        self.conv2 = wrap(nn.Conv2d(channels, channels, 3, padding=1))
        self.skip = wrap(nn.Conv2d(inputs, channels, 1)) if inputs != channels else nn.Identity()
        self.first, self.pool = first, pool

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.first else F.relu(x)
        y = self.conv2(F.relu(self.conv1(y))) + self.skip(x)
        return F.max_pool2d(y, 2) if self.pool else y


class ResidualCritic(nn.Module):
    """Six residual blocks, ReLU, sum over positions, linear to 1: (B, 3, H, W) in [-1, 1] -> (B, 1), any size.

    ``pools``: the last so many blocks halve the resolution. ``normalize``: spectral norm on every layer, one power
    iteration (Miyato 2018); off for WGAN-GP. Source: Bulat 2018, section 3.3, fig. 5; the sum is SN-GAN's, ``average``
    is the released code's.
    """

    def __init__(
        self, width: int = 128, pools: int = 2, *, normalize: bool = True, blocks: int = 6, average: bool = False
    ) -> None:
        super().__init__()
        self.average = average
        self.blocks = nn.Sequential(
            *(
                CriticBlock(
                    width if i else 3, width, pool=i >= blocks - pools, first=i == 0, normalize=normalize
                )
                for i in range(blocks)
            )
        )  # fmt: skip
        linear = nn.Linear(width, 1)
        self.linear = spectral_norm(linear) if normalize else linear

    def forward(self, x: Tensor) -> Tensor:
        features = F.relu(self.blocks(x))
        return self.linear(features.mean((2, 3)) if self.average else features.sum((2, 3)))


def normal(*shape: int, device: torch.device, generator: torch.Generator | None = None) -> Tensor:
    """Standard normal numbers on ``device``, drawn where ``generator`` lives; None: the device's default one."""
    return torch.randn(shape, device=generator.device if generator else device, generator=generator).to(device)


def pad_to(x: Tensor, multiple: int) -> Tensor:
    """(B, C, H, W) with the last row and column repeated until ``multiple`` divides both sides."""
    height, width = x.shape[-2:]
    bottom, right = -height % multiple, -width % multiple
    return F.pad(x, (0, right, 0, bottom), mode="replicate") if bottom or right else x


def to_signed(x: Tensor) -> Tensor:
    """[0, 1] -> [-1, 1], the range that a tanh output has."""
    return x * 2 - 1


def to_unit(x: Tensor) -> Tensor:
    """[-1, 1] -> [0, 1]."""
    return torch.clamp((x + 1) / 2, 0, 1)
