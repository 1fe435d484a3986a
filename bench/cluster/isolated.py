"""Plugins of others in a process of their own: what ends or blocks it is a failed cell, never the end of the run."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from bench import plugins
from bench.cluster.orders import Order, accept, desk, restart
from bench.core import progress
from bench.core.progress import stop_requests
from bench.core.trail import die_with, died
from bench.errors import BenchError, CellFailed, Interrupted
from bench.grid.failures import outcome
from bench.grid.run import Run
from bench.grid.tasks import Done, Executor, Task, in_order

GRACE = 20.0  # seconds that a training has to write its checkpoint after a signal
WORD = 2.0  # seconds within which a signal to a whole job has reached all its processes
WAYS = ("auto", "always", "never")
STOPPED = "stopped; the same command goes on from the last checkpoint"


def executor(way: str, limit: float | None) -> Executor:
    """``auto``: tasks that foreign plugins take part in go to a process of their own; a time limit needs one for all."""
    if way == "never" and limit is None:
        return in_order
    return partial(work, always=way == "always" or limit is not None, limit=limit)


def work(run: Run, tasks: list[Task], *, always: bool, limit: float | None) -> None:
    """One task after the other, each where it belongs."""
    if not always and not any(foreign(run, task) for task in tasks):
        in_order(run, tasks)
        return
    guest = Guest(run)

    def perform(task: Task) -> None:
        if always or foreign(run, task):
            guest.perform(task, limit)
        else:
            run.perform(task)

    try:
        in_order(run, tasks, perform)
    finally:
        guest.close()


def foreign(run: Run, task: Task) -> bool:
    """Whether code that is not the harness's takes part in a task."""
    models: list[Any] = []
    if task.kind == "train":
        models = [run.plan.trained[task.index]]
    elif task.index >= 0:
        models = [run.plan.methods[task.index]]
    if task.kind in ("lr", "degradation"):
        models += [r for (c, s), r in run.plan.degraded.items() if c == task.condition and task.scale in (s, 0)]
    models += [m.degradation for m in models if m is not None]
    names = [(m.kind, m.name) for m in models if m is not None]
    if task.kind in ("part", "score", "method", "degradation"):
        names += [("metrics", m.label.partition("[")[0]) for m in run.plan.measures]
    return any(plugins.entry(kind, name).source not in plugins.BUILT_IN for kind, name in names)


def stored(run: Run, task: Task) -> bool:
    """Whether nothing is left to compute for a task; where a plugin fails at saying what it needs, the guest is to meet it."""
    try:
        return run.stored(task)
    except Exception:
        return False


class Told(BaseException):
    """A guest is told to end: what it has begun is put away on the way out."""


class Progressed(str):
    """What a training says of its progress, on its way to where it is shown."""


