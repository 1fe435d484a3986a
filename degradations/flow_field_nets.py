"""The networks of the flow field degradation (Zeng 2022, section III.A), and its warp and smoothness."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.kit.blocks import pad_to


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """output(x, y) = bilinear sample of ``image`` at (x - dx, y - dy) (eq. 1).

    ``image`` (B, C, H, W); ``flow`` (B, 2, H, W), offsets (dx, dy) in pixels. Outside, the nearest edge pixel counts.
    """
    height, width = image.shape[-2:]
    x = torch.arange(width, device=flow.device) - flow[:, 0].float()
    y = torch.arange(height, device=flow.device)[:, None] - flow[:, 1].float()
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], 3)  # pixel centres, edges at -1 and 1
    return F.grid_sample(image.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)


def total_variation(flow: Tensor) -> Tensor:
    """E[|grad_x T|_1 + |grad_y T|_1] of (B, 2, H, W) (eq. 4): the mean over differences of neighbours, each way."""
    return flow.diff(dim=3).abs().mean() + flow.diff(dim=2).abs().mean()


def instance_conv(inputs: int, channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, instance norm, ReLU, with mirrored edges (CycleGAN)."""
    padding = kernel // 2
    return nn.Sequential(
        nn.Conv2d(inputs, channels, kernel, stride, padding, padding_mode="reflect" if stride == 1 else "zeros"),
        nn.InstanceNorm2d(channels),
        nn.ReLU(),
    )


class InstanceBlock(nn.Module):
    """x + in(conv3(relu(in(conv3(x))))): CycleGAN's residual block, no activation after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*instance_conv(channels, channels, 3), *instance_conv(channels, channels, 3)[:2])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class TranslationGenerator(nn.Module):
    """Clean LR (B, 3, h, w) in [-1, 1] -> an image (B, 3, h, w), about [-1, 1], and a flow (B, 2, h, w) in pixels.

    CycleGAN's generator (Zhu 2017, appendix 7.2: c7s1, two of stride 2, residual blocks, two back up, c7s1) with two
    heads; nearest x2 and conv3 stand for transposed convolutions. The image head adds to the input and both heads start
    at zero, so that training starts at the identity. Any size: edges are repeated up to a multiple of 8.
    """

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            instance_conv(3, width, 7),
            instance_conv(width, 2 * width, 3, stride=2),
            instance_conv(2 * width, 4 * width, 3, stride=2),
            *(InstanceBlock(4 * width) for _ in range(blocks)),
            nn.Upsample(scale_factor=2),
            instance_conv(4 * width, 2 * width, 3),
            nn.Upsample(scale_factor=2),
            instance_conv(2 * width, width, 3),
        )
        self.image = nn.Conv2d(width, 3, 7, padding=3, padding_mode="reflect")
        self.flow = nn.Conv2d(width, 2, 7, padding=3, padding_mode="reflect")
        for head in (self.image, self.flow):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)  # type: ignore[arg-type]

    def forward(self, clean: Tensor) -> tuple[Tensor, Tensor]:
        height, width = clean.shape[-2:]
        features = self.trunk(pad_to(clean, 8))
        image = clean + self.image(features)[..., :height, :width]
        return image, self.flow(features)[..., :height, :width]


class PatchCritic(nn.Module):
    """(B, 3, h, w) in [-1, 1] -> (B, 1, h/2, w/2), a verdict on each 16x16 patch, unbounded.

    The 16x16 PatchGAN (Isola 2017, appendix 6.1.2): conv4 of stride 2, two of stride 1; leaky ReLU of slope 0.2. It has
    no instance norm: contrast is one of the things by which real LR differs.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 4, padding=2),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)
