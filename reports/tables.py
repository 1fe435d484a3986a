"""Results as tables: one for each condition, rows are methods, columns are metrics; what of them competes, and what is best."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

from bench.core.results import split, unsound, whole

from .rows import competitor
from .tabular import Cell, Column, Row, Table, family, headline, letter
from .told import facts

FLOOR = "floor"  # the part of a distance between sets that real faces reach, held out: a row of its own
REAL = "real faces, held out"
SEED = re.compile(r",? seed \d+")  # what of a protocol may differ between values that compare
HEADING = re.compile(r"\[([^]]*)\] ")  # what a protocol begins with: what a table's heading says of it
FAMILIES = (
    "consistency",
    "smoothness",
)  # of metrics with tables of their own, whose curves are known; plugins add others
UNSAID = "below what the metric demands"  # why a guard keeps something from being best, where it does not say
DETAIL = "level"  # parts of a value named so stay in results.csv


def build(rows: list[dict[str, Any]]) -> list[Table]:
    """The results under each condition, in the order of the rows; after them the families' own tables, ``kind``.

    Methods of another scale, or on other faces, are in a table of their own.
    """
    methods = [r for r in rows if r["method"] and family(r["metric"]) != "cost"]
    conditions = list(dict.fromkeys(r["condition"] for r in methods))
    unfit = unfit_of(methods)
    tables = []
    for condition in conditions:
        inside = [r for r in methods if r["condition"] == condition and headline(r["metric"])]
        tables += _tables(condition, inside, f"Tested on {condition}" if condition else "Measured", "results", unfit)
    for condition in conditions:
        inside = [r for r in methods if r["condition"] == condition and family(r["metric"])]
        for kind in dict.fromkeys([*FAMILIES, *(family(r["metric"]) for r in inside)]):
            have = {competitor(r) for r in inside if family(r["metric"]) == kind and r["status"] == "ok"}
            mine = [
                r for r in inside if family(r["metric"]) == kind and (kind == "consistency" or competitor(r) in have)
            ]
            if have:
                words = f"{kind.capitalize()} on {condition}" if condition else kind.capitalize()
                tables += _tables(condition, mine, words, kind, unfit)
    domain = [{**r, "method": r["condition"], "degradation": ""} for r in rows if not r["method"]]
    if any(r["status"] == "ok" for r in domain):
        title = "How close each degradation's LR is to the real LR"
        tables.append(_table("", domain, title, "degradations"))
    return tables


def _tables(condition: str, rows: list[dict[str, Any]], title: str, kind: str, unfit: Unfit) -> list[Table]:
    """A table for each scale and set of faces among the rows."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["faces"], []).append(row)
    scales = {str(g[0].get("scale", "")) for g in groups.values()}
    made = []
    for number, group in enumerate(groups.values(), 1):
        parts = [f"x{group[0]['scale']}"] if len(scales) > 1 and group[0].get("scale") else []
        same = sum(str(g[0].get("scale", "")) == str(group[0].get("scale", "")) for g in groups.values()) > 1
        runs = list(dict.fromkeys(r["run"] for r in group if r["run"]))
        parts += [f"faces of {', '.join(runs) or number}"] if same else []
        table = _table(condition, group, ", ".join([title, *parts]), kind, unfit)
        if len(groups) > 1:
            table.part = f"{number}"
            table.remark = " ".join(filter(None, [table.remark, APART]))
        made.append(table)
    return made


APART = "Methods of another scale, or on different faces, have a table of their own: their values do not compare."


Unfit = dict[tuple[Any, str, str], tuple[float, float]]  # see ``unsound``


def unfit_of(rows: list[dict[str, Any]]) -> Unfit:
    """(competitor, condition, metric without part) of what its metric's ``guard`` keeps from being best."""
    return unsound([r for r in rows if r["method"]], competitor, lambda name: facts("metrics", name).get("guard", ()))


def guard_of(row: dict[str, Any], unfit: Unfit) -> dict[str, Any]:
    """What a row's cell says where it is among ``unfit``: the two values, and what they mean; these bear no mark."""
    head, part = whole(row["metric"])
    values = unfit.get((competitor(row), row["condition"], head))
    if values is None:
        return {}
    about = facts("metrics", split(head)[0])
    titles, digits, (*two, why) = about.get("parts", {}), about.get("part_decimals", {}), (*about["guard"], UNSAID)[:3]
    said = [
        f"{titles.get(p) or p.replace('_', ' ')} {v:.{digits.get(p, 2)}f}" for p, v in zip(two, values, strict=True)
    ]
    return {"below": ", ".join(said), "why": why, "dagger": part not in two}


