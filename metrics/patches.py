"""A distance between sets of faces that needs no weights: sliced Wasserstein, of patches of Laplacian pyramids."""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import bench
from bench.api import picked, shapes
from bench.core import stats
from bench.core.image import downsample, to_uint8

from .distribution import OfLr, OfSets
from .inception import digests
from .separable import filtered

MOST = 65_536  # patches of a set and level
Projections = tuple[Tensor, Tensor, np.ndarray]  # of a level: directions, offset, sorted; see `projections`


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
        p, theirs = self.params, self.sets(outputs)[1]
        return (
            f"{self.heading(outputs)} SWD x 1000, {self.counts(outputs)}, Laplacian pyramid to {p.smallest} px, "
            f"{self.each(len(outputs.sr))} patches of {p.patch}x{p.patch} an image and as many of all the reference, "
            f"{p.directions} directions, interval by the jackknife of {stats.GROUPS} groups of the images; biased upwards "
            f"by few images ({len(outputs.sr)} and {len(theirs)}), see .floor"
        )

    def score(self, outputs: bench.Outputs) -> bench.Score:
        self.sets(outputs)
        return self.answer(outputs, *self.distances(outputs.sr, outputs, stats.dealt(digests(outputs))))

    def answer(self, outputs: bench.Outputs, levels: list[float], left_out: np.ndarray) -> bench.Score:
        value = float(np.mean(levels))
        extra = {f"level{level}": distance for level, distance in enumerate(levels)}
        floor = self.floor(outputs, lambda real: float(np.mean(self.distances(real, outputs)[0])))
        ci = stats.jackknife(value, left_out, least=0.0)
        extra |= floor.get("extra", {})
        return bench.Score(value, ci=ci, n=len(outputs.sr), extra=extra, counts=floor.get("counts", {}))

    def splits(self, outputs: bench.Outputs) -> bool:
        return True

    def part(self, outputs: bench.Outputs) -> dict[str, np.ndarray]:
        """Digests (n, 16) of a chunk's faces; at each level the projections (direction, k) of patches, and whose they are (k,).

        Of more faces than a set has patches, as many spread evenly over them are used.
        """
        last = np.arange(outputs.first, outputs.first + len(outputs.sr) + 1) * MOST // max(outputs.total, MOST)
        used = np.flatnonzero(np.diff(last)) if outputs.total > MOST else np.arange(len(outputs.sr))
        keys = np.frombuffer(b"".join(digests(outputs)), np.uint8).reshape(-1, 16)
        found = {"digests": keys[used]}
        if len(used):
            ours, each = picked(outputs.sr, used.tolist()), self.each(outputs.total)
            reference = self.of_reference(outputs, ours, each * min(outputs.total, MOST))
            for level, (values, owners) in enumerate(self.projected(ours, outputs, each, reference)):
                found |= {f"values{level}": values, f"owners{level}": owners}
        return found

    def whole(self, outputs: bench.Outputs, parts: Iterable[Mapping[str, np.ndarray]]) -> bench.Score:
        most, ends = self.each(len(outputs.sr)) * min(len(outputs.sr), MOST), []
        keys: list[bytes] = []
        found: list[tuple[np.ndarray, np.ndarray]] = []
        for part in parts:  # memory holds one of them
            for level in range(sum(name.startswith("values") for name in part)):  # small faces have few levels
                if level == len(found):
                    ends.append(0)
                    found.append((np.empty((self.params.directions, most), np.float32), np.empty(most, int)))
                begin, ends[level] = ends[level], ends[level] + len(part[f"owners{level}"])
                found[level][0][:, begin : ends[level]] = part[f"values{level}"]
                found[level][1][begin : ends[level]] = part[f"owners{level}"] + len(keys)
            keys += map(bytes, part["digests"])
        levels = [(values[:, :end], owners[:end]) for (values, owners), end in zip(found, ends, strict=True)]
        compared = self.compared(levels, self.of_reference(outputs, [], most), stats.dealt(keys), len(keys))
        found.clear()
        levels.clear()  # before the floor takes as much memory
        return self.answer(outputs, *compared)

    def each(self, count: int) -> int:
        """Patches of an image and level: of many images fewer."""
        return min(self.params.per_image, max(1, MOST // count))

    def distances(
        self, ours: Any, outputs: bench.Outputs, groups: Sequence[np.ndarray] = ()
    ) -> tuple[list[float], np.ndarray]:
        """The distance at each level, and its means over levels without each of the groups of images."""
        each = self.each(len(ours))
        reference = self.of_reference(outputs, ours, len(ours) * each)
        return self.compared(self.projected(ours, outputs, each, reference), reference, groups, len(ours))

    def of_reference(self, outputs: bench.Outputs, ours: Any, patches: int) -> list[Projections]:
        """The reference's projections, of as many patches; where a face of both is too small for one: Unavailable."""
        theirs, p = self.sets(outputs)[1], self.params
        if min(min(shape[1:]) for images in (ours, theirs) for shape in shapes(images)) < p.patch:
            raise bench.Unavailable(f"a face is smaller than the {p.patch} px of a patch")
        count = -(-patches // len(theirs))  # as many patches as ours, from all of the reference
        place, which = ("swd", self.reference, p), (self.theirs(outputs).name, count)
        if outputs.cache.get(place, ("",))[0] != which:
            outputs.cache.pop(place, None)  # one at a time: 65,536 patches of 512 px faces are 200 MB
            outputs.cache[place] = which, self.projections(theirs, count, outputs.seed)
        return list(outputs.cache[place][1])

    def projected(
        self, ours: Any, outputs: bench.Outputs, each: int, reference: list[Projections]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """At each level that both have: projections (direction, k) of the patches of faces, and whose they are (k,)."""
        counts = populations(ours, self.params.smallest)[: len(reference)]
        found = [(np.empty((self.params.directions, n * each), np.float32), np.empty(n * each, int)) for n in counts]
        ends = [0] * len(found)
        for level, indices, patches in self.patches(ours, each, outputs.seed):
            if level < len(found):
                directions, offset, _ = reference[level]
                begin, ends[level] = ends[level], ends[level] + len(indices) * each
                values, owners = (column[..., begin : ends[level]] for column in found[level])
                values[:] = torch.addmm(-offset, directions, patches.flatten(0, 1).flatten(1).T).numpy()
                owners[:] = np.repeat(np.array(indices), each)
        return found

    def compared(
        self, levels: Any, reference: list[Projections], groups: Sequence[np.ndarray], count: int
    ) -> tuple[list[float], np.ndarray]:
        """As ``distances``, of what ``projected`` gives of ``count`` faces."""
        group_of = np.zeros(count, np.int32)
        for number, group in enumerate(groups):
            group_of[group] = number
        found = [sliced_distances(values, target[2], group_of[owners], len(groups))
                 for (values, owners), target in zip(levels, reference, strict=False)]  # fmt: skip
        whole, *left_out = 1000 * np.stack(found, 1)  # (all and each group left out, level)
        return whole.tolist(), np.mean(left_out, 1) if left_out else np.empty(0)

    def projections(self, images: Any, count: int, seed: int) -> list[Projections]:
        """Per level: random directions over the patches' deviation (k, p), those of their mean (k, 1), the sorted projections.

        A patch x, normalised by mean and deviation, is projected by directions x - offset.
        """
        rng, found = torch.Generator().manual_seed(seed), []
        counts = populations(images, self.params.smallest)
        levels = [
            torch.empty(n * count, 3, self.params.patch**2) for n in counts
        ]  # no lists: the heap kept their memory
        ends = [0] * len(levels)
        for number, indices, patches in self.patches(images, count, seed):
            begin, ends[number] = ends[number], ends[number] + len(indices) * count
            levels[number][begin : ends[number]] = patches.flatten(0, 1)
        while levels:
            flat = levels.pop(0)
            mean, std = flat.mean((0, 2), keepdim=True), flat.std((0, 2), keepdim=True) + 1e-8
            directions = F.normalize(torch.randn(self.params.directions, flat[0].numel(), generator=rng), dim=1)
            scaled = (directions.unflatten(1, flat.shape[1:]) / std).flatten(1)
            offset = scaled @ mean.expand(flat[:1].shape).flatten()[:, None]
            values = torch.addmm(-offset, scaled, flat.flatten(1).T).numpy()
            values.sort(axis=1)
            found.append((scaled, offset, values))
        return found

    def patches(self, images: Any, count: int, seed: int) -> Iterator[tuple[int, list[int], Tensor]]:
        """Level, indices of b images, (b, count, 3, patch * patch): at places that an image's content and the seed decide."""
        p = self.params
        for indices, batch in bench.batches(images):
            pixels = to_uint8(batch).numpy()
            keys = np.array([zlib.crc32(image.tobytes(), seed) for image in pixels], np.uint64)
            for level, band in enumerate(laplacian_pyramid(batch, p.smallest)):
                height, width = (side - p.patch + 1 for side in band.shape[-2:])
                place = torch.from_numpy(scattered(keys, count, level) % np.uint64(height * width)).long()
                windows = band.unfold(2, p.patch, 1).unfold(3, p.patch, 1)  # (n, 3, height, width, patch, patch)
                taken = windows[torch.arange(len(band))[:, None], :, place // width, place % width]
                yield level, indices, taken.flatten(3)


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
            f"{super().protocol(outputs)}; SWD of the bicubic LR of the same faces less that of the LR, the same groups of "
            "faces left out of both"
        )

    def splits(self, outputs: bench.Outputs) -> bool:
        return False

    def score(self, outputs: bench.Outputs) -> bench.Score:
        assert outputs.hr is not None
        scale, clean = outputs.scale, [np.empty(0)] * len(outputs.hr)
        keys = [zlib.crc32(image.tobytes()) for image in outputs.hr]
        for indices, batch in bench.batches(outputs.hr):
            for index, image in zip(indices, to_uint8(downsample(batch, scale)).numpy(), strict=True):
                clean[index] = image
        groups = stats.dealt(keys)
        (plain, plain_left), (mine, mine_left) = (self.distances(x, outputs, groups) for x in (clean, outputs.sr))
        value = float(np.mean(plain) - np.mean(mine))
        extra = {f"level{i}": a - b for i, (a, b) in enumerate(zip(plain, mine, strict=True))}
        return bench.Score(value, ci=stats.jackknife(value, plain_left - mine_left), n=len(clean), extra=extra)


def laplacian_pyramid(images: Tensor, smallest: int) -> list[Tensor]:
    """Band-pass levels of (B, 3, H, W), finest first, the last one the low-pass rest (Burt 1983)."""
    taps = [1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16]
    levels = []
    while min(images.shape[-2:]) >= 2 * smallest:
        low = filtered(F.pad(images, (2, 2, 2, 2), mode="reflect"), taps, step=2)
        back = F.interpolate(low, size=images.shape[-2:], mode="bilinear", align_corners=False)
        levels.append(images - back)
        images = low
    return [*levels, images]


def populations(images: Any, smallest: int) -> list[int]:
    """How many of the images have each level of a Laplacian pyramid, the finest first."""
    sides = np.array([min(shape[1:]) for shape in shapes(images)])
    found = []
    while len(sides):
        found.append(len(sides))
        sides = -(-sides[sides >= 2 * smallest] // 2)
    return found


def sliced_distances(
    values: Iterable[np.ndarray], reference: np.ndarray, labels: np.ndarray, groups: int
) -> list[float]:
    """The mean over directions of the Wasserstein distance of (direction, n) values to (direction, N) sorted ones.

    First that of all, then without the values of each group, which ``labels`` (n,) numbers: one sort serves all of these,
    since a value's last bits, a few millionths of it, carry its group. One direction after the other: memory holds one.
    """
    bits, labels = (1 << max(0, groups - 1).bit_length()) - 1, labels.astype(np.int32)
    sums = np.zeros(1 + groups)
    for row, target in zip(values, reference, strict=True):
        sums[0] += apart(np.sort(row), target)
        if groups:
            tagged = np.sort(((row.view(np.int32) & ~bits) | labels).view(np.float32))
            tags = tagged.view(np.int32) & bits
            sums[1:] += [apart(tagged[tags != group], target) for group in range(groups)]
    return (sums / len(reference)).tolist()


def apart(some: np.ndarray, others: np.ndarray) -> float:
    """The Wasserstein distance of two sorted lists; ``others`` is the longer one."""
    return float(np.abs(some - others[quantiles(len(others), len(some))]).mean(dtype=np.float64))


@lru_cache(maxsize=64)
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
