"""Statistics of scores: bootstrap intervals, paired tests with correction, ranks with critical differences, correlation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

LEVEL = 0.05  # of every test


FEW = 30  # values: below this many a mean's interval is Student's, which is exact for normal values
GROUPS = 10  # that a set is dealt into for the jackknife: with more, small groups of few images inflate it
SAME = 1e-5  # of the values' usual size: differences below are rounding


def mean_interval(values: np.ndarray, *, seed: int = 0, level: float = 0.95) -> tuple[float, float]:
    """The interval of the mean of (n,) values: Student's t below 30 of them, else by bootstrap. NaN for fewer than two.

    The bootstrap's percentiles are moved outwards by as much as Student's interval is wider than the normal one with the
    biased deviation (Hesterberg 2015, expanded percentiles): plain ones cover 91-94 % of means of 30 values.
    """
    values = np.sort(np.asarray(values, np.float64))  # draws then fit any order
    n = len(values)
    if n < 2:
        return float("nan"), float("nan")
    if n >= FEW:
        return bootstrap_mean(values, seed=seed, level=expanded(n, level))
    half = quantile(n - 1, level) * float(values.std(ddof=1)) / n**0.5
    return float(values.mean()) - half, float(values.mean()) + half


@cache
def expanded(n: int, level: float) -> float:
    """The level at which the bootstrap's percentiles of the mean of n values cover ``level`` of normal ones."""
    from scipy.special import ndtr

    return float(1 - 2 * ndtr(-((n / (n - 1)) ** 0.5) * quantile(n - 1, level)))


def bootstrap_mean(
    values: np.ndarray, *, seed: int = 0, resamples: int = 2000, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of (n,) values (Efron 1979); reproducible for a seed."""
    if len(values) == 0:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    means = np.concatenate(
        [
            values[rng.integers(0, len(values), (count, len(values)))].mean(1)
            for count in _chunks(resamples, len(values))
        ]
    )
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _chunks(resamples: int, n: int, limit: int = 4_000_000) -> list[int]:
    """Bound the memory of one draw to ``limit`` indices."""
    step = max(1, min(resamples, limit // n))
    return [min(step, resamples - start) for start in range(0, resamples, step)]


@cache
def quantile(freedom: int, level: float = 0.95) -> float:
    """Of Student's distribution, both sides: 1.96 for many degrees of freedom."""
    from scipy.special import stdtrit  # scipy.stats takes a second to import

    return float(stdtrit(freedom, (1 + level) / 2))


# ---------------------------------------------------------------- distances between sets


def dealt(keys: Sequence[Any], most: int = GROUPS) -> list[np.ndarray]:
    """Indices of n things in at most ``most`` groups of equal size, give or take one: decided by their keys, not their order."""
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=int)
    count = min(most, len(keys))
    return [np.sort(order[i::count]) for i in range(count)]


