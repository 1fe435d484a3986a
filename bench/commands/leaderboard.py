"""``bench leaderboard``: a static page over many runs."""

from __future__ import annotations

from pathlib import Path

from bench import plugins
from bench.commands.report import as_written, readable_runs


def command(runs: list[str], out: str, **_: object) -> int:
    """Write the page into a folder that a group can put on its server."""
    render = plugins.load("reports", "leaderboard")
    with as_written(runs):
        written = render(readable_runs(runs), Path(out))
    for path in written:
        print(path)
    return 0
