"""``bench leaderboard``: a static page over many runs."""

from __future__ import annotations

from pathlib import Path

from bench import plugins
from bench.errors import UsageError


def command(runs: list[str], out: str, **_: object) -> int:
    """Write the page into a folder that a group can put on its server."""
    folders = [Path(run) for run in runs]
    for folder in folders:
        if not (folder / "results.parquet").is_file() and not (folder / "results.csv").is_file():
            raise UsageError(f"{folder}: no results of a run in this folder")
    for path in plugins.load("reports", "leaderboard")(folders, Path(out)):
        print(path)
    return 0
