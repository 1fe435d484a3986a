"""Execute a plan: train, degrade, infer, score, report. What is in the store is not computed again."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import torch

from bench import weights
from bench.core.device import resolve_device, resolve_precision
from bench.core.files import copy, folder_name, prepare_folder
from bench.core.locks import held
from bench.core.store import Store, root_of
from bench.core.trail import step
from bench.errors import BenchError, CellFailed, MissingWeights, UsageError
from bench.faces.faceset import FaceSet
from bench.faces.pairs import read_pairs
from bench.faces.read import load
from bench.grid import plan
from bench.grid.artefacts import Artefacts
from bench.grid.cells import Cells
from bench.grid.failures import outcome
from bench.grid.files import TUNED, read_faces, restored_apart, save_model, show_weights
from bench.grid.inference import for_training
from bench.grid.pictures import leave_checkpoints, show_faces, sweep
from bench.grid.publish import Meanwhile, publish
from bench.grid.reasons import Reasons
from bench.grid.recipe import Plan, Recipe
from bench.grid.record import Facts
from bench.grid.reopen import added
from bench.grid.settings import CHECKPOINT_EVERY, Settings
from bench.grid.tasks import Executor, Task, graph, in_order, pending, shown_degradations, soonest
from bench.training.settings import TrainSettings

SAID = 4  # cells that one failure names on the terminal; the report names all


class Run:
    """One run of the grid: the data, the plan, the store, and what failed.

    ``device``: where it computes, where that is not this machine's to say. ``since``: with ``fresh``, when the run began.
    """

    def __init__(
        self,
        settings: Settings,
        command: str = "bench run",
        *,
        device: torch.device | None = None,
        since: float | None = None,
    ) -> None:
        self.begin = time.monotonic()
        self.started = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self.command, self.out = command, Path(settings.out)
        self.device = device or resolve_device(settings.device)
        # What "auto" stands for on this machine is part of every hash.
        precision = resolve_precision(settings.precision, self.device)
        self.settings = dataclasses.replace(settings, device=self.device.type, precision=precision)
        plan.check(settings)
        if settings.pairs and settings.hr is None:
            raise UsageError("--pairs needs --hr: faces in high resolution to train on and to compare with")
        multiple = math.lcm(*plan.scales(settings))
        prepare_folder(self.out)
        fresh = (since or time.time()) if settings.fresh else None
        self.store = Store(root_of(settings.store), fresh)
        self.data = load(settings.hr, settings.lr, multiple=multiple, strict=settings.strict, store=self.store)
        if settings.pairs:
            lr, hr = settings.pairs
            self.data.lr_test, self.data.truth = read_pairs(lr, hr, settings.strict, self.data.skipped)
        self.plan: Plan = plan.make(self.settings, self.data, added(self.out))
        self.failed: dict[str, str] = {}  # cell -> reason
        self.artefacts = Artefacts(self.plan, self.data, self.settings, self.store, self.device, self.failed)
        self.reasons = self.artefacts.reasons = Reasons(self.out / "log" / "depends.json", fresh=settings.fresh)
        self.artefacts.log = self.out / "log"
        self.cells = Cells(self.artefacts, self.out, self.attempt)
        self.training: dict[str, dict[str, Any]] = {}  # recipe key -> training.json
        self.rows: dict[str, list[dict[str, Any]]] = {}  # task -> its rows of results
        self.tasks: list[Task] = []
        self.collected: set[str] = set()  # names of the tasks whose results are here
        self.meanwhile = Meanwhile(self.out, self.artefacts, self.facts)
        self.checkpoints: set[str] = set()  # files put into checkpoints/
        self.shown: dict[str, str] = {}  # folders of pictures in the run's own -> digests

    def go(self, work: Executor = in_order) -> int:
        """Everything, alone in the run's folder; returns the exit code of the contract. ``work`` does the tasks."""
        with held(self.out / ".lock", f"a run in {self.out}"), self.store.in_use():
            sweep(self.out)
            return self.all(work)

    def all(self, work: Executor) -> int:
        """Train, measure, report."""
        self.remember()
        self.check_weights()
        self.tasks = graph(self.artefacts)
        try:
            work(self, soonest(self.tasks))
        except BaseException:
            with contextlib.suppress(BenchError):  # such as a full disk, which is said already
                self.meanwhile.write(now=True)
            raise
        self.show_truth()
        leave_checkpoints(self.out / "checkpoints", self.checkpoints)
        tuned = self.artefacts.tuned()  # known only now that their methods have trained
        more = [row for recipe in tuned for row in self.cells.degradation_rows(recipe.label, recipe)]
        self.say(publish(self.out, self.facts(more), bool(self.artefacts.computed)))
        for line in self.reasons.lines():
            self.say(f"computed again: {line}")
        self.reasons.save()
        for note in self.cells.notes:
            self.say(f"note: {note}")
        unavailable = self.cells.unavailable
        asked = {m.label for m in self.plan.measures if m.asked} & set(unavailable)
        for label, reason in unavailable.items():
            print(f"metric {label} is unavailable: {reason}", file=sys.stderr)
        for reason in dict.fromkeys(self.failed.values()):  # what fails many cells is said once
            cells = [cell for cell, why in self.failed.items() if why == reason]
            rest = f" and {len(cells) - SAID} more" if len(cells) > SAID else ""
            print(f"failed: {', '.join(cells[:SAID])}{rest}: {reason}", file=sys.stderr)
        return 1 if self.failed or asked else 0

    def remember(self) -> None:
        """What models and metrics depend on: the reasons where they are computed again."""
        recipes = [*self.plan.methods, *(r for r in self.plan.degraded.values() if r), *self.plan.trained]
        for recipe in recipes:
            self.reasons.depends(f"model {recipe.unique}", recipe.depends, {"training": f"train {recipe.unique}"})
        for recipe in self.plan.trained:
            base = {"degradation": f"model {recipe.degradation.unique}"} if recipe.degradation else {}
            self.reasons.depends(f"train {recipe.unique}", recipe.training, base)
        for measure in self.plan.measures:
            self.reasons.depends(f"metric {measure.label}", measure.depends)

    def attempt(self, cell: str, work: Callable[[], Any]) -> Any:
        """``work()``; None where it fails, which is recorded."""
        try:
            return work()
        except (Exception, SystemExit) as error:
            self.failed.setdefault(cell, outcome(error, cell, self.out / "log" / "errors.txt")[1])
        return None

    # ------------------------------------------------------------ tasks

    def perform(self, task: Task) -> None:
        """Do a task's work; what it makes is in the store then, and what failed is recorded."""
        if task.kind == "train":
            if task.cell not in self.failed:
                self.attempt(task.cell, partial(self.obtain_weights, self.plan.trained[task.index]))
        elif task.kind == "lr":
            self.make_lr(task)
        elif task.kind == "sr":
            if task.cell not in self.failed:
                method = self.plan.methods[task.index]
                self.attempt(task.cell, partial(self.artefacts.sr_of, method, task.condition))
        elif task.kind == "part":
            method = self.plan.methods[task.index]
            if f"{method.unique} on {task.condition}" not in self.failed:
                self.cells.parts(method, task.condition, task.start)
        else:
            self.rows[task.name] = self.measure(task)

    def stored(self, task: Task) -> bool:
        """Whether nothing is left to compute for a task, so that no plugin has anything to do for it."""
        if task.kind in ("train", "lr", "sr"):
            return self.store.has(task.kind, task.key)
        artefacts = self.artefacts
        if task.kind == "degradation":
            recipe = shown_degradations(self.plan)[task.condition, task.seed]
            return self.cells.stored("lr", artefacts.lr_key(recipe), partial(artefacts.lr_outputs, recipe))
        method = self.plan.methods[task.index]
        if task.kind == "method":
            return self.cells.stored("method", artefacts.method_key(method), partial(artefacts.method_outputs, method))
        images = artefacts.sr_key(method, task.condition)
        if not self.store.has("sr", images):
            return False
        given = partial(artefacts.outputs, method, task.condition, self.store.path("sr", images))
        return self.cells.stored("sr", images, given)

    def collect(self, task: Task) -> None:
        """Take what a task has left in the store into the run's folder and its results."""
        if task.kind == "train" and task.cell not in self.failed:
            self.attempt(task.cell, partial(self.show_training, self.plan.trained[task.index]))
        elif task.kind in ("score", "method", "degradation"):
            if task.name not in self.rows:
                self.rows[task.name] = self.measure(task)
            if task.kind == "score":
                self.show(self.plan.methods[task.index], task.condition)
        self.collected.add(task.name)
        self.meanwhile.note()

    def make_lr(self, task: Task) -> None:
        """The LR faces of a condition; where that fails, every cell that needs them says why."""
        recipe = self.plan.degraded[task.condition, task.scale]
        try:
            self.artefacts.lr_of(recipe)
        except (Exception, SystemExit) as error:
            self.artefacts.broken[task.key] = outcome(error, task.cell, self.out / "log" / "errors.txt")[1]

    def measure(self, task: Task) -> list[dict[str, Any]]:
        """The rows of a task: computed, or read from the store."""
        if task.kind == "score":
            return self.cells.rows(self.plan.methods[task.index], task.condition)
        if task.cell in self.failed:  # only where a cluster gave it up
            return self.cells.failed_rows(task.kind, task.condition, self.failed[task.cell],
                                          self.plan.methods[task.index] if task.kind == "method" else None)  # fmt: skip
        if task.kind == "method":
            return self.cells.method_rows(self.plan.methods[task.index])
        return self.cells.degradation_rows(task.condition, shown_degradations(self.plan)[task.condition, task.seed])

    def facts(self, more: Sequence[dict[str, Any]] = ()) -> Facts:
        """What is known of the run by now; ``more``: rows of no task."""
        return Facts(
            command=self.command, started=self.started, begin=self.begin, settings=self.settings,
            store=self.store.root, device=self.device, plan=self.plan, data=self.data,
            tested={"hr": self.artefacts.hr_test, "lr": self.artefacts.lr_test},
            training=self.training, measured=self.cells.measured, failed=self.failed,
            unavailable=self.cells.unavailable, notes=self.cells.notes, entries=self.entries(),
            pictures={**self.shown, **self.cells.shown},
            rows=[*(row for task in self.tasks for row in self.rows.get(task.name, [])), *self.cells.lost_rows(), *more],
            pending=pending([t for t in self.tasks if t.name not in self.collected and t.cell not in self.failed], self.plan),
        )  # fmt: skip

    def entries(self) -> dict[str, list[str]]:
        """What of the store this run's numbers come from: kind -> keys."""
        found: dict[str, list[str]] = {}
        for kind, key in sorted(self.store.used):
            found.setdefault(kind, []).append(key)
        return found

    def say(self, text: str) -> None:
        if not self.settings.quiet:
            print(text, file=sys.stderr, flush=True)

    # ------------------------------------------------------------ training

    def check_weights(self) -> None:
        """Name the pretrained files that trainings lack before any of them starts."""
        for recipe in self.plan.trained:
            if not self.store.has("train", recipe.weights):
                cell = f"train {recipe.unique}"
                try:
                    with step(f"{recipe.name} while it is built"):
                        needed = recipe.build().required_weights()
                    for name in needed:
                        weights.path(name)
                except MissingWeights as error:
                    self.failed[cell] = str(error)
                    self.say(f"{cell} will not run: {error}")
                except (Exception, SystemExit) as error:
                    self.failed[cell] = outcome(error, recipe.label, self.out / "log" / "errors.txt")[1]

    def train(self, recipe: Recipe) -> None:
        """One model, and what the run's folder shows of it."""
        if f"train {recipe.unique}" not in self.failed:
            self.obtain_weights(recipe)
            self.show_training(recipe)

    def obtain_weights(self, recipe: Recipe) -> None:
        """One model, from the store where it is there."""
        base = recipe.degradation
        if base and base.trains and not self.store.has("train", base.weights):
            raise CellFailed(f"its degradation {base.label} did not train")
        fill = partial(self.make_weights, recipe)
        self.store.obtain("train", recipe.weights, fill, f"training of {recipe.unique}")

    def show_training(self, recipe: Recipe) -> None:
        """How it was trained, and its checkpoint."""
        folder, base = self.store.path("train", recipe.weights), recipe.degradation
        self.training[recipe.key] = json.loads((folder / "training.json").read_text(encoding="utf-8"))
        place, name = self.out / "checkpoints", f"{recipe.folder}.pt"
        show_weights(folder, recipe, place / name)
        self.checkpoints.add(name)
        if (folder / TUNED).exists() and base:
            copy(folder / TUNED, place / (name := f"{base.folder} tuned by {name}"))
            self.checkpoints.add(name)

    def make_weights(self, recipe: Recipe, folder: Path) -> None:
        """Train, going on from the checkpoint of an earlier try."""
        from bench.training.loop import fit  # seconds that a run without trainings has for itself

        self.meanwhile.write(now=True)
        s, base = self.settings, recipe.degradation
        if reason := self.reasons.why(f"train {recipe.unique}"):
            self.say(f"training again: {recipe.unique}: {reason}")
        checkpoint = self.store.root / "partial" / f"{recipe.weights}.pt"
        if self.store.fresh and checkpoint.exists() and checkpoint.stat().st_mtime < self.store.fresh:
            checkpoint.unlink(missing_ok=True)
        trained_base = self.store.path("train", base.weights) / "model.pt" if base and base.trains else None
        share = s.budget / self.plan.trainings if s.budget else None
        every = s.checkpoint_every or CHECKPOINT_EVERY[s.preset]
        result = fit(
            partial(for_training, recipe, trained_base),
            self.data,
            TrainSettings(s.device, s.devices, s.precision, recipe.seed, share, s.compile, every),
            checkpoint=checkpoint,
            kept=self.store,
            log=self.out / "log" / recipe.folder,
            label=recipe.unique,
            quiet=s.quiet,
        )
        save_model(folder, recipe, result)
        checkpoint.unlink(missing_ok=True)
        self.artefacts.computed += 1
        how = f"trained {recipe.unique}: {result['steps']} steps" if result["stages"] else f"fitted {recipe.unique}"
        self.say(f"{how} in {result['seconds']:.0f} s")

    # ------------------------------------------------------------ the run's folder

    def show(self, method: Recipe, condition: str) -> None:
        """Make the images of a finished cell visible under images/."""
        folder = self.artefacts.finished_sr(method, condition)
        if folder is None:
            return
        lr = self.artefacts.lr_of(self.artefacts.condition(condition, method))
        apart = restored_apart(folder).failed
        names = [name for name in lr.names if name not in apart]
        self.show_faces(read_faces(folder, names), f"images/{self.cells.place(method, condition)}")
        if (place := f"images/lr/{folder_name(condition)}") not in self.shown:
            self.show_faces(lr, place)

    def show_truth(self) -> None:
        """The HR test faces, and of the embedded set those that the real LR was made from."""
        faces, truth = self.artefacts.hr_test, self.data.truth
        if truth:
            images = {**dict(truth.each()), **dict(faces.each())}
            faces = FaceSet.of([*images.values()], [*images])
        self.show_faces(faces, "images/hr")

    def show_faces(self, faces: FaceSet, place: str) -> None:
        self.shown[place] = show_faces(faces, self.out / place, self.out)
