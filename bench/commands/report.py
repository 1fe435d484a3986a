"""``bench report``: render runs, finished or at work."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from bench import plugins
from bench.core.blame import in_one_line, place_of
from bench.core.files import read_toml
from bench.core.hashing import content_hash, key_of
from bench.core.results import read_table
from bench.core.trail import step
from bench.errors import BenchError, CellFailed, PluginFailed, UsageError
from bench.grid.reports import default_place, rendered
from bench.grid.status import read

LISTS = ("methods", "metrics", "conditions", "tables")


def command(runs: list[str], format: str, out: str | None, layout: str | None = None, **flags: Any) -> int:
    """Render the runs, together, in one format; the files' paths are printed. Flags override the layout's file."""
    folders = readable_runs(runs)
    render = plugins.load("reports", format)
    wanted = arrangement(layout, flags)
    takes = len(inspect.signature(render).parameters) > 2
    if wanted and not takes:
        raise UsageError(f"report {format!r} has no layout; leave out {', '.join(wanted)}")
    render = partial(render, layout=wanted) if takes else render
    ours = plugins.entry("reports", format).source in plugins.BUILT_IN
    try:
        with step(f"report {format!r}"), as_written(runs) if ours else nullcontext():
            written = rendered(render, folders, Path(out) if out else default_place(folders[0], format))
    except PluginFailed as error:  # it ended an earlier process
        raise CellFailed(str(error)) from None
    except BenchError:
        raise
    except (Exception, SystemExit) as error:
        if ours:
            raise
        raise CellFailed(f"report {format!r}: {in_one_line(error)} ({place_of(error)})") from error
    for path in written:
        print(path)
    return 0


@contextmanager
def as_written(runs: list[str]) -> Iterator[None]:
    """Where what is read of runs' folders has not the form that bench writes, UsageError."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, StopIteration) as error:
        what = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise UsageError(f"{', '.join(runs)}: cannot be shown, not as bench wrote it ({what})") from error


def readable_runs(runs: list[str]) -> list[Path]:
    """The runs' folders. Raises UsageError where one has no results, or damaged ones."""
    folders = [Path(run) for run in runs]
    for folder in folders:
        if not (folder / "results.parquet").is_file() and not (folder / "results.csv").is_file():
            about = (
                f"its run has measured nothing yet; see bench status {folder}"
                if read(folder)
                else "no results of a run in this folder"
            )
            raise UsageError(f"{folder}: {about}")
        readable(folder)
    return folders


def readable(folder: Path) -> None:
    """Raises UsageError where a folder's results or run.json are damaged, or of another program."""
    file = folder / "run.json"
    try:
        record = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        if not isinstance(record, dict):
            raise ValueError("no record of a run")
        if "seal" in record and record.pop("seal") != key_of(record):
            raise ValueError("it was edited")
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{file}: damaged ({error}); the run's command writes it again") from None
    written = record.get("files", {}) if isinstance(record.get("files"), dict) else {}
    for name in ("results.parquet", "results.csv"):
        if name in written and (folder / name).is_file() and content_hash(folder / name) != written[name]:
            raise UsageError(f"{folder / name}: not what the run wrote; the run's command writes it again")
    try:
        table = read_table(folder)
    except Exception as error:  # pandas and pyarrow have many kinds
        reason = str(error).partition("\n")[0]
        raise UsageError(f"{folder}: its results are damaged ({reason}); the run's command writes them again") from None
    if lacking := [c for c in ("method", "condition", "metric", "value", "status") if c not in table.columns]:
        raise UsageError(f"{folder}: no results of a run, they lack {', '.join(lacking[:3])}")


def arrangement(file: str | None, flags: dict[str, Any]) -> dict[str, Any]:
    """The layout of a file, with the flags that were given over it."""
    wanted = read_toml(Path(file)) if file else {}
    wanted |= {k: [n.strip() for n in flags[k].split(",") if n.strip()] for k in LISTS if flags.get(k)}
    wanted |= {k: flags[k] for k in ("fit", "columns", "published") if flags.get(k)}
    wanted |= {"interval": False} if flags.get("no_interval") else {}
    for key, convert in (("names", str), ("decimals", int)):
        for pair in filter(None, (flags.get(key) or "").split(",")):
            name, equals, value = pair.rpartition("=")
            try:
                wanted.setdefault(key, {})[name.strip()] = convert(value.strip())
            except ValueError:
                equals = ""
            if not equals:
                raise UsageError(f"--{key} takes NAME=VALUE, comma-separated; not {pair!r}")
    return wanted
