"""What happens in a worker: the run's plan once a process, a task of it at a time, and stopping in time."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from distributed import Reschedule, WorkerPlugin, get_worker

from bench import plugins
from bench.core import progress
from bench.core.device import resolve_device, resolve_precision
from bench.errors import Interrupted, UsageError
from bench.grid.run import Run
from bench.grid.settings import Settings
from bench.grid.tasks import Done, Task, graph

TOPIC = "bench"  # of the events that workers log, and the run's own process listens to


@dataclass(frozen=True)
class Order:
    """All that a worker needs to make the same plan: a run's settings and surroundings."""

    settings: Settings
    command: str
    plugins: tuple[str, ...]
    folder: str  # the current folder, which relative paths start from
    environment: tuple[tuple[str, str], ...] = ()  # BENCH_*: where weights and stores are
    since: float | None = None  # with --fresh: when the run began

    @classmethod
    def of(cls, run: Run) -> Order:
        settings = replace(run.settings, store=str(run.store.root.absolute()), quiet=True)
        environment = tuple(sorted((k, v) for k, v in os.environ.items() if k.startswith("BENCH_")))
        return cls(settings, run.command, tuple(plugins.local_files()), os.getcwd(), environment, run.store.fresh)


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
    os.environ.update(order.environment)
    plugins.use(*order.plugins)
    device = resolve_device(order.settings.device)
    run = Run(order.settings, order.command, device=device, since=order.since)
    run.cells.shows = False
    run.remember()
    return Desk(run, {task.name: task for task in graph(run.artefacts)})


def work(order: Order, task: Task, *needed: Done) -> Done:
    """One task in a worker. ``needed``: what became of the tasks that it builds on.

    A training that is asked to stop has written its checkpoint: the scheduler gives it to another worker.
    """
    get_worker().log_event(TOPIC, {"task": task.name, "text": f"{task.cell} on {where()}", "begins": True})
    begin, place = time.monotonic(), desk(order)
    run = place.run
    mine = place.tasks.get(task.name)
    if mine is None or mine.key != task.key:
        raise UsageError(
            f"{socket.gethostname()} would compute something else as {task.cell}: other code, data or versions"
        )
    known, computed = set(run.store.used), run.artefacts.computed
    restart(run)
    for done in needed:
        accept(run, done)
    progress.listener = lambda text: get_worker().log_event(TOPIC, {"task": task.name, "text": f"{text}, on {where()}"})
    try:
        run.perform(task)
    except Interrupted:
        raise Reschedule() from None
    finally:
        progress.listener = None
        run.rows.clear()
    return Done(
        dict(run.failed), dict(run.cells.unavailable), dict(run.cells.lacking), dict(run.artefacts.broken),
        list(run.reasons.again), sorted(run.store.used - known), run.artefacts.computed - computed,
        time.monotonic() - begin, where(),
    )  # fmt: skip


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


def where() -> str:
    """This worker, as progress names it."""
    return f"{socket.gethostname()}/{get_worker().name}"


def device_here(device: str, precision: str) -> tuple[str, str]:
    """What ``auto`` stands for on a worker."""
    found = resolve_device(device)
    return found.type, resolve_precision(precision, found)


class StopInTime(WorkerPlugin):
    """On the signal that a queue sends before the walltime, trainings write their checkpoints and end."""

    name = "bench-stop"

    def setup(self, worker: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
                signal.signal(number, lambda *_: progress.stop_all())
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or torch.get_num_threads()))

    def teardown(self, worker: Any) -> None:
        """The worker closes, as where its nanny alone got the signal."""
        progress.stop_all()
