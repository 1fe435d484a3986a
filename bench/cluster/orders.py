"""What another process needs to do tasks of a run: its order, the same plan made there, and what became of tasks."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from bench import plugins
from bench.core import trail
from bench.core.device import resolve_device
from bench.errors import UsageError
from bench.grid.run import Run
from bench.grid.settings import Settings
from bench.grid.tasks import Done, Task, graph


@dataclass(frozen=True)
class Order:
    """All that a worker needs to make the same plan: a run's settings and surroundings."""

    settings: Settings
    command: str
    plugins: tuple[str, ...]
    folder: str  # the current folder, which relative paths start from
    environment: tuple[tuple[str, str], ...] = ()  # BENCH_*: where weights and stores are
    since: float | None = None  # with --fresh: when the run began
    ruined: tuple[tuple[str, str], ...] = ()  # steps that end a process
    threads: int = 1  # that it computes with on a CPU: sums round differently with another number
    isolate: str = "never"  # which tasks a worker gives to a process of their own (see bench.cluster.isolated)
    limit: float | None = None  # seconds of a task

    @classmethod
    def of(cls, run: Run) -> Order:
        settings = replace(run.settings, store=str(run.store.root.absolute()), quiet=True)
        environment = tuple(sorted((k, v) for k, v in os.environ.items() if k.startswith("BENCH_")))
        return cls(
            settings,
            run.command,
            tuple(plugins.local_files()),
            os.getcwd(),
            environment,
            run.store.fresh,
            trail.ruined(),
            torch.get_num_threads(),
        )


@dataclass
class Desk:
    """A run in a worker, and its tasks by name."""

    run: Run
    tasks: dict[str, Task] = field(default_factory=dict)


@lru_cache(maxsize=1)
def desk(order: Order) -> Desk:
    """The order's run, planned once a process. Raises UsageError where this machine does not see the run's folders."""
    for folder in (order.folder, order.settings.out, order.settings.store):
        if not Path(order.folder, str(folder)).is_dir():
            raise UsageError(f"{socket.gethostname()} does not see {folder}: every machine needs the run's folders")
    os.chdir(order.folder)
    for name in [name for name in os.environ if name.startswith("BENCH_")]:  # of another run that it worked for
        del os.environ[name]
    os.environ.update({**dict(order.environment), "OMP_NUM_THREADS": str(order.threads)})
    torch.set_num_threads(order.threads)
    trail.leave_out(order.ruined)
    plugins.only(*order.plugins)
    device = resolve_device(order.settings.device)
    run = Run(order.settings, order.command, device=device, since=order.since)
    run.cells.shows = False
    run.remember()
    return Desk(run, {task.name: task for task in graph(run.artefacts)})


def restart(run: Run) -> None:
    """Forget what became of other tasks: this one is told of those that it needs."""
    for kept in (run.failed, run.cells.unavailable, run.cells.lacking, run.artefacts.broken, run.reasons.again):
        kept.clear()
    run.cells.notes.clear()


def accept(run: Run, done: Done) -> None:
    """Know what became of a task that was done elsewhere."""
    pairs: Any = (
        (run.failed, done.failed), (run.cells.unavailable, done.unavailable), (run.cells.lacking, done.lacking),
        (run.artefacts.broken, done.broken),
    )  # fmt: skip
    for mine, found in pairs:
        for key, value in found.items():
            mine.setdefault(key, value)
