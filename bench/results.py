"""The tidy results table: one row per value."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .errors import MetricFailed
from .metric import Metric, Outputs, Score, Unavailable
from .stats import bootstrap_mean
from .store import write_atomically

COLUMNS = (
    "method", "variant", "degradation", "condition", "metric", "image", "value", "n", "ci_low", "ci_high",
    "direction", "status", "reason", "protocol", "seconds", "seed",
)  # fmt: skip

# What a metric lacks, in words (the fields of bench.Outputs).
WORDS = {
    "hr": "the ground truth in HR, which these faces lack",
    "lr": "the LR inputs",
    "reference_hr": "reference faces in HR",
    "reference_lr": "real LR faces (--lr)",
    "upscale": "the method itself, not only its images",
    "degrade": "the harness's degradations",
    "features": "a method that exposes its features",
    "parameters": "the method itself, not only its images",
}


def evaluate(metric: Metric, label: str, outputs: Outputs) -> tuple[list[dict[str, Any]], str, Score]:
    """A metric's rows (``key`` is what follows its label), its protocol, and the score that they come from.

    Raises Unavailable where something that it needs is lacking, MetricFailed for a value that is not a number.
    """
    lacking = [n for n in metric.needs if getattr(outputs, n) is None]
    if lacking:
        raise Unavailable(f"needs {', '.join(WORDS.get(n, n) for n in lacking)}")
    with torch.inference_mode():
        score = metric.score(outputs)
        protocol = metric.protocol(outputs)
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
        ci = ci or bootstrap_mean(values[np.isfinite(values)], seed=seed)
        rows = [{"key": "", "image": i, "value": float(v), "n": 1} for i, v in zip(names, values, strict=True)
                if not np.isnan(v)]  # fmt: skip
    low, high = ci or (None, None)
    whole = {"key": "", "image": "", "value": float(score.value), "n": n, "ci_low": low, "ci_high": high}
    extra = [{"key": f".{k}", "image": "", "value": float(v), "n": n} for k, v in score.extra.items()]
    for row in extra:
        if (part := str(row["key"])[1:]) in score.directions:
            row["direction"] = score.directions[part]
    return [whole, *extra, *rows]


def write_table(out: Path, rows: list[dict[str, Any]]) -> None:
    """results.parquet and results.csv: the same tidy table."""
    import pandas as pd

    text = (
        "method",
        "variant",
        "degradation",
        "condition",
        "metric",
        "image",
        "direction",
        "status",
        "reason",
        "protocol",
    )
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    for column in COLUMNS:
        if column in text:
            table[column] = table[column].fillna("").astype(str)
        elif column in ("n", "seed"):
            table[column] = table[column].fillna(0).astype("int64")
        else:
            table[column] = table[column].astype("float64")
    write_atomically(out / "results.parquet", lambda path: table.to_parquet(path, index=False))
    write_atomically(out / "results.csv", lambda path: table.to_csv(path, index=False))
