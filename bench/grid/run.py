"""Execute a plan: train, degrade, infer, score, report. What is in the store is not computed again."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from bench import __version__, plugins, weights
from bench.api.results import write_table
from bench.core.device import resolve_device, resolve_precision
from bench.core.files import folder_name, link, prepare_folder, write_json
from bench.core.hashing import key_of, source_hash
from bench.core.progress import Progress
from bench.core.store import Store
from bench.errors import CellFailed, MissingWeights
from bench.faces.read import load
from bench.grid import plan
from bench.grid.artefacts import Artefacts
from bench.grid.cells import Cells
from bench.grid.failures import outcome
from bench.grid.files import save_model, show_faces, show_folder
from bench.grid.inference import for_training
from bench.grid.recipe import Plan, Recipe
from bench.grid.record import Facts, identity, record
from bench.grid.settings import CHECKPOINT_EVERY, Settings
from bench.training.loop import fit
from bench.training.settings import TrainSettings


class Run:
    """One run of the grid: the data, the plan, the store, and what failed."""

    def __init__(self, settings: Settings, command: str = "bench run") -> None:
        self.begin = time.monotonic()
        self.started = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self.command, self.out = command, Path(settings.out)
        self.device = resolve_device(settings.device)
        # What "auto" stands for on this machine is part of every hash.
        precision = resolve_precision(settings.precision, self.device)
        self.settings = dataclasses.replace(settings, device=self.device.type, precision=precision)
        multiple = math.lcm(*plan.scales(settings))
        prepare_folder(self.out)
        self.store = Store(self.out / ".store")
        self.data = load(
            settings.hr, settings.lr, multiple=multiple, strict=settings.strict, cache=self.store.root / "data"
        )
        self.plan: Plan = plan.make(self.settings, self.data)
        self.failed: dict[str, str] = {}  # cell -> reason
        self.artefacts = Artefacts(self.plan, self.data, self.settings, self.store, self.device, self.failed)
        self.cells = Cells(self.artefacts, self.out, self.attempt)
        self.training: dict[str, dict[str, Any]] = {}  # recipe key -> training.json

    def go(self) -> int:
        """Everything; returns the exit code of the contract."""
        self.check_weights()
        for recipe in self.plan.trained:
            self.attempt(f"train {recipe.label}", partial(self.train, recipe))
        rows: list[dict[str, Any]] = []
        cells = list(product(self.plan.methods, self.plan.conditions))
        with contextlib.closing(Progress("measure", len(cells), quiet=self.settings.quiet, unit="cell")) as bar:
            for done, (method, condition) in enumerate(cells, 1):
                rows += self.cells.rows(method, condition)
                self.show(method, condition)
                bar.advance(done)
        for method in self.plan.methods:
            rows += self.cells.method_rows(method)
        rows += self.cells.degradation_rows()
        self.write(rows)
        unavailable = self.cells.unavailable
        asked = {m.label for m in self.plan.measures if m.asked} & set(unavailable)
        for label, reason in unavailable.items():
            print(f"metric {label} is unavailable: {reason}", file=sys.stderr)
        for cell, reason in self.failed.items():
            print(f"failed: {cell}: {reason}", file=sys.stderr)
        return 1 if self.failed or asked else 0

    def attempt(self, cell: str, work: Callable[[], Any]) -> Any:
        """``work()``; None where it fails, which is recorded."""
        try:
            return work()
        except Exception as error:
            self.failed.setdefault(cell, outcome(error, cell, self.out / "log" / "errors.txt")[1])
        return None

    def say(self, text: str) -> None:
        if not self.settings.quiet:
            print(text, file=sys.stderr, flush=True)

    # ------------------------------------------------------------ training

    def check_weights(self) -> None:
        """Name the pretrained files that trainings lack before any of them starts."""
        for recipe in self.plan.trained:
            if not self.store.has("train", recipe.key):
                cell = f"train {recipe.label}"
                try:
                    for name in recipe.build().required_weights():
                        weights.path(name)
                except MissingWeights as error:
                    self.failed[cell] = str(error)
                    self.say(f"{cell} will not run: {error}")
                except Exception as error:
                    self.failed[cell] = outcome(error, recipe.label, self.out / "log" / "errors.txt")[1]

    def train(self, recipe: Recipe) -> None:
        """One model, from the store where it is there."""
        if f"train {recipe.label}" in self.failed:
            return
        base = recipe.degradation
        if base and base.trains and not self.store.has("train", base.key):
            raise CellFailed(f"its degradation {base.label} did not train")
        if not self.store.has("train", recipe.key) or self.settings.fresh:
            s = self.settings
            share = s.budget / len(self.plan.trained) if s.budget else None
            every = s.checkpoint_every or CHECKPOINT_EVERY[s.preset]
            checkpoint = self.store.root / "partial" / f"{recipe.key}.pt"
            if s.fresh:
                checkpoint.unlink(missing_ok=True)
            trained_base = self.store.path("train", base.key) / "model.pt" if base and base.trains else None
            result = fit(
                partial(for_training, recipe, trained_base),
                self.data,
                TrainSettings(s.device, s.devices, s.precision, s.seed, share, s.compile, every),
                checkpoint=checkpoint,
                log=self.out / "log" / recipe.folder,
                label=recipe.label,
                quiet=s.quiet,
            )
            self.store.put("train", recipe.key, lambda folder: save_model(folder, recipe, result))
            checkpoint.unlink(missing_ok=True)
            self.artefacts.computed += 1
            how = f"trained {recipe.label}: {result['steps']} steps" if result["stages"] else f"fitted {recipe.label}"
            self.say(f"{how} in {result['seconds']:.0f} s")
        folder = self.store.path("train", recipe.key)
        self.training[recipe.key] = json.loads((folder / "training.json").read_text())
        link(folder / "model.pt", self.out / "checkpoints" / f"{recipe.folder}.pt")

    # ------------------------------------------------------------ the run's folder

    def show(self, method: Recipe, condition: str) -> None:
        """Make the images of a finished cell visible under images/."""
        folder = self.artefacts.finished_sr(method, condition)
        if folder is None:
            return
        recipe, root = self.artefacts.condition(condition, method), self.out / "images"
        show_folder(folder, root / self.cells.place(method, condition))
        show_faces(self.artefacts.lr_of(recipe), root / "lr" / folder_name(condition))
        if recipe is None and self.data.truth is not None:
            show_faces(self.data.truth, root / "hr")
        show_faces(self.artefacts.hr_test, root / "hr")

    def write(self, rows: list[dict[str, Any]]) -> None:
        """The results table, run.json and the reports; nothing is rendered again where nothing changed."""
        facts = Facts(
            command=self.command, started=self.started, begin=self.begin, settings=self.settings, device=self.device,
            plan=self.plan, data=self.data, tested={"hr": self.artefacts.hr_test, "lr": self.artefacts.lr_test},
            training=self.training, measured=self.cells.measured, failed=self.failed,
            unavailable=self.cells.unavailable,
        )  # fmt: skip
        report = plugins.source_file("reports", "html")
        key = key_of(rows, facts.failures, __version__, source_hash(report) if report else "", identity(facts))
        old = self.out / "run.json"
        expected = ("report.html", "results.csv", "results.parquet")
        if old.exists() and not self.artefacts.computed and all((self.out / name).exists() for name in expected):
            with_key = json.loads(old.read_text())
            if with_key.get("key") == key:
                self.say(f"nothing to compute; {self.out / 'report.html'} is up to date")
                return
        write_table(self.out, rows)
        values = record(facts, key)
        write_json(old, {**values, "key": ""})  # complete only once the reports are there
        for name in ("html", "latex"):
            render = plugins.load("reports", name)
            written = render([self.out], self.out / "report.html" if name == "html" else self.out / "tables")
            if name == "html":
                self.say(f"report: {written[0]}")
        write_json(old, values)
