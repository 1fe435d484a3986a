"""Distances between sets of faces by Inception features: FID as pytorch-fid computes it, FID of LR, KID."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

import bench
from bench import weights

from .inception import Statistics, frechet_distance, of_features, of_outputs, of_reference

RESAMPLES = 20  # of the images, for the intervals of distances
SMALL = 2048  # images: below this FID's bias is larger than most differences between methods
SIZES = 6  # of the subsets from which FID is extrapolated, from half of the images to all
DRAWS = 4  # subsets of each of these sizes
LARGEST = 10_000  # images of each set that are compared in pairs


class OfSets(bench.Metric):
    """Compares ``outputs.sr`` with a reference set; a subclass names the set."""

    needs: ClassVar[tuple[str, ...]] = ("reference_hr",)
    reference: ClassVar[str] = "reference_hr"
    against: ClassVar[str] = "HR training faces"

    def sets(self, outputs: bench.Outputs) -> tuple[Any, Any]:
        return outputs.sr, getattr(outputs, self.reference)

    def counts(self, outputs: bench.Outputs) -> str:
        ours, theirs = self.sets(outputs)
        return f"{len(ours)} images of {_size(ours)} against {len(theirs)} {self.against} of {_size(theirs)}"


class OfLr:
    """The LR faces of a degradation against the real LR."""

    needs: ClassVar[tuple[str, ...]] = ("reference_lr",)
    reference: ClassVar[str] = "reference_lr"
    against: ClassVar[str] = "real LR training faces"
    about = "lr"


def _size(images: Any) -> str:
    sizes = sorted({image.shape[1:] for image in images})
    return f"{sizes[0][0]}x{sizes[0][1]}" if len(sizes) == 1 else f"{min(map(min, sizes))}-{max(map(max, sizes))} px"


def interval(value: float, again: Callable[[np.random.Generator], float], seed: int, times: int) -> tuple[float, float]:
    """value +- 1.96 standard deviations over bootstrap resamples of the images (a distance's percentiles are biased)."""
    rng = np.random.default_rng(seed)
    spread = float(np.std([again(rng) for _ in range(times)], ddof=1))
    return max(0.0, value - 1.96 * spread), value + 1.96 * spread


# ---------------------------------------------------------------- on Inception features


class OfFeatures(OfSets):
    """A distance between the features of two sets."""

    pretrained = {"inception-fid": ""}
    libraries = ("pytorch-fid", "scipy")

    def network(self) -> str:
        return f"pytorch-fid Inception (sha256 {weights.file_hash('inception-fid')}), bilinear to 299 px"

    def statistics(self, outputs: bench.Outputs, **options: Any) -> tuple[Statistics, Statistics]:
        ours, theirs = self.sets(outputs)
        if min(len(ours), len(theirs)) < 2:
            raise bench.Unavailable("needs at least two images in each set")
        return of_outputs(outputs, **options), of_reference(outputs, self.reference, **options)


class Fid(OfFeatures):
    """Frechet Inception distance (Heusel 2017): ||m1 - m2||^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) of pool3 features.

    Extra ``inf``: FID extrapolated to infinitely many of these images (Chong 2020); the reference's own bias stays.
    """

    title = "FID"
    decimals = 2
    paper = (
        "Heusel et al.: GANs trained by a two time-scale update rule converge to a local Nash equilibrium, NeurIPS 2017"
    )

    @dataclass(frozen=True)
    class Params:
        dims: Literal[2048, 768, 192, 64] = (
            2048  # features of Inception; 2048 is FID, fewer suit few images (pytorch-fid)
        )
        compiled: bool = False  # torch.compile: faster after a minute, for thousands of images

    def protocol(self, outputs: bench.Outputs) -> str:
        p = self.params
        few = len(outputs.sr) < SMALL
        warning = f"; biased: fewer than {SMALL} images, see .inf and kid" if few else ""
        dims = "" if p.dims == 2048 else f"{p.dims} features of an earlier layer, "
        return (
            f"FID, {self.counts(outputs)}, {self.network()}, {dims}float64 statistics, interval by bootstrap of the images; "
            f".inf: linear in 1/n from {SIZES} sizes, half to all of the images, rough below {4 * p.dims}{warning}"
        )

    def score(self, outputs: bench.Outputs) -> bench.Score:
        first, second = self.statistics(outputs, dims=self.params.dims, compiled=self.params.compiled)
        n, value = len(outputs.sr), frechet_distance(first, second)
        features = first.features[sorted(range(n), key=lambda i: outputs.sr[i].tobytes())]  # draws then fit any order

        def of(rows: np.ndarray) -> float:
            return frechet_distance(of_features(features[rows]), second)

        ci = interval(value, lambda rng: of(rng.integers(0, n, n)), outputs.seed, RESAMPLES)
        extra = {"inf": extrapolated(value, n, of, outputs.seed)} if n >= 2 * SIZES else {}
        return bench.Score(value, ci=ci, n=n, extra=extra)


class FidLr(OfLr, Fid):
    """FID in the LR domain (Bulat 2018, section 4.2; Zeng 2022, table III)."""

    title = "FID (LR)"


def extrapolated(value: float, n: int, of: Callable[[np.ndarray], float], seed: int) -> float:
    """The intercept of a line through FID over 1/n, of random subsets of n/2 ... n images (Chong 2020, section 4)."""
    rng = np.random.default_rng(seed)
    sizes = np.linspace(n / 2, n, SIZES).astype(int)[:-1]
    points = [(1 / m, of(rng.permutation(n)[:m])) for m in sizes for _ in range(DRAWS)]
    x, y = np.array([*points, *[(1 / n, value)] * DRAWS]).T
    return float(np.polyfit(x, y, 1)[1])


class Kid(OfFeatures):
    """Kernel Inception distance (Binkowski 2018): unbiased squared MMD with the kernel (x'y / d + 1)^3; may be negative.

    Of all images at once, which is the mean over all subsets that the paper draws at random.
    """

    title = "KID"
    decimals = 5
    paper = "Binkowski et al.: Demystifying MMD GANs, ICLR 2018"

    def protocol(self, outputs: bench.Outputs) -> str:
        most = f", {LARGEST} of a set at most" if max(map(len, self.sets(outputs))) > LARGEST else ""
        return (
            f"KID, unbiased MMD^2, kernel (x'y/2048 + 1)^3, {self.counts(outputs)}{most}, {self.network()}, "
            "interval by the jackknife over the images"
        )

    def score(self, outputs: bench.Outputs) -> bench.Score:
        first, second = self.statistics(outputs)
        theirs = second.features[:LARGEST].astype(np.float64)
        within = outputs.keep(("kid", self.reference), lambda: within_set(theirs).sum())
        value, spread = kid(first.features[:LARGEST].astype(np.float64), theirs, within)
        ci = None if np.isnan(spread) else (value - 1.96 * spread, value + 1.96 * spread)
        return bench.Score(value, ci=ci, n=len(outputs.sr))


def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 3


def within_set(x: np.ndarray, block: int = 1024) -> np.ndarray:
    """(n,): the sum of each image's kernel with all others of its set."""
    own = ((x**2).sum(1) / x.shape[1] + 1) ** 3
    return np.concatenate([kernel(x[i : i + block], x).sum(1) for i in range(0, len(x), block)]) - own


def kid(x: np.ndarray, y: np.ndarray, within_y: float) -> tuple[float, float]:
    """MMD^2 of (n, d) and (m, d) features, and its standard error by leaving out one of x at a time."""
    n, m = len(x), len(y)
    inner, cross = within_set(x), np.concatenate([kernel(x[i : i + 1024], y).sum(1) for i in range(0, n, 1024)])
    theirs = within_y / (m * (m - 1))
    value = inner.sum() / (n * (n - 1)) + theirs - 2 * cross.sum() / (n * m)
    if n < 3:
        return float(value), float("nan")
    without = (inner.sum() - 2 * inner) / ((n - 1) * (n - 2)) + theirs - 2 * (cross.sum() - cross) / ((n - 1) * m)
    return float(value), float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))
