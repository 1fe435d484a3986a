"""Downsampling kernels: cleaning an estimate, centring it, x4 from x2, applying, reading from files (Bell-Kligler 2019).

A kernel is a correlation kernel in HR pixels, (K, K) with K even: LR pixel i sees the window centred on HR position
scale * i + (scale - 1) / 2, so that a kernel whose centre of mass is its middle moves nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy import io, ndimage
from torch import Tensor

from bench.core.tensors import load_array
from bench.errors import UsageError

KEEP, SHARE = 40, 0.75  # what exceeds 0.75 x the 40th largest value is kept (released code of KernelGAN)
SIDE = 14  # of a x2 kernel here: KernelGAN's 13 and the half pixel to the centre


def cubic(t: np.ndarray) -> np.ndarray:
    """Keys' cubic, a = -0.5."""
    t = np.abs(t)
    return np.where(t <= 1, 1.5 * t**3 - 2.5 * t**2 + 1, np.where(t < 2, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2, 0))


def bicubic_kernel(scale: int, side: int) -> np.ndarray:
    """The kernel of antialiased cubic downsampling, (side, side), side even."""
    line = cubic((np.arange(side) - (side - 1) / 2) / scale)
    return np.outer(line, line) / line.sum() ** 2


def significant(kernel: np.ndarray) -> np.ndarray:
    """What exceeds 0.75 x the 40th largest value, less that threshold, normalised to sum 1 (KernelGAN)."""
    threshold = SHARE * np.sort(kernel, axis=None)[-min(KEEP, kernel.size)]
    kept = np.clip(kernel - threshold, 0, None)
    return kept / kept.sum()


def in_one_piece(kernel: np.ndarray) -> float:
    """The share of a cleaned kernel's mass that hangs together with its largest value."""
    pieces, _ = ndimage.label(kernel > 0)
    return float(kernel[pieces == pieces.flat[kernel.argmax()]].sum() / kernel.sum())


def centre_of_mass(kernel: np.ndarray) -> np.ndarray:
    """(row, column) of the mean position."""
    return np.array([(kernel.sum(1 - axis) * np.arange(kernel.shape[axis])).sum() / kernel.sum() for axis in (0, 1)])


