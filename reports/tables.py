"""The table model that every format renders: one table for each condition, rows are methods, columns are metrics."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.api.results import read_table
from bench.plugins import facts

ARROWS = {"higher": "↑", "lower": "↓"}
COMPETITOR = ("run", "faces", "method", "variant", "degradation")  # the columns that tell a table's rows apart
FAMILIES = ("consistency", "smoothness", "cost")  # of metrics with tables of their own
DETAIL = "level"  # parts of a value named so stay in results.csv
RECORD: dict[str, Any] = {
    "command": "", "preset": "", "budget": None, "seed": None, "device": "", "precision": "", "versions": {},
    "git": None, "started": "", "seconds": None, "data": {}, "methods": [], "degradations": [], "conditions": [],
    "failed": [], "notes": [],
}  # fmt: skip
MODEL: dict[str, Any] = {"label": "", "degradation": "", "parameters": None, "key": "", "params": {}, "training": None}


def split(metric: str) -> tuple[str, str, str]:
    """A metric's label as (name, options, part): "fid[n=0.5].mean" is ("fid", "n=0.5", "mean")."""
    head, bracket, part = metric.rpartition("]")
    if bracket:
        name, _, options = head.partition("[")
        return name, options, part.removeprefix(".")
    name, _, part = metric.partition(".")
    return name, "", part


@dataclass(frozen=True)
class Column:
    metric: str
    direction: str
    kind: str = "results"

    @property
    def title(self) -> str:
        """The metric as the field writes it, with its arrow; a part of a metric by its own name."""
        name, options, part = split(self.metric)
        options, about = options.replace(",", ", "), facts("metrics", name)
        head, titles = about.get("title") or name, about.get("parts", {})
        own = titles.get(part) or part.replace("_", " ")
        if self.kind in ("consistency", "smoothness"):
            prefix = about.get("prefix")
            head = f"{prefix}: {own}" if prefix else own
            head = f"{head} [{options}]" if options else head
        elif part:
            head = f"{head} {own}" if family(self.metric) else own
        elif options:
            head = f"{head} [{options}]"
        return f"{head} {ARROWS.get(self.direction, '')}".strip()


@dataclass
class Cell:
    """A value, or why there is none. ``rank``: 1 best, 2 second, 0 neither. ``note``: the letter of its footnote."""

    text: str
    value: float | None = None
    ci: tuple[float, float] | None = None
    half: str = ""  # half the width of the interval, as shown
    n: int = 0
    status: str = "ok"
    reason: str = ""
    protocol: str = ""
    rank: int = 0
    note: str = ""
    tied: bool = False  # not significantly different from the best

    @property
    def detail(self) -> str:
        """The cell in a sentence."""
        if self.value is None:
            return f"{self.status}: {self.reason}" if self.reason else "not measured"
        interval = f", 95 % interval {self.ci[0]:.4g} to {self.ci[1]:.4g}" if self.ci else ""
        return f"{self.value:.6g}{interval}, n = {self.n}. {self.protocol}"


@dataclass
class Row:
    label: str
    degradation: str
    cells: list[Cell]
    run: str = ""
    key: tuple[str, ...] = ()  # see competitor