def _table(
    condition: str,
    rows: list[dict[str, Any]],
    title: str,
    kind: str = "results",
    unfit: Unfit | None = None,
) -> Table:
    found: dict[tuple[str, ...], dict[str, Cell]] = {}
    columns: dict[str, Column] = {}
    floors: dict[str, Cell] = {}
    for row in rows:
        head, part = whole(row["metric"])
        if part == FLOOR:
            if row["status"] == "ok" and head not in floors:
                floors[head] = replace(cell({**row, "metric": head}), half="", ci=None)
            continue
        if part.startswith(DETAIL):
            continue
        columns.setdefault(row["metric"], Column(row["metric"], row["direction"], kind))
        found.setdefault(competitor(row), {})[row["metric"]] = one = replace(cell(row), **guard_of(row, unfit or {}))
        one.dagger = one.dagger and (kind == "results" or not part)
    absent = {m: why[0] for m in columns if (why := unavailable([cells.get(m) for cells in found.values()]))}
    if len(absent) == len(columns):
        absent = {}
    columns = {m: c for m, c in columns.items() if m not in absent}
    table = Table(condition, title=title, kind=kind, columns=[])
    titles = {metric: Column(metric, "", kind).title for metric in absent}
    table.absent = {titles[metric]: one.reason for metric, one in absent.items()}
    table.weightless = frozenset(titles[metric] for metric, one in absent.items() if one.weightless)
    for key, cells in found.items():
        run, _, method, variant, degradation = key
        # A method's label says its options already, where it was written with them.
        label = f"{method} ({variant})" if variant and "[" not in method else method
        table.rows.append(
            Row(label, degradation, [cells.get(m, Cell("—", status="missing")) for m in columns], run, key)
        )
    for index, column in enumerate(columns.values()):
        cells_ = [row.cells[index] for row in table.rows]
        table.columns.append(compared(column, cells_))
        name, _, part = split(column.metric)
        if not table.columns[-1].apart and part not in facts("metrics", name).get("guard", ())[1:2]:
            rank([c for c in cells_ if c.sound], column.direction)
    if any(m in floors for m in columns):
        cells_ = [floors.get(m, Cell("", status="missing")) for m in columns]
        table.rows.append(Row(REAL, "", cells_, "", ("", "", REAL, "", ""), kind="floor"))
    table.remark = " ".join(remarks(table))
    for one in (c for row in table.rows for c in row.cells if c.reason):
        if one.reason not in table.notes:
            table.notes.append(one.reason)
        one.note = letter(table.notes.index(one.reason))
    return table


def compared(column: Column, cells: list[Cell]) -> Column:
    """The column with its heading, and why its values do not compare where they were made in different ways."""
    valued = [c for c in cells if c.value is not None]
    protocols = {SEED.sub("", c.protocol) for c in valued}
    said = {m[1] if (m := HEADING.match(p)) else "" for p in protocols}
    apart = "protocol" if len(protocols) > 1 else "count" if len({c.n for c in valued}) > 1 else ""
    if apart == "protocol" and len({numberless(p) for p in protocols}) == 1:
        apart = "count"
    return replace(column, heading=said.pop() if len(said) == 1 else "", apart=apart)


def numberless(protocol: str) -> str:
    """A protocol without its counts of images and faces, the one thing of it that fewer faces change."""
    return re.sub(r"\b\d+ (images|faces)\b", r"\1", protocol)


def remarks(table: Table) -> list[str]:
    """What a reader must know before comparing rows."""
    said = []
    for why, words in (("protocol", "measured in different ways (see the protocols)"), ("count", "of different faces")):
        if titles := [c.short for c in table.columns if c.apart == why]:
            said.append(f"Not marked, since the values are {words}: {', '.join(titles)}.")
    if any(r.kind == FLOOR for r in table.rows):
        said.append(
            f"Distances of sets depend on the number of images: {REAL} are what as many real faces reach, the floor."
        )
    return said


def unavailable(cells: list[Cell | None]) -> list[Cell]:
    """The values of a column, where all are unavailable; nothing where one is not."""
    known = [c for c in cells if c is not None]
    return known if all(c.status == "unavailable" for c in known) else []


def cell(row: dict[str, Any]) -> Cell:
    if row["status"] != "ok":
        reason = " ".join(str(row["reason"]).split()) or "no reason was given"
        return Cell("—", status=row["status"], reason=reason, weightless=bool(row.get("weightless")))
    value, (name, _, part) = float("nan" if row["value"] in ("", None) else row["value"]), split(row["metric"])
    if math.isnan(value):
        return Cell("—", status="failed", reason="the value is not a number")
    about = facts("metrics", name)
    digits = about.get("part_decimals", {}).get(part, about.get("decimals", 3))
    low, high = row["ci_low"], row["ci_high"]
    ci = None if low in (None, "") or math.isnan(float(low)) else (float(low), float(high))
    half = f"{(ci[1] - ci[0]) / 2:.{digits}f}" if ci else ""
    seeds = int(row.get("seeds") or 1)
    if seeds > 1:
        half = f"{float(row['sd']):.{digits}f}"
    return Cell(f"{value:.{digits}f}", value, ci, half, int(row["n"] or 0), protocol=row["protocol"], seeds=seeds)


def rank(cells: list[Cell], direction: str) -> None:
    """Mark the best and the second value of a column, as shown; equal values share a rank. One value has no rank."""
    valued = [(c, float(c.common or c.text)) for c in cells if c.value is not None]
    shown = sorted({value for _, value in valued}, reverse=direction == "higher")
    for one, value in valued if len(valued) > 1 else []:
        if value in shown[:2]:
            one.rank = shown.index(value) + 1
