"""What every format renders: a table of rows and columns, and what each cell and heading of it says."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from bench.core.results import split

from .told import facts

ARROWS = {"higher": "↑", "lower": "↓"}
OTHERS = ("results", "degradations", "ranks", "agreement", "cost")  # kinds of tables that are no family's
DERIVED = ("ranks", "agreement", "cost")  # of them those that show no values of the results


def family(metric: str) -> str:
    """The family whose tables show the metric in full; empty for the others."""
    name = split(metric)[0]
    said = str(facts("metrics", name).get("table", "") or "")
    return said if said not in OTHERS or said == name == "cost" else ""


def headline(metric: str) -> bool:
    """Whether it stands among the results; of a family only what the metric says."""
    name, _, part = split(metric)
    return not family(metric) or part in facts("metrics", name).get("headlines", ())


def letter(index: int) -> str:
    """Footnote marks: a to z, then aa, ab, ..."""
    return (letter(index // 26 - 1) if index >= 26 else "") + chr(ord("a") + index % 26)


@dataclass(frozen=True)
class Column:
    """``heading``: colour, border or reference of its values. ``apart``: why its values do not compare; empty where they do.

    ``tested``: its differences have a significance test (values of single faces).
    """

    metric: str
    direction: str
    kind: str = "results"
    heading: str = ""
    apart: str = ""
    tested: bool = False

    @property
    def title(self) -> str:
        """The metric as the field writes it, what its heading says, its arrow; a part of a metric by its own name."""
        said = f"{self.short} ({self.heading})" if self.heading else self.short
        return f"{said} {ARROWS.get(self.direction, '')}".strip()

    @property
    def brief(self) -> str:
        """The name with its arrow, where the caption says the rest (``legend``)."""
        return f"{self.short} {ARROWS.get(self.direction, '')}".strip()

    @property
    def short(self) -> str:
        """The metric's name alone."""
        name, options, part = split(self.metric)
        options, about = options.replace(",", ", "), facts("metrics", name)
        head, titles = about.get("title") or name, about.get("parts", {})
        own = titles.get(part) or part.replace("_", " ")
        if self.kind not in OTHERS:
            own = own or head
            prefix = about.get("prefix")
            head = f"{prefix}: {own}" if prefix else own
            head = f"{head} [{options}]" if options else head
        elif part:
            head = f"{head} {own}" if family(self.metric) else own
        elif options:
            head = f"{head} [{options}]"
        return str(head)


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
    seeds: int = 1  # trainings that the value is the mean of; then ``half`` is their standard deviation
    common: str = ""  # its mean on the faces that all methods have, where it is ranked by that
    below: str = ""  # where its metric's ``guard`` keeps it from being best: the values that say so
    why: str = ""  # and what they mean
    dagger: bool = False  # whether tables mark that
    weightless: bool = False  # unavailable, since a pretrained file is not here

    @property
    def sound(self) -> bool:
        """Whether it may be the best."""
        return not self.below

    @property
    def detail(self) -> str:
        """The cell in a sentence."""
        if self.value is None:
            return f"{self.status}: {self.reason}" if self.reason else "not measured"
        guarded = f" Never the best: {self.below}." if self.below else ""
        if self.seeds > 1:
            spread = f"mean of {self.seeds} seeds, standard deviation {self.half}"
            return f"{self.value:.6g}, {spread}, n = {self.n}.{guarded} {self.protocol}"
        interval = f", 95 % interval {self.ci[0]:.4g} to {self.ci[1]:.4g}" if self.ci else ""
        return f"{self.value:.6g}{interval}, n = {self.n}.{guarded} {self.protocol}"


@dataclass
class Row:
    label: str
    degradation: str
    cells: list[Cell]
    run: str = ""
    key: tuple[str, ...] = ()  # see competitor
    kind: str = ""  # floor: what real faces reach, no method


@dataclass
class Table:
    condition: str
    columns: list[Column]
    rows: list[Row] = field(default_factory=list)
    title: str = ""
    absent: dict[str, str] = field(default_factory=dict)  # titles of columns without any value, left out, and why
    weightless: frozenset[str] = frozenset()  # those of them that lack a pretrained file
    notes: list[str] = field(default_factory=list)  # footnotes a, b, ...: why values are missing
    remark: str = ""  # what a reader must know before comparing rows
    kind: str = "results"  # results, degradations, consistency, smoothness, ranks, agreement, cost
    part: str = ""  # of a condition whose methods do not all compare: scale and faces

    @property
    def stem(self) -> str:
        """The name of its file."""
        words = [] if self.kind == "results" else [self.kind]
        words += [self.condition] if self.condition else [] if words else [self.title]
        words += [self.part] if self.part else []
        return re.sub(r"[^A-Za-z0-9.-]+", "_", "_".join(words)).strip("_")

    def left_out(self, *, briefly: bool = False) -> str:
        """The columns without any value, in a sentence a reason; ``briefly``: one for all pretrained files that lack."""
        groups: dict[str, list[str]] = {}
        for title, reason in self.absent.items():
            brief = briefly and title in self.weightless
            groups.setdefault("a pretrained file is not here" if brief else reason, []).append(title)
        return " ".join(f"Not shown: {', '.join(titles)} ({reason})." for reason, titles in groups.items())

    @property
    def guarded(self) -> str:
        """What the dagger means: a sentence a reason, with the rows and the values that say so; empty where there is none."""
        groups: dict[str, tuple[list[str], dict[str, str]]] = {}
        for row in self.rows:
            for column, one in zip(self.columns, row.cells, strict=True):
                if one.dagger and one.value is not None:
                    titles, rows = groups.setdefault(one.why, ([], {}))
                    titles += [column.short] if column.short not in titles else []
                    rows.setdefault(f"{row.label}, {row.run}" if row.run else row.label, one.below)
        return " ".join(
            f"† Never the best in {', '.join(titles)}, since {why}: {', '.join(f'{r} ({b})' for r, b in rows.items())}."
            for why, (titles, rows) in groups.items()
        )

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
        counts = {c.short: {r.cells[i].n for r in self.rows if r.cells[i].value is not None and not r.kind} - {0}
                  for i, c in enumerate(self.columns) if not split(c.metric)[2]}  # fmt: skip
        common = Counter(n for seen in counts.values() for n in seen).most_common(1)
        if not common:
            return ""
        usual = common[0][0]
        others = [f"{title} {' or '.join(map(str, sorted(seen)))}" for title, seen in counts.items()
                  if seen - {usual}]  # fmt: skip
        return f"n = {usual} faces" + (f" ({', '.join(others)})" if others else "")
