"""What a run is doing, for `bench status` from another terminal or machine: one small file in the run's folder."""

from __future__ import annotations

import json
import os
import socket
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bench.core.files import write_json

FILE = "status.json"
EVERY = 2.0  # seconds between two writings
SILENT = 60.0  # seconds after which a run that says nothing is taken for ended


class Status:
    """Counts of tasks, what runs where, what failed."""

    def __init__(self, out: Path, command: str, total: int, dashboard: str = "") -> None:
        self.file, self.begin, self.last = out / FILE, time.time(), 0.0
        self.value: dict[str, Any] = {
            "command": command, "state": "running", "total": total, "done": 0, "failed": {}, "running": {},
            "host": socket.gethostname(), "pid": os.getpid(), "dashboard": dashboard,
            "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }  # fmt: skip

    @property
    def left(self) -> float | None:
        """Seconds that the tasks to come may take, as long as those that are done; None before the first."""
        done, spent = self.value["done"], time.time() - self.begin
        return spent / done * (self.value["total"] - done) if done else None

    def begins(self, task: str, text: str) -> None:
        self.value["running"][task] = text
        self.write()

    def ends(self, task: str, cell: str, failed: str | None) -> None:
        self.value["running"].pop(task, None)
        self.value["done"] += 1
        if failed:
            self.value["failed"][cell] = failed
        self.write()

    def closes(self, state: str) -> None:
        """The last word, once."""
        if self.value["state"] == "running":
            self.value |= {"state": state, "running": {}}
            self.write(now=True)

    def write(self, now: bool = False) -> None:
        if now or time.time() - self.last >= EVERY:
            self.last = time.time()
            write_json(self.file, {**self.value, "updated": self.last, "left": self.left})


def read(out: Path) -> dict[str, Any] | None:
    """The status of the run in a folder; None where there is none."""
    try:
        found = json.loads((out / FILE).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else None
    except (OSError, ValueError):
        return None


def headline(value: dict[str, Any], left: float | None) -> str:
    """Counts in one line."""
    text = f"{value['done']}/{value['total']} tasks done, {len(value['running'])} report progress"
    if value["failed"]:
        text += f", {len(value['failed'])} failed"
    return text + (f", about {left:.0f} s left" if left is not None and value["state"] == "running" else "")
