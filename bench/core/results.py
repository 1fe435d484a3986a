"""The tidy results table: one row per value. The one place that knows its columns and their types."""

from __future__ import annotations

from pathlib import Path
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
