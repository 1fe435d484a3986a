"""The growing generator and discriminator of SelfSR (Zeng 2022, section III.B)."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.image import resize


class EqualConv2d(nn.Conv2d):
    """A "same" convolution whose weights are N(0, 1) and scaled by gain / sqrt(fan-in) in use (Karras 2018, section 4.1).

    ``gain``: sqrt(2) before a ReLU (He 2015), 1 for a linear output.
    """

    def __init__(self, inputs: int, channels: int, kernel: int, *, gain: float = math.sqrt(2), bias: float = 0) -> None:
        super().__init__(inputs, channels, kernel, padding=kernel // 2)
        nn.init.normal_(self.weight)
        nn.init.constant_(self.bias, bias)  # type: ignore[arg-type]
        self.equal = gain / math.sqrt(inputs * kernel**2)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.equal, self.bias, padding=self.padding)  # type: ignore[arg-type]


class EqualLinear(nn.Linear):
    """A dense layer scaled as EqualConv2d."""

    def __init__(self, inputs: int, outputs: int, *, gain: float = math.sqrt(2)) -> None:
        super().__init__(inputs, outputs)
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)
        self.equal = gain / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.equal, self.bias)


class SelfConditioned(nn.Module):
    """conv3, instance norm without weights, times gamma of the condition image at each pixel (eq. 6, fig. 4).

    gamma is two conv3 of the RGB condition and starts near 1. There is no additive term. ``concat`` joins the condition
    to the features instead and leaves them normalised: the vanilla block of Table IV.
    """

    def __init__(self, inputs: int, channels: int, hidden: int, *, concat: bool) -> None:
        super().__init__()
        self.conv = EqualConv2d(inputs + 3 * concat, channels, 3)
        self.gamma = None if concat else nn.Sequential(
            EqualConv2d(3, hidden, 3), nn.LeakyReLU(0.2), EqualConv2d(hidden, channels, 3, gain=1, bias=1)
        )  # fmt: skip

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        if self.gamma is None:
            return F.instance_norm(self.conv(torch.cat([x, condition.to(x)], 1)))
        return self.gamma(condition) * F.instance_norm(self.conv(x))


class SelfConditionedResidual(nn.Module):
    """skip(x) + scb(lrelu(scb(lrelu(x)))), the skip a conv1 where the channels change."""

    def __init__(self, inputs: int, channels: int, hidden: int, *, concat: bool) -> None:
        super().__init__()
        self.first = SelfConditioned(inputs, channels, hidden, concat=concat)
        self.second = SelfConditioned(channels, channels, hidden, concat=concat)
        self.skip = EqualConv2d(inputs, channels, 1, gain=1) if inputs != channels else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        y = self.first(F.leaky_relu(x, 0.2), condition)
        return self.skip(x) + self.second(F.leaky_relu(y, 0.2), condition)


class GrowingGenerator(nn.Module):
    """LR (B, 3, h, w) in [-1, 1] -> (B, 3, h * 2**level, w * 2**level), about [-1, 1] (fig. 3).

    One level for each of ``widths``: nearest x2, then ``blocks`` residual pairs of self-conditioned blocks, all given the
    LR enlarged by cubic interpolation. ``fade`` (a scalar tensor, 0 to 1) mixes the last level's image with that of the
    level before, enlarged; None is 1.
    """

    def __init__(self, widths: tuple[int, ...], blocks: int, hidden: int, *, concat: bool) -> None:
        super().__init__()
        self.enter = EqualConv2d(3, widths[0], 3, gain=1)
        self.levels = nn.ModuleList(
            nn.ModuleList(
                SelfConditionedResidual(a if index == 0 else b, b, hidden, concat=concat) for index in range(blocks)
            )
            for a, b in pairwise((widths[0], *widths))
        )
        self.images = nn.ModuleList(EqualConv2d(width, 3, 1, gain=1) for width in widths)

    def forward(self, lr: Tensor, level: int, fade: Tensor | None = None) -> Tensor:
        x, before = self.enter(lr), None
        height, width = lr.shape[-2:]
        for index in range(level):
            if index == level - 1 and fade is not None and index:
                before = self.images[index - 1](F.leaky_relu(x, 0.2))
            condition = resize(lr, (height << (index + 1), width << (index + 1)))
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            for block in self.levels[index]:  # type: ignore[attr-defined]
                x = block(x, condition)
        image = self.images[level - 1](F.leaky_relu(x, 0.2))
        if before is None or fade is None:
            return image
        return torch.lerp(F.interpolate(before, scale_factor=2.0, mode="nearest"), image, fade.to(image))


class GrowingDiscriminator(nn.Module):
    """Images of ``level`` (B, 3, H, W) in [-1, 1] -> (B, 1), unbounded: the mirror image of progressive GAN's generator.

    ``size``: the side at the highest level. ``levels``: how many sides there are, each half of the next. A block is two
    conv3 and 2x2 averaging; blocks follow down to 4 pixels, then a conv3, a dense layer, a dense layer to 1. ``width``
    channels at the highest level, doubled at each halving up to ``most``. ``fade`` as in the generator.
    """

    def __init__(self, size: int, levels: int, width: int, most: int) -> None:
        super().__init__()
        count = max(levels - 1, round(math.log2(size / 4)))
        widths = [min(width << i, most) for i in range(count + 1)]
        self.top = levels
        self.images = nn.ModuleList(EqualConv2d(3, c, 1) for c in widths[:levels])
        self.blocks = nn.ModuleList(
            nn.Sequential(
                EqualConv2d(a, a, 3), nn.LeakyReLU(0.2), EqualConv2d(a, b, 3), nn.LeakyReLU(0.2), nn.AvgPool2d(2)
            )
            for a, b in pairwise(widths)
        )
        self.last = nn.Sequential(EqualConv2d(widths[-1], widths[-1], 3), nn.LeakyReLU(0.2))
        self.dense = nn.Sequential(
            EqualLinear(16 * widths[-1], widths[-1]), nn.LeakyReLU(0.2), EqualLinear(widths[-1], 1, gain=1)
        )

    def forward(self, image: Tensor, level: int, fade: Tensor | None = None) -> Tensor:
        start = self.top - level
        x = F.leaky_relu(self.images[start](image), 0.2)
        for index in range(start, len(self.blocks)):
            x = self.blocks[index](x)
            if index == start and fade is not None and level > 1:
                small = F.leaky_relu(self.images[start + 1](F.avg_pool2d(image, 2)), 0.2)
                x = torch.lerp(small, x, fade.to(x))
        x = self.last(x)
        if x.shape[-2:] != (4, 4):
            x = F.adaptive_avg_pool2d(x, 4)
        return self.dense(x.flatten(1))
