"""Distances between sets of faces: FID as pytorch-fid computes it, and a sliced Wasserstein distance without weights."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import bench
from bench import weights
from bench.image import downsample, to_uint8

RESAMPLES = 20  # of the images, for the intervals of distances
SMALL = 2048  # images: below this FID's bias is larger than most differences between methods


class _Distribution(bench.Metric):
    """Compares ``outputs.sr`` with a reference set; a subclass names the set."""

    needs = ("reference_hr",)
    reference: ClassVar[str] = "reference_hr"
    against: ClassVar[str] = "HR training faces"

    def sets(self, outputs: bench.Outputs) -> tuple[Any, Any]:
        return outputs.sr, getattr(outputs, self.reference)

    def counts(self, outputs: bench.Outputs) -> str:
        ours, theirs = self.sets(outputs)
        return f"{len(ours)} images of {_size(ours)} against {len(theirs)} {self.against} of {_size(theirs)}"


class _OfLr:
    """The LR faces of a degradation against the real LR."""

    needs = ("reference_lr",)
    reference = "reference_lr"
    against = "real LR training faces"
    about = "lr"


def _size(images: Any) -> str:
    sizes = sorted({image.shape[1:] for image in images})
    return f"{sizes[0][0]}x{sizes[0][1]}" if len(sizes) == 1 else f"{min(map(min, sizes))}-{max(map(max, sizes))} px"


def interval(value: float, again: Callable[[np.random.Generator], float], seed: int, times: int) -> tuple[float, float]:
    """value +- 1.96 standard deviations over bootstrap resamples of the images (a distance's percentiles are biased)."""
    rng = np.random.default_rng(seed)
    spread = float(np.std([again(rng) for _ in range(times)], ddof=1))
    return max(0.0, value - 1.96 * spread), value + 1.96 * spread


# ---------------------------------------------------------------- FID


class Fid(_Distribution):
    """Frechet Inception distance (Heusel 2017): ||m1 - m2||^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) of pool3 features."""

    paper = (
        "Heusel et al.: GANs trained by a two time-scale update rule converge to a local Nash equilibrium, NeurIPS 2017"
    )

    def required_weights(self) -> tuple[str, ...]:
        return ("inception-fid",)

    def protocol(self, outputs: bench.Outputs) -> str:
        ours, _ = self.sets(outputs)
        warning = f"; biased: fewer than {SMALL} images" if len(ours) < SMALL else ""
        network = f"pytorch-fid Inception (sha256 {weights.file_hash('inception-fid')}), bilinear to 299 px"
        return f"FID, {self.counts(outputs)}, {network}, float64 statistics, interval by bootstrap{warning}"

    def score(self, outputs: bench.Outputs) -> bench.Score:
        ours, theirs = self.sets(outputs)
        if len(ours) < 2:
            raise bench.Unavailable("needs at least two images")
        if "inception" not in outputs.cache:
            outputs.cache["inception"] = inception().to(outputs.device)
        model = outputs.cache["inception"]
        key = ("inception", self.reference)
        if key not in outputs.cache:
            outputs.cache[key] = features(model, theirs, outputs.device)
        first, second = features(model, ours, outputs.device), outputs.cache[key]
        value = frechet_distance(first, second)

        def again(rng: np.random.Generator) -> float:
            return frechet_distance(first[rng.integers(0, len(first), len(first))], second)

        return bench.Score(value, ci=interval(value, again, outputs.seed, RESAMPLES), n=len(ours))


class FidLr(_OfLr, Fid):
    """FID in the LR domain (Bulat 2018, section 4.2; Zeng 2022, table III)."""

    default = False


def inception() -> torch.nn.Module:
    """pytorch-fid's network on the local file, channels last."""
    from unittest.mock import patch

    from pytorch_fid import inception as package

    state = torch.load(weights.path("inception-fid"), map_location="cpu", weights_only=True)
    with patch.object(package, "load_state_dict_from_url", lambda *_, **__: state):
        model = package.InceptionV3([package.InceptionV3.BLOCK_INDEX_BY_DIM[2048]])
    return model.eval().requires_grad_(False).to(memory_format=torch.channels_last)


@torch.inference_mode()
def features(model: torch.nn.Module, images: Any, device: torch.device) -> np.ndarray:
    """(n, 2048) float64 pool3 features; the network resizes to 299 px (bilinear, as pytorch-fid)."""
    found = np.empty((len(images), 2048))
    for indices, batch in bench.batches(images, size=32, device=device):
        found[indices] = model(batch)[0].flatten(1).double().cpu().numpy()
    return found


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """FID of two (n, d) feature sets. With S = A'A, tr (S1 S2)^(1/2) is the nuclear norm of A1 A2': no matrix root."""
    means = first.mean(0), second.mean(0)
    roots = [(x - m) / np.sqrt(len(x) - 1) for x, m in zip((first, second), means, strict=True)]
    roots = [np.linalg.qr(r, mode="r") if len(r) > r.shape[1] else r for r in roots]
    cross = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    traces = sum(float((r**2).sum()) for r in roots)
    return max(0.0, float(((means[0] - means[1]) ** 2).sum() + traces - 2 * cross))


# ---------------------------------------------------------------- SWD


class Swd(_Distribution):
    """Sliced Wasserstein distance of patches of a Laplacian pyramid (Karras 2018, section 5), times 1000; no weights.

    Per level: patches, normalised per channel by the reference's mean and deviation, projected on random directions; the
    mean absolute difference of the sorted projections. The value is the mean over levels; each level is an extra.
    """

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
        key = ("swd", self.reference, p, len(ours))
        if key not in outputs.cache:
            count = -(-len(ours) * p.per_image // len(theirs))  # as many patches as ours, from all of the reference
            outputs.cache[key] = self.patches(theirs, count, outputs)
        reference = outputs.cache[key]
        levels = self.patches(ours, p.per_image, outputs)[: len(reference)]
        rng = torch.Generator().manual_seed(outputs.seed)
        distances, spreads = [], []
        resample = np.random.default_rng(outputs.seed)
        draws = [torch.from_numpy(resample.integers(0, len(ours), len(ours))) for _ in range(RESAMPLES)]
        for mine, other in zip(levels, reference, strict=False):
            flat = other.flatten(0, 1)
            mean, std = (f((0, 2), keepdim=True) for f in (flat.mean, flat.std))
            directions = F.normalize(torch.randn(flat[0].numel(), p.directions, generator=rng), dim=0)
            total = mine.shape[0] * mine.shape[1]
            target = ((flat[torch.randperm(len(flat), generator=rng)[:total]] - mean) / (std + 1e-8)).flatten(
                1
            ) @ directions
            target = target.sort(0).values
            projected = ((mine - mean) / (std + 1e-8)).flatten(2) @ directions  # (image, patch, direction)

            def distance(x: Tensor, target: Tensor = target) -> float:
                return 1000 * float((x.flatten(0, 1).sort(0).values[: len(target)] - target).abs().mean())

            distances.append(distance(projected))
            spreads.append([distance(projected[d]) for d in draws])
        return distances, np.mean(spreads, 0)

    def patches(self, images: Any, count: int, outputs: bench.Outputs) -> list[Tensor]:
        """Per level (n, count, 3, patch * patch): patches at random places of each image, by position and seed alone."""
        p = self.params
        rng = torch.Generator().manual_seed(outputs.seed + 1)
        levels: list[list[Tensor]] = []
        for _, batch in bench.batches(images, size=256):
            for level, band in enumerate(laplacian_pyramid(batch, p.smallest)):
                n, height, width = len(band), band.shape[-2] - p.patch + 1, band.shape[-1] - p.patch + 1
                place = torch.randint(height * width, (n, count), generator=rng)
                windows = band.unfold(2, p.patch, 1).unfold(3, p.patch, 1)  # (n, 3, height, width, patch, patch)
                rows = torch.arange(n)[:, None]
                taken = windows[rows, :, place // width, place % width]
                if level == len(levels):
                    levels.append([])
                levels[level].append(taken.flatten(3))
        return [torch.cat(parts) for parts in levels]


class SwdLr(_OfLr, Swd):
    """SWD in the LR domain: does a degradation's LR look like the real LR? Needs no weights."""

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

    direction = "higher"
    needs = ("reference_lr", "hr")
    default = False

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
