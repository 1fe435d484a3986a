"""What a person sees of tasks on a cluster: one live view on a terminal, plain lines elsewhere; and the status file."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import Any

from bench.grid.run import Run
from bench.grid.status import Status, headline
from bench.grid.tasks import Done, Task

LINES_EVERY = 10.0  # seconds between plain lines
SHOWN = 20  # running tasks in the view
WIDTH = 60  # of its bar, characters


class Watch:
    """Use as a context; ``hear`` what workers say, and tell it what ``ended``."""

    def __init__(self, run: Run, tasks: list[Task], dashboard: str = "") -> None:
        self.quiet, self.last = run.settings.quiet, time.monotonic()
        self.cells = {task.name: task.cell for task in tasks}
        self.status = Status(run.out, run.command, len(tasks), dashboard)
        self.begun: Counter[str] = Counter()  # task -> how often a worker began it
        self.live: Any = None
        if dashboard and not self.quiet:
            print(f"dashboard: {dashboard}", file=sys.stderr)

    def __enter__(self) -> Watch:
        if sys.stderr.isatty() and not self.quiet:
            from rich.console import Console
            from rich.live import Live

            self.live = Live(console=Console(stderr=True), get_renderable=self.view, refresh_per_second=2)
            self.live.start()
        self.status.write(now=True)
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if self.live:
            self.live.stop()
        self.status.closes("stopped" if kind else "measured")

    def hear(self, message: dict[str, Any]) -> None:
        """A worker's word on the task that it works on."""
        if message["task"] in self.cells:
            self.begun[message["task"]] += bool(message.get("begins"))
            self.status.value["running"][message["task"]] = message["text"]
            self.tell()

    def ended(self, task: Task, done: Done) -> None:
        if (reason := done.failed.get(task.cell)) and task.cell not in self.status.value["failed"]:
            self.say(f"failed: {task.cell}: {reason}")
        elif task.kind == "train" and done.computed:
            self.say(f"trained {task.cell.removeprefix('train ')} in {done.seconds:.0f} s on {done.where}")
        self.status.ends(task.name, task.cell, reason)
        self.tell()

    def say(self, text: str) -> None:
        if self.live:
            self.live.console.print(text, markup=False, highlight=False)
        elif not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def tell(self) -> None:
        self.status.write()
        if not self.live and not self.quiet and time.monotonic() - self.last >= LINES_EVERY:
            self.last = time.monotonic()
            print(self.headline(), file=sys.stderr, flush=True)

    def headline(self) -> str:
        return headline(self.status.value, self.status.left)

    def view(self) -> Any:
        """A bar, the counts, and a line for each task that reports progress."""
        from rich.console import Group
        from rich.text import Text

        running = list(self.status.value["running"].values())
        more = [f"and {len(running) - SHOWN} more"] if len(running) > SHOWN else []
        lines = [self.headline(), *(f"  {text}" for text in [*running[:SHOWN], *more])]
        done = WIDTH * self.status.value["done"] // max(1, self.status.value["total"])
        bar = Text.assemble(("━" * done, "green"), ("━" * (WIDTH - done), "bright_black"))
        return Group(bar, *(Text(line, no_wrap=True, overflow="ellipsis") for line in lines))
