"""The generator of Low-to-High (Bulat 2018, section 3.4, fig. 4b)."""

import math

from torch import Tensor, nn

from bench.kit.blocks import ResidualBlock


class Group(nn.Module):
    """Residual blocks with a skip over all of them."""

    def __init__(self, blocks: int, channels: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.blocks(x)


class LowToHighGenerator(nn.Module):
    """(B, 3, h, w) in [-1, 1] -> (B, 3, h*scale, w*scale) in [-1, 1].

    Groups of ``blocks`` residual blocks with ``widths`` channels, the first at LR resolution, a bilinear x2 before each
    of the others. Scales other than 4 double before the last groups only, or once more at the end. ``head``: in place of
    the last group conv3, ReLU, conv1, ReLU and conv1 to the image (released code).
    """

    def __init__(
        self, widths: tuple[int, int, int], blocks: tuple[int, int, int], scale: int, *, head: bool = False
    ) -> None:
        super().__init__()
        doublings = int(math.log2(scale))
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 3, padding=1), Group(blocks[0], widths[0])]
        for index in (1, 2):
            if index > 2 - min(doublings, 2):
                layers.append(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))
            layers.append(nn.Conv2d(widths[index - 1], widths[index], 1))
            if index == 1 or not head:
                layers.append(Group(blocks[index], widths[index]))
        layers += [nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)] * max(0, doublings - 2)
        last, wide = [nn.BatchNorm2d(widths[2]), nn.ReLU(), nn.Conv2d(widths[2], 3, 3, padding=1)], widths[2]
        if head:
            last = [
                nn.Conv2d(wide, wide, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(wide, wide, 1),
                nn.ReLU(),
                nn.Conv2d(wide, 3, 1),
            ]
        layers += [*last, nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, lr: Tensor) -> Tensor:
        return self.layers(lr)
