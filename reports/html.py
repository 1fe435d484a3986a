"""report.html: one self-contained page."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from .tables import build, read

FACES = 6  # rows of the picture grid of each condition


def render(runs: list[Path], out: Path) -> list[Path]:
    """Write the page of one run or of several side by side."""
    from jinja2 import Environment, PackageLoader

    rows, records = read(runs)
    page = Environment(loader=PackageLoader("bench.reports"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page.filters["thousands"] = lambda n: f"{n:,}" if isinstance(n, int) else "—"
    tables = build(rows)
    text = page.get_template("report.html.j2").render(
        tables=tables,
        grids=[g for folder, record in zip(runs, records, strict=True) for g in grids(folder, record, len(runs) > 1)],
        curves=[c for record in records for c in curves(record)],
        records=list(zip([r.name for r in runs], records, strict=True)),
        quick=any(r.get("preset") == "quick" for r in records),
        budgets=sorted({r["budget"] for r in records if r.get("budget")}),
        failed=[f for r in records for f in r.get("failed", [])],
        unavailable={k: v for r in records for k, v in r.get("unavailable", {}).items()},
        protocols=protocols(rows),
    )
    out.write_text(text, encoding="utf-8")
    return [out]


def protocols(rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The distinct protocols of each metric."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row["status"] == "ok" and "." not in row["metric"].rpartition("]")[2]:
            kept = found.setdefault(row["metric"], [])
            if row["protocol"] not in kept:
                kept.append(row["protocol"])
    return found


def grids(folder: Path, record: dict[str, Any], named: bool) -> list[dict[str, Any]]:
    """Per condition: the same faces as LR, by each method, and in HR where that is known."""
    found = []
    for condition in record.get("conditions", []):
        place = condition.replace("/", "_")
        columns = [("LR", folder / "images" / "lr" / place)]
        columns += [(m["label"], folder / "images" / m["images"] / place) for m in record.get("methods", [])]
        columns.append(("HR", folder / "images" / "hr"))
        names = sorted(p.name for p in columns[0][1].glob("*.png")) if columns[0][1].is_dir() else []
        names = [names[i * len(names) // FACES] for i in range(FACES)] if len(names) > FACES else names
        columns = [(label, root) for label, root in columns if any((root / name).is_file() for name in names)]
        if names and len(columns) > 1:
            faces = [[embedded(root / name) for _, root in columns] for name in names]
            title = f"{folder.name}: {condition}" if named else condition
            found.append({"condition": title, "columns": [c for c, _ in columns], "faces": faces, "names": names})
    return found


def embedded(file: Path) -> str:
    """A picture as a data URI; empty where there is none."""
    return f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}" if file.is_file() else ""


def curves(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The loss curves of each trained model as SVG polylines, with the first and last values."""
    found = []
    for model in [*record.get("degradations", []), *record.get("methods", [])]:
        training = model.get("training") or {}
        plots = [plot(name, points) for name, points in sorted(training.get("curve", {}).items()) if len(points) > 1]
        if plots:
            stages = ", ".join(f"{s['name']} {s['steps']:,}" for s in training.get("stages", []))
            found.append(
                {"label": model["label"], "plots": plots, "stages": stages, "seconds": training.get("seconds", 0)}
            )
    return found


def plot(name: str, points: list[list[float]], width: int = 220, height: int = 64) -> dict[str, Any]:
    steps, values = zip(*points, strict=True)
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    first, reach = steps[0], (steps[-1] - steps[0]) or 1
    line = " ".join(
        f"{(s - first) / reach * (width - 4) + 2:.1f},{height - 3 - (v - low) / span * (height - 6):.1f}"
        for s, v in points
    )
    return {"name": name, "line": line, "width": width, "height": height, "start": f"{values[0]:.4g}",
            "end": f"{values[-1]:.4g}", "steps": int(steps[-1])}  # fmt: skip