@dataclass
class Table:
    condition: str
    columns: list[Column]
    rows: list[Row] = field(default_factory=list)
    title: str = ""
    absent: dict[str, str] = field(default_factory=dict)  # titles of columns without any value, left out, and why
    notes: list[str] = field(default_factory=list)  # footnotes a, b, ...: why values are missing
    remark: str = ""  # what a reader must know before comparing rows
    kind: str = "results"  # results, degradations, consistency, smoothness, ranks, agreement, cost

    @property
    def stem(self) -> str:
        """The name of its file."""
        words = [] if self.kind == "results" else [self.kind]
        words += [self.condition] if self.condition else [] if words else [self.title]
        return re.sub(r"[^A-Za-z0-9.-]+", "_", "_".join(words)).strip("_")

    def left_out(self, *, briefly: bool = False) -> str:
        """The columns without any value, in a sentence a reason; ``briefly``: one for all pretrained files that lack."""
        groups: dict[str, list[str]] = {}
        for title, reason in self.absent.items():
            brief = briefly and "get it with: " in reason
            groups.setdefault("a pretrained file is not here" if brief else reason, []).append(title)
        return " ".join(f"Not shown: {', '.join(titles)} ({reason})." for reason, titles in groups.items())

    @property
    def trained(self) -> bool:
        """Whether any of its methods was trained on a degradation."""
        return any(row.degradation for row in self.rows)

    @property
    def several(self) -> bool:
        """Whether it shows several runs."""
        return any(row.run for row in self.rows)

    @property
    def faces(self) -> str:
        """How many faces the values are of, as ``n = 64 faces``, with the metrics that differ from most."""
        if self.kind in ("agreement", "cost"):
            return ""
        counts = {c.title: {r.cells[i].n for r in self.rows if r.cells[i].value is not None} - {0}
                  for i, c in enumerate(self.columns) if not split(c.metric)[2]}  # fmt: skip
        common = Counter(n for seen in counts.values() for n in seen).most_common(1)
        if not common:
            return ""
        usual = common[0][0]
        others = [f"{title.rstrip(' ↑↓')} {' or '.join(map(str, sorted(seen)))}" for title, seen in counts.items()
                  if seen - {usual}]  # fmt: skip
        return f"n = {usual} faces" + (f" ({', '.join(others)})" if others else "")


