"""Tasks on a Dask cluster: submitted once, collected as they end; what kills its workers becomes a failed cell."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import dask
import torch
from distributed import Client, KilledWorker, as_completed

from bench.cluster.engines import ALLOCATOR, Cluster
from bench.cluster.orders import Order, accept
from bench.cluster.watch import Watch
from bench.cluster.worker import TOPIC, StopInTime, place_here, work
from bench.errors import BenchError, Interrupted, StoreError
from bench.grid.run import Run
from bench.grid.settings import Settings
from bench.grid.tasks import Done, Task

TRIES = 100  # how often a task is submitted again after deaths of workers that were no fault of its own
VISIBLE = 60.0  # seconds that a shared file system may take to show here what another machine wrote
CONFIGURATION = {
    "distributed.worker.daemon": False,  # a training may start processes of its own (--devices)
    **{f"distributed.nanny.pre-spawn-environ.{name}": size for name, size in ALLOCATOR.items()},
    "distributed.scheduler.allowed-failures": 2,  # workers that a task may kill; the next one makes it a failed cell
    "distributed.scheduler.unknown-task-duration": "1h",  # so that a queue is asked for as many jobs as there are tasks
    "distributed.scheduler.work-stealing": True,
    "distributed.scheduler.worker-saturation": 1.0,  # nothing waits in a worker: what matters more may come meanwhile
    "distributed.comm.timeouts.connect": "60s",
    "distributed.deploy.lost-worker-timeout": "5s",  # after which a queue is asked for another job in its place
    "distributed.admin.large-graph-warning-threshold": "100MB",
}


@contextlib.contextmanager
def connected(cluster: Cluster) -> Iterator[Client]:
    """A client of a cluster that is started here, and ended with it; or of one that is there."""
    with dask.config.set(CONFIGURATION):
        started = cluster.start()
        with contextlib.ExitStack() as stack:
            if not isinstance(started, str):
                stack.callback(started.close)
            try:
                client = stack.enter_context(Client(started, set_as_default=False))
            except OSError as error:
                raise BenchError(f"--cluster {started}: no scheduler answers there ({error})") from None
            client.register_plugin(StopInTime())
            yield client


def run_on(cluster: Cluster, planned: Callable[..., Run], settings: Settings, isolate: str, limit: float | None) -> int:
    """The whole run with its tasks on the cluster; the exit code of the contract. ``planned(settings, device=...)`` makes it."""
    run = None if cluster.gpus else planned(settings)  # a mistake is said before anything is started
    with connected(cluster) as client:
        threads = cluster.threads
        if run is None or threads is None:
            place = client.submit(place_here, settings.device, settings.precision, pure=False).result()
            device, precision, threads = place[0], place[1], threads or place[2]
            settings = dataclasses.replace(settings, device=device, precision=precision)
        run = run or planned(settings, device=torch.device(settings.device))
        with computing_with(threads, run):
            return run.go(partial(execute, client=client, isolate=isolate, limit=limit))


@contextlib.contextmanager
def computing_with(threads: int, run: Run) -> Iterator[None]:
    """This process computes with as many threads as each worker does; where that is another number, it is said."""
    before = torch.get_num_threads()
    if threads != before and run.device.type == "cpu":
        run.say(
            f"{threads} thread{'s' * (threads > 1)} in each process; OMP_NUM_THREADS={threads} gives one process the same bits"
        )
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def execute(run: Run, tasks: list[Task], *, client: Client, isolate: str, limit: float | None) -> None:
    """The executor of a cluster (see bench.grid.tasks.Executor)."""
    order, token = dataclasses.replace(Order.of(run), isolate=isolate, limit=limit), uuid.uuid4().hex[:8]
    futures: dict[str, Any] = {}
    names: dict[str, Task] = {}  # key of a future -> task
    dones: dict[str, Done] = {}
    before: dict[str, tuple[float, int]] = {}  # task -> its checkpoint, and how often it was begun, as it was submitted
    tries: Counter[str] = Counter()
    priorities = priority(tasks)
    watch = Watch(run, tasks, client.dashboard_link if client.scheduler_info().get("services") else "")
    client.subscribe_topic(TOPIC, lambda event: watch.hear(event[1]))
    pending = as_completed(loop=client.loop)

    def submit(task: Task) -> None:
        needed = [dones.get(name) or futures[name] for name in task.needs]
        key = f"{task.kind}-{token}-{len(names)}"
        before[task.name] = checkpointed(run, task), watch.begun[task.name]
        tries[task.name] += 1
        futures[task.name] = client.submit(
            work, order, task, *needed, key=key, pure=False, priority=priorities[task.name]
        )
        names[key] = task
        pending.add(futures[task.name])

    def finish(task: Task, done: Done) -> None:
        dones[task.name] = done
        accept(run, done)
        run.reasons.again.update(done.again)
        run.artefacts.computed += done.computed
        seen(run, done)
        run.collect(task)
        watch.ended(task, done)
        futures.pop(task.name, None)

    with watch:
        for task in tasks:
            if task.cell in run.failed:
                dones[task.name] = Done(failed={task.cell: run.failed[task.cell]})
            else:
                submit(task)
        for future in ended(pending, run.meanwhile.write):
            task = names[future.key]
            current = futures.get(task.name)
            needed = [futures[name] for name in task.needs if name in futures]
            if current is None or current.key != future.key or any(other.status == "error" for other in needed):
                continue  # of an earlier try, or what it needs failed: that one's turn comes, and settles this one
            if future.status in ("pending", "lost"):  # its word went with its worker: another gives it again
                pending.add(future)
                continue
            if future.status == "cancelled":
                raise Interrupted("the cluster's scheduler is lost; the same command goes on from what is there")
            # Where the word of one that has ended is lost with its worker, it is worked on again for no fault of its own.
            if future.status == "finished":
                before[task.name] = before[task.name][0], watch.begun[task.name]
            try:
                done, error = future.result(), None
            except Exception as raised:
                done, error = None, cast(Any, raised)
            if done is not None:
                finish(task, done)
                continue
            if isinstance(error, StoreError):
                raise error
            if isinstance(error, KilledWorker) and tries[task.name] < TRIES:
                checkpoint, begun = before[task.name]
                waited = watch.begun[task.name] - begun <= error.allowed_failures  # it only stood in a worker's queue
                if checkpointed(run, task) > checkpoint or waited:  # no faults of its own
                    for again in [task, *dependents(task, tasks)]:
                        submit(again)
                    continue
            why = reason(error)
            finish(task, Done(failed={task.cell: why}))
            for other in dependents(task, tasks):
                if other.name in futures:
                    finish(other, Done(failed={other.cell: why}))
    order_of = {
        cell: index for index, cell in enumerate(c for t in tasks if t.name in dones for c in dones[t.name].failed)
    }
    failed = sorted(run.failed.items(), key=lambda item: order_of.get(item[0], -1))
    run.failed.clear()
    run.failed.update(failed)


def priority(tasks: list[Task]) -> dict[str, int]:
    """Results of what has trained come first, then trainings, which take longest; the rest fills the gaps."""
    found: dict[str, int] = {}
    for task in tasks:
        after = any(found[name] for name in task.needs)
        found[task.name] = 1 if task.kind == "train" else 2 * after
    return found


def ended(pending: as_completed, idle: Callable[[], Any]) -> Iterator[Any]:
    """Futures as they end; ``idle()`` now and then while none does."""
    while not pending.is_empty():
        if pending.has_ready():
            yield next(pending)
        else:
            idle()
            time.sleep(0.05)


def dependents(task: Task, tasks: list[Task]) -> list[Task]:
    """The tasks that build on it, directly or not, in order."""
    names = {task.name}
    found = []
    for other in tasks:
        if names & set(other.needs):
            names.add(other.name)
            found.append(other)
    return found


def checkpointed(run: Run, task: Task) -> float:
    """When the checkpoint of a training was last written; 0 where there is none."""
    file: Path = run.store.root / "partial" / f"{task.key}.pt"
    return file.stat().st_mtime if task.kind == "train" and file.exists() else 0.0


def reason(error: Any) -> str:
    """Why a task failed: it killed its workers, or an error."""
    if isinstance(error, KilledWorker):
        times = error.allowed_failures + 1
        return f"the process that worked on it ended {times} time{'s' * (times > 1)} (a crash, or too little memory)"
    if isinstance(error, BenchError):
        return str(error)
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def seen(run: Run, done: Done) -> None:
    """Wait until this machine sees what another has written, but for parts, which leave the store with their score."""
    end = time.monotonic() + VISIBLE
    for kind, key in done.entries:
        while kind != "part" and not run.store.has(kind, key) and time.monotonic() < end:
            time.sleep(0.2)
