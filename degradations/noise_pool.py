"""Noise patches from smooth areas of real images (Aakerberg 2021, section 3.3, eqs. 4-6), without loops over pixels."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.errors import UsageError

from .kernels import files_of, read_array


def window_sums(values: Tensor, side: int) -> Tensor:
    """Sums over every (side, side) window of (H, W), by an integral image: (H - side + 1, W - side + 1), exact."""
    total = F.pad(values.cumsum(0).cumsum(1), (1, 0, 1, 0))
    return total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]


def mean_and_variance(grey: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Mean and variance of every (side, side) window. Exact where ``side`` is a power of 2."""
    mean = window_sums(grey, side) / side**2
    return mean, window_sums(grey**2, side) / side**2 - mean**2


def smooth_places(
    grey: Tensor,
    *,
    patch: int,
    sub: int,
    stride: int,
    sub_stride: int,
    mu: float,
    gamma: float,
    phi: float,
    psi: float | None = None,
) -> Tensor:
    """Top and left, (n, 2), of the ``patch``-sided windows p of (H, W) grey levels 0-255 that eqs. 4-6 accept.

    For every ``sub``-sided window q in p: |mean(q) - mean(p)| <= mu mean(p) and |var(q) - var(p)| <= gamma var(p); and
    phi <= var(p) <= psi (which the paper does not bound). ``stride``, ``sub_stride``: steps of p in the image, of q in p.
    The extremes over q decide, and a maximum filter finds them for all p at once; memory grows with the image, not with
    the number of q.
    """
    if min(grey.shape) < patch:
        return torch.zeros(0, 2, dtype=torch.long, device=grey.device)
    mean, variance = mean_and_variance(grey, patch)
    accepted = variance >= phi  # eq. 6
    if psi is not None:
        accepted &= variance <= psi
    count = (patch - sub) // sub_stride + 1  # of q along p
    for limit, of_p, of_q in zip((mu, gamma), (mean, variance), mean_and_variance(grey, sub), strict=True):
        for sign in (1, -1):  # eqs. 4 and 5: the largest q above p, and the smallest below
            rows = F.max_pool2d(sign * of_q[None], (count, 1), stride=1, dilation=sub_stride)
            extreme = F.max_pool2d(rows, (1, count), stride=1, dilation=sub_stride)[0]
            accepted &= extreme[: of_p.shape[0], : of_p.shape[1]] - sign * of_p <= limit * of_p
    return accepted[::stride, ::stride].nonzero() * stride


def noise_patches(image: Tensor, places: Tensor, patch: int) -> Tensor:
    """(n, 3, patch, patch) floats of an (3, H, W) uint8 image, each channel's mean subtracted, full range 1."""
    line = torch.arange(patch, device=image.device)
    rows, columns = (places[:, axis, None] + line for axis in (0, 1))
    found = image[:, rows[:, :, None], columns[:, None, :]].transpose(0, 1).float() / 255
    return found - found.mean((2, 3), keepdim=True)


def noise_level(image: Tensor) -> Tensor:
    """(3, H, W) uint8 -> (3,): each channel's deviation of noise, full range 1.

    Median of the absolute diagonal details of Haar's wavelet over 0.6745 (Donoho and Johnstone 1994).
    """
    height, width = (side - side % 2 for side in image.shape[1:])
    a, b, c, d = F.pixel_unshuffle(image[:, None, :height, :width].float() / 255, 2).unbind(1)
    return ((a - b - c + d) / 2).flatten(1).abs().median(1).values / 0.6745


def gaussian_patches(levels: Tensor, count: int, patch: int, seed: int) -> Tensor:
    """(count, 3, patch, patch) of Gaussian noise, with each image's levels (n, 3) in turn."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(count, 3, patch, patch, generator=generator)
    return drawn * levels[torch.arange(count) % len(levels)][:, :, None, None]


def read_patches(folder: str) -> Tensor:
    """Noise patches (n, 3, p, p), on the 0-255 scale, from .npy and .mat files that each hold (p, p, 3) or (n, p, p, 3).

    Their means are subtracted. Raises UsageError, naming the file.
    """
    found: list[np.ndarray] = []
    for file in files_of(folder, "patches"):
        array = read_array(file)
        shape = array.shape[-3:]
        if array.ndim not in (3, 4) or shape[2] != 3 or shape[0] != shape[1] or array.dtype.kind not in "fiu":
            raise UsageError(f"{file}: not noise patches (n, p, p, 3), but an array of {array.dtype} {array.shape}")
        found += list(array.reshape(-1, *shape).astype(np.float32))
        if found[-1].shape != found[0].shape:
            raise UsageError(f"{file}: patches of {shape[0]} px, others of {found[0].shape[0]} px")
    pool = torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2) / 255
    return (pool - pool.mean((2, 3), keepdim=True)).contiguous()


def draw_noise(pool: Tensor, shape: tuple[int, int, int], generator: torch.Generator | None = None) -> Tensor:
    """(B, 3, h, w) noise from a pool (n, 3, p, p): patches drawn for each image, cut out at random, side by side.

    ``shape``: (B, h, w). Where an image is larger than a patch, several meet (eq. 7 is for equal sizes).
    """
    count, height, width = shape
    side, device = pool.shape[-1], generator.device if generator else pool.device
    rows, columns = (size // side + 2 for size in (height, width))
    which = torch.randint(len(pool), (count, rows * columns), generator=generator, device=device).to(pool.device)
    corner = torch.randint(side, (2, count, 1), generator=generator, device=device).to(pool.device)
    if max(height, width) <= side:  # one patch covers it
        corner = corner * (side - torch.tensor([height, width], device=pool.device)[:, None, None] + 1) // side
    y, x = (c + torch.arange(size, device=pool.device) for c, size in zip(corner, (height, width), strict=True))
    patch = which.gather(1, ((y // side)[:, :, None] * columns + (x // side)[:, None]).flatten(1))
    inside = ((y % side)[:, :, None] * side + (x % side)[:, None]).flatten(1)
    pixels = pool.permute(0, 2, 3, 1).flatten(1, 2)[patch, inside]
    return pixels.view(count, height, width, 3).permute(0, 3, 1, 2)
