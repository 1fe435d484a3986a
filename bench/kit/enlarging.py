"""Parts of networks that work at LR size and enlarge last: residual blocks, pixel shuffles, starts as interpolation."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from bench.errors import UsageError


class PlainBlock(nn.Module):
    """x + scaling * conv3(activation(conv3(x))), (B, C, H, W) -> the same.

    SRResNet's with batch norm after each convolution (Ledig 2017, fig. 4), EDSR's without (Lim 2017, fig. 2c).
    """

    def __init__(self, channels: int, activation: nn.Module, *, norm: bool = False, scaling: float = 1.0) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *normed(channels, channels, norm=norm), activation, *normed(channels, channels, norm=norm)
        )
        self.scaling = scaling

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scaling * self.body(x)


def normed(inputs: int, outputs: int, kernel: int = 3, *, norm: bool) -> list[nn.Module]:
    """A convolution that keeps the size; ``norm``: with batch norm, whose shift stands for the bias."""
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=not norm)
    return [conv, nn.BatchNorm2d(outputs)] if norm else [conv]


def pixel_shuffles(width: int, scale: int, activation: type[nn.Module] | None = None) -> nn.Sequential:
    """(B, width, h, w) -> (B, width, h*scale, w*scale): conv3 to 4 * width and a pixel shuffle for each factor of two.

    ``scale``: a power of two; ``activation`` follows each shuffle (Shi 2016; Ledig 2017, fig. 4).
    """
    layers: list[nn.Module] = []
    for _ in range(scale.bit_length() - 1):
        layers += [nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2)]
        layers += [activation()] if activation else []
    return nn.Sequential(*layers)


@torch.no_grad()
def carry(layer: nn.Conv2d, rows: Iterable[Iterable[float]], gain: float = 1.0, bias: float = 0.0) -> None:
    """Let the first channels of ``layer`` carry the three colours in the first three channels of its input.

    ``rows``: for each of the layer's output phases along an axis, the taps of a kernel that is the same along both:
    one for a plain convolution, two for one before a pixel shuffle. Other channels keep their weights.
    """
    if layer.in_channels < 3:
        raise UsageError(
            f"a bilinear start carries three colours, a layer has {layer.in_channels} channels: raise width"
        )
    taps = layer.weight.new_tensor(list(rows))
    kernels = torch.einsum("ai,bj->abij", taps, taps).flatten(0, 1)  # in a pixel shuffle's order
    layer.weight[: 3 * len(kernels)] = 0
    for colour in range(3):
        layer.weight[colour * len(kernels) : (colour + 1) * len(kernels), colour] = gain * kernels
    if layer.bias is not None:
        layer.bias[: 3 * len(kernels)] = bias


@torch.no_grad()
def start_as_bilinear(
    first: nn.Conv2d,
    silent: Iterable[nn.Module],
    ups: nn.Module,
    last: nn.Conv2d,
    *,
    gain: float = 1.0,
    bias: float = 0.0,
) -> None:
    """Weights with which a network of pixel shuffles is bilinear interpolation, but for the borders.

    The first three channels carry the colours from ``first`` to ``last``, which gives gain * colour + bias; the layers
    ``silent``, whose outputs are added on the way, give these channels 0. So short trainings improve on an image instead
    of making one. The other channels keep their random weights, and ``last`` learns to use them.
    """
    carry(first, [_same(first)])
    for layer in silent:
        layer.weight[:3] = 0  # type: ignore[index,operator]
        if layer.bias is not None:
            layer.bias[:3] = 0  # type: ignore[index,operator]
    for layer in ups.modules():
        if isinstance(layer, nn.Conv2d):
            carry(layer, [(0.25, 0.75, 0), (0, 0.75, 0.25)])
    carry(last, [_same(last)], gain, bias)


def _same(layer: nn.Conv2d) -> list[float]:
    """The taps of a kernel that changes nothing."""
    size = layer.kernel_size[0]
    return [float(i == size // 2) for i in range(size)]
