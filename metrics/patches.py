"""A distance between sets of faces that needs no weights: sliced Wasserstein, of patches of Laplacian pyramids."""

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import bench
from bench.core.image import downsample, to_uint8

from .distribution import RESAMPLES, OfLr, OfSets


class Swd(OfSets):
    """Sliced Wasserstein distance of patches of a Laplacian pyramid (Karras 2018, section 5), times 1000; no weights.

    Per level: patches, normalised per channel by the reference's mean and deviation, projected on random directions; the
    mean absolute difference of the sorted projections. The value is the mean over levels; each level is an extra.
    """

    title = "SWD"
    decimals = 1
    paper = "Karras et al.: Progressive growing of GANs, ICLR 2018"

    @dataclass(frozen=True)
    class Params:
        patch: int = 7  # px (Karras 2018)
        per_image: int = 32  # patches of each image and level
        directions: int = 128  # random projections
        smallest: int = 16  # px: side of the coarsest level

    def protocol(self, outputs: bench.Outputs) -> str:
        p = self.params
        return (
            f"SWD x 1000, {self.counts(outputs)}, Laplacian pyramid to {p.smallest} px, {p.per_image} patches "
            f"of {p.patch}x{p.patch} an image, {p.directions} directions, seed {outputs.seed}, interval by bootstrap over images"
        )

    def score(self, outputs: bench.Outputs) -> bench.Score:
        levels, resampled = self.distances(self.sets(outputs)[0], outputs)
        value, spread = float(np.mean(levels)), float(np.std(resampled, ddof=1))
        ci = max(0.0, value - 1.96 * spread), value + 1.96 * spread
        extra = {f"level{level}": distance for level, distance in enumerate(levels)}
        return bench.Score(value, ci=ci, n=len(self.sets(outputs)[0]), extra=extra)

    def distances(self, ours: Any, outputs: bench.Outputs) -> tuple[list[float], np.ndarray]:
        """The distance at each level, and the means over levels for resamples of the images (the same for all sets)."""
        p = self.params
        theirs = self.sets(outputs)[1]
        if min(min(i.shape[1:]) for i in (*ours, *theirs)) < p.patch:
            raise bench.Unavailable(f"a face is smaller than the {p.patch} px of a patch")
        count = -(-len(ours) * p.per_image // len(theirs))  # as many patches as ours, from all of the reference
        reference = outputs.keep(
            ("swd", self.reference, p, count), lambda: self.projections(theirs, count, outputs.seed)
        )
        resample = np.random.default_rng(outputs.seed)
        draws = [np.arange(len(ours)), *(resample.integers(0, len(ours), len(ours)) for _ in range(RESAMPLES))]
        found = []
        for mine, (mean, std, directions, other) in zip(
            self.patches(ours, p.per_image, outputs.seed), reference, strict=False
        ):
            projected = (directions @ ((mine - mean) / std).flatten(0, 1).flatten(1).T).unflatten(1, mine.shape[:2])
            found.append(drawn_distances(projected.numpy(), other, draws))
        whole, *resampled = 1000 * np.stack(found, 1)  # (draw, level)
        return whole.tolist(), np.mean(resampled, 1)

    def projections(self, images: Any, count: int, seed: int) -> list[tuple[Tensor, Tensor, Tensor, np.ndarray]]:
        """Per level: the patches' mean and deviation (1, 3, 1), random directions, and the sorted projections on them."""
        rng, found = torch.Generator().manual_seed(seed), []
        for level in self.patches(images, count, seed):
            flat = level.flatten(0, 1)
            mean, std = flat.mean((0, 2), keepdim=True), flat.std((0, 2), keepdim=True) + 1e-8
            directions = F.normalize(torch.randn(self.params.directions, flat[0].numel(), generator=rng), dim=1)
            found.append(
                (mean, std, directions, np.sort((directions @ ((flat - mean) / std).flatten(1).T).numpy(), axis=1))
            )
        return found

    def patches(self, images: Any, count: int, seed: int) -> list[Tensor]:
        """Per level (n, count, 3, patch * patch): patches of each image, at places that its content and the seed decide."""
        p = self.params
        levels: list[list[Tensor]] = []
        for indices, batch in bench.batches(images, size=256):
            keys = np.array([zlib.crc32(images[i].tobytes(), seed) for i in indices], np.uint64)
            for level, band in enumerate(laplacian_pyramid(batch, p.smallest)):
                height, width = (side - p.patch + 1 for side in band.shape[-2:])
                place = torch.from_numpy(scattered(keys, count, level) % np.uint64(height * width)).long()
                windows = band.unfold(2, p.patch, 1).unfold(3, p.patch, 1)  # (n, 3, height, width, patch, patch)
                taken = windows[torch.arange(len(band))[:, None], :, place // width, place % width]
                if level == len(levels):
                    levels.append([])
                levels[level].append(taken.flatten(3))
        return [torch.cat(parts) for parts in levels]


class SwdLr(OfLr, Swd):
    """SWD in the LR domain: does a degradation's LR look like the real LR? Needs no weights."""

    title = "SWD (LR)"

    @dataclass(frozen=True)
    class Params:
        patch: int = 7  # px
        per_image: int = 32  # patches of each image and level
        directions: int = 128  # random projections
        smallest: int = 8  # px: side of the coarsest level


class SwdLrGain(SwdLr):
    """By how much a degradation's LR is closer to the real LR than bicubic LR of the same faces: SWD less SWD.

    Both sets are resampled by the same draws of the faces: the interval is that of a paired difference.
    """

    title = "SWD (LR) below bicubic"
    direction = "higher"
    needs = ("reference_lr", "hr")

    def protocol(self, outputs: bench.Outputs) -> str:
        return (
            f"SWD of the bicubic LR of the same faces less that of the LR; paired interval; {super().protocol(outputs)}"
        )

    def score(self, outputs: bench.Outputs) -> bench.Score:
        assert outputs.hr is not None
        scale, clean = outputs.scale, [np.empty(0)] * len(outputs.hr)
        for indices, batch in bench.batches(outputs.hr):
            for index, image in zip(indices, to_uint8(downsample(batch, scale)).numpy(), strict=True):
                clean[index] = image
        (plain, plain_again), (mine, mine_again) = (self.distances(x, outputs) for x in (clean, outputs.sr))
        value, spread = float(np.mean(plain) - np.mean(mine)), float(np.std(plain_again - mine_again, ddof=1))
        extra = {f"level{i}": a - b for i, (a, b) in enumerate(zip(plain, mine, strict=True))}
        return bench.Score(value, ci=(value - 1.96 * spread, value + 1.96 * spread), n=len(clean), extra=extra)


def laplacian_pyramid(images: Tensor, smallest: int) -> list[Tensor]:
    """Band-pass levels of (B, 3, H, W), finest first, the last one the low-pass rest (Burt 1983)."""
    taps = torch.tensor([1.0, 4, 6, 4, 1], dtype=images.dtype) / 16
    kernel = (taps[:, None] * taps).expand(3, 1, 5, 5)
    levels = []
    while min(images.shape[-2:]) >= 2 * smallest:
        low = F.conv2d(F.pad(images, (2, 2, 2, 2), mode="reflect"), kernel, groups=3)[..., ::2, ::2]
        back = F.interpolate(low, size=images.shape[-2:], mode="bilinear", align_corners=False)
        levels.append(images - back)
        images = low
    return [*levels, images]


def drawn_distances(projected: np.ndarray, reference: np.ndarray, draws: list[np.ndarray]) -> list[float]:
    """(direction, image, patch) and sorted (direction, N): the Wasserstein distance, mean over directions, of each draw."""
    count = projected.shape[1] * projected.shape[2]
    target = reference[:, quantiles(reference.shape[1], count)]
    taken, found = np.empty_like(projected), []
    rows = taken.reshape(len(taken), count)  # one buffer for all draws: fresh memory costs more than the sorting
    for images in draws:
        np.take(projected, images, axis=1, out=taken)
        rows.sort(axis=1)
        np.subtract(rows, target, out=rows)
        found.append(float(np.abs(rows, out=rows).mean(dtype=np.float64)))
    return found


def quantiles(available: int, wanted: int) -> np.ndarray:
    """(wanted,) places in a sorted list of ``available`` values that are evenly spaced in probability."""
    return ((np.arange(wanted) + 0.5) * (available / wanted)).astype(int)


def scattered(keys: np.ndarray, count: int, salt: int) -> np.ndarray:
    """(n,) keys -> (n, count) pseudo-random uint64, the same for the same key (SplitMix64, Steele 2014)."""
    steps = np.arange(1 + salt * count, 1 + (salt + 1) * count, dtype=np.uint64)
    x = (keys[:, None] << np.uint64(32)) + steps * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return x ^ (x >> np.uint64(31))
