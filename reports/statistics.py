"""What the values of single faces say: which differences are significant, ranks, and which metrics agree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.api.results import read_table
from bench.core import stats

from .tables import COMPETITOR, Cell, Column, Row, Table, headline, letter, split


@dataclass(frozen=True)
class Contest:
    """Methods on the same faces under one condition, compared by one metric."""

    condition: str
    metric: str
    direction: str
    keys: list[tuple[str, ...]]  # see tables.competitor
    found: stats.Comparison

    @property
    def title(self) -> str:
        return Column(self.metric, self.direction).title

    def names(self, tables: list[Table]) -> list[str]:
        """The methods as their tables' rows call them."""
        rows = next(t for t in tables if t.kind == "results" and t.condition == self.condition).rows
        known = {r.key: f"{r.label}, {r.run}" if r.run else r.label for r in rows}
        twice = {n for n in known.values() if list(known.values()).count(n) > 1}
        trained = {r.key: r.degradation for r in rows}
        return [f"{known[k]} on {trained[k]}" if known[k] in twice else known[k] for k in self.keys]


def contests(runs: list[Path], records: list[dict[str, Any]]) -> list[Contest]:
    """Every metric with values of single faces, under every condition with two methods or more."""
    import pandas as pd

    frames = []
    for folder, record in zip(runs, records, strict=True):
        table = read_table(folder)
        table = table[(table["image"].fillna("") != "") & (table["status"] == "ok") & (table["method"] != "")]
        table = table[table["metric"].isin([m for m in table["metric"].unique() if headline(m)])]
        frames.append(table.assign(run=record["run"] if len(runs) > 1 else "", faces=record["faces"]))
    faces = pd.concat(frames) if frames else pd.DataFrame()
    found = []
    for (_, condition, metric), group in (
        faces.groupby(["faces", "condition", "metric"], sort=False) if len(faces) else ()
    ):
        columns = {tuple(map(str, key)): one.groupby("image", sort=False)["value"].mean()
                   for key, one in group.groupby(list(COMPETITOR), sort=False)}  # fmt: skip
        if len(columns) > 1:
            values = pd.concat(list(columns.values()), axis=1).to_numpy()
            direction = str(group["direction"].iloc[0])
            result = stats.compare(values, direction)
            found.append(Contest(str(condition), str(metric), direction, list(columns), result))
    return found


def mark(tables: list[Table], found: list[Contest]) -> None:
    """Mark, in the tables of results, the values that are not significantly different from the best of their column."""
    for table in tables:
        for contest in found if table.kind == "results" else ():
            if contest.condition != table.condition or "too few" in contest.found.remark:
                continue
            index = next((i for i, c in enumerate(table.columns) if c.metric == contest.metric), None)
            cells = {r.key: r.cells[index] for r in table.rows if index is not None and r.key in contest.keys}
            best = next((k for k, c in cells.items() if c.rank == 1), None)
            if best is None:
                continue
            for key, one in cells.items():
                p = contest.found.p[contest.keys.index(key), contest.keys.index(best)]
                one.tied = one.rank != 1 and one.value is not None and bool(p > stats.LEVEL)


def rank_tables(tables: list[Table], found: list[Contest]) -> list[Table]:
    """Per condition the mean ranks; methods that share a letter lie within the critical difference."""
    made = []
    for condition in dict.fromkeys(c.condition for c in found):
        inside = [c for c in found if c.condition == condition]
        keys = list(dict.fromkeys(k for c in inside for k in c.keys))
        named = {k: n for c in inside for k, n in zip(c.keys, c.names(tables), strict=True)}
        table = Table(condition, [Column(c.metric, c.direction, "ranks") for c in inside], kind="ranks",
                      title=f"Mean ranks on {condition}" if condition else "Mean ranks")  # fmt: skip
        for key in keys:
            cells = []
            for contest in inside:
                if key not in contest.keys:
                    cells.append(Cell("—", status="missing"))
                    continue
                index, result = contest.keys.index(key), contest.found
                letters = "".join(letter(i) for i, g in enumerate(result.groups) if index in g)
                cells.append(Cell(f"{result.ranks[index]:.2f}", float(result.ranks[index]), n=result.n, note=letters,
                                  protocol=describe(result)))  # fmt: skip
            table.rows.append(Row(named[key], "", cells, key=key))
        table.remark = (
            "Rank 1 is the best; ranks of each face, then their mean. In a column, methods that share a letter lie within "
            f"Nemenyi's critical difference at {stats.LEVEL:g} ("
            + ", ".join(f"{c.title.rstrip(' ↑↓')} {c.found.difference:.2f}" for c in inside)
            + "). "
            + " ".join(dict.fromkeys(c.found.remark for c in inside if c.found.remark))
        ).strip()
        made.append(table)
    return made


def describe(found: stats.Comparison) -> str:
    """A comparison in a sentence."""
    alike = "" if np.isnan(found.friedman) else f"Friedman's test that all are alike: p {p_text(found.friedman)}. "
    return f"{alike}Nemenyi's critical difference at {stats.LEVEL:g}: {found.difference:.2f}"


def p_text(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def agreements(tables: list[Table]) -> list[tuple[Table, stats.Agreement]]:
    """Per condition, Spearman's correlation of every pair of metrics over methods; at least three methods."""
    made = []
    for table in tables:
        if table.kind != "results":
            continue
        columns = [i for i, column in enumerate(table.columns) if not split(column.metric)[2]]
        columns = [i for i in columns if sum(r.cells[i].value is not None for r in table.rows) > 2]
        if len(columns) < 2 or len({r.key[1] for r in table.rows}) > 1:
            continue
        values = np.array([[np.nan if (v := row.cells[i].value) is None else v for i in columns] for row in table.rows])
        heads = [table.columns[i] for i in columns]
        found = stats.agreement(values, [c.direction for c in heads])
        shown = Table(table.condition, [Column(c.metric, "", "agreement") for c in heads], kind="agreement",
                      title=f"Agreement of metrics on {table.condition}")  # fmt: skip
        for i, head in enumerate(heads):
            cells = [agreement_cell(found, i, j) for j in range(len(heads))]
            shown.rows.append(Row(head.title.rstrip(" ↑↓"), "", cells))
        shown.remark = (
            "Spearman's rank correlation over methods, metrics turned so that higher is better: 1 where two order the "
            f"methods alike, -1 where in reverse. {found.remark or f'{found.n} methods.'}"
        )
        made.append((shown, found))
    return made


def agreement_cell(found: stats.Agreement, i: int, j: int) -> Cell:
    rho = float(found.spearman[i, j])
    if np.isnan(rho):
        return Cell("—", status="missing", reason="one of the two gives every method the same value")
    detail = f"Spearman {rho:.3f}, Kendall {found.kendall[i, j]:.3f} (p {p_text(found.p[i, j])})"
    return Cell(f"{rho:.2f}", rho, n=found.n, protocol=detail)
