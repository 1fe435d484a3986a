"""Distances between sets of faces by Inception features: FID as pytorch-fid computes it, FID of LR, KID."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

import bench
from bench import weights
from bench.api import extent, picked
from bench.core import stats

from .inception import (
    KEPT,
    Statistics,
    digests,
    frechet_distance,
    frechet_without,
    grouped,
    merged,
    of_features,
    of_images,
    of_outputs,
    of_reference,
    part_of,
)

SMALL = 2048  # images: below this FID's bias is larger than most differences between methods
SIZES = 6  # of the subsets from which FID is extrapolated, from half of the images to all
DRAWS = 4  # subsets of each of these sizes
LARGEST = 10_000  # images of each set that are compared in pairs
PER_FEATURE = 4  # images a feature that an extrapolation needs


class OfSets(bench.Metric):
    """Compares ``outputs.sr`` with a reference set; a subclass names the set."""

    needs: ClassVar[tuple[str, ...]] = ("reference_hr",)
    table_floor: ClassVar[str] = "real faces, held out"  # the row of what these reach, `.floor`
    reference: ClassVar[str] = "reference_hr"
    held_out: ClassVar[str] = "held_out_hr"
    against: ClassVar[str] = "HR reference faces"

    def theirs(self, outputs: bench.Outputs) -> bench.Reference:
        given, known = getattr(outputs, self.reference), outputs.cache.get(("reference", self.reference))
        if isinstance(given, bench.Reference):
            return given
        if known is None or known.images is not given:
            known = outputs.cache["reference", self.reference] = bench.Reference(self.against, given)
        return known

    def sets(self, outputs: bench.Outputs) -> tuple[Any, Any]:
        """The outputs, and the reference's images. Raises Unavailable where it has none."""
        reference = self.theirs(outputs)
        if reference.images is None:
            raise bench.Unavailable(f"needs the reference's images; {reference.name} are mean and covariance alone")
        return outputs.sr, reference.images

    def counts(self, outputs: bench.Outputs) -> str:
        return f"{len(outputs.sr)} images of {extent(outputs.sr)} against {self.theirs(outputs)}"

    def counts_in_pairs(self, outputs: bench.Outputs) -> str:
        """The same, of what compares images in pairs."""
        most = f", {LARGEST} of a set at most" if max(map(len, self.sets(outputs))) > LARGEST else ""
        return f"{self.counts(outputs)}{most}"

    def heading(self, outputs: bench.Outputs) -> str:
        """What tables say of the reference beside the metric's name."""
        reference = self.theirs(outputs)
        return f"[to {len(reference) or ''} {reference.name}]".replace("  ", " ")

    def floor(self, outputs: bench.Outputs, measure: Callable[[Sequence[np.ndarray]], float]) -> dict[str, Any]:
        """What as many real faces reach that the reference lacks, evenly spread over those held out; none: nothing.

        A reference that the user names may have some of those: they would reach 0.
        """
        real, theirs = getattr(outputs, self.held_out), getattr(outputs, self.reference)
        if real is not None and isinstance(theirs, bench.Reference):
            real = picked(real, outputs.keep((self.held_out, "lacking"), lambda: theirs.lacks(real)))
        if real is None or len(real) < 2:
            return {}
        count = min(len(real), len(outputs.sr), KEPT)

        def make() -> float:
            return measure(picked(real, [i * len(real) // count for i in range(count)]))

        value = outputs.keep((type(self), self.params, "floor", count), make)
        return {"extra": {"floor": value}, "counts": {"floor": count}}


class OfLr:
    """The LR faces of a degradation against the real LR."""

    needs: ClassVar[tuple[str, ...]] = ("reference_lr",)
    reference: ClassVar[str] = "reference_lr"
    held_out: ClassVar[str] = "held_out_lr"
    against: ClassVar[str] = "real LR training faces"
    about = "lr"


# ---------------------------------------------------------------- on Inception features


class OfFeatures(OfSets):
    """A distance between the features of two sets."""

    pretrained = {"inception-fid": ""}
    libraries = ("pytorch-fid", "scipy")

    def network(self) -> str:
        how = {"pytorch": "bilinear", "clean": "antialiased bicubic in floats, (x - 128)/128 (clean-fid's),"}
        resize = how[getattr(self.params, "resize", "pytorch")]
        return f"pytorch-fid Inception (sha256 {weights.file_hash('inception-fid')}), {resize} to 299 px"

    def options(self) -> dict[str, Any]:
        """Which features."""
        return {}

    def splits(self, outputs: bench.Outputs) -> bool:
        return True

    def part(self, outputs: bench.Outputs) -> dict[str, np.ndarray]:
        return part_of(outputs, **self.options())

    def statistics(self, outputs: bench.Outputs, **options: Any) -> tuple[Statistics, Statistics]:
        ours, theirs = outputs.sr, self.theirs(outputs)
        if len(ours) < 2 or (theirs.images is not None and len(theirs) < 2):
            raise bench.Unavailable("needs at least two images in each set")
        return of_outputs(outputs, **options), of_reference(outputs, theirs, **options)

    def their_features(self, outputs: bench.Outputs) -> np.ndarray:
        return of_reference(outputs, self.theirs(outputs)).features

    def moments(self, outputs: bench.Outputs, reference: bench.Reference) -> tuple[np.ndarray, np.ndarray]:
        """The mean (d,) and covariance (d, d) of a set's features, as files of statistics hold them."""
        found = of_reference(outputs, reference, dims=self.params.dims, resize=self.params.resize)
        return found.mean, found.covariance


class Fid(OfFeatures):
    """Frechet Inception distance (Heusel 2017): ||m1 - m2||^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) of pool3 features.

    Extras: ``floor``, what as many real faces reach; ``inf``, FID extrapolated to infinitely many of these images (Chong
    2020), where there are four times as many as features; the reference's own bias stays.
    """

    title = "FID"
    decimals = 2
    parts = {"inf": "FID, n to infinity"}
    paper = (
        "Heusel et al.: GANs trained by a two time-scale update rule converge to a local Nash equilibrium, NeurIPS 2017"
    )

    @dataclass(frozen=True)
    class Params:
        dims: Literal[2048, 768, 192, 64] = (
            2048  # features of Inception; 2048 is FID, fewer suit few images (pytorch-fid)
        )
        compiled: bool = False  # torch.compile: faster after a minute, for thousands of images
        resize: Literal["pytorch", "clean"] = (
            "pytorch"  # to 299 px: pytorch-fid's bilinear, or clean-fid's (Parmar 2022)
        )

    def protocol(self, outputs: bench.Outputs) -> str:
        p = self.params
        few = len(outputs.sr) < SMALL
        warning = f"; biased upwards: fewer than {SMALL} images, see .floor and kid" if few else ""
        dims = "" if p.dims == 2048 else f"{p.dims} features of an earlier layer, "
        more = ""
        if len(outputs.sr) >= PER_FEATURE * p.dims:
            more = f"; .inf: linear in 1/n from {SIZES} sizes, half to all of the images"
        return (
            f"{self.heading(outputs)} FID, {self.counts(outputs)}, {self.network()}, {dims}float64 statistics, interval by "
            f"the jackknife of {stats.GROUPS} groups of the images{more}{warning}"
        )

    def options(self) -> dict[str, Any]:
        return {"dims": self.params.dims, "compiled": self.params.compiled, "resize": self.params.resize}

    def score(self, outputs: bench.Outputs) -> bench.Score:
        return self.scored(outputs, *self.statistics(outputs, **self.options()), digests(outputs))

    def whole(self, outputs: bench.Outputs, parts: Iterable[Mapping[str, np.ndarray]]) -> bench.Score:
        second = of_reference(outputs, self.theirs(outputs), **self.options())
        if len(outputs.sr) <= KEPT:
            found = [(part["features"], map(bytes, part["digests"])) for part in parts]
            features = np.concatenate([rows for rows, _ in found])
            return self.scored(outputs, of_features(features), second, [key for _, keys in found for key in keys])
        groups = grouped(parts, self.params.dims, stats.GROUPS)
        first = merged(groups)
        value = frechet_distance(first, second)
        left_out = [frechet_distance(merged([*groups[:i], *groups[i + 1 :]]), second) for i in range(len(groups))]
        rng, points = np.random.default_rng(outputs.seed), []
        for count in range(len(groups) // 2, len(groups)):
            for _ in range(DRAWS):
                some = merged([groups[i] for i in sorted(rng.permutation(len(groups))[:count])])
                points.append((1 / some.n, frechet_distance(some, second)))
        extra = {"inf": intercept(points, value, first.n)}
        return self.answer(outputs, value, np.array(left_out), extra, second)

    def scored(self, outputs: bench.Outputs, first: Statistics, second: Statistics, keys: list[bytes]) -> bench.Score:
        """Of features that memory holds; ``keys`` deal the images into groups."""
        n, value = len(outputs.sr), frechet_distance(first, second)
        left_out = frechet_without(first.features, stats.dealt(keys), second) if n > 2 else np.empty(0)
        extra: dict[str, float] = {}
        if n >= PER_FEATURE * self.params.dims:
            features = first.features[sorted(range(n), key=keys.__getitem__)]  # draws then fit any order
            extra["inf"] = extrapolated(
                value, n, lambda rows: frechet_distance(of_features(features[rows]), second), outputs.seed
            )
        return self.answer(outputs, value, left_out, extra, second)

    def answer(
        self, outputs: bench.Outputs, value: float, left_out: np.ndarray, extra: dict[str, float], second: Statistics
    ) -> bench.Score:
        """The score, with what real faces reach."""
        options, ci, n = self.options(), stats.jackknife(value, left_out, least=0.0), len(outputs.sr)
        floor = self.floor(outputs, lambda real: frechet_distance(of_images(outputs, real, **options), second))
        return bench.Score(value, ci=ci, n=n, extra=extra | floor.get("extra", {}), counts=floor.get("counts", {}))


class FidLr(OfLr, Fid):
    """FID in the LR domain (Bulat 2018, section 4.2; Zeng 2022, table III)."""

    title = "FID (LR)"
    parts = {"inf": "FID (LR), n to infinity"}


def extrapolated(value: float, n: int, of: Callable[[np.ndarray], float], seed: int) -> float:
    """The intercept of a line through FID over 1/n, of random subsets of n/2 ... n images (Chong 2020, section 4)."""
    rng = np.random.default_rng(seed)
    sizes = np.linspace(n / 2, n, SIZES).astype(int)[:-1]
    return intercept([(1 / m, of(rng.permutation(n)[:m])) for m in sizes for _ in range(DRAWS)], value, n)


def intercept(points: list[tuple[float, float]], value: float, n: int) -> float:
    """Of a line through (1/m, FID of m images) and the FID of all n, which counts as often as any other size."""
    x, y = np.array([*points, *[(1 / n, value)] * DRAWS]).T
    return float(np.polyfit(x, y, 1)[1])


class OfPairs(OfFeatures):
    """Compares the features of the first images in pairs, LARGEST of a set at most; a subclass says how in ``scored``."""

    def score(self, outputs: bench.Outputs) -> bench.Score:
        self.sets(outputs)
        return self.scored(outputs, self.statistics(outputs)[0].features)

    def part(self, outputs: bench.Outputs) -> dict[str, np.ndarray]:
        """A chunk's features, where they are among those that are compared."""
        if outputs.first < LARGEST:
            return {"features": part_of(outputs)["features"]}
        return {"features": np.empty((0, 2048), np.float32)}

    def whole(self, outputs: bench.Outputs, parts: Iterable[Mapping[str, np.ndarray]]) -> bench.Score:
        self.sets(outputs)
        return self.scored(outputs, np.concatenate([part["features"] for part in parts]))

    def scored(self, outputs: bench.Outputs, features: np.ndarray) -> bench.Score:
        """The score of (n, 2048) features of the outputs."""
        raise NotImplementedError


class Kid(OfPairs):
    """Kernel Inception distance (Binkowski 2018): unbiased squared MMD with the kernel (x'y / d + 1)^3; may be negative.

    Of all images at once, which is the mean over all subsets that the paper draws at random.
    """

    title = "KID"
    decimals = 5
    paper = "Binkowski et al.: Demystifying MMD GANs, ICLR 2018"

    def protocol(self, outputs: bench.Outputs) -> str:
        return (
            f"{self.heading(outputs)} KID, unbiased MMD^2, kernel (x'y/2048 + 1)^3, {self.counts_in_pairs(outputs)}, "
            f"{self.network()}, interval by the jackknife over the images"
        )

    def scored(self, outputs: bench.Outputs, features: np.ndarray) -> bench.Score:
        theirs = self.their_features(outputs)[:LARGEST].astype(np.float64)
        within = outputs.keep(("kid", self.reference), lambda: within_set(theirs).sum())
        value, left_out = kid(features[:LARGEST].astype(np.float64), theirs, within)
        floor = self.floor(
            outputs, lambda real: kid(of_images(outputs, real).features.astype(np.float64), theirs, within)[0]
        )
        return bench.Score(value, ci=stats.jackknife(value, left_out), n=len(outputs.sr), **floor)


def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 3


def within_set(x: np.ndarray, block: int = 1024) -> np.ndarray:
    """(n,): the sum of each image's kernel with all others of its set."""
    own = ((x**2).sum(1) / x.shape[1] + 1) ** 3
    return np.concatenate([kernel(x[i : i + block], x).sum(1) for i in range(0, len(x), block)]) - own


def kid(x: np.ndarray, y: np.ndarray, within_y: float) -> tuple[float, np.ndarray]:
    """MMD^2 of (n, d) and (m, d) features, and (n,) the same without each one of x; empty for two."""
    n, m = len(x), len(y)
    inner, cross = within_set(x), np.concatenate([kernel(x[i : i + 1024], y).sum(1) for i in range(0, n, 1024)])
    theirs = within_y / (m * (m - 1))
    value = inner.sum() / (n * (n - 1)) + theirs - 2 * cross.sum() / (n * m)
    if n < 3:
        return float(value), np.empty(0)
    without = (inner.sum() - 2 * inner) / ((n - 1) * (n - 2)) + theirs - 2 * (cross.sum() - cross) / ((n - 1) * m)
    return float(value), without
