"""The feature extractor f and the super-resolution module g (Goswami 2020, section 3.4)."""

import itertools
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


def start_as_bicubic(f: FeatureExtractor, g: SuperResolver) -> None:
    """Set weights with which g(f(lr)) is bicubic interpolation, up to the scale and shift of batch norms. Width >= 48.

    Not the papers': it spares short trainings the making of an image. f folds 2x2 pixels into channels twice, so that
    the 48 channels of 4x4 features hold 16x16 pixels; g unfolds them and interpolates (Keys' cubic, a = -0.5). Blocks
    that are added to this path start at zero, and the PReLU on it as the identity.
    """
    shuffled = [block for block in g.layers if isinstance(block, nn.Sequential)]
    path = [f.enter, f.down[0][1], f.down[1][1], f.leave, *(block[1] for block in shuffled)]  # type: ignore[index]
    kernels = [same(3, 3), folded(3), folded(12), same(48, 1), same(12, 5)]
    kernels += [cubic()] * (len(shuffled) - 2) + [same(3, 5)]
    added: list[nn.Module] = [f.up[-1][2]]  # type: ignore[index]
    for block in (*f.modules(), *g.modules()):
        if isinstance(block, RCA):
            added.append(block.body[2])
        elif isinstance(block, RCABP):
            added += [block.plain[2], block.attended[2]]
    with torch.no_grad():
        for layers, kernel in zip(path, kernels, strict=True):
            place(layers[0], kernel)  # type: ignore[index]
            nn.init.ones_(layers[-1].weight)  # type: ignore[index]
        for layers in added:
            nn.init.zeros_(layers[1].weight)  # type: ignore[index]
        last = g.layers[-1]
        last.weight.mul_(0.1)  # type: ignore[operator, union-attr]
        place(last, 0.5 * same(3, 3))  # batch norm made the deviation 1, faces have about 0.5


def place(layer: nn.Module, kernel: Tensor) -> None:
    """Make the first outputs of a convolution those of ``kernel`` (outputs, inputs, k, k) on its first inputs."""
    assert isinstance(layer, nn.Conv2d) and layer.bias is not None
    outputs, inputs = kernel.shape[:2]
    layer.weight[:outputs], layer.bias[:outputs] = 0, 0
    layer.weight[:outputs, :inputs] = kernel


def same(channels: int, size: int) -> Tensor:
    """The kernel of side ``size`` that copies its channels."""
    return nn.init.dirac_(torch.empty(channels, channels, size, size))


def folded(channels: int) -> Tensor:
    """The kernel of side 3, for stride 2 and padding 1, that is ``F.pixel_unshuffle`` by 2."""
    kernel = torch.zeros(channels, 2, 2, channels, 3, 3)
    for channel in range(channels):
        for row, column in itertools.product(range(2), repeat=2):
            kernel[channel, row, column, channel, 1 + row, 1 + column] = 1
    return kernel.flatten(0, 2)


def cubic() -> Tensor:
    """The kernel of side 5 from RGB to 12 channels of which ``F.pixel_shuffle`` by 2 makes the bicubic x2 enlargement."""
    near, far = (lambda x: 1 - 2.5 * x**2 + 1.5 * x**3), (lambda x: 2 - 4 * x + 2.5 * x**2 - 0.5 * x**3)
    right = torch.tensor([0, far(1.25), near(0.25), near(0.75), far(1.75)])  # a quarter of a pixel to the right
    taps = torch.stack([right.flip(0), right])
    kernel = torch.einsum("ry,sx,cd->crsdyx", taps, taps, torch.eye(3))
    return kernel.flatten(0, 2)


def cloud(features: Tensor, points: int) -> Tensor:
    """(B, C, h, w) -> (B, h*w, C): each position is a point. More than ``points`` are thinned evenly, row by row."""
    flat = features.flatten(2).transpose(1, 2).float().contiguous()
    count = flat.shape[1]
    if count > points:
        flat = flat[:, torch.linspace(0, count - 1, points, device=flat.device).round().long()]
    return flat
