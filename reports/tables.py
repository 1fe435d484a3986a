"""The table model that every format renders: one table for each condition, rows are methods, columns are metrics."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ARROWS = {"higher": "↑", "lower": "↓"}
NAMES = {"psnr": "PSNR", "ssim": "SSIM", "lr-psnr": "LR-PSNR", "lpips": "LPIPS", "nima": "NIMA", "fid": "FID", "swd": "SWD",
         "fid-lr": "FID (LR)", "swd-lr": "SWD (LR)"}  # fmt: skip
DIGITS = {
    "psnr": 2,
    "lr-psnr": 2,
    "ssim": 4,
    "lpips": 4,
    "dists": 4,
    "nima": 3,
    "fid": 2,
    "swd": 1,
}  # of a value's metric


@dataclass(frozen=True)
class Column:
    metric: str
    direction: str

    @property
    def title(self) -> str:
        """The metric as the field writes it, with its arrow; a part of a metric by its own name."""
        name, _, options = self.metric.partition("[")
        part = self.metric.rpartition("]")[2].partition(".")[2]
        head = NAMES.get(name.partition(".")[0], name.partition(".")[0])
        head = part.replace("_", " ") if part else f"{head} [{options}" if options else head
        return f"{head} {ARROWS.get(self.direction, '')}".strip()


@dataclass
class Cell:
    """A value, or why there is none. ``rank``: 1 best, 2 second, 0 neither."""

    text: str
    value: float | None = None
    ci: tuple[float, float] | None = None
    n: int = 0
    status: str = "ok"
    reason: str = ""
    protocol: str = ""
    rank: int = 0

    @property
    def detail(self) -> str:
        """The cell in a sentence."""
        if self.value is None:
            return f"{self.status}: {self.reason}"
        interval = f", 95 % interval {self.ci[0]:.4g} to {self.ci[1]:.4g}" if self.ci else ""
        return f"{self.value:.6g}{interval}, n = {self.n}. {self.protocol}"


@dataclass
class Row:
    label: str
    degradation: str
    cells: list[Cell]
    run: str = ""


@dataclass
class Table:
    condition: str
    columns: list[Column]
    rows: list[Row] = field(default_factory=list)
    title: str = ""

    @property
    def trained(self) -> bool:
        """Whether any of its methods was trained on a degradation."""
        return any(row.degradation for row in self.rows)


def read(runs: list[Path]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Set-level rows of all runs as dictionaries (with ``run``), and their run.json records."""
    import pandas as pd

    rows, records = [], []
    for folder in runs:
        parquet = folder / "results.parquet"
        table = (
            pd.read_parquet(parquet) if parquet.exists() else pd.read_csv(folder / "results.csv", keep_default_na=False)
        )
        table = table[table["image"] == ""]
        run = folder.resolve().name if len(runs) > 1 else ""
        rows += [{**row, "run": run} for row in table.to_dict("records")]
        file = folder / "run.json"
        records.append(json.loads(file.read_text()) if file.exists() else {})
    return rows, records


def build(rows: list[dict[str, Any]]) -> list[Table]:
    """Tables in the order of the rows; the LR-domain rows (no method) make one of their own, at the end."""
    methods = [r for r in rows if r["method"]]
    tables = []
    for condition in dict.fromkeys(r["condition"] for r in methods):
        inside = [r for r in methods if r["condition"] == condition]
        tables.append(_table(condition, inside, f"Tested on {condition}"))
    domain = [{**r, "method": r["condition"], "degradation": ""} for r in rows if not r["method"]]
    if any(r["status"] == "ok" for r in domain):
        tables.append(_table("", domain, "How close each degradation's LR is to the real LR"))
    return tables


def _table(condition: str, rows: list[dict[str, Any]], title: str) -> Table:
    found: dict[tuple[str, ...], dict[str, Cell]] = {}
    columns: dict[str, Column] = {}
    for row in rows:
        metric = row["metric"]
        if "." in metric.rpartition("]")[2] and metric.rpartition("]")[2].count("level"):
            continue  # the parts of a value stay in results.csv
        columns.setdefault(metric, Column(metric, row["direction"]))
        key = (row["run"], row["method"], row["variant"], row["degradation"])
        found.setdefault(key, {})[metric] = cell(row)
    shown = [c for c in columns.values() if any(c.metric in cells for cells in found.values())]
    table = Table(condition, shown, title=title)
    for (run, method, variant, degradation), cells in found.items():
        label = f"{method} ({variant})" if variant else method
        table.rows.append(
            Row(label, degradation, [cells.get(c.metric, Cell("—", status="missing")) for c in shown], run)
        )
    for index, column in enumerate(shown):
        rank([row.cells[index] for row in table.rows], column.direction)
    return table


def cell(row: dict[str, Any]) -> Cell:
    if row["status"] != "ok":
        return Cell("—", status=row["status"], reason=row["reason"])
    value = float(row["value"])
    digits = DIGITS.get(row["metric"].partition("[")[0].partition(".")[0], 3)
    if row["metric"].endswith("sensitivity"):
        digits = 3
    low, high = row["ci_low"], row["ci_high"]
    ci = None if low in (None, "") or math.isnan(float(low)) else (float(low), float(high))
    return Cell(f"{value:.{digits}f}", value, ci, int(row["n"]), protocol=row["protocol"])


def rank(cells: list[Cell], direction: str) -> None:
    """Mark the best and the second value of a column, as shown; equal values share a rank. One value has no rank."""
    shown = sorted({float(c.text) for c in cells if c.value is not None}, reverse=direction == "higher")
    if sum(c.value is not None for c in cells) < 2:
        return
    for one in cells:
        if one.value is not None and float(one.text) in shown[:2]:
            one.rank = shown.index(float(one.text)) + 1
