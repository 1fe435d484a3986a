"""The plan as a graph of tasks: each leaves something in the store, and names the tasks that it builds on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from bench.core.hashing import key_of
from bench.core.progress import Progress
from bench.grid.artefacts import Artefacts
from bench.grid.recipe import Plan, Recipe
from bench.grid.shards import starts
from bench.grid.status import Status

# train: one model; lr: the LR faces of a condition; sr: restored faces of a method under a condition; part: what every metric
# needs of a chunk of these, where they are many; score: every metric of them; method: metrics of a method itself; degradation:
# metrics of LR faces
KINDS = ("train", "lr", "sr", "part", "score", "method", "degradation")


@dataclass(frozen=True)
class Task:
    """A unit of work. Small and picklable: who works on it makes the same plan of the run's settings, and finds it there.

    ``key``: of all that it computes; a process that arrives at another key has other code or data, and must not go on.
    ``cell``: what failures call it. ``needs``: names of the tasks whose artefacts it reads, all of them before it.
    """

    kind: str
    cell: str
    key: str
    needs: tuple[str, ...] = ()
    index: int = -1  # of the model among Plan.trained (train), of the method among Plan.methods
    condition: str = ""
    scale: int = 0
    seed: int = 0
    start: int = 0  # of a chunk: its first face

    @property
    def name(self) -> str:
        return f"{self.kind}: {self.cell}"


@dataclass
class Done:
    """What became of a task, beside what it left in the store."""

    failed: dict[str, str] = field(default_factory=dict)  # cell -> reason
    unavailable: dict[str, str] = field(default_factory=dict)  # metric -> reason
    lacking: dict[str, tuple[str, str]] = field(default_factory=dict)  # metric of a cell -> status and reason
    broken: dict[str, str] = field(default_factory=dict)  # key of LR faces -> reason
    again: list[tuple[str, str]] = field(default_factory=list)  # what was computed again, and why
    entries: list[tuple[str, str]] = field(default_factory=list)  # of the store, made anew
    computed: int = 0  # how much was computed
    seconds: float = 0.0
    where: str = ""


class Executor(Protocol):
    """Works on tasks, each after those that it needs, and has the run collect every one that is done."""

    def __call__(self, run: Any, tasks: list[Task]) -> None: ...


def graph(artefacts: Artefacts) -> list[Task]:
    """Every task of the plan, each after those that it needs; what seeds and methods share is there once."""
    plan = artefacts.plan
    found: dict[str, Task] = {}

    def add(kind: str, cell: str, key: str, needs: list[str], **about: Any) -> str:
        task = Task(kind, cell, key, tuple(n for n in dict.fromkeys(needs) if n), **about)
        return found.setdefault(task.name, task).name

    measures = [m.key for m in plan.measures]
    lr_names: dict[str, str] = {}  # key of LR faces -> task
    for index, trained in enumerate(plan.trained):
        add("train", f"train {trained.unique}", trained.weights, [_training(trained.degradation)], index=index)
    for (condition, scale), recipe in plan.degraded.items():
        if recipe is not None:
            key = artefacts.lr_key(recipe)
            needs = [_training(recipe)]
            lr_names[key] = add("lr", f"LR of {condition} x{scale}", key, needs, condition=condition, scale=scale)
    versions = [_training(r) for r in plan.versions]
    places = {id(method): index for index, method in enumerate(plan.methods)}
    for method, condition in plan.cells:
        cell, key, index = f"{method.unique} on {condition}", artefacts.sr_key(method, condition), places[id(method)]
        lr = lr_names.get(artefacts.lr_key(plan.degraded[condition, method.scale]), "")
        sr = add("sr", cell, key, [_training(method), lr], index=index, condition=condition)
        faces = artefacts.hr_test if plan.degraded[condition, method.scale] else artefacts.lr_test
        parts = [
            add("part", f"{cell}, from face {start} on", key_of(key, measures, start), [sr, *versions],
                index=index, condition=condition, start=start)
            for start in starts(len(faces) if faces else 0)
        ]  # fmt: skip
        add("score", cell, key_of(key, measures), [sr, *parts, *versions], index=index, condition=condition)
    for index, method in enumerate(plan.methods):
        add("method", method.unique, key_of(method.key, measures), [_training(method), *versions], index=index)
    for (label, seed), model in shown_degradations(plan).items():
        key = artefacts.lr_key(model)
        needs = [lr_names.get(key) or _training(model), *versions]
        cell = f"LR of {label},seed={seed}" if model.several else f"LR of {label}"
        add("degradation", cell, key_of(key, measures), needs, condition=label, seed=seed)
    return list(found.values())


def _training(recipe: Recipe | None) -> str:
    """The name of the task that trains it; empty for what is not trained."""
    return f"train: train {recipe.unique}" if recipe and recipe.trains else ""


def shown_degradations(plan: Plan) -> dict[tuple[str, int], Recipe]:
    """The degradations whose LR is measured itself, by label and seed: those behind conditions, and the learned ones."""
    known = {(label, r.seed): r for (label, _), r in plan.degraded.items() if r is not None}
    return {**known, **{(r.label, r.seed): r for r in plan.trained if r.kind == "degradations"}}


def soonest(tasks: list[Task]) -> list[Task]:
    """The same tasks, each after those that it needs, so that results come early: those of a model before the next training."""
    waits: dict[str, int] = {}  # task -> number of the last training that it waits for; -1: for none
    for index, task in enumerate(tasks):
        waits[task.name] = index if task.kind == "train" else max((waits[name] for name in task.needs), default=-1)
    return sorted(tasks, key=lambda task: waits[task.name])


def pending(tasks: Iterable[Task], plan: Plan) -> list[str]:
    """What of these tasks gives results, as a reader of the results names it."""
    about = {measure.metric.about for measure in plan.measures}
    shown = {"train": True, "score": "sr" in about, "method": "method" in about, "degradation": "lr" in about}
    return [f"{task.cell} itself" if task.kind == "method" else task.cell for task in tasks if shown.get(task.kind)]


def in_order(run: Any, tasks: list[Task], perform: Callable[[Task], Any] | None = None) -> None:
    """Here, one after the other: the executor of a run that names no other. ``perform``: what does one, if not the run."""
    status = Status(run.out, run.command, len(tasks))
    measured = sum(task.kind != "train" for task in tasks)
    bar, done = None, 0
    try:
        for task in tasks:
            if task.kind != "train":
                bar, done = bar or Progress("measure", measured, done, quiet=run.settings.quiet, unit="task"), done + 1
            elif bar:  # trainings have a bar of their own
                bar.close()
                bar = None
            status.begins(task.name, task.cell)
            (perform or run.perform)(task)
            run.collect(task)
            status.ends(task.name, task.cell, run.failed.get(task.cell))
            if bar:
                bar.advance(done)
        status.closes("measured")
    finally:
        if bar:
            bar.close()
        status.closes("stopped")
