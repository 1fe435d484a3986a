"""How the author of a paper wants the tables: which methods, metrics and conditions, in what order, called what.

A layout is a dictionary, from the flags of `bench report` or a TOML file:

    methods = ["low-to-high", "bicubic"]        # these rows, in this order; a name, a label or a shell pattern
    metrics = ["psnr", "lpips"]                 # these columns
    conditions = ["bicubic", "real"]            # these tables
    tables = ["results", "ranks"]               # of these kinds
    fit = "resize"                              # what is wider than the float; or "split" (by groups of metrics), "none"
    columns = 1                                 # of the paper that a float spans: 1 or 2
    interval = true                             # print half the width of the 95 % interval
    published = "bulat2018"                     # tables of papers to print as well
    [names]                                     # method or metric: what to call it
    low-to-high = "Ours"
    [decimals]                                  # metric: how many
    psnr = 1
"""

from __future__ import annotations

import dataclasses
from fnmatch import fnmatchcase
from typing import Any

from bench.core.results import split
from bench.errors import UsageError

from .tables import rank
from .tabular import DERIVED, Cell, Column, Row, Table

LISTS = ("methods", "metrics", "conditions", "tables")
CHOICES: dict[str, tuple[Any, ...]] = {"fit": ("none", "resize", "split"), "columns": (1, 2), "interval": (True, False)}
KNOWN = {*LISTS, *CHOICES, "published", "names", "decimals"}


@dataclasses.dataclass(frozen=True)
class Renamed(Column):
    """A column that its author calls something else."""

    name: str = ""

    @property
    def title(self) -> str:
        return self.name

    @property
    def short(self) -> str:
        return self.name.rstrip(" ↑↓")


def checked(layout: dict[str, Any], where: str = "layout") -> dict[str, Any]:
    """The same layout. Raises UsageError for a key or a value that there is not."""
    for key, value in layout.items():
        if key not in KNOWN:
            raise UsageError(f"{where}: no {key!r}; there are {', '.join(sorted(KNOWN))}")
        if key in CHOICES and value not in CHOICES[key]:
            raise UsageError(f"{where}: {key} = {value!r}; one of {', '.join(map(str, CHOICES[key]))}")
        if key in LISTS and not (isinstance(value, list) and all(isinstance(v, str) for v in value)):
            raise UsageError(f"{where}: {key} must be a list of names")
        if key in ("names", "decimals") and not isinstance(value, dict):
            raise UsageError(f"{where}: [{key}] must be a table")
        if key == "decimals" and not all(isinstance(n, int) and 0 <= n < 10 for n in value.values()):
            raise UsageError(f"{where}: [decimals] takes whole numbers from 0 to 9")
    return layout


def arrange(tables: list[Table], layout: dict[str, Any]) -> list[Table]:
    """The tables as the layout wants them. Raises UsageError where it names what no table has."""
    if not layout:
        return tables
    checked(layout)
    kept = [t for t in tables if _wanted(t.kind, layout.get("tables"))
            and (t.condition == "" or _wanted(t.condition, layout.get("conditions")))]  # fmt: skip
    rows = [r for t in kept if t.kind not in ("agreement", "degradations") for r in t.rows]
    known = {
        "methods": {n for r in rows for n in _names(r)}, "metrics": {n for t in kept for c in t.columns for n in _titles(c)},
        "conditions": {t.condition for t in tables}, "tables": {t.kind for t in tables},
    }  # fmt: skip
    for what in LISTS:
        for pattern in layout.get(what, ()):
            if not any(fnmatchcase(name, pattern) or name == pattern for name in known[what]):
                some = ", ".join(sorted(filter(None, known[what]))[:12])
                raise UsageError(f"layout: no table has the {what[:-1]} {pattern!r}; there are {some}")
    return [done for t in kept if (done := _arranged(t, layout)).rows and done.columns]


def _wanted(name: str, patterns: list[str] | None) -> bool:
    return not patterns or any(name == p or fnmatchcase(name, p) for p in patterns)


def _names(row: Row) -> list[str]:
    return [row.label, *([row.key[2]] if len(row.key) > 2 else [])]


def _titles(column: Column) -> list[str]:
    return [column.metric, split(column.metric)[0]]


def _place(names: list[str], patterns: list[str]) -> int:
    """Which of the patterns the first match is, exact ones before the others; -1 for none."""
    exact = [i for i, p in enumerate(patterns) if p in names]
    return next(iter([*exact, *(i for i, p in enumerate(patterns) if any(fnmatchcase(n, p) for n in names))]), -1)


def _arranged(table: Table, layout: dict[str, Any]) -> Table:
    if table.kind in ("agreement",):
        return table
    rows, columns = list(table.rows), list(range(len(table.columns)))
    patterns: list[str] = layout.get("methods", [])
    if patterns and table.kind != "degradations":
        rows = sorted((r for r in rows if _place(_names(r), patterns) >= 0), key=lambda r: _place(_names(r), patterns))
    patterns = layout.get("metrics", [])
    if patterns and table.kind not in ("degradations", "agreement", "cost"):
        places = {i: _place(_titles(table.columns[i]), patterns) for i in columns}
        columns = sorted((i for i in columns if places[i] >= 0), key=lambda i: places[i])
    names, digits = layout.get("names", {}), layout.get("decimals", {})
    heads = [_renamed(table.columns[i], names) for i in columns]
    made = []
    for row in rows:
        label = next((names[n] for n in _names(row) if n in names), row.label)
        cells = [_rounded(row.cells[i], table.columns[i], digits, layout) for i in columns]
        made.append(dataclasses.replace(row, label=label, cells=cells))
    done = dataclasses.replace(table, columns=heads, rows=made)
    if table.kind != "cost" and (len(made) < len(table.rows) or digits):
        _ranked_again(table, done, columns)
    used = {c.note for r in made for c in r.cells}
    if table.kind not in DERIVED and not used - {""}:
        done.notes = []
    if layout.get("metrics"):
        done.absent = {title: why for title, why in table.absent.items() if title.rstrip(" ↑↓") in layout["metrics"]}
    return done


def _renamed(column: Column, names: dict[str, str]) -> Column:
    name = next((names[n] for n in _titles(column) if n in names), None)
    arrow = column.title[-2:] if column.title[-1:] in "↑↓" else ""
    return Renamed(**vars(column), name=f"{name}{arrow}") if name else column


def _rounded(cell: Cell, column: Column, digits: dict[str, int], layout: dict[str, Any]) -> Cell:
    count = next((digits[n] for n in _titles(column) if n in digits), None)
    changes: dict[str, Any] = {}
    if count is not None and cell.value is not None and column.kind != "cost":
        changes["text"] = f"{cell.value:.{count}f}"
        if cell.half and cell.ci:
            changes["half"] = f"{(cell.ci[1] - cell.ci[0]) / 2:.{count}f}"
    if not layout.get("interval", True):
        changes["half"] = ""
    return dataclasses.replace(cell, **changes)


def _ranked_again(old: Table, new: Table, columns: list[int]) -> None:
    """Best and second among the rows that are left, where the whole column had a best; what was unmarked stays so."""
    if old.kind in DERIVED:
        return
    for place, (index, column) in enumerate(zip(columns, new.columns, strict=True)):
        if not any(r.cells[index].rank for r in old.rows):
            continue
        groups: dict[str, list[Cell]] = {}
        for row in new.rows:
            row.cells[place].rank = 0
            if row.cells[place].sound and not row.kind:
                groups.setdefault(row.key[1] if len(row.key) > 1 else "", []).append(row.cells[place])
        for cells in groups.values():
            rank(cells, column.direction)
