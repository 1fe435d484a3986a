"""``bench report``: render finished runs."""

from __future__ import annotations

from pathlib import Path

from bench import plugins
from bench.errors import UsageError
from bench.grid.reports import rendered


def command(runs: list[str], format: str, out: str | None, **_: object) -> int:
    """Render the runs, together, in one format; the files' paths are printed."""
    folders = [Path(run) for run in runs]
    for folder in folders:
        if not (folder / "results.parquet").is_file() and not (folder / "results.csv").is_file():
            raise UsageError(f"{folder}: no results of a run in this folder")
    render = plugins.load("reports", format)
    default = folders[0] / ("tables" if format == "latex" else f"report.{format}")
    for path in rendered(render, folders, Path(out) if out else default):
        print(path)
    return 0
