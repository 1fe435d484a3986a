"""Consistency as figures: curves over severity, and the same face from clean to degraded (Goswami 2020)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from bench.core.files import folder_name
from bench.core.pictures import of_run
from bench.core.results import split

from .figures import chart
from .pictures import embedded
from .rows import competitor
from .tables import FAMILIES
from .tabular import Column, Table, family

UNITS = {"consistency": "RMS to clean output", "consistency-lpips": "LPIPS to clean output",
         "consistency-identity": "1 - cosine to clean output"}  # fmt: skip
LEVEL = re.compile(r"(?P<metric>.*)\.level(?P<level>\d+)(?:_(?P<part>\w+))?")  # a point of a curve
FACES = 2  # of the robustness figure


def curves(tables: list[Table], rows: list[dict[str, Any]], colours: dict[str, int]) -> dict[str, list[dict[str, Any]]]:
    """Per condition its charts: output distance over input distance, and features over 1 - alpha.

    ``colours`` numbers the methods in the order of their first line; it is filled here.
    """
    made: dict[str, list[dict[str, Any]]] = {}
    for (condition, metric, part), series in lines(tables, rows).items():
        named = [(colours.setdefault(name, len(colours)), name, points) for name, points in series.items()]
        drawn = chart(named, *axes(metric))
        made.setdefault(condition, []).append({"title": title(metric, part), "svg": drawn})
    return made


def lines(
    tables: list[Table], rows: list[dict[str, Any]]
) -> dict[tuple[str, str, str], dict[str, list[tuple[float, float]]]]:
    """By condition, metric and part, each method's points: how far its output moves as its input does."""
    values: dict[tuple[str, str, tuple[str, ...]], dict[str, dict[int, float]]] = {}  # part -> level -> value
    for row in rows:
        match = LEVEL.fullmatch(row["metric"])
        if match and row["status"] == "ok" and family(row["metric"]) in FAMILIES:
            parts = values.setdefault((row["condition"], match["metric"], competitor(row)), {})
            parts.setdefault(match["part"] or "", {})[int(match["level"])] = float(row["value"])
    named = line_names(tables)
    found: dict[tuple[str, str, str], dict[str, list[tuple[float, float]]]] = {}
    for (condition, metric, key), parts in values.items():
        across, name = parts.pop("input", {}), named.get(key)
        for part, heights in parts.items() if name else ():
            points = sorted((across[level], y) for level, y in heights.items() if level in across)
            points = [(0.0, 0.0), *points] if metric.startswith("consistency") else points
            found.setdefault((condition, metric, part), {})[str(name)] = points
    return found


def line_names(tables: list[Table]) -> dict[tuple[str, ...], str]:
    """What legends and points call each row's key: its label, with run and degradation where those tell rows apart."""
    rows = {r.key: r for t in tables if t.kind in ("results", *FAMILIES) for r in t.rows}
    short = {k: f"{r.label}, {r.run}" if r.run else r.label for k, r in rows.items()}
    trained: dict[str, set[str]] = {}
    for key, row in rows.items():
        trained.setdefault(short[key], set()).add(row.degradation)
    return {
        k: f"{short[k]} on {r.degradation}" if len(trained[short[k]]) > 1 and r.degradation else short[k]
        for k, r in rows.items()
    }


def title(metric: str, part: str) -> str:
    if metric.startswith("smoothness"):
        return f"Smoothness of features, {'Sinkhorn divergence' if part else 'distance'}"
    return Column(metric, "").short


def axes(metric: str) -> tuple[str, str]:
    if metric.startswith("smoothness"):
        return "1 - alpha (from clean to degraded)", "moved / between faces"
    return "RMS of the input's change", UNITS.get(split(metric)[0], "distance to clean output")


def robustness(runs: list[Path], records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The figures of the first condition and of the real LR: per face a row of inputs, then one of each method."""
    made = places(runs, records)
    for columns in (c for found in made for rows in found["faces"].values() for c in rows.values()):
        for cell in columns.values():
            cell["src"] = embedded(cell["file"])
    return made


def places(runs: list[Path], records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same with the pictures' files."""
    made = []
    for folder, record in zip(runs, records, strict=True):
        wanted = dict.fromkeys([*record["conditions"][:1], *(c for c in record["conditions"] if c == "real")])
        belongs = of_run(folder, record)
        metrics = sorted(p.name for p in (folder / "figures").glob("*") if p.is_dir())
        for metric in metrics:
            for condition in wanted:
                faces: dict[str, dict[str, dict[str, dict[str, str]]]] = {}  # face -> row -> column -> picture
                for model in record["methods"]:
                    place = folder / "figures" / folder_name(metric) / model["images"] / folder_name(condition)
                    listed = place / "figures.json"
                    for picture in json.loads(listed.read_text(encoding="utf-8")) if belongs(listed) else []:
                        if not belongs(place / picture["file"]):
                            continue
                        if picture["group"] not in faces and len(faces) == FACES:
                            continue
                        row = "Input (LR)" if picture["of"] == "lr" else model["label"]
                        columns = faces.setdefault(picture["group"], {}).setdefault(row, {})
                        if picture["label"] not in columns:
                            columns[picture["label"]] = {
                                "file": place / picture["file"],
                                "note": picture["note"],
                            }
                if faces:
                    heads = list(next(iter(next(iter(faces.values())).values())))
                    made.append({"metric": metric, "condition": condition, "run": record["run"] if len(runs) > 1 else "",
                                 "heads": heads, "faces": faces})  # fmt: skip
    return made
