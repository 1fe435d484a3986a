"""RDN: residual dense blocks whose features are all fused, trained by L1 (Zhang 2018)."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.kit.enlarging import pixel_shuffles, start_as_bilinear

from .patchwise import ByL1

RANGE = 255.0  # the network's values run to this, as in EDSR's code, on which the released code builds


class ResidualDenseBlock(nn.Module):
    """x + conv1 of x and of ``convs`` conv3, each on all that came before, (B, C, H, W) -> the same (section 3.2)."""

    def __init__(self, width: int, convs: int, growth: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(width + i * growth, growth, 3, padding=1) for i in range(convs))
        self.fuse = nn.Conv2d(width + convs * growth, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        found = x
        for layer in self.convs:
            found = torch.cat((found, F.relu(layer(found))), 1)
        return x + self.fuse(found)  # local feature fusion and local residual learning


class RDNet(nn.Module):
    """LR (B, 3, h, w) in [0, 1] -> HR (B, 3, h*scale, w*scale), about [0, 1], any size (Zhang 2018, fig. 2).

    At D = 16 blocks of C = 8 convolutions, growth G = 64, G0 = 64 channels and scale 4: 22,271,107 parameters.
    """

    def __init__(self, width: int, blocks: int, convs: int, growth: int, scale: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.blocks = nn.ModuleList(ResidualDenseBlock(width, convs, growth) for _ in range(blocks))
        self.fuse = nn.Sequential(nn.Conv2d(blocks * width, width, 1), nn.Conv2d(width, width, 3, padding=1))
        self.up = pixel_shuffles(width, scale)
        self.last = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.first(lr * RANGE)
        x = self.second(shallow)
        found = []
        for block in self.blocks:
            x = block(x)
            found.append(x)
        dense = self.fuse(torch.cat(found, 1)) + shallow  # global feature fusion and global residual learning
        return self.last(self.up(dense)) / RANGE


class RDN(ByL1):
    """RDNet, trained on patches of 32x32 LR pixels that are turned and mirrored, by L1; any size of LR.

    ``init`` takes checkpoints in the layout of EDSR's PyTorch code, which holds an RDN too; one of another scale starts
    all but the upsampling. The paper's size: 22,271,107 parameters at x4.
    """

    paper = "Zhang, Tian, Kong, Zhong, Fu: Residual dense network for image super-resolution, CVPR 2018"
    scales = (4, 2, 8)
    bounds = {"convs": (1, None)}

    @dataclass(frozen=True)
    class Params:
        width: int = 64  # channels G0 between the blocks (section 3.4)
        blocks: int = 16  # residual dense blocks D (section 5)
        convs: int = 8  # convolutions C of each (section 5)
        growth: int = 64  # channels G that each adds (section 5)
        init: str = "none"  # starting weights: none or a checkpoint's path
        start: Literal["random", "bilinear"] = "random"  # without init; bilinear interpolation shortens training
        patch: int = 32  # side of a training patch in LR pixels (section 5.1)
        turns: bool = True  # mirror and turn by 90 degrees (section 5.1)
        lr: float = 1e-4  # Adam (section 5.1)
        halve: tuple[float, ...] = ()  # shares of the steps after which lr halves: every 200 epochs (section 5.1)
        warm: int = 0  # steps over which lr rises from 0; none in the paper
        batch: int = 16  # section 5.1
        steps: int = 200_000  # 200 epochs of 1,000 (section 5.1)
        tile: int = 256  # LR pixels: longer sides are restored in tiles ...
        overlap: int = 32  # ... that see so many pixels of their neighbours

    variants = {"rdn": {}}
    # Small and short for the quick preset: two blocks of three convolutions, started as bilinear interpolation.
    quick = {"width": 32, "blocks": 2, "convs": 3, "growth": 16, "start": "bilinear", "turns": False, "lr": 1e-3,
             "halve": (0.5, 0.75, 0.9), "warm": 20, "batch": 8, "steps": 300}  # fmt: skip

    @staticmethod
    def generator(params: Any, scale: int) -> nn.Module:
        return RDNet(params.width, params.blocks, params.convs, params.growth, scale)

    def start(self) -> None:
        if self.params.start == "bilinear":
            net: Any = self.net
            start_as_bilinear(net.first, [net.fuse[-1]], net.up, net.last)
