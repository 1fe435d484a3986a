"""Separable filters as shifted sums: on a CPU several times faster than a convolution of few channels."""

from collections.abc import Sequence

from torch import Tensor


def filtered(images: Tensor, taps: Sequence[float], step: int = 1) -> Tensor:
    """(..., H, W) -> the sums of pixels times ``taps``, along rows, then columns, where they fit, at every ``step``-th place."""
    images = _along_rows(images, taps, step)
    return _along_rows(images.mT, taps, step).mT


def _along_rows(images: Tensor, taps: Sequence[float], step: int) -> Tensor:
    end = images.shape[-1] - len(taps) + 1
    total = images[..., :end:step] * taps[0]
    for place, tap in enumerate(taps[1:], 1):
        total.add_(images[..., place : end + place : step], alpha=tap)
    return total
