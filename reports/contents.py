"""All that a report shows, in its order; every format renders this."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .efficiency import cost_table
from .layout import arrange
from .rows import Loaded, load
from .statistics import Contest, agreements, contests, mark, rank_tables
from .tables import FAMILIES, build
from .tabular import DERIVED, OTHERS, Table, headline, letter


@dataclass(frozen=True)
class Contents:
    loaded: Loaded
    tables: list[Table]
    contests: list[Contest]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Of whole sets."""
        return self.loaded.rows

    @property
    def records(self) -> list[dict[str, Any]]:
        """Of every run, its run.json."""
        return self.loaded.records

    def arranged(self, layout: dict[str, Any]) -> Contents:
        """As the layout wants it: its tables, and methods compared with those that are shown."""
        tables = arrange(self.tables, layout)
        shown = {r.key for t in tables if t.kind == "results" for r in t.rows}
        found = contests(self.loaded, shown) if layout.get("methods") else self.contests
        kept = [c for c in found if any(c.within(t) and c.metric in {k.metric for k in t.columns} for t in tables)]
        return replace(self, tables=tables, contests=kept)

    def of(self, kind: str) -> list[Table]:
        return [t for t in self.tables if t.kind == kind]


def contents(runs: list[Path]) -> Contents:
    """Tables of results, then of LR, consistency, ranks, agreement of metrics and cost; the first ones with marks."""
    loaded = load(runs, headline)
    rows, records = loaded.rows, loaded.records
    tables = build(rows)
    found = contests(loaded)
    mark(tables, found)
    for table in tables:
        remarks = [c.found.remark for c in found if c.within(table)]
        table.remark = " ".join([*filter(None, [table.remark]), *dict.fromkeys(filter(None, remarks))])
    cost = cost_table(rows, records)
    for one in (c for t in cost for r in t.rows for c in r.cells if c.reason):
        notes = cost[0].notes
        if one.reason not in notes:
            notes.append(one.reason)
        one.note = letter(notes.index(one.reason))
    more = [*rank_tables(tables, found), *(t for t, _ in agreements(tables)), *cost]
    families = dict.fromkeys([*FAMILIES, *(t.kind for t in tables if t.kind not in OTHERS)])
    order = ["results", "degradations", *families, *DERIVED]
    return Contents(loaded, sorted([*tables, *more], key=lambda t: order.index(t.kind)), found)


def summary(tables: list[Table]) -> dict[str, Any] | None:
    """Who is best where: a row a condition, a column a metric. None where no two methods were compared."""
    shown = [t for t in tables if t.kind == "results"]
    heads = {c.metric: c.title for t in shown for c in t.columns}
    rows = []
    for table in shown:
        cells: dict[str, dict[str, Any]] = {}
        for index, column in enumerate(table.columns):
            best, tied = (list(dict.fromkeys(r.label for r in table.rows if chosen(r.cells[index])))
                          for chosen in (lambda c: c.rank == 1, lambda c: c.tied))  # fmt: skip
            if best:
                cells[column.metric] = {"best": best, "tied": [label for label in tied if label not in best]}
        rows.append({"condition": table.condition, "cells": cells})
    heads = {m: t for m, t in heads.items() if any(m in r["cells"] for r in rows)}
    return {"heads": heads, "rows": rows} if heads else None
