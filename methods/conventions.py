"""What networks of others expect of an image, and how it is given to them: range, order of colours, size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.image import resize
from bench.errors import UsageError

Range = Literal["0..1", "-1..1", "0..255"]
SPANS = {"0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0), "0..255": (0.0, 255.0)}
PROBE = 32  # px: the image that a network's scale is read from, where nothing says it
FACE_SCALES = (4, 2, 8)  # of networks that keep the size, and restore faces at a size of their own
Net = Callable[[Tensor], Tensor]


def spoken(net: Net, span: Range, bgr: bool) -> Net:
    """``net`` as a function of RGB in [0, 1], where it works in another range or on BGR."""
    low, high = SPANS[span]

    def call(x: Tensor) -> Tensor:
        x = x.flip(1) if bgr else x
        y = (net(x * (high - low) + low).to(x.dtype) - low) / (high - low)
        return y.flip(1) if bgr else y

    return call


def scale_of(net: Net, name: str, side: int = PROBE) -> int:
    """By how much ``net`` enlarges an image. Raises UsageError where it makes no image of it, naming ``name``."""
    try:
        with torch.inference_mode():
            y = net(torch.full((1, 3, side, side), 0.5))
        shape = tuple(y.shape)
    except Exception as error:
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"
        raise UsageError(f"{name}: fails on an image of {side}x{side} px ({why}); size=N gives it another") from None
    if len(shape) != 4 or shape[:2] != (1, 3) or shape[2] != shape[3] or shape[2] % side:
        sides = f"(1, 3, {side}, {side})"
        raise UsageError(f"{name}: makes {shape} of {sides}; a whole multiple of its sides is expected")
    return shape[2] // side


def at_size(net: Net, lr: Tensor, size: int, scale: int) -> Tensor:
    """A face at a time: LR padded to a square by its edge, resized to ``size``, through ``net``, resized and cropped."""
    height, width = lr.shape[-2:]
    side = max(height, width)
    square = F.pad(lr, (0, side - width, 0, side - height), mode="replicate")
    large = resize(square, size).clamp(0, 1)
    restored = torch.cat([net(face) for face in large.split(1)])
    return resize(restored, side * scale).clamp(0, 1)[..., : height * scale, : width * scale]