def without(n: int, groups: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The indices that remain of n where a group is left out, for each group."""
    return [np.setdiff1d(np.arange(n), group, assume_unique=True) for group in groups]


def jackknife(
    value: float, left_out: np.ndarray, least: float = -np.inf, level: float = 0.95
) -> tuple[float, float] | None:
    """The interval of a statistic from its values without each of G groups (Shao and Wu 1989): value +- t(G - 1) sd.

    Unlike the bootstrap it repeats no image, which would add to a distance between sets. None for fewer than three groups.
    """
    count = len(left_out)
    if count < 3:
        return None
    spread = float(np.sqrt((count - 1) / count * ((left_out - left_out.mean()) ** 2).sum()))
    half = quantile(count - 1, level) * spread
    return max(least, value - half), value + half


# ---------------------------------------------------------------- differences between methods


@dataclass(frozen=True)
class Comparison:
    """k methods on the same n faces. ``p``: (k, k), Holm-corrected; ``ranks``: (k,), 1 is best; ``groups``: methods whose
    mean ranks differ by less than ``difference``, best first. ``friedman``: p that all are alike; NaN for two methods.
    """

    n: int
    p: np.ndarray
    ranks: np.ndarray
    friedman: float
    difference: float
    groups: list[tuple[int, ...]]
    remark: str = ""  # what a reader must know where n is small

    def ahead(self, first: int, second: int) -> bool:
        """Whether the two differ significantly."""
        return bool(self.p[first, second] <= LEVEL)


def compare(values: np.ndarray, direction: str) -> Comparison:
    """Compare the columns of (n faces, k methods), k >= 2.

    A pair is tested on the faces that both have; ranks are of the faces that all have, n.
    """
    values = np.asarray(values, dtype=np.float64)
    k = values.shape[1]
    p = np.ones((k, k))
    pairs = [(i, j) for i in range(k) for j in range(i)]
    one, other = (values[:, [pair[end] for pair in pairs]] for end in (0, 1))
    raw = wilcoxons(one, other)
    for (i, j), corrected in zip(pairs, holm(raw.tolist()), strict=True):
        p[i, j] = p[j, i] = corrected
    values = values[np.isfinite(values).all(1)]
    n = len(values)
    ranks = mean_ranks(values, direction)
    difference = critical_difference(k, n)
    remark = ""
    if (smallest := min(1.0, len(pairs) * 2.0 ** (1 - n) if n else 1.0)) > LEVEL:
        remark = (
            f"{n} face{'s' * (n != 1)} {'are' if n != 1 else 'is'} too few for {len(pairs)} comparison"
            f"{'s' * (len(pairs) != 1)}: no p can be below {smallest:.2g}, so nothing here can be significant."
        )
    elif n < 20:
        remark = f"n = {n} faces: only large differences can be significant, and the ranks' test is approximate."
    return Comparison(n, p, ranks, friedman(values), difference, groups(ranks, difference), remark)


def wilcoxon(first: np.ndarray, second: np.ndarray) -> float:
    """Two-sided p of the signed-rank test of paired (n,) values, see wilcoxons."""
    return float(wilcoxons(np.reshape(first, (-1, 1)), np.reshape(second, (-1, 1)))[0])


EXACT = 50  # pairs without ties: up to these the distribution is counted, above it is the normal one


def wilcoxons(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(n, m) pairs -> (m,) two-sided p of the signed-rank test of each column (Wilcoxon 1945).

    Equal pairs are dropped, 1 if all are; values are equal where they differ by rounding alone. A pair of which one is
    not finite is left out.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    step = max(1, 2_000_000 // max(1, len(first)))
    found = [_signed_ranks(first[:, i : i + step], second[:, i : i + step]) for i in range(0, first.shape[1], step)]
    return np.concatenate([np.empty(0), *found])


def _signed_ranks(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    from scipy.special import ndtr
    from scipy.stats import rankdata

    if not first.size:
        return np.ones(first.shape[1])
    there = np.isfinite(first) & np.isfinite(second)
    change = np.where(there, first, 0) - np.where(there, second, 0)
    least = np.array([rounding(a[t], b[t]) for a, b, t in zip(first.T, second.T, there.T, strict=True)])
    kept = there & (np.abs(change) > least)
    n = kept.sum(0)
    size = np.where(kept, np.abs(change), -1.0)  # the dropped have the lowest ranks
    low, high = rankdata(size, "min", axis=0), rankdata(size, "max", axis=0)
    ranks = (low + high) / 2 - (len(size) - n)
    above = (ranks * (kept & (change > 0))).sum(0)
    ties = (((high - low + 1.0) ** 2 - 1) * kept).sum(0)  # of each group of t equal sizes t^3 - t
    spread = np.sqrt(np.maximum(n * (n + 1) * (2 * n + 1) / 24 - ties / 48, 1e-300))
    p = 2 * ndtr(-np.abs(above - n * (n + 1) / 4) / spread)
    for i in np.flatnonzero((n <= EXACT) & (ties == 0)):
        chances, at = _signed_rank_sums(int(n[i])), int(above[i])
        p[i] = 2 * min(chances[: at + 1].sum(), chances[at:].sum())
    return np.asarray(np.minimum(1.0, p))


@cache
def _signed_rank_sums(n: int) -> np.ndarray:
    """The chance of each sum, 0 to n (n + 1) / 2, of the ranks 1 to n whose sign is positive, where signs are tossed."""
    chances = np.zeros(n * (n + 1) // 2 + 1)
    chances[0] = 1.0
    for rank in range(1, n + 1):
        chances[rank:] = (chances[rank:] + chances[: len(chances) - rank]) / 2
        chances[:rank] /= 2
    return chances


def rounding(*values: np.ndarray) -> float:
    """The difference below which values of this size are the same number, computed another way."""
    sizes = np.abs(np.concatenate([np.ravel(v) for v in values]))
    sizes = sizes[np.isfinite(sizes)]
    return SAME * float(np.median(sizes)) if len(sizes) else 0.0


def holm(p: Sequence[float]) -> np.ndarray:
    """p values corrected for their number (Holm 1979): sorted, p_i (m - i + 1), made monotonic, at most 1."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values)
    steps = values[order] * np.arange(len(values), 0, -1)
    found = np.empty_like(values)
    found[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return found


def even(values: np.ndarray) -> np.ndarray:
    """Rounded, so that what differs by rounding alone is equal."""
    step = rounding(values)
    return np.round(values / step) * step if step else values


def mean_ranks(values: np.ndarray, direction: str) -> np.ndarray:
    """(n, k) -> (k,): the mean over rows of each column's rank, 1 the best; equal values share their mean rank."""
    from scipy.stats import rankdata

    signed = even(-values if direction == "higher" else values)
    return rankdata(signed, axis=1).mean(0) if len(signed) else np.full(signed.shape[1], np.nan)


def friedman(values: np.ndarray) -> float:
    """p that k >= 3 columns of (n, k) values are alike (Friedman 1937); NaN where that cannot be asked."""
    from scipy.stats import friedmanchisquare

    values = even(values)
    if values.shape[1] < 3 or len(values) < 2:
        return float("nan")
    if (values == values[:, :1]).all():
        return 1.0
    return float(friedmanchisquare(*values.T).pvalue)


def critical_difference(k: int, n: int, level: float = LEVEL) -> float:
    """Nemenyi's critical difference of the mean ranks of k methods over n rows: q sqrt(k (k + 1) / (6 n)) (Demsar 2006)."""
    return float(_studentized(k, level) * np.sqrt(k * (k + 1) / (6 * n))) if n else float("inf")


@cache
def _studentized(k: int, level: float) -> float:
    from scipy.stats import studentized_range

    return float(studentized_range.ppf(1 - level, k, np.inf) / np.sqrt(2))


def groups(ranks: np.ndarray, difference: float) -> list[tuple[int, ...]]:
    """The largest sets of methods that lie within ``difference`` of each other, best first, those of one left out."""
    order = [int(i) for i in np.argsort(ranks, kind="stable")]
    found: list[tuple[int, ...]] = []
    for start, first in enumerate(order):
        inside = tuple(i for i in order[start:] if ranks[i] - ranks[first] < difference)
        if len(inside) > 1 and not (found and set(inside) <= set(found[-1])):
            found.append(inside)
    return found


# ---------------------------------------------------------------- agreement between metrics


@dataclass(frozen=True)
class Agreement:
    """Rank correlations of m metrics over n methods, (m, m), NaN where a metric gives every method one value.

    Metrics are turned so that higher is better: 1 where two order the methods alike, -1 where in reverse.
    """

    n: int
    spearman: np.ndarray
    kendall: np.ndarray
    p: np.ndarray  # of Kendall's tau, exact where no values are equal
    remark: str = ""


def agreement(values: np.ndarray, directions: Sequence[str]) -> Agreement:
    """Correlate the columns of (n methods, m metrics); only methods that both metrics of a pair have are used."""
    from scipy.stats import kendalltau, spearmanr

    signed = np.asarray(values, np.float64) * [1 if d == "higher" else -1 for d in directions]
    n, m = signed.shape
    rho, tau, p = (np.full((m, m), np.nan) for _ in range(3))
    for i in range(m):
        for j in range(m):
            both = signed[np.isfinite(signed[:, [i, j]]).all(1)][:, [i, j]]
            if len(both) > 1 and (np.ptp(both, 0) > 0).all():
                rho[i, j] = spearmanr(*both.T).statistic
                tau[i, j], p[i, j] = kendalltau(*both.T)
    remark = ""
    if n < 5:  # 2 / n! > 0.05
        remark = f"{n} methods: no rank correlation of fewer than 5 can be significant."
    return Agreement(n, rho, tau, p, remark)
