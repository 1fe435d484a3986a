"""The tidy results table: one row per value. The one place that knows its columns, their types, and what labels say."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from bench.core.files import write_atomically

if TYPE_CHECKING:
    import pandas as pd

TYPES = {
    "method": "str", "variant": "str", "degradation": "str", "condition": "str", "metric": "str", "image": "str",
    "value": "float64", "n": "int64", "ci_low": "float64", "ci_high": "float64", "direction": "str", "status": "str",
    "reason": "str", "protocol": "str", "seconds": "float64", "seed": "int64",
}  # fmt: skip
COLUMNS = tuple(TYPES)


def frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a data frame: every column, of its type; what a row lacks is empty, 0 or NaN."""
    import pandas as pd

    table = pd.DataFrame(rows, columns=list(COLUMNS))
    empty = {column: "" if kind == "str" else 0 for column, kind in TYPES.items() if kind != "float64"}
    return table.fillna(empty).astype(TYPES)


def together(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """The rows of several tables as one."""
    import pandas as pd

    return pd.concat(tables, ignore_index=True) if tables else frame([])


def write_table(out: Path, rows: list[dict[str, Any]] | pd.DataFrame) -> None:
    """results.parquet and results.csv: the same table."""
    table = frame(rows) if isinstance(rows, list) else rows
    write_atomically(out / "results.parquet", lambda path: table.to_parquet(path, index=False))
    shown = table.assign(**{c: table[c].map(inert) for c, kind in TYPES.items() if kind == "str"})
    write_atomically(out / "results.csv", lambda path: shown.to_csv(path, index=False))


FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets take for the beginning of a formula


def inert(text: str) -> str:
    """A text that a spreadsheet shows as it is: with an apostrophe before what would be a formula (or before one of ours)."""
    return f"'{text}" if text.lstrip("'").startswith(FORMULA) else text


def _as_written(text: str) -> str:
    """What ``inert`` was given."""
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(FORMULA) else text


def read_table(folder: Path) -> pd.DataFrame:
    """A run's results, from either file."""
    import pandas as pd

    parquet = folder / "results.parquet"
    if parquet.exists():
        return pd.read_parquet(parquet)
    table = pd.read_csv(folder / "results.csv", keep_default_na=False)
    for column in (c for c, kind in TYPES.items() if kind == "float64" and c in table):
        table[column] = pd.to_numeric(table[column], errors="coerce")  # an empty field is no number, not a text
    for column in (c for c, kind in TYPES.items() if kind == "str" and c in table):
        table[column] = table[column].astype(str).map(_as_written)
    return table


# ---------------------------------------------------------------- metrics' labels, and what a guard says of them


def split(metric: str) -> tuple[str, str, str]:
    """A metric's label as (name, options, part): "fid[n=0.5].mean" is ("fid", "n=0.5", "mean")."""
    head, bracket, part = metric.rpartition("]")
    if bracket:
        name, _, options = head.partition("[")
        return name, options, part.removeprefix(".")
    name, _, part = metric.partition(".")
    return name, "", part


def whole(metric: str) -> tuple[str, str]:
    """A label without its part, and the part."""
    part = split(metric)[2]
    return (metric.removesuffix(f".{part}"), part) if part else (metric, "")


def unsound(
    rows: Iterable[Mapping[str, Any]], who: Callable[[Any], Hashable], guard: Callable[[str], Sequence[str]]
) -> dict[tuple[Any, str, str], tuple[float, float]]:
    """(who, condition, metric without part) of what its metric's ``guard`` keeps from being best, however good its value.

    ``guard``: of a metric's name, two parts of which the first must reach the second, and why; empty where it has none.
    Each with the values of the two: a method's rows from several seeds count by their means.
    """
    values: dict[tuple[Any, str, str], dict[str, list[float]]] = {}
    for row in rows:
        head, part = whole(row["metric"])
        if row["status"] == "ok" and part in guard(split(head)[0])[:2]:
            key = (who(row), row["condition"], head)
            values.setdefault(key, {}).setdefault(part, []).append(float(row["value"]))
    found = {}
    for key, parts in values.items():
        seen, least = (fmean(parts.get(part, [math.nan])) for part in guard(split(key[2])[0])[:2])
        if seen < least:
            found[key] = seen, least
    return found
