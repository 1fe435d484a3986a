"""The VGG-like critic of SRGAN, which degradations and methods share."""

import math
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn


class SRGANCritic(nn.Module):
    """(B, 3, H, W) in [-1, 1] -> (B, 1), unbounded.

    SRGAN's discriminator (Ledig 2017, fig. 4): eight conv3 of 64, 64, 128, 128, ... 512 channels, every second of
    stride 2, a dense layer of 1024, a dense layer of 1; leaky ReLU of slope 0.2, and no sigmoid, which the losses hold.
    ``norm``: batch norm is SRGAN's; group norm lets WGAN-GP judge images one by one (Goswami 2020, section 3.3). The
    dense layer fits images of side ``size``; the last maps of other sizes are averaged to its shape.
    """

    GROUPS = 4  # of each group norm (Goswami's released code)

    def __init__(self, size: int, width: int = 64, norm: Literal["group", "batch"] = "group") -> None:
        super().__init__()
        channels = [width * m for m in (1, 1, 2, 2, 4, 4, 8, 8)]
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), nn.LeakyReLU(0.2)]
        for index in range(1, 8):
            inputs, outputs = channels[index - 1], channels[index]
            layers += [
                nn.Conv2d(inputs, outputs, 3, stride=1 + index % 2, padding=1, bias=norm == "group"),
                nn.GroupNorm(math.gcd(self.GROUPS, outputs), outputs) if norm == "group" else nn.BatchNorm2d(outputs),
                nn.LeakyReLU(0.2),
            ]
        self.features = nn.Sequential(*layers)
        self.side = math.ceil(size / 16)  # of the last maps, after four strides
        self.dense = nn.Sequential(
            nn.Linear(8 * width * self.side**2, 16 * width), nn.LeakyReLU(0.2), nn.Linear(16 * width, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        if x.shape[-2:] != (self.side, self.side):
            x = F.adaptive_avg_pool2d(x, self.side)
        return self.dense(x.flatten(1))
