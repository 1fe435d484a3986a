"""What papers print, as data: published.toml, read and shown beside our numbers, always under its own protocol."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bench.core.files import read_toml
from bench.errors import UsageError

FILE = Path(__file__).with_name("published.toml")


@dataclass(frozen=True)
class Published:
    """A table of a paper. ``rows``: the paper's name of a method, ours (or empty), and its values, NaN where none."""

    id: str
    paper: str
    where: str
    data: str
    scale: int
    protocol: str
    columns: tuple[str, ...]
    direction: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[float, ...]], ...]

    @property
    def about(self) -> str:
        """Where the numbers stand and what they were measured on."""
        return f"As published by {self.paper}, {self.where}: {self.data}, x{self.scale}. {self.protocol}."


@cache
def tables(file: Path = FILE) -> tuple[Published, ...]:
    """All published tables, in the file's order. Raises UsageError for a file that is not such a list."""
    try:
        return tuple(map(_table, read_toml(file).get("table", [])))
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{file}: not a list of published tables ({error}); see reports/published.toml") from None


def _table(entry: dict[str, Any]) -> Published:
    columns, direction = tuple(entry["columns"]), tuple(entry["direction"])
    rows = tuple((str(name), str(ours), tuple(map(float, values))) for name, ours, *values in entry["rows"])
    if len(columns) != len(direction) or any(len(values) != len(columns) for *_, values in rows):
        raise ValueError(f"table {entry['id']!r}: columns, direction and rows differ in length")
    facts = {k: str(entry[k]) for k in ("id", "paper", "where", "data", "protocol")}
    return Published(**facts, scale=int(entry["scale"]), columns=columns, direction=direction, rows=rows)


def chosen(names: str) -> list[Published]:
    """The tables of a comma-separated list of ids, or of a paper's beginning ("bulat2018"), ``all``, or a file's path."""
    found: list[Published] = []
    for name in filter(None, (n.strip() for n in names.split(","))):
        pool = tables(Path(name)) if name.endswith(".toml") else tables()
        some = [t for t in pool if name == "all" or name.endswith(".toml") or t.id.startswith(name)]
        if not some:
            raise UsageError(f"no published table {name!r}; there are {', '.join(t.id for t in tables())}")
        found += [t for t in some if t not in found]
    return found


def values_of(method: str, metric: str) -> list[tuple[Published, float]]:
    """Every published value of one of our methods, by its name with options, in one metric."""
    return [(t, value) for t in tables() for _, ours, values in t.rows if ours == method
            for column, value in zip(t.columns, values, strict=True) if column == metric and not math.isnan(value)]  # fmt: skip
