"""What happens in a worker: the run's plan once a process, a task of it at a time, and stopping in time."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from functools import lru_cache
from typing import Any

import torch
from distributed import Reschedule, WorkerPlugin, get_worker

from bench.cluster.isolated import Guest, foreign
from bench.cluster.orders import Order, accept, desk, restart
from bench.core import progress
from bench.core.device import resolve_device, resolve_precision
from bench.errors import Interrupted, UsageError
from bench.grid.run import Run
from bench.grid.tasks import Done, Task

TOPIC = "bench"  # of the events that workers log, and the run's own process listens to


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
    os.chdir(order.folder)  # a plugin may have gone elsewhere
    restart(run)
    for done in needed:
        accept(run, done)
    progress.listener = lambda text: get_worker().log_event(TOPIC, {"task": task.name, "text": f"{text}, on {where()}"})
    try:
        if apart(order, run, task):
            guest(order).perform(task, order.limit)
        else:
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


def apart(order: Order, run: Run, task: Task) -> bool:
    """Whether a task goes to a process of its own, whose end is a failed cell at once.

    A training stays here without need: where its worker ends, another goes on from its checkpoint.
    """
    if order.isolate == "always" or order.limit is not None:
        return True
    return order.isolate == "auto" and task.kind != "train" and foreign(run, task)


@lru_cache(maxsize=1)
def guest(order: Order) -> Guest:
    """That process; it ends with this one, and where another order comes."""
    return Guest(desk(order).run)


def where() -> str:
    """This worker, as progress names it."""
    return f"{socket.gethostname()}/{get_worker().name}"


def place_here(device: str, precision: str) -> tuple[str, str, int]:
    """What ``auto`` stands for on a worker, and its threads."""
    found = resolve_device(device)
    return found.type, resolve_precision(precision, found), torch.get_num_threads()


class StopInTime(WorkerPlugin):
    """On the signal that a queue sends before the walltime, trainings write their checkpoints and end."""

    name = "bench-stop"

    def setup(self, worker: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
                signal.signal(number, lambda *_: progress.stop_all())

    def teardown(self, worker: Any) -> None:
        """The worker closes, as where its nanny alone got the signal."""
        progress.stop_all()
