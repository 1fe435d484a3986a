"""What the values of single faces say: which differences are significant, ranks, and which metrics agree."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bench.core import stats
from bench.core.results import split, whole

from .rows import Loaded
from .tables import SEED, numberless, rank, unfit_of
from .tabular import Cell, Column, Row, Table, letter


@dataclass(frozen=True)
class Contest:
    """Methods on the same faces under one condition, compared by one metric."""

    condition: str
    metric: str
    direction: str
    keys: list[tuple[str, ...]]  # see rows.competitor
    found: stats.Comparison
    common: tuple[float, ...] = ()  # each method's mean over the faces that all of them have

    @property
    def title(self) -> str:
        return Column(self.metric, self.direction).title

    def within(self, table: Table) -> bool:
        """Whether this table of results shows these methods."""
        return (
            table.kind == "results"
            and table.condition == self.condition
            and self.keys[0] in [r.key for r in table.rows]
        )

    def names(self, tables: list[Table]) -> list[str]:
        """The methods as their tables' rows call them."""
        rows = next(t for t in tables if self.within(t)).rows
        known = {r.key: f"{r.label}, {r.run}" if r.run else r.label for r in rows}
        twice = {n for n in known.values() if list(known.values()).count(n) > 1}
        trained = {r.key: r.degradation for r in rows}
        return [f"{known[k]} on {trained[k]}" if known[k] in twice else known[k] for k in self.keys]


def contests(found: Loaded, among: set[tuple[str, ...]] | None = None) -> list[Contest]:
    """Every metric with values of single faces, under every condition with two methods or more; a ``guard`` keeps methods out.

    ``among``: the methods that are compared, if not all.
    """
    unfit, made = unfit_of(found.rows), []
    for one in found.singles:
        fit = [i for i, key in enumerate(one.keys) if (key, one.condition, whole(one.metric)[0]) not in unfit
               and (among is None or key in among)]  # fmt: skip
        if len(fit) > 1 and len({numberless(SEED.sub("", p)) for p in one.protocols}) == 1:
            values = one.values[:, fit]
            result = stats.compare(values, one.direction)
            shared = values[np.isfinite(values).all(1)]
            common = tuple(shared.mean(0).tolist()) if len(shared) else ()
            keys = [one.keys[i] for i in fit]
            made.append(Contest(one.condition, one.metric, one.direction, keys, result, common))
    return made


def mark(tables: list[Table], found: list[Contest]) -> None:
    """Mark, in the tables of results, the values that are not significantly different from the best of their column.

    Where methods were measured on different faces, the best is that on the faces which all of them have.
    """
    for table in tables:
        for contest in (c for c in found if c.within(table)):
            index = next((i for i, c in enumerate(table.columns) if c.metric == contest.metric), None)
            if index is None:
                continue
            column = table.columns[index]
            table.columns[index] = replace(column, tested=True)
            cells = {r.key: r.cells[index] for r in table.rows if r.key in contest.keys}
            valued = [r for r in table.rows if not r.kind and r.cells[index].value is not None and r.cells[index].sound]
            if column.apart == "count" and contest.common and {r.key for r in valued} == set(contest.keys):
                for key, mean in zip(contest.keys, contest.common, strict=True):
                    cells[key].common = f"{mean:.{decimals(cells[key].text)}f}"
                rank(list(cells.values()), contest.direction)
                table.columns[index] = replace(column, tested=True, apart="")
                table.remark += f" {column.short}: the best on the {contest.found.n} faces that all methods have."
                table.remark = table.remark.strip()
            best = next((k for k, c in cells.items() if c.rank == 1), None)
            if best is None or "too few" in contest.found.remark:
                continue
            for key, one in cells.items():
                p = contest.found.p[contest.keys.index(key), contest.keys.index(best)]
                one.tied = one.rank != 1 and one.value is not None and bool(p > stats.LEVEL)


def decimals(text: str) -> int:
    return len(text.partition(".")[2])


def rank_tables(tables: list[Table], found: list[Contest]) -> list[Table]:
    """Per condition the mean ranks; methods that share a letter lie within the critical difference."""
    made = []
    for home in [t for t in tables if any(c.within(t) for c in found)]:
        inside, condition = [c for c in found if c.within(home)], home.condition
        keys = list(dict.fromkeys(k for c in inside for k in c.keys))
        named = {k: n for c in inside for k, n in zip(c.keys, c.names(tables), strict=True)}
        table = Table(condition, [Column(c.metric, c.direction, "ranks") for c in inside], kind="ranks",
                      title=f"Mean ranks on {condition}" if condition else "Mean ranks", part=home.part)  # fmt: skip
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
        rows = [row for row in table.rows if not row.kind]
        columns = [i for i in columns if sum(r.cells[i].value is not None for r in rows) > 2]
        if len(columns) < 2:
            continue
        values = np.array([[np.nan if (v := row.cells[i].value) is None else v for i in columns] for row in rows])
        heads = [table.columns[i] for i in columns]
        found = stats.agreement(values, [c.direction for c in heads])
        shown = Table(table.condition, [Column(c.metric, "", "agreement") for c in heads], kind="agreement",
                      title=f"Agreement of metrics on {table.condition}", part=table.part)  # fmt: skip
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
