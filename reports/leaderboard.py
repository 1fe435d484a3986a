"""A static page over many runs: one table for each data, scale and condition, one column for each metric and protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from markupsafe import Markup

from .tables import Cell, Column, cell, headline, rank, read, split


def leaderboard(runs: list[Path], out: Path) -> list[Path]:
    """Write ``out/index.html``. Values share a column only where faces, scale, condition, metric and protocol are the same."""
    from jinja2 import Environment, PackageLoader

    rows, records = read(runs)
    by_run = {r["run"] if len(runs) > 1 else "": r for r in records}
    boards: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        if (
            row["status"] != "ok"
            or not row["method"]
            or not headline(row["metric"])
            or split(row["metric"])[0] == "cost"
        ):
            continue
        record = by_run[row["run"]]
        scales = {m.get("name", m["label"]): m.get("scale", "") for m in record["methods"]}
        data, scale = str(record["data"].get("name") or record["run"]), str(scales.get(row["method"], ""))
        place = (row["faces"], data, scale, row["condition"])
        board = boards.setdefault(place, {"data": data, "scale": scale, "condition": row["condition"] or "all faces",
                                          "columns": {}, "rows": {}, "faces": record["data"]})  # fmt: skip
        board["columns"].setdefault((row["metric"], row["protocol"]), Column(row["metric"], row["direction"]))
        who = (row["method"], row["variant"], row["degradation"], record["run"])
        board["rows"].setdefault(who, {})[row["metric"], row["protocol"]] = cell(row)
    for board in boards.values():
        for key, column in board["columns"].items():
            rank([cells[key] for cells in board["rows"].values() if key in cells], column.direction)
    page = Environment(loader=PackageLoader("bench.reports"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    assert page.loader is not None
    css, script = (Markup(page.loader.get_source(page, name)[0]) for name in ("report.css", "tables.js"))
    metrics = {m: {"title": c.title, "digits": 3} for b in boards.values() for (m, _), c in b["columns"].items()}
    data = Markup(json.dumps({"metrics": metrics}).replace("<", "\\u003c"))
    text = page.get_template("leaderboard.html.j2").render(
        boards=list(boards.values()), css=css, script=script, data=data, runs=len(runs), missing=Cell("—")
    )
    out.mkdir(parents=True, exist_ok=True)
    (out / "index.html").write_text(text, encoding="utf-8")
    return [out / "index.html"]
