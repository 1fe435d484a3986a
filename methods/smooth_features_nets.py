"""The feature extractor f and the super-resolution module g (Goswami 2020, section 3.4)."""

import math

import torch
from torch import Tensor, nn

RESIDUAL = 0.2  # weight of the path that a skip joins, in f and in the dense blocks (released code)


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, PReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2), nn.BatchNorm2d(outputs), nn.PReLU()
    )


class ChannelAttention(nn.Module):
    """Scale each channel by a sigmoid of all channels' means, through a quarter of the channels (RCAN, Zhang 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, channels // 4, 1), nn.PReLU(),
            nn.Conv2d(channels // 4, channels, 1), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


class RCA(nn.Module):
    """Residual channel attention block: x + attention(three convs of x), (B, C, H, W) -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*(conv(channels, channels) for _ in range(3)), ChannelAttention(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class RCABP(nn.Module):
    """Residual channel attention back-projection block: two branches of three convs, one with attention, summed."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.plain, self.attended = (
            nn.Sequential(conv(inputs, channels), conv(channels, channels), conv(channels, channels)) for _ in range(2)
        )
        self.attention = ChannelAttention(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.plain(x) + self.attention(self.attended(x))


class DenseBlock(nn.Module):
    """Pairs of RCA and RCABP, each on all that came before (fig. 3): x + 0.2 * last pair, (B, C, H, W) -> the same."""

    def __init__(self, channels: int, pairs: int) -> None:
        super().__init__()
        self.pairs = nn.ModuleList(
            nn.Sequential(RCA(i * channels), RCABP(i * channels, channels)) for i in range(1, pairs + 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        found = [x]
        for pair in self.pairs:
            found.append(pair(torch.cat(found, 1)))
        return x + RESIDUAL * found[-1]


class FeatureExtractor(nn.Module):
    """f (fig. 2): LR (B, 3, h, w) in [-1, 1] -> features (B, width, h/4, w/4), sides rounded up.

    Four RCA blocks with conv3 of stride 2 (16 -> 1), two RCA blocks with nearest x2 and conv3 (1 -> 4), each joined by
    the downsampling path's map of its size.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.PReLU())
        self.down = nn.ModuleList(nn.Sequential(RCA(width), conv(width, width, stride=2)) for _ in range(4))
        self.up = nn.ModuleList(
            nn.Sequential(RCA(width), nn.Upsample(scale_factor=2), conv(width, width)) for _ in range(2)
        )
        self.leave = nn.Sequential(nn.Conv2d(width, width, 1), nn.PReLU())

    def forward(self, lr: Tensor) -> Tensor:
        x, maps = self.enter(lr), []
        for block in self.down:
            x = block(x)
            maps.append(x)
        for block, skip in zip(self.up, (maps[2], maps[1]), strict=True):
            x = skip + RESIDUAL * block(x)[..., : skip.shape[-2], : skip.shape[-1]]
        return self.leave(x)


class SuperResolver(nn.Module):
    """g (fig. 3): features (B, width, H/16, W/16) at scale 4 -> HR (B, 3, H, W), about [-1, 1].

    Dense block, two x2 blocks, dense block, then the other x2 blocks (two at scale 4, with f's two the text's six). A
    x2 block is pixel shuffle, conv5, batch norm, PReLU.
    """

    def __init__(self, width: int, pairs: int, scale: int) -> None:
        super().__init__()
        blocks: list[nn.Module] = [
            nn.Sequential(nn.PixelShuffle(2), conv(width // 4, width, 5)) for _ in range(2 + int(math.log2(scale)))
        ]
        self.layers = nn.Sequential(
            DenseBlock(width, pairs),
            *blocks[:2],
            DenseBlock(width, pairs),
            *blocks[2:],
            nn.Conv2d(width, 3, 3, padding=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)


def cloud(features: Tensor, points: int) -> Tensor:
    """(B, C, h, w) -> (B, h*w, C): each position is a point. More than ``points`` are thinned evenly, row by row."""
    flat = features.flatten(2).transpose(1, 2).float().contiguous()
    count = flat.shape[1]
    if count > points:
        flat = flat[:, torch.linspace(0, count - 1, points, device=flat.device).round().long()]
    return flat
