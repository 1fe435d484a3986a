"""A static page over many runs: one table for each data, scale and condition, one column for each metric and protocol."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from bench.core.files import write_text
from bench.core.results import split, whole

from .faces import decimals
from .rows import read
from .tables import DETAIL, FLOOR, SEED, cell, compared, guard_of, rank, unfit_of
from .tabular import Cell, Column, Row, Table, headline

Key = tuple[str, str]  # a metric and its protocol, but for the seed


@dataclass
class Board:
    """Methods on the same faces at one scale under one condition."""

    data: str
    scale: str
    condition: str
    columns: dict[Key, Column] = field(default_factory=dict)
    rows: dict[tuple[str, ...], dict[Key, Cell]] = field(default_factory=dict)  # method, variant, degradation, run

    @property
    def guarded(self) -> str:
        """What the dagger means."""
        cells = [[mine.get(key, Cell("—")) for key in self.columns] for mine in self.rows.values()]
        rows = [Row(who[0], who[2], c, who[3]) for who, c in zip(self.rows, cells, strict=True)]
        return Table(self.condition, list(self.columns.values()), rows).guarded


def leaderboard(runs: list[Path], out: Path) -> list[Path]:
    """Write ``out/index.html``. Values share a column only where faces, scale, condition, metric and protocol are the same."""
    from jinja2 import Environment, PackageLoader

    found = boards(*read(runs))
    page = Environment(loader=PackageLoader("bench.reports"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    assert page.loader is not None
    css, script = (Markup(page.loader.get_source(page, name)[0]) for name in ("report.css", "tables.js"))
    metrics = {m: {"title": c.title, "digits": decimals(m)} for b in found for (m, _), c in b.columns.items()}
    data = Markup(json.dumps({"metrics": metrics}).replace("<", "\\u003c"))
    text = page.get_template("leaderboard.html.j2").render(
        boards=found, css=css, script=script, data=data, runs=len(runs), missing=Cell("—")
    )
    write_text(out / "index.html", text)
    return [out / "index.html"]


def boards(rows: list[dict[str, Any]], records: list[dict[str, Any]]) -> list[Board]:
    """The tables, in the order of the rows; in each one metric's columns beside each other, best and second marked."""
    found: dict[tuple[str, ...], Board] = {}
    unfit = unfit_of(rows)
    for row in rows:
        head, part = whole(row["metric"])
        shown = headline(row["metric"]) and part != FLOOR and not part.startswith(DETAIL) and split(head)[0] != "cost"
        if row["status"] != "ok" or not row["method"] or not shown:
            continue
        record = next((r for r in records if r["run"] in row["run"]), records[0])  # of seeds, the first
        data, scale = str(record["data"].get("name") or record["run"]), str(row.get("scale") or "")
        place = (row["faces"], scale, row["condition"])
        board = found.setdefault(place, Board(data, scale, row["condition"] or "all faces"))
        key = (row["metric"], SEED.sub("", row["protocol"]))
        board.columns.setdefault(key, Column(row["metric"], row["direction"]))
        who = (row["method"], row["variant"], row["degradation"], row["run"] or record["run"])
        board.rows.setdefault(who, {})[key] = replace(cell(row), **guard_of(row, unfit))
    for board in found.values():
        metrics = list(dict.fromkeys(metric for metric, _ in board.columns))
        ordered = sorted(board.columns.items(), key=lambda item: metrics.index(item[0][0]))
        board.columns = {}
        for key, column in ordered:
            cells = [mine[key] for mine in board.rows.values() if key in mine]
            board.columns[key] = compared(column, cells)
            if not board.columns[key].apart:
                rank([c for c in cells if c.sound], column.direction)
    return list(found.values())