class Guest:
    """A process that does tasks of a run; begun when it is needed, and again after it has died."""

    def __init__(self, run: Run) -> None:
        self.run, self.process, self.pipe, self.asked = run, None, None, 0.0  # asked: when it was told to stop
        self.context = multiprocessing.get_context("spawn")

    process: Any
    pipe: Any
    metric = ""  # what it was measuring when it last said so

    def begin(self) -> None:
        order = Order.of(self.run)
        order = replace(
            order, settings=replace(order.settings, quiet=self.run.settings.quiet)
        )  # its progress is seen here
        self.pipe, other = self.context.Pipe()
        host = os.getpid(), progress.listener is not None
        self.process = self.context.Process(
            target=serve, args=(other, order, torch.get_num_threads(), host), daemon=True
        )
        main = sys.modules["__main__"]
        kept, main.__dict__["__spec__"] = getattr(main, "__spec__", None), None  # the child needs no main module
        file = main.__dict__.pop("__file__", None)
        try:
            self.process.start()
        finally:
            main.__dict__["__spec__"] = kept
            if file is not None:
                main.__dict__["__file__"] = file
        other.close()
        self.answer(None)

    def perform(self, task: Task, limit: float | None) -> None:
        """Do a task there, and know what became of it; where one metric of several ends it, the others are tried again.

        What is in the store needs no other process.
        """
        if stored(self.run, task):
            self.run.perform(task)
            return
        again = True
        while again:
            again = self.tried(task, limit)

    def tried(self, task: Task, limit: float | None) -> bool:
        """Whether to try again, without the metric that ended the process."""
        run, self.metric = self.run, ""
        try:
            if self.process is None or not self.process.is_alive():
                self.begin()
            self.pipe.send((task, known_of(run)))
            answer = self.answer(limit)
        except (EOFError, OSError):
            if self.asked:
                raise Interrupted(STOPPED) from None
            self.process.join(GRACE)
            code, self.process = self.process.exitcode, None
            return self.blame(task, died(code))
        if answer is None:
            self.end()
            return self.blame(task, f"did not end within {limit:g} s (--time-limit)")
        if isinstance(answer, CellFailed):
            return self.blame(task, str(answer))
        if not isinstance(answer, Done):
            raise answer
        accept(run, answer)
        run.reasons.again.update(answer.again)
        run.store.used |= set(answer.entries)
        run.artefacts.computed += answer.computed
        return False

    def answer(self, limit: float | None) -> Any:
        """What the guest says; None where it says nothing within the limit. A signal is passed on, once."""
        begin = time.monotonic()
        with stop_requests() as stopping:
            while True:
                while not self.pipe.poll(0.05):
                    now = time.monotonic()
                    if stopping() and not self.asked:
                        self.asked = now
                        self.process.terminate()
                    if self.asked and now - self.asked > GRACE:
                        raise Interrupted(STOPPED)
                    if limit is not None and not self.asked and now - begin > limit:
                        return None
                    if not self.process.is_alive() and not self.pipe.poll(0.05):
                        if self.process.exitcode == -signal.SIGTERM and not self.asked:
                            time.sleep(WORD)
                            self.asked = now if stopping() else 0.0
                        raise EOFError
                said = self.pipe.recv()
                if isinstance(said, Progressed):
                    if progress.listener:
                        progress.listener(said)
                elif isinstance(said, str):
                    self.metric, begin = said, time.monotonic()
                else:
                    return said

    def blame(self, task: Task, reason: str) -> bool:
        """Record why a task, or the metric that was being measured, has no result; whether the rest of it is still to do."""
        run = self.run
        if task.kind == "part":
            return False  # the score meets it too, and says so
        if task.kind == "lr":
            run.artefacts.broken[task.key] = reason
        elif task.kind in ("train", "sr"):
            run.failed[task.cell] = reason
        elif self.metric and self.metric not in run.cells.lacking:
            run.cells.lacking[self.metric] = "failed", reason
            run.failed[self.metric] = reason
            return True
        else:
            place = task.condition if task.kind == "degradation" else task.cell
            for measure in run.plan.measures:
                name = f"{measure.label} of {place}"
                run.cells.lacking.setdefault(name, ("failed", reason))
                run.failed.setdefault(name, reason)
        return False

    def end(self) -> None:
        """It may put away what it has begun; then nothing of it stays, programs that it started neither."""
        if self.process is not None:
            started = descendants(self.process.pid)
            self.process.terminate()
            self.process.join(WORD)
            self.process.kill()
            self.process.join()
            self.process = None
            for number in started:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(number, signal.SIGKILL)

    def close(self) -> None:
        with suppress(OSError, AttributeError):
            self.pipe.send(None)
            self.process.join(1)
        self.end()


def descendants(number: int) -> list[int]:
    """The processes that a process has started, and theirs, where the system shows them as files."""
    children: dict[int, list[int]] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            fields = file.read_text(errors="replace").rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(file.parent.name))
    found = children.get(number, [])
    return found + [each for child in found for each in descendants(child)]


def known_of(run: Run) -> Done:
    """What became of other tasks."""
    return Done(dict(run.failed), dict(run.cells.unavailable), dict(run.cells.lacking), dict(run.artefacts.broken))


def serve(pipe: Connection, order: Order, threads: int, host: tuple[int, bool]) -> None:
    """The guest: tasks in, what became of them out, until None comes. ``host``: its number, and if it shows progress."""
    die_with(host[0])
    if host[1]:
        progress.listener = lambda text: pipe.send(Progressed(text))
    torch.set_num_threads(threads)  # sums of floats depend on it
    run = desk(order).run
    run.cells.begins = pipe.send
    if run.plan.trained:
        importlib.import_module("bench.training.loop")  # takes seconds
    pipe.send(Done())  # ready: the time limit is of the task's work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run's process passes signals on
    signal.signal(signal.SIGTERM, leave)
    while True:
        try:
            wanted = pipe.recv()
        except EOFError:
            return
        if wanted is None:
            return
        task, known = wanted
        try:
            pipe.send(do(order, task, known))
        except Told:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
        except BenchError as error:
            pipe.send(error)
        except BaseException as error:  # not even what is no Exception ends the guest
            pipe.send(CellFailed(outcome(error, task.cell)[1]))


def leave(*_: Any) -> None:
    raise Told


def do(order: Order, task: Task, known: Done) -> Done:
    """One task on the order's plan."""
    run = desk(order).run
    used, computed = set(run.store.used), run.artefacts.computed
    os.chdir(order.folder)  # a plugin may have gone elsewhere
    restart(run)
    accept(run, known)
    run.perform(task)
    run.rows.clear()
    return Done(
        dict(run.failed), dict(run.cells.unavailable), dict(run.cells.lacking), dict(run.artefacts.broken),
        list(run.reasons.again), sorted(run.store.used - used), run.artefacts.computed - computed,
    )  # fmt: skip
