"""The first table and the planes of a report: the few numbers that a reader asks for first, side by side."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from bench.core.results import split

from .figures import scatter
from .severity import line_names
from .tabular import Cell, Column, Row, Table

DISTORTION = ("psnr", "ssim", "ms-ssim", "nlpd")
PERCEPTION = ("lpips", "dists", "fid", "kid", "nima", "musiq", "topiq-face", "niqe", "piqe", "swd")
REAL = ("fid", "kid", "swd", "nima", "musiq", "niqe", "piqe", "identity", "lr-psnr")
CONDITIONS, OF_REAL = 4, 3  # columns of each kind


@dataclass
class Group:
    """Columns under one heading, each with the table that it comes from."""

    title: str
    columns: list[tuple[str, Table, int]] = field(default_factory=list)  # heading, table, column's number


@dataclass
class Overview:
    groups: list[Group]
    rows: list[
        tuple[Row, list[tuple[Cell, Row]]]
    ]  # a row for its label and run; its cells, each with the row it is from


def overview(tables: list[Table]) -> Overview | None:
    """Fidelity under each synthetic condition, quality on real LR, consistency and size of every method."""
    results = [t for t in tables if t.kind == "results"]
    synthetic, real = [t for t in results if t.condition != "real"], [t for t in results if t.condition == "real"]
    groups: list[Any] = []
    for name in [first(synthetic, DISTORTION), first(synthetic, PERCEPTION[:2])]:
        if name and not (groups and len(synthetic) > 2):
            some = [(t, i) for t in synthetic if (i := find_column(t, name)) is not None][:CONDITIONS]
            title = some[0][0].columns[some[0][1]].title
            groups.append(Group(f"{title} on", [(t.condition or "all faces", t, i) for t, i in some]))
    for table in real:
        found = [i for name in REAL if (i := find_column(table, name)) is not None]
        found = found or [i for i, c in enumerate(table.columns) if not split(c.metric)[2]]
        if found := found[:OF_REAL]:
            groups.append(Group("Real LR", [(table.columns[i].title, table, i) for i in found]))
    for table in (real or synthetic)[:1]:
        if (i := find_column(table, "consistency")) is not None:
            groups.append(Group("Stability", [(table.columns[i].title, table, i)]))
    for table in (t for t in tables if t.kind == "cost"):
        groups.append(Group("Size", [("Parameters", table, 0)]))
    if not groups and results:
        groups = [Group(results[0].title, [(c.title, results[0], i) for i, c in enumerate(results[0].columns[:6])])]
    rows = {who(row): row for t in results for row in t.rows if row.kind != "floor"}
    cells = [(row, [_cell(t, i, key) for g in groups for _, t, i in g.columns]) for key, row in rows.items()]
    return Overview(groups, cells) if groups else None


def tied(found: Overview | None) -> bool:
    """Whether any value is marked as not significantly different from the best."""
    return found is not None and any(cell.tied for _, cells in found.rows for cell, _ in cells)


def seeded(found: Overview | None) -> bool:
    """Whether any value is the mean over seeds."""
    return found is not None and any(cell.seeds > 1 for _, cells in found.rows for cell, _ in cells)


def guarded(found: Overview | None) -> bool:
    """Whether any value is kept from being the best."""
    return found is not None and any(cell.dagger for _, cells in found.rows for cell, _ in cells)


def first(tables: list[Table], names: tuple[str, ...]) -> str:
    """The first of the metrics that any table has a value of."""
    return next((n for n in names if any(find_column(t, n) is not None for t in tables)), "")


def find_column(table: Table, name: str) -> int | None:
    """The column of a metric, without a part, that has values."""
    return next((i for i, c in enumerate(table.columns) if split(c.metric)[0] == name and not split(c.metric)[2]
                 and any(r.cells[i].value is not None for r in table.rows)), None)  # fmt: skip


def who(row: Row) -> tuple[str, ...]:
    """The method of a row, whatever faces it was tested on: real LR has others than the conditions made from HR."""
    return (row.key[0], *row.key[2:])


def _cell(table: Table, index: int, key: tuple[str, ...]) -> tuple[Cell, Row]:
    none = Cell("—", status="missing")
    return next(((r.cells[index], r) for r in table.rows if who(r) == key), (none, Row("", "", [])))


def planes(tables: list[Table], colours: dict[str, int]) -> dict[str, list[dict[str, Any]]]:
    """By condition perception against distortion (Blau and Michaeli 2018), the best in the lower left corner."""
    made: dict[str, list[dict[str, Any]]] = {}
    names = line_names(tables)
    for table in (t for t in tables if t.kind == "results"):
        x = next((i for n in DISTORTION if (i := find_column(table, n)) is not None), None)
        ys = [i for n in PERCEPTION if (i := find_column(table, n)) is not None]
        if x is None:
            continue
        for y in ys[:2]:
            points = [(r.cells[x].value, r.cells[y].value) for r in table.rows]
            drawn = _drawn(table, table.columns[x], table.columns[y], colours, names, points)
            made.setdefault(table.condition, []).append(drawn)
    return made


def prices(tables: list[Table], colours: dict[str, int]) -> list[dict[str, Any]]:
    """Per condition quality against multiply-adds (or parameters): the best in the lower left corner, too."""
    made: list[dict[str, Any]] = []
    names = line_names(tables)
    for cost in (t for t in tables if t.kind == "cost"):
        known = {who(r): r.cells for r in cost.rows}
        for table in (t for t in tables if t.kind == "results"):
            wanted = (*PERCEPTION, *DISTORTION) if table.condition == "real" else (*DISTORTION, *PERCEPTION)
            y = next((i for n in wanted if (i := find_column(table, n)) is not None), None)
            if y is None:
                continue
            points = [(known[who(r)][1].value if len(known.get(who(r), ())) > 1 else None, r.cells[y].value)
                      for r in table.rows]  # fmt: skip
            x = Column("multiply-adds", "lower", "cost")
            made.append(_drawn(table, x, table.columns[y], colours, names, points, log=True))
    return made


def _drawn(
    table: Table, x: Column, y: Column, colours: dict[str, int], names: dict[tuple[str, ...], str], points: Any,
    log: bool = False,
) -> dict[str, Any]:  # fmt: skip
    named = [(colours.setdefault(names[r.key], len(colours)), names[r.key], px, py)
             for r, (px, py) in zip(table.rows, points, strict=True) if px is not None and py is not None]  # fmt: skip
    words = ("Multiply-adds ↓" if log else x.title, y.title)
    svg: Markup = scatter(named, *words, x.direction == "higher", y.direction == "higher", log)
    return {"condition": table.condition, "title": f"{words[1]} against {words[0]}", "svg": svg}
