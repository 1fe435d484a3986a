"""``bench leaderboard``: a static page over many runs."""

from __future__ import annotations

from pathlib import Path

from bench import plugins
from bench.commands.report import readable_runs


def command(runs: list[str], out: str, **_: object) -> int:
    """Write the page into a folder that a group can put on its server."""
    for path in plugins.load("reports", "leaderboard")(readable_runs(runs), Path(out)):
        print(path)
    return 0