def read(runs: list[Path]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Set-level rows of all runs as dictionaries, and their run.json records, both with the run's name as ``run``.

    Rows of runs on the same faces have the same ``faces``. What a record lacks is filled in, so that old records and
    folders without one render too.
    """
    rows, records = [], []
    for folder in runs:
        file = folder / "run.json"
        record = {**RECORD, **(json.loads(file.read_text(encoding="utf-8")) if file.exists() else {})}
        for kind in ("methods", "degradations"):
            record[kind] = [{**MODEL, "images": m.get("label", ""), **m} for m in record[kind]]
        records.append(record)
    for folder, record, name in zip(runs, records, names(runs, records), strict=True):
        record["run"] = name
        prints = [record["data"].get(what, {}).get("fingerprint") for what in ("hr", "lr")]
        record["faces"] = str(prints) if any(prints) else name
        table = read_table(folder)
        table = table[table["image"].fillna("") == ""]
        more = {"run": name if len(runs) > 1 else "", "faces": record["faces"]}
        rows += [{**row, **more} for row in table.to_dict("records")]
    return rows, records


def names(runs: list[Path], records: list[dict[str, Any]]) -> list[str]:
    """A name for each run: its folder's, with the parents that tell runs apart, and the seed where seeds differ."""
    paths = [folder.resolve() for folder in runs]
    found, depth = [path.name for path in paths], 1
    while len(set(found)) < len(set(paths)):
        depth += 1
        found = ["/".join(path.parts[-depth:]) for path in paths]
    seeds = [record["seed"] for record in records]
    return [f"{name}, seed {seed}" if len(set(seeds)) > 1 else name for name, seed in zip(found, seeds, strict=True)]


def build(rows: list[dict[str, Any]]) -> list[Table]:
    """The results under each condition, in the order of the rows; after them the families' own tables, ``kind``."""
    methods = [r for r in rows if r["method"] and family(r["metric"]) != "cost"]
    conditions = list(dict.fromkeys(r["condition"] for r in methods))
    tables = []
    for condition in conditions:
        inside = [r for r in methods if r["condition"] == condition and headline(r["metric"])]
        tables.append(_table(condition, inside, f"Tested on {condition}" if condition else "Measured"))
    for condition in conditions:
        inside = [r for r in methods if r["condition"] == condition and family(r["metric"])]
        for kind in FAMILIES[:2]:
            have = {competitor(r) for r in inside if family(r["metric"]) == kind and r["status"] == "ok"}
            mine = [
                r for r in inside if family(r["metric"]) == kind and (kind == "consistency" or competitor(r) in have)
            ]
            if have:
                tables.append(_table(condition, mine, f"{kind.capitalize()} on {condition}", kind))
    domain = [{**r, "method": r["condition"], "degradation": ""} for r in rows if not r["method"]]
    if any(r["status"] == "ok" for r in domain):
        title = "How close each degradation's LR is to the real LR"
        tables.append(_table("", domain, title, "degradations"))
    return tables


def family(metric: str) -> str:
    """The family whose tables show the metric in full; empty for the others."""
    return str(facts("metrics", split(metric)[0]).get("table", ""))


def headline(metric: str) -> bool:
    """Whether it stands among the results; of a family only what the metric says."""
    name, _, part = split(metric)
    return not family(metric) or part in facts("metrics", name).get("headlines", ())


def competitor(row: Any) -> tuple[str, ...]:
    """What a row of a table is about: run, faces, method, options, what it was trained on."""
    return tuple(str(row[k]) for k in COMPETITOR)


def _table(condition: str, rows: list[dict[str, Any]], title: str, kind: str = "results") -> Table:
    found: dict[tuple[str, ...], dict[str, Cell]] = {}
    columns: dict[str, Column] = {}
    for row in rows:
        if split(row["metric"])[2].startswith(DETAIL):
            continue
        columns.setdefault(row["metric"], Column(row["metric"], row["direction"], kind))
        found.setdefault(competitor(row), {})[row["metric"]] = cell(row)
    absent = {m: reasons[0] for m in columns if (reasons := unavailable([cells.get(m) for cells in found.values()]))}
    if len(absent) == len(columns):
        absent = {}
    columns = {m: c for m, c in columns.items() if m not in absent}
    table = Table(condition, list(columns.values()), title=title, kind=kind)
    table.absent = {Column(metric, "", kind).title: reason for metric, reason in absent.items()}
    groups: dict[str, list[Row]] = {}
    for key, cells in found.items():
        run, faces, method, variant, degradation = key
        # A method's label says its options already, where it was written with them.
        label = f"{method} ({variant})" if variant and "[" not in method else method
        row_ = Row(label, degradation, [cells.get(m, Cell("—", status="missing")) for m in columns], run, key)
        table.rows.append(row_)
        groups.setdefault(faces, []).append(row_)
    for group in groups.values():
        for index, column in enumerate(table.columns):
            rank([row.cells[index] for row in group], column.direction)
    if len(groups) > 1:
        table.remark = "The runs used different faces, so best and second are marked within the runs that share theirs."
    for one in (c for row in table.rows for c in row.cells if c.reason):
        if one.reason not in table.notes:
            table.notes.append(one.reason)
        one.note = letter(table.notes.index(one.reason))
    return table


def unavailable(cells: list[Cell | None]) -> list[str]:
    """Why the values of a column are unavailable; nothing where one is not."""
    known = [c for c in cells if c is not None]
    return [c.reason for c in known] if all(c.status == "unavailable" for c in known) else []


def letter(index: int) -> str:
    """Footnote marks: a to z, then aa, ab, ..."""
    return (letter(index // 26 - 1) if index >= 26 else "") + chr(ord("a") + index % 26)


def cell(row: dict[str, Any]) -> Cell:
    if row["status"] != "ok":
        return Cell("—", status=row["status"], reason=" ".join(str(row["reason"]).split()) or "no reason was given")
    value, (name, _, part) = float(row["value"]), split(row["metric"])
    about = facts("metrics", name)
    digits = about.get("part_decimals", {}).get(part, about.get("decimals", 3))
    low, high = row["ci_low"], row["ci_high"]
    ci = None if low in (None, "") or math.isnan(float(low)) else (float(low), float(high))
    half = f"{(ci[1] - ci[0]) / 2:.{digits}f}" if ci else ""
    return Cell(f"{value:.{digits}f}", value, ci, half, int(row["n"] or 0), protocol=row["protocol"])


def rank(cells: list[Cell], direction: str) -> None:
    """Mark the best and the second value of a column, as shown; equal values share a rank. One value has no rank."""
    shown = sorted({float(c.text) for c in cells if c.value is not None}, reverse=direction == "higher")
    if sum(c.value is not None for c in cells) < 2:
        return
    for one in cells:
        if one.value is not None and float(one.text) in shown[:2]:
            one.rank = shown.index(float(one.text)) + 1
