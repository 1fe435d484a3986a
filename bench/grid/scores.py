"""A metric on a set of outputs as rows of results."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch

from bench.api.metric import Metric, Outputs, Score
from bench.core.hashing import version
from bench.core.stats import mean_interval
from bench.errors import MetricFailed, Unavailable
from bench.grid.failures import outcome
from bench.grid.recipe import Measure
from bench.grid.shards import Part, own, parts_of, splits

# What a metric lacks, in words (the fields of bench.Outputs).
WORDS = {
    "hr": "the ground truth in HR, which these faces lack",
    "lr": "the LR inputs",
    "reference_hr": "reference faces in HR (--reference)",
    "reference_lr": "real LR faces (--lr)",
    "upscale": "the method itself, not only its images",
    "degrade": "the harness's degradations",
    "features": "a method that exposes its features",
    "parameters": "the method itself, not only its images",
}


def evaluate(
    metric: Metric, label: str, outputs: Outputs, parts: Iterable[Part] | None = None
) -> tuple[list[dict[str, Any]], str, Score]:
    """A metric's rows (``key`` is what follows its label), its protocol, and the score that they come from.

    ``parts``: of a large set's chunks, where they are there already.
    Raises Unavailable where something that it needs is lacking, MetricFailed for a value that is not a number.
    """
    lacking = [n for n in metric.needs if getattr(outputs, n) is None]
    if lacking:
        raise Unavailable(f"needs {', '.join(dict.fromkeys(WORDS.get(n, n) for n in lacking))}")
    with torch.inference_mode():
        split = splits(metric, outputs)
        given = outputs if split else own(outputs)  # of a large set each chunk is a copy
        score = (
            metric.whole(given, parts_of(metric, given) if parts is None else parts) if split else metric.score(given)
        )
        if not isinstance(score, Score):
            raise MetricFailed(f"{label}: score returned {type(score).__name__}, not a bench.Score")
        protocol = "; ".join([metric.protocol(given), *(f"{name} {version(name)}" for name in metric.libraries)])
    if not math.isfinite(score.value) and score.value != math.inf:
        raise MetricFailed(f"{label} gave {score.value}")
    return score_rows(score, outputs.names, outputs.seed), protocol, score


def score_rows(score: Score, names: list[str], seed: int) -> list[dict[str, Any]]:
    """A score as rows: the value over all faces with its interval, then one row a face, then the extras."""
    n, ci = score.n or len(names), score.ci
    rows = []
    if score.per_image is not None:
        values = np.asarray(score.per_image, dtype=np.float64)
        n = int(np.isfinite(values).sum())
        ci = ci or mean_interval(values[np.isfinite(values)], seed=seed)
        rows = [{"key": "", "image": i, "value": float(v), "n": 1} for i, v in zip(names, values, strict=True)
                if not np.isnan(v)]  # fmt: skip
    low, high = ci if ci and not np.isnan(ci[0]) else (None, None)
    whole = {"key": "", "image": "", "value": float(score.value), "n": n, "ci_low": low, "ci_high": high}
    extra = [
        {"key": f".{k}", "image": "", "value": float(v), "n": score.counts.get(k, n)} for k, v in score.extra.items()
    ]
    for row in extra:
        if (part := str(row["key"])[1:]) in score.directions:
            row["direction"] = score.directions[part]
    return [whole, *extra, *rows]


def measured_rows(
    measure: Measure, head: dict[str, Any], outputs: Outputs, parts: Callable[[Measure], Iterable[Part] | None]
) -> list[dict[str, Any]]:
    """The rows of one metric, complete: measured, or one that says why not. ``head``: the columns that say of what."""
    base = {**head, "metric": measure.label, "direction": measure.metric.direction}
    try:
        rows, protocol, _ = evaluate(measure.metric, measure.label, outputs, parts(measure))
    except (Exception, SystemExit) as error:
        status, reason = outcome(error, measure.label)
        return [{**base, "status": status, "reason": reason}]
    return labelled(base, rows, measure.label, protocol)


def labelled(
    base: dict[str, Any], rows: list[dict[str, Any]], label: str, protocol: str, **more: Any
) -> list[dict[str, Any]]:
    """Rows of ``evaluate`` with the columns that all share; a row's ``key`` goes into its metric's name."""
    return [
        {**base, **{k: v for k, v in row.items() if k != "key"}, "metric": label + row["key"], "status": "ok",
         "protocol": protocol, **more}
        for row in rows
    ]  # fmt: skip
