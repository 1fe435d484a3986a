"""Tables as text: CSV and Markdown."""

from __future__ import annotations

import csv as csv_module
import io
from pathlib import Path
from typing import Any

from bench.core.files import write_text
from bench.core.results import inert

from . import published
from .contents import contents
from .latex import head, legend, marks
from .layout import arrange
from .notice import notice
from .tabular import DERIVED, Cell, letter


def csv(runs: list[Path], out: Path, layout: dict[str, Any] | None = None) -> list[Path]:
    """All tables in one file, a row for each method and condition."""
    tables = [t for t in arrange(contents(runs).tables, layout or {}) if t.kind not in DERIVED]
    metrics = list(dict.fromkeys(c.metric for t in tables for c in t.columns))
    lines: dict[tuple[str, ...], dict[str, str]] = {}
    for table in tables:
        for row in table.rows:
            if row.kind:
                continue
            pairs = zip(table.columns, row.cells, strict=True)
            values = {column.metric: cell.text for column, cell in pairs if cell.value is not None}
            lines.setdefault((table.condition, row.run, row.label, row.degradation), {}).update(values)
    text = io.StringIO()
    writer = csv_module.writer(text)
    writer.writerow(["condition", "run", "method", "degradation", *map(inert, metrics)])
    for names, values in lines.items():
        writer.writerow([*map(inert, names), *(values.get(metric, "") for metric in metrics)])
    write_text(out, text.getvalue())
    return [out]


def markdown(runs: list[Path], out: Path, layout: dict[str, Any] | None = None) -> list[Path]:
    """The tables as Markdown; best bold, second underlined, the reasons of missing values below."""
    found = contents(runs)
    small = notice(found.records)
    lines = [small, ""] if small else []
    for table in arrange(found.tables, layout or {}):
        left = [*(["Run"] if table.several else []), head(table),
                *(["Trained on"] if table.trained else [])]  # fmt: skip
        lines += [f"### {table.title}", "", _line([*left, *(c.brief for c in table.columns)])]
        lines.append("|" + "---|" * len(left) + "---:|" * len(table.columns))
        for row in table.rows:
            labels = [*([row.run] if table.several else []), row.label, *([row.degradation] if table.trained else [])]
            lines.append(_line([*labels, *map(_markdown_cell, row.cells)]))
        said = " ".join(
            [*legend(table), *marks(table), f"{table.faces}." if table.faces else "", table.remark, table.left_out()]
        )
        lines += ["", said.strip(), "", *(f"- ({letter(i)}) {note}" for i, note in enumerate(table.notes)), ""]
    for one in published.chosen(str((layout or {}).get("published", ""))):
        arrows = [f"{m} {'↑' if d == 'higher' else '↓'}" for m, d in zip(one.columns, one.direction, strict=True)]
        lines += [f"### {one.paper}, {one.where}", "", _line(["Method", *arrows]), "|---|" + "---:|" * len(arrows)]
        lines += [_line([name, *("—" if v != v else f"{v:g}" for v in values)]) for name, _, values in one.rows]
        lines += ["", one.about, ""]
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, "\n".join(lines))
    return [out]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _markdown_cell(cell: Cell) -> str:
    text = {1: f"**{cell.text}**", 2: f"<u>{cell.text}</u>"}.get(cell.rank, cell.text)
    text += ("≈" if cell.tied else "") + ("†" if cell.dagger else "")
    return text + (f" ({cell.note})" if cell.note else "") + (f" ±{cell.half}" if cell.half else "")
