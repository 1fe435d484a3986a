"""Haar wavelet packets and the network of Wavelet-SRNet, which predicts them (Huang 2017; sizes of the released code)."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def packet_kernels(levels: int) -> Tensor:
    """(4^levels, 1, 2^levels, 2^levels): the orthonormal Haar packet basis, from low to high frequencies.

    The first kernel averages; the first 4^k take no difference between neighbours in squares of 2^(levels - k) px.
    """
    sums, differences = torch.tensor([[1.0, 1.0], [1.0, -1.0]]) / math.sqrt(2)
    haar = torch.stack([a[:, None] * b for a in (sums, differences) for b in (sums, differences)])
    kernels = torch.ones(1, 1, 1)
    for _ in range(levels):  # within each pixel of the coarser kernel, the finest differences
        kernels = torch.einsum("drc,eyx->deyrxc", haar, kernels).reshape(
            4 * len(kernels), 2 * kernels.shape[1], 2 * kernels.shape[2]
        )
    return kernels[:, None]


def decompose(images: Tensor, kernels: Tensor) -> Tensor:
    """(B, 3, H, W) -> its wavelet packet coefficients (B, N, 3, H/s, W/s), N = s * s for kernels of s px."""
    side = kernels.shape[-1]
    found = F.conv2d(images.flatten(0, 1)[:, None], kernels, stride=side)
    return found.unflatten(0, images.shape[:2]).transpose(1, 2)


def reconstruct(coefficients: Tensor, kernels: Tensor) -> Tensor:
    """The inverse of ``decompose``."""
    batch, side = len(coefficients), kernels.shape[-1]
    found = F.conv_transpose2d(coefficients.transpose(1, 2).flatten(0, 1), kernels, stride=side)
    return found[:, 0].unflatten(0, (batch, 3))


class Block(nn.Module):
    """relu(bn(conv3(relu(bn(conv3(x)))) + x)), (B, inputs, H, W) -> (B, outputs, H, W).

    ``read``: groups of the convolutions that read x, one of which is a conv1 where channels change; ``groups``: of the last.
    """

    def __init__(self, inputs: int, outputs: int, read: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.expand = nn.Conv2d(inputs, outputs, 1, groups=read, bias=False) if inputs != outputs else nn.Identity()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, groups=read, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, groups=groups, bias=False),
        )  # fmt: skip
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.body(x) + self.expand(x)))


class WaveletNet(nn.Module):
    """LR (B, 3, h, w) in [0, 1] -> the HR face's packet coefficients (B, 4^levels, 3, h, w), any size.

    An embedding net of ``blocks`` blocks of each of ``widths`` channels, then one independent subnet for each
    coefficient: two blocks of ``subnet`` and 2 * ``subnet`` channels and a convolution to RGB. The subnets that a level
    adds (1, 3, 12, 48) are groups of the same convolutions.
    """

    def __init__(self, widths: tuple[int, ...], blocks: int, subnet: int, levels: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()
        )
        channels = [widths[0], *(width for width in widths for _ in range(blocks))]
        self.embed = nn.Sequential(*(Block(a, b) for a, b in pairwise(channels)))
        self.predict = nn.ModuleList()
        for level in range(levels + 1):
            count = 4**level - 4 ** (level - 1) if level else 1
            self.predict.append(
                nn.Sequential(
                    Block(channels[-1], subnet * count, 1, count),
                    Block(subnet * count, 2 * subnet * count, count, count),
                    nn.Conv2d(2 * subnet * count, 3 * count, 3, padding=1, groups=count),
                )
            )
        self.apply(initialise)

    def forward(self, lr: Tensor) -> Tensor:
        features = self.embed(self.first(lr))
        return torch.cat([subnets(features) for subnets in self.predict], 1).unflatten(1, (-1, 3))


def initialise(module: nn.Module) -> None:
    """Normal weights of variance 2 / (kernel's area * outputs), no bias (released code)."""
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0, math.sqrt(2 / (module.kernel_size[0] ** 2 * module.out_channels)))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
