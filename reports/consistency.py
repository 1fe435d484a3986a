"""Consistency as figures: curves over severity, and the same face from clean to degraded (Goswami 2020)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from .figures import chart
from .pictures import embedded
from .tables import FAMILIES, Table, competitor, family, split

UNITS = {"consistency": "RMS to clean output", "consistency-lpips": "LPIPS to clean output",
         "consistency-identity": "1 - cosine to clean output"}  # fmt: skip
FACES = 2  # of the robustness figure


def curves(tables: list[Table], rows: list[dict[str, Any]], colours: dict[str, int]) -> dict[str, list[dict[str, Any]]]:
    """Per condition its charts: output distance over input distance, and features over 1 - alpha."""
    found: dict[str, dict[tuple[str, str], dict[tuple[str, ...], dict[int, dict[str, float]]]]] = {}
    for row in rows:
        match = re.fullmatch(r"(.*)\.level(\d+)(?:_(\w+))?", row["metric"])
        if row["status"] == "ok" and match and family(row["metric"]) in FAMILIES[:2]:
            label, level, part = match[1], int(match[2]), match[3] or "value"
            for wanted in ("value", "sinkhorn") if part == "input" else (part,):
                curve = found.setdefault(row["condition"], {}).setdefault((label, wanted), {}).setdefault(competitor(row), {})
                curve.setdefault(level, {})["x" if part == "input" else "y"] = float(row["value"])
    made: dict[str, list[dict[str, Any]]] = {}
    for condition, metrics in found.items():
        named = {r.key: r for t in tables if t.condition == condition for r in t.rows}
        for (label, part), methods in metrics.items():
            series = []
            for key, levels in methods.items():
                points = sorted((p["x"], p["y"]) for p in levels.values() if len(p) == 2)
                if label.startswith("consistency"):
                    points = [(0.0, 0.0), *points]
                if points and any("y" in p for p in levels.values()) and key in named:
                    name = line_name(named[key])
                    series.append((colours.setdefault(name, len(colours)), name, points))
            if series:
                made.setdefault(condition, []).append({"title": title(label, part), "svg": chart(series, *axes(label, part))})
    return made


def line_name(row: Any) -> str:
    """A row of a table in a legend."""
    trained = f" on {row.degradation}" if row.degradation else ""
    return f"{row.label}{trained}{f', {row.run}' if row.run else ''}"


def title(label: str, part: str) -> str:
    if label.startswith("smoothness"):
        return "Smoothness of features, Sinkhorn divergence" if part == "sinkhorn" else "Smoothness of features, distance"
    return label.replace(",", ", ")


def axes(label: str, part: str) -> tuple[str, str]:
    if label.startswith("smoothness"):
        return "1 - alpha (from clean to degraded)", "moved / between faces"
    return "RMS of the input's change", UNITS.get(split(label)[0], "distance to clean output")


def robustness(runs: list[Path], records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The figures of the first condition and of the real LR: per face a row of inputs, then one of each method."""
    made = []
    for folder, record in zip(runs, records, strict=True):
        wanted = dict.fromkeys([*record["conditions"][:1], *(c for c in record["conditions"] if c == "real")])
        metrics = sorted(p.name for p in (folder / "figures").glob("*") if p.is_dir())
        for metric in metrics:
            for condition in wanted:
                faces: dict[str, dict[str, dict[str, dict[str, str]]]] = {}  # face -> row -> column -> picture
                for model in record["methods"]:
                    place = folder / "figures" / metric / model["images"] / condition.replace("/", "_")
                    listed = place / "figures.json"
                    for picture in json.loads(listed.read_text(encoding="utf-8")) if listed.is_file() else []:
                        if picture["group"] not in faces and len(faces) == FACES:
                            continue
                        row = "Input (LR)" if picture["of"] == "lr" else model["label"]
                        columns = faces.setdefault(picture["group"], {}).setdefault(row, {})
                        if picture["label"] not in columns:
                            columns[picture["label"]] = {"src": embedded(place / picture["file"]), "note": picture["note"]}
                if faces:
                    heads = list(next(iter(next(iter(faces.values())).values())))
                    made.append({"metric": metric, "condition": condition, "run": record["run"] if len(runs) > 1 else "",
                                 "heads": heads, "faces": faces})  # fmt: skip
    return made
