"""EDSR: a wide residual network without batch norm, trained by L1 (Lim 2017)."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from bench.kit.enlarging import PlainBlock, pixel_shuffles, start_as_bilinear
from bench.kit.patches import self_ensemble

from .patchwise import ByL1

MEAN = (0.4488, 0.4371, 0.4040)  # RGB of DIV2K's training images, which section 4.2 subtracts (released code)
RANGE = 255.0  # the network's values run to this, as in the released code


class EDSRNet(nn.Module):
    """LR (B, 3, h, w) in [0, 1] -> HR (B, 3, h*scale, w*scale), about [0, 1], any size (Lim 2017, figs. 2c and 3).

    ``scaling``: of the residuals (section 3.2). At 32 blocks of 256 channels and scale 4: 43,089,923 parameters.
    """

    mean: Tensor

    def __init__(self, width: int, blocks: int, scaling: float, scale: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.Sequential(*(PlainBlock(width, nn.ReLU(), scaling=scaling) for _ in range(blocks)))
        self.merge = nn.Conv2d(width, width, 3, padding=1)
        self.up = pixel_shuffles(width, scale)
        self.last = nn.Conv2d(width, 3, 3, padding=1)
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)

    def forward(self, lr: Tensor) -> Tensor:
        x = self.first((lr - self.mean) * RANGE)
        x = self.up(x + self.merge(self.blocks(x)))
        return self.last(x) / RANGE + self.mean


class EDSR(ByL1):
    """EDSRNet, trained on patches of 48x48 LR pixels that are turned and mirrored, by L1; any size of LR.

    ``self_ensemble`` averages the outputs for the eight ways to turn and mirror the LR: EDSR+ (section 4.3). ``init``
    takes checkpoints of the authors' PyTorch code and of BasicSR; one of x2 starts a x4 network, but for its upsampling,
    as the paper trains x4. The paper's size: 43,089,923 parameters at x4, the baseline's 1,517,571.
    """

    paper = "Lim, Son, Kim, Nah, Lee: Enhanced deep residual networks for single image super-resolution, CVPR Workshops 2017"
    scales = (4, 2, 8)
    bounds = {"scaling": (0, None)}

    @dataclass(frozen=True)
    class Params:
        width: int = 256  # channels F (Table 1)
        blocks: int = 32  # residual blocks B (Table 1)
        scaling: float = 0.1  # of the residuals (section 3.2)
        self_ensemble: bool = False  # EDSR+ (section 4.3): no training, eight times the inference
        init: str = "none"  # starting weights: none or a checkpoint's path
        start: Literal["random", "bilinear"] = "random"  # without init: random, or bilinear, which shortens training
        patch: int = 48  # side of a training patch in LR pixels (section 4.2)
        turns: bool = True  # mirror and turn by 90 degrees (section 4.2)
        lr: float = 1e-4  # Adam, beta = (0.9, 0.999) (section 4.2)
        halve: tuple[float, ...] = (2 / 3,)  # shares of the steps after which lr halves: every 200k (section 4.2)
        warm: int = 0  # steps over which lr rises from 0; none in the paper
        batch: int = 16  # section 4.2
        steps: int = 300_000  # not stated; released code: 300 epochs of 1,000
        tile: int = 256  # LR pixels: longer sides are restored in tiles ...
        overlap: int = 32  # ... that see so many pixels of their neighbours

    variants = {"edsr": {}, "baseline": {"width": 64, "blocks": 16, "scaling": 1.0}, "edsr+": {"self_ensemble": True}}
    # Small and short for the quick preset: narrow, few blocks, started as bilinear interpolation, upright faces.
    quick = {"width": 32, "blocks": 4, "scaling": 1.0, "start": "bilinear", "turns": False, "lr": 1e-3, "batch": 8,
             "steps": 300, "halve": (0.5, 0.75, 0.9), "warm": 20}  # fmt: skip

    @staticmethod
    def generator(params: Any, scale: int) -> nn.Module:
        return EDSRNet(params.width, params.blocks, params.scaling, scale)

    def start(self) -> None:
        if self.params.start == "bilinear":
            net: Any = self.net
            start_as_bilinear(net.first, [*(block.body[-1] for block in net.blocks), net.merge], net.up, net.last)

    def sharpen(self, lr: Tensor) -> Tensor:
        return self_ensemble(self.net, lr) if self.params.self_ensemble else self.net(lr)