def centred(kernel: np.ndarray, side: int, *, clip: bool = True) -> np.ndarray:
    """The kernel moved (cubic splines, as KernelGAN) until its centre of mass is the middle of (side, side); sum 1.

    ``clip``: values below 0 become 0, for estimates, which have none but the splines' own; else negative lobes stay.
    """
    larger = max(side, *kernel.shape) + 2
    larger += (larger - side) % 2
    top, left = ((larger - s) // 2 for s in kernel.shape)
    kernel = np.pad(kernel, ((top, larger - kernel.shape[0] - top), (left, larger - kernel.shape[1] - left)))
    for _ in range(3):  # clipping the splines' overshoot, and their loss at the border, move the centre a little
        offset = (larger - 1) / 2 - centre_of_mass(kernel)
        if np.abs(offset).max() < 1e-6:
            break
        kernel = ndimage.shift(kernel, offset)
        if clip:
            kernel = np.where(kernel < 1e-6 * kernel.max(), 0, kernel)
    margin = (larger - side) // 2
    kernel = kernel[margin : larger - margin, margin : larger - margin]
    return kernel / kernel.sum()


def finished(kernel: np.ndarray) -> np.ndarray:
    """KernelGAN's raw (13, 13) as a clean x2 kernel (14, 14)."""
    return centred(significant(kernel), SIDE)


def composed(kernel: np.ndarray, scale: int) -> np.ndarray:
    """The kernel of ``scale`` (a power of 2) that equals x2 downsampling with ``kernel``, again and again (analytic).

    k_2s = k_s * (k_2 with s - 1 zeros between its taps), cropped to (7 * scale - 2, even) and normalised.
    """
    result, now = kernel, 2
    while now < scale:
        spread = np.zeros([(s - 1) * now + 1 for s in kernel.shape])
        spread[::now, ::now] = kernel
        result, now = full_convolution(result, spread), 2 * now
    margin = max(0, (len(result) - (7 * scale - 2)) // 2) if scale > 2 else 0
    result = result[margin : len(result) - margin, margin : len(result) - margin]
    return result / result.sum()


def full_convolution(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """All overlaps of two kernels."""
    result = np.zeros((a.shape[0] + b.shape[0] - 1, a.shape[1] + b.shape[1] - 1))
    for y, x in zip(*np.nonzero(b), strict=True):
        result[y : y + a.shape[0], x : x + a.shape[1]] += a * b[y, x]
    return result


def downsample_with(images: Tensor, kernels: Tensor, scale: int) -> Tensor:
    """(B, C, H, W) by one (B, K, K) kernel each, K even: (I * k), every ``scale``-th pixel (eq. 3, a correlation).

    The border is mirrored (repeated where the image is smaller than the kernel's half).
    """
    count, channels, height, width = images.shape
    before = kernels.shape[-1] // 2 - scale // 2
    after = kernels.shape[-1] - scale - before
    mode = "reflect" if max(before, after) < min(height, width) else "replicate"
    if before > 0 or after > 0:
        images = F.pad(images, (before, after, before, after), mode=mode)
    flat = images.reshape(1, count * channels, *images.shape[-2:])
    weights = kernels.to(images).repeat_interleave(channels, 0)[:, None]
    result = F.conv2d(flat, weights, stride=scale, groups=count * channels)
    return result.view(count, channels, *result.shape[-2:])[..., : height // scale, : width // scale]


def read_kernels(folder: str, side: int) -> Tensor:
    """Kernels (n, K, K) of this scale from a folder of .npy and .mat files, each (k, k) or (n, k, k), of any side.

    A .mat file holds ``Kernel`` (as KernelGAN writes it) or one array. K is at least
    ``side``. They are shifted until they are centred, and nothing else.
    Raises UsageError, naming the file.
    """
    files = files_of(folder, "kernels")
    found: list[np.ndarray] = []
    for file in files:
        array = read_array(file)
        if array.ndim not in (2, 3) or not np.isfinite(array).all() or array.dtype.kind not in "fiu":
            raise UsageError(f"{file}: not a kernel, but an array of {array.dtype} {array.shape}")
        for kernel in array.reshape(-1, *array.shape[-2:]).astype(np.float64):
            if kernel.sum() <= 0:
                raise UsageError(f"{file}: a kernel whose sum is not positive")
            found.append(kernel)
    side = max(side, *(s + s % 2 for kernel in found for s in kernel.shape))
    return torch.from_numpy(np.stack([centred(k, side, clip=False) for k in found])).float()


def files_of(folder: str, what: str) -> list[Path]:
    """The .npy and .mat files of a folder, in order. Raises UsageError where there are none."""
    files = sorted(f for f in Path(folder).glob("*") if f.suffix in (".npy", ".mat"))
    if not files:
        raise UsageError(f"{what}={folder}: no .npy or .mat files there")
    return files


def read_array(file: Path) -> np.ndarray:
    """The array in a .npy file (no pickles), or ``Kernel`` or the only array of a .mat file. Raises UsageError."""
    try:
        if file.suffix == ".npy":
            return load_array(file)
        arrays = {k: v for k, v in io.loadmat(file).items() if isinstance(v, np.ndarray)}
    except (OSError, ValueError, NotImplementedError, TypeError) as error:
        raise UsageError(f"{file}: cannot be read ({str(error).partition(chr(10))[0]})") from None
    if "Kernel" in arrays:
        return arrays["Kernel"]
    if len(arrays) != 1:
        raise UsageError(f"{file}: neither an array named Kernel nor a single one, but {', '.join(arrays) or 'none'}")
    return next(iter(arrays.values()))
