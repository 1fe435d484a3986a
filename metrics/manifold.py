"""Precision and recall of sets of faces (Kynkaanniemi 2019): is each face on the other set's manifold?"""

from dataclasses import dataclass
from typing import Any

import numpy as np

import bench
from bench.core.stats import mean_interval

from .distribution import LARGEST, OfPairs


@dataclass(frozen=True)
class Params:
    k: int = 3  # neighbours that a face's part of the manifold reaches to (Kynkaanniemi 2019, section 3)


class Precision(OfPairs):
    """The share of restored faces that lie on the reference's manifold: within a reference face's k-th neighbour."""

    bounds = {"k": (1, None)}
    direction = "higher"
    default = False
    paper = "Kynkaanniemi et al.: Improved precision and recall metric for assessing generative models, NeurIPS 2019"
    Params = Params  # type: ignore[assignment]
    interval = "interval of the share of outputs"

    def protocol(self, outputs: bench.Outputs) -> str:
        return (
            f"{self.heading(outputs)} {type(self).__name__.lower()}, k = {self.params.k}, "
            f"{self.counts_in_pairs(outputs)}, {self.network()} "
            f"(the paper's features are VGG16's), {self.interval}"
        )

    def scored(self, outputs: bench.Outputs, features: np.ndarray) -> bench.Score:
        k, theirs = self.params.k, self.their_features(outputs)
        first, second = (x[:LARGEST].astype(np.float64) for x in (features, theirs))
        if min(len(first), len(second)) <= k:
            raise bench.Unavailable(f"needs more than k = {k} images in each set")
        reach = outputs.keep(("reach", self.reference, k), lambda: reaches(second, k))
        inside = self.inside(first, second, reach)
        return bench.Score(float(inside.mean()), ci=mean_interval(inside, seed=outputs.seed), n=len(outputs.sr))

    def inside(self, first: Any, second: Any, reach: np.ndarray) -> np.ndarray:
        return on_manifold(first, second, reach)


class Recall(Precision):
    """The share of reference faces that lie on the restored faces' manifold: are all kinds of faces there?"""

    interval = "interval of the share of reference faces, the outputs as they are"

    def inside(self, first: Any, second: Any, reach: np.ndarray) -> np.ndarray:
        return on_manifold(second, first, reaches(first, self.params.k))


def distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n, d) and (m, d) -> (n, m): squared Euclidean distances."""
    return ((x**2).sum(1)[:, None] + (y**2).sum(1) - 2 * x @ y.T).clip(0)


def reaches(x: np.ndarray, k: int, block: int = 1024) -> np.ndarray:
    """(n,): each one's squared distance to its k-th neighbour, itself not counted."""
    parts = []
    for start in range(0, len(x), block):
        d = distances(x[start : start + block], x)
        d[np.arange(len(d)), np.arange(start, start + len(d))] = np.inf
        parts.append(np.partition(d, k - 1, axis=1)[:, k - 1])
    return np.concatenate(parts)


def on_manifold(x: np.ndarray, y: np.ndarray, reach: np.ndarray, block: int = 1024) -> np.ndarray:
    """(n,) of 0 and 1: does x lie within the reach of some y?"""
    parts = [(distances(x[i : i + block], y) <= reach).any(1) for i in range(0, len(x), block)]
    return np.concatenate(parts).astype(np.float64)
