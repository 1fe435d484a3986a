"""Execute a plan: train, degrade, infer, score, report. What is in the store is not computed again."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import sys
import time
import traceback
from collections.abc import Callable
from datetime import datetime, timezone
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
from typing import Any

from . import __version__, plan, plugins, record, weights
from .apply import Failed, for_training, save_model, save_score, show_faces, show_folder
from .artefacts import Artefacts
from .config import CHECKPOINT_EVERY, Settings
from .data import load
from .errors import BenchError, Interrupted, MissingWeights, UsageError
from .metric import Outputs, Unavailable
from .plan import Measure, Plan, Recipe
from .progress import Progress
from .results import evaluate, write_table
from .store import Store, StoreError, key_of, link, source_hash, write_json


class Bench:
    """One run: the data, the plan, the store, and what failed."""

    def __init__(self, settings: Settings, command: str = "bench run") -> None:
        from .device import resolve_device, resolve_precision

        self.begin = time.monotonic()
        self.started = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self.command, self.out = command, Path(settings.out)
        device = resolve_device(settings.device)
        # What "auto" stands for on this machine is part of every hash.
        self.settings = dataclasses.replace(
            settings, device=device.type, precision=resolve_precision(settings.precision, device)
        )
        self.device = device
        multiple = math.lcm(*plan.scales(settings))
        prepare_folder(self.out)
        self.store = Store(self.out / ".store")
        self.data = load(
            settings.hr, settings.lr, multiple=multiple, strict=settings.strict, cache=self.store.root / "data"
        )
        self.plan: Plan = plan.make(self.settings, self.data)
        self.failed: dict[str, str] = {}  # cell -> reason
        self.artefacts = Artefacts(self.plan, self.data, self.settings, self.store, device, self.failed)
        self.training: dict[str, dict[str, Any]] = {}  # recipe key -> training.json
        self.unavailable: dict[str, str] = {}  # metric -> reason
        self.measured: dict[str, dict[str, Any]] = {}  # method's folder -> metric -> what no other run repeats

    # ------------------------------------------------------------ the whole

    def go(self) -> int:
        """Everything; returns the exit code."""
        self.check_weights()
        for recipe in self.plan.trained:
            self.attempt(f"train {recipe.label}", partial(self.train, recipe))
        rows: list[dict[str, Any]] = []
        cells = list(product(self.plan.methods, self.plan.conditions))
        with contextlib.closing(Progress("measure", len(cells), quiet=self.settings.quiet, unit="cell")) as bar:
            for done, (method, condition) in enumerate(cells, 1):
                rows += self.cell(method, condition)
                bar.advance(done)
        for method in self.plan.methods:
            rows += self.method_rows(method)
        rows += self.degradation_rows()
        self.write(rows)
        asked = {m.label for m in self.plan.measures if m.asked} & set(self.unavailable)
        for label, reason in self.unavailable.items():
            print(f"metric {label} is unavailable: {reason}", file=sys.stderr)
        for cell, reason in self.failed.items():
            print(f"failed: {cell}: {reason}", file=sys.stderr)
        return 1 if self.failed or asked else 0

    def attempt(self, cell: str, work: Callable[[], Any]) -> Any:
        """Do one cell's work. A failure is recorded, and raised as Failed where the caller needs the result."""
        try:
            return work()
        except (StoreError, Interrupted, KeyboardInterrupt):
            raise
        except Failed as error:
            self.failed.setdefault(cell, str(error))
        except BenchError as error:
            self.failed[cell] = str(error)
        except Exception as error:
            self.failed[cell] = self.explain(cell, error)
        return None

    def explain(self, cell: str, error: Exception) -> str:
        """An unexpected error in one line; its traceback goes to log/."""
        last = traceback.extract_tb(error.__traceback__)[-1]
        path = self.out / "log" / "errors.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a") as log:
            log.write(f"{cell}\n{''.join(traceback.format_exception(error))}\n")
        message = str(error).strip().partition("\n")[0]
        place = f"{Path(last.filename).name}:{last.lineno}; traceback in log/errors.txt"
        return f"{type(error).__name__}: {message} ({place})"

    def say(self, text: str) -> None:
        if not self.settings.quiet:
            print(text, file=sys.stderr, flush=True)

    # ------------------------------------------------------------ training

    def check_weights(self) -> None:
        """Name the pretrained files that trainings lack before any of them starts."""
        for recipe in self.plan.trained:
            if not self.store.has("train", recipe.key):
                try:
                    for name in recipe.build().required_weights():
                        weights.path(name)
                except MissingWeights as error:
                    self.failed[f"train {recipe.label}"] = str(error)
                    self.say(f"train {recipe.label} will not run: {error}")
                except Exception as error:
                    self.failed[f"train {recipe.label}"] = self.explain(recipe.label, error)

    def train(self, recipe: Recipe) -> None:
        label = f"train {recipe.label}"
        if label in self.failed:
            return
        if recipe.degradation and recipe.degradation.trains and not self.store.has("train", recipe.degradation.key):
            raise Failed(f"its degradation {recipe.degradation.label} did not train")
        if not self.store.has("train", recipe.key) or self.settings.fresh:
            from .train import TrainSettings, fit

            s = self.settings
            share = s.budget / len(self.plan.trained) if s.budget else None
            every = s.checkpoint_every or CHECKPOINT_EVERY[s.preset]
            checkpoint = self.store.root / "partial" / f"{recipe.key}.pt"
            if s.fresh:
                checkpoint.unlink(missing_ok=True)
            result = fit(
                partial(for_training, recipe, self.degradation_file(recipe)),
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

    def degradation_file(self, recipe: Recipe) -> Path | None:
        base = recipe.degradation
        return self.store.path("train", base.key) / "model.pt" if base and base.trains else None

    # ------------------------------------------------------------ scores

    def cell(self, method: Recipe, condition: str) -> list[dict[str, Any]]:
        """All metrics of one method under one condition."""
        head = self.head(method, condition)
        name = f"{method.label} on {condition}"
        folder = self.attempt(name, partial(self.artefacts.sr_of, method, condition))
        if folder is None:
            reason = self.failed[name]
            return [{**head, "metric": m.label, "direction": m.metric.direction, "status": "failed", "reason": reason}
                    for m in self.plan.measures if m.metric.about == "sr"]  # fmt: skip
        key = self.artefacts.sr_key(method, condition)
        outputs = lru_cache(maxsize=1)(lambda: self.artefacts.outputs(method, condition, folder))
        rows = []
        for measure in self.plan.measures:
            if measure.metric.about == "sr":
                place = f"{method.folder}/{condition.replace('/', '_')}"
                rows += self.score(measure, head, f"{measure.label} of {name}", key, outputs, place)
        self.show(method, condition, folder)
        return rows

    def degradation_rows(self) -> list[dict[str, Any]]:
        """Metrics of LR faces against the real LR: once for each condition and each learned degradation, no method."""
        learned = {r.label: r for r in self.plan.trained if r.kind == "degradations"}
        known = {label: recipe for (label, _), recipe in self.plan.degraded.items() if recipe is not None}
        rows: list[dict[str, Any]] = []
        for label, recipe in {**known, **learned}.items():
            for measure in self.plan.measures:
                if measure.metric.about == "lr":
                    head, key, name = (
                        self.head(None, label),
                        self.artefacts.lr_key(recipe),
                        f"{measure.label} of {label}",
                    )
                    rows += self.score(measure, head, name, key, partial(self.artefacts.lr_outputs, recipe))
        return rows

    def method_rows(self, method: Recipe) -> list[dict[str, Any]]:
        """Metrics of a method itself, whatever it is tested on."""
        rows: list[dict[str, Any]] = []
        for measure in self.plan.measures:
            if measure.metric.about == "method":
                name, key = f"{measure.label} of {method.label}", key_of(method.key, self.settings.device)
                given = partial(self.artefacts.method_outputs, method)
                rows += self.score(measure, self.head(method, ""), name, key, given, method.folder)
        return rows

    def head(self, method: Recipe | None, condition: str) -> dict[str, Any]:
        return {
            "method": method.name if method else "",
            "variant": method.variant if method else "",
            "degradation": method.degradation.label if method and method.degradation else ("" if method else condition),
            "condition": condition,
            "seed": self.settings.seed,
        }

    def score(
        self,
        measure: Measure,
        head: dict[str, Any],
        name: str,
        key: str,
        outputs: Callable[[], Outputs],
        place: str = "",
    ) -> list[dict[str, Any]]:
        """One metric of one cell, from the store where it is there; its pictures go to figures/METRIC/``place``."""
        base = {**head, "metric": measure.label, "direction": measure.metric.direction}
        if measure.label in self.unavailable:
            return [{**base, "status": "unavailable", "reason": self.unavailable[measure.label]}]
        try:
            files = [weights.file_hash(w) for w in measure.metric.required_weights()]
            references = [self.data.train_fingerprint, self.data.hr_test.fingerprint]
            bases = [self.artefacts.known(spec, 1).key for spec in measure.metric.degradations()]
            key = key_of("score", measure.key, key, references, files, bases, self.settings.seed)
            if not self.store.has("score", key):
                begin = time.monotonic()
                rows, protocol, score = evaluate(measure.metric, measure.label, outputs())
                value = {"rows": rows, "protocol": protocol, "seconds": round(time.monotonic() - begin, 3)}
                self.store.put("score", key, lambda folder: save_score(folder, value, score))
                self.artefacts.computed += 1
            folder = self.store.path("score", key)
            kept = json.loads((folder / "score.json").read_text())
            if kept.get("measured"):
                self.measured.setdefault(place, {})[measure.label] = kept["measured"]
            for file in (folder / "figures").glob("*"):
                link(file, self.out / "figures" / measure.label / place / file.name)
        except MissingWeights as error:
            self.unavailable[measure.label] = str(error)
            return [{**base, "status": "unavailable", "reason": str(error)}]
        except Unavailable as error:
            return [{**base, "status": "unavailable", "reason": str(error)}]
        except (StoreError, Interrupted):
            raise
        except Exception as error:
            self.failed[name] = str(error) if isinstance(error, (BenchError, Failed)) else self.explain(name, error)
            return [{**base, "status": "failed", "reason": self.failed[name]}]
        return [
            {**base, **{k: v for k, v in row.items() if k != "key"}, "metric": measure.label + row["key"],
             "status": "ok", "protocol": kept["protocol"], "seconds": kept["seconds"]}
            for row in kept["rows"]
        ]  # fmt: skip

    # ------------------------------------------------------------ the run's folder

    def show(self, method: Recipe, condition: str, folder: Path) -> None:
        """Make the images of a cell visible under images/."""
        recipe, root = self.artefacts.condition(condition, method), self.out / "images"
        show_folder(folder, root / method.folder / condition.replace("/", "_"))
        show_faces(self.artefacts.lr_of(recipe), root / "lr" / condition.replace("/", "_"))
        if recipe is None and self.data.truth is not None:
            show_faces(self.data.truth, root / "hr")
        show_faces(self.artefacts.hr_test, root / "hr")

    def write(self, rows: list[dict[str, Any]]) -> None:
        """The results table, run.json and the reports; nothing is rendered again where nothing changed."""
        failures = [{"cell": c, "reason": r} for c, r in self.failed.items()]
        report = plugins.source_file("reports", "html")
        key = key_of(rows, failures, __version__, source_hash(report) if report else "", record.identity(self))
        old = self.out / "run.json"
        expected = ("report.html", "results.csv", "results.parquet")
        if old.exists() and not self.artefacts.computed and all((self.out / name).exists() for name in expected):
            with_key = json.loads(old.read_text())
            if with_key.get("key") == key:
                self.say(f"nothing to compute; {self.out / 'report.html'} is up to date")
                return
        write_table(self.out, rows)
        values = record.record(self, key, failures)
        write_json(old, {**values, "key": ""})  # complete only once the reports are there
        for name in ("html", "latex"):
            render = plugins.load("reports", name)
            written = render([self.out], self.out / "report.html" if name == "html" else self.out / "tables")
            if name == "html":
                self.say(f"report: {written[0]}")
        write_json(old, values)


# ---------------------------------------------------------------- folders and records


def prepare_folder(out: Path) -> None:
    """Make the run's folder and try to write there. Raises UsageError before any work where that fails."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".probe"
        probe.write_bytes(b"bench")
        probe.unlink()
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be written ({error.strerror}); choose another folder") from None


def run(settings: Settings, command: str = "bench run") -> int:
    """Plan and execute; the exit code of the contract."""
    return Bench(settings, command).go()
