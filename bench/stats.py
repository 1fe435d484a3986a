"""Statistics of scores: bootstrap intervals of means."""

from __future__ import annotations

import numpy as np


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
