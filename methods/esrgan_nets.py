"""The networks of both ESRGANs: RRDBNet (Wang 2018), and the surveillance one's PatchGAN (Isola 2017)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import UsageError
from bench.kit.enlarging import carry

from .checkpoints import recognise

RESIDUAL = 0.2  # residual scaling beta (Wang 2018, section 3.1)
START = 0.1  # factor on the blocks' initial weights (Wang 2018, section 3.1: "smaller initialization")
SLOPE = 0.2  # of the leaky ReLU, in both networks (released codes)
SMALLEST = 32  # px of HR: three strides leave 2x2 verdicts of PatchGAN, and AlexNet reads no less


def conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class ResidualDenseBlock(nn.Module):
    """x + 0.2 * the last of five conv3, each on all that came before, (B, C, H, W) -> the same (fig. 4)."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv(width + i * growth, growth if i < 4 else width) for i in range(5))
        for layer in self.convs:
            nn.init.kaiming_normal_(layer.weight)  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            with torch.no_grad():
                layer.weight.mul_(START)  # type: ignore[operator,union-attr]

    def forward(self, x: Tensor) -> Tensor:
        found = x
        for layer in self.convs[:-1]:
            found = torch.cat((found, F.leaky_relu(layer(found), SLOPE)), 1)
        return x + RESIDUAL * self.convs[-1](found)


class RRDB(nn.Module):
    """Residual in residual dense block: x + 0.2 * three dense blocks in a row, (B, C, H, W) -> the same (fig. 4)."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(ResidualDenseBlock(width, growth) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        return x + RESIDUAL * self.blocks(x)


class RRDBNet(nn.Module):
    """LR (B, 3, h, w) in [0, 1] -> HR (B, 3, h*scale, w*scale), about [0, 1], any size (Wang 2018, section 3.1).

    ``scale``: a power of two; nearest x2 and conv3 for each factor of two. At 23 blocks of 64 channels, growth 32 and
    scale 4: 16,697,987 parameters. They come in the order of the official checkpoints, see ``released_weights``.
    """

    def __init__(self, width: int = 64, blocks: int = 23, growth: int = 32, scale: int = 4) -> None:
        super().__init__()
        self.first = conv(3, width)
        self.trunk = nn.Sequential(*(RRDB(width, growth) for _ in range(blocks)))
        self.merge = conv(width, width)
        self.up = nn.ModuleList(conv(width, width) for _ in range(scale.bit_length() - 1))
        self.fine = conv(width, width)
        self.last = conv(width, 3)

    def forward(self, lr: Tensor) -> Tensor:
        x = self.first(lr)
        x = x + self.merge(self.trunk(x))
        for layer in self.up:
            x = F.leaky_relu(layer(F.interpolate(x, scale_factor=2.0, mode="nearest")), SLOPE)
        return self.last(F.leaky_relu(self.fine(x), SLOPE))


def start_as_bilinear(net: RRDBNet) -> None:
    """Weights with which ``net`` is bilinear interpolation, but for the borders, so that short trainings start well.

    Its first three channels carry the colours past the trunk; after nearest x2, (1, 2, 1) / 4 along both axes makes
    bilinear x2. The other channels keep their random weights, and ``last`` learns to use them.
    """
    zero, same, smooth = (0, 0, 0), (0, 1, 0), (0.25, 0.5, 0.25)
    taps: dict[Any, tuple[float, ...]] = {
        net.first: same,
        net.merge: zero,
        **dict.fromkeys(net.up, smooth),
        net.fine: same,
        net.last: same,
    }
    for layer, row in taps.items():
        carry(layer, [row])


def released_weights(path: Path, net: RRDBNet) -> dict[str, Tensor]:
    """The weights of an official RRDB checkpoint under the names of ``net``, whose size they must have.

    Keys of the first ESRGAN release (``model.1.sub.0.RDB1.conv1.0.weight``), of its later one (``RRDB_trunk.0.RDB1...``)
    and of BasicSR (``body.0.rdb1...``): spandrel turns all three into the first, in which parameters come in the order
    of ``net``'s. Raises UsageError for any other file.
    """
    found = recognise(path)
    if found.architecture.id != "ESRGAN":
        raise UsageError(f"{path}: {found.architecture.name}, not an RRDBNet")
    theirs, ours = found.model.state_dict(), net.state_dict()
    if [v.shape for v in theirs.values()] != [v.shape for v in ours.values()]:
        blocks = len({key.split(".")[3] for key in theirs if ".RDB" in key})
        growth, inner = (
            next(v.shape[0] for k, v in s.items() if part in k) for s, part in ((theirs, ".RDB"), (ours, "convs."))
        )
        channels = theirs["model.0.weight"].shape[0]
        size = f"{blocks} blocks of {channels} channels, growth {growth}, at scale {found.scale}"
        here = f"{len(net.trunk)} of {net.first.out_channels}, growth {inner}, at scale {2 ** len(net.up)}"
        raise UsageError(f"{path}: an RRDBNet of {size}, but this one has {here}")
    return dict(zip(ours, theirs.values(), strict=True))


class PatchGAN(nn.Module):
    """(B, 3, H, W) in [0, 1] -> (B, 1, H/8 - 2, W/8 - 2), an unbounded verdict on each 70x70 patch.

    ``layers`` conv4 of stride 2, two of stride 1, leaky ReLU between, batch norm on all but the first and the last
    (Isola 2017, appendix 6.1.2; RealSR's released code, which Aakerberg's section 3.5 follows).
    """

    def __init__(self, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        widths = [width * min(2**i, 8) for i in range(layers + 1)]
        body: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(SLOPE)]
        for index in range(1, layers + 1):
            stride = 2 if index < layers else 1
            body.append(nn.Conv2d(widths[index - 1], widths[index], 4, stride, 1, bias=False))
            body += [nn.BatchNorm2d(widths[index]), nn.LeakyReLU(SLOPE)]
        self.body = nn.Sequential(*body, nn.Conv2d(widths[-1], 1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)
