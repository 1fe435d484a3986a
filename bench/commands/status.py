"""``bench status``: what the run in a folder is doing."""

from __future__ import annotations

import json
import time
from pathlib import Path

from bench.errors import UsageError
from bench.grid.status import SILENT, headline, read


def command(out: str, as_json: bool, **_: object) -> int:
    """Print counts, what runs, and what failed; from any machine that sees the folder."""
    found = read(Path(out))
    if found is None:
        raise UsageError(f"{out}: no run has said anything in this folder")
    silent = time.time() - found["updated"]
    if found["state"] == "running" and silent > SILENT:
        found["state"] = "silent"
    if as_json:
        print(json.dumps(found, indent=1))
        return 0
    print(f"{found['command']}\n{found['state']} on {found['host']}, process {found['pid']}, since {found['started']}")
    if found["state"] == "silent":
        print(f"nothing was heard of it for {silent:.0f} s: where it has ended, the same command goes on")
    if found["dashboard"]:
        print(f"dashboard: {found['dashboard']}")
    print(headline(found, found["left"]))
    for text in found["running"].values():
        print(f"  {text}")
    for cell, reason in found["failed"].items():
        print(f"failed: {cell}: {reason}")
    return 0
