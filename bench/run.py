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

import numpy as np
import torch

from . import __version__, plan, plugins, record, weights
from .apply import (
    Failed,
    apply,
    checked,
    degrade,
    for_training,
    load_weights,
    read_faces,
    save_model,
    show_faces,
    show_folder,
    write_faces,
)
from .config import CHECKPOINT_EVERY, TEST_FACES, Settings
from .data import FaceSet, load
from .errors import BenchError, Interrupted, MissingWeights, UsageError
from .image import upsample
from .metric import Outputs, Unavailable
from .model import Model
from .plan import Measure, Plan, Recipe
from .progress import Progress
from .results import evaluate, write_table
from .spec import parse
from .store import Store, StoreError, key_of, link, source_hash, write_json

HERE = Path(__file__).parent


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
        limit = TEST_FACES.get(settings.preset, 64)
        self.hr_test = self.data.hr_test.subset(limit)
        self.lr_test = self.data.lr_test.subset(limit) if self.data.lr_test else None
        self.plan: Plan = plan.make(self.settings, self.data)
        self.failed: dict[str, str] = {}  # cell -> reason
        self.training: dict[str, dict[str, Any]] = {}  # recipe key -> training.json
        self.unavailable: dict[str, str] = {}  # metric -> reason
        self.shared: dict[Any, Any] = {}  # reference statistics of the metrics
        self.load_model = lru_cache(maxsize=4)(self._load_model)
        self.computed = 0

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
            self.computed += 1
            self.say(f"trained {recipe.label}: {result['steps']} steps in {result['seconds']:.0f} s")
        folder = self.store.path("train", recipe.key)
        self.training[recipe.key] = json.loads((folder / "training.json").read_text())
        link(folder / "model.pt", self.out / "checkpoints" / f"{recipe.folder}.pt")

    def degradation_file(self, recipe: Recipe) -> Path | None:
        base = recipe.degradation
        return self.store.path("train", base.key) / "model.pt" if base and base.trains else None

    def _load_model(self, recipe: Recipe) -> Model:
        """A model for inference, on the device."""
        model = dataclasses.replace(recipe, degradation=None).build()
        if recipe.trains:
            if not self.store.has("train", recipe.key):
                raise Failed(self.failed.get(f"train {recipe.label}", f"{recipe.label} did not train"))
            load_weights(model, self.store.path("train", recipe.key) / "model.pt")
        return model.to(self.device).eval()

    # ------------------------------------------------------------ images

    def condition(self, condition: str, method: Recipe) -> Recipe | None:
        """The degradation behind a condition at the method's scale; None for the real LR."""
        return self.plan.degraded[condition, method.scale]

    def lr_of(self, recipe: Recipe | None) -> FaceSet:
        """The LR test faces: degraded once with the run's seed and kept; the real ones for None."""
        if recipe is None:
            assert self.lr_test is not None
            return self.lr_test
        key = self.lr_key(recipe)
        if not self.store.has("lr", key):
            model = self.load_model(recipe)
            draws = torch.Generator(self.device).manual_seed(self.settings.seed)
            images = apply(lambda hr: model.infer(hr, draws).clamp(0, 1), self.hr_test, self.device)
            self.store.put("lr", key, lambda folder: write_faces(folder, self.hr_test.names, images))
            self.computed += 1
        return read_faces(self.store.path("lr", key), self.hr_test.names)

    def lr_key(self, recipe: Recipe | None) -> str:
        if recipe is None:
            assert self.lr_test is not None
            return key_of("real", self.lr_test.fingerprint)
        return key_of("lr", recipe.key, self.hr_test.fingerprint, self.settings.seed, self.settings.device)

    def sr_of(self, method: Recipe, condition: str) -> Path:
        """The folder of the restored faces."""
        key = self.sr_key(method, condition)
        if not self.store.has("sr", key):
            lr = self.lr_of(self.condition(condition, method))
            model = self.load_model(method)
            images = apply(lambda x: checked(model.infer(x), x, method), lr, self.device)
            self.store.put("sr", key, lambda folder: write_faces(folder, lr.names, images))
            self.computed += 1
        return self.store.path("sr", key)

    def sr_key(self, method: Recipe, condition: str) -> str:
        return key_of("sr", method.key, self.lr_key(self.condition(condition, method)), self.settings.device)

    # ------------------------------------------------------------ scores

    def cell(self, method: Recipe, condition: str) -> list[dict[str, Any]]:
        """All metrics of one method under one condition."""
        head = self.head(method, condition)
        name = f"{method.label} on {condition}"
        folder = self.attempt(name, partial(self.sr_of, method, condition))
        if folder is None:
            reason = self.failed[name]
            return [{**head, "metric": m.label, "direction": m.metric.direction, "status": "failed", "reason": reason}
                    for m in self.plan.measures if about(m) == "sr"]  # fmt: skip
        key = self.sr_key(method, condition)
        outputs = lru_cache(maxsize=1)(lambda: self.outputs(method, condition, folder))
        rows = []
        for measure in self.plan.measures:
            if about(measure) == "sr":
                rows += self.score(measure, head, f"{measure.label} of {name}", key, outputs)
        self.show(method, condition, folder)
        return rows

    def degradation_rows(self) -> list[dict[str, Any]]:
        """Metrics of LR faces against the real LR: once for each condition and each learned degradation, no method."""
        learned = {r.label: r for r in self.plan.trained if r.kind == "degradations"}
        known = {label: recipe for (label, _), recipe in self.plan.degraded.items() if recipe is not None}
        rows: list[dict[str, Any]] = []
        for label, recipe in {**known, **learned}.items():
            for measure in self.plan.measures:
                if about(measure) == "lr":
                    head, key, name = self.head(None, label), self.lr_key(recipe), f"{measure.label} of {label}"
                    rows += self.score(measure, head, name, key, partial(self.lr_outputs, recipe))
        return rows

    def lr_outputs(self, recipe: Recipe) -> Outputs:
        faces = self.lr_of(recipe)
        return self._outputs(faces.images(), faces, self.hr_test.images(), recipe.scale)

    def head(self, method: Recipe | None, condition: str) -> dict[str, Any]:
        return {
            "method": method.name if method else "",
            "variant": method.variant if method else "",
            "degradation": method.degradation.label if method and method.degradation else ("" if method else condition),
            "condition": condition,
            "seed": self.settings.seed,
        }

    def outputs(self, method: Recipe, condition: str, folder: Path) -> Outputs:
        lr = self.lr_of(self.condition(condition, method))
        hr: list[np.ndarray] | None
        if self.condition(condition, method) is not None:
            hr = self.hr_test.images()
        elif self.data.truth is not None:
            known = dict(zip(self.data.truth.names, self.data.truth.images(), strict=True))
            hr = [known[name] for name in lr.names]
        else:
            hr = None
        sr = read_faces(folder, lr.names).images()
        if hr is not None and any(a.shape != b.shape for a, b in zip(sr, hr, strict=True)):
            hr = None
        outputs = self._outputs(sr, lr, hr, method.scale)
        outputs.upscale = lambda x: checked(self.load_model(method).infer(x), x, method)
        if plugins.load("methods", method.name).features is not Model.__dict__.get("features"):
            outputs.features = lambda x: self.load_model(method).features(x)  # type: ignore[operator]
        return outputs

    def _outputs(self, sr: list[np.ndarray], lr: FaceSet, hr: list[np.ndarray] | None, scale: int) -> Outputs:
        return Outputs(
            sr=sr,
            names=lr.names,
            lr=lr.images(),
            hr=hr,
            reference_hr=self.data.hr_train.images(),
            reference_lr=self.data.lr_train.images() if self.data.lr_train else None,
            scale=scale,
            device=self.device,
            seed=self.settings.seed,
            degrade=self.degrade,
            cache=self.shared,
        )

    def degrade(self, spec: str, images: torch.Tensor, scale: int = 1, seed: int = 0) -> torch.Tensor:
        """Outputs.degrade: any degradation that is not trained, or that this run trained.

        One that only makes LR from HR does so from the enlarged image where ``scale`` is 1.
        """
        wanted = parse(spec)
        cls = plugins.load("degradations", wanted.name)
        if scale not in cls.scales:
            known = (r.scale for r in self.plan.trained if r.kind == "degradations" and r.name == wanted.name)
            images = upsample(images, (full := next(known, cls.scales[0])) // scale).clamp(0, 1)
            scale = full
        recipe = plan.recipe("degradations", wanted, self.settings, self.data, scale=scale)
        if recipe.trains and not self.store.has("train", recipe.key):
            raise Unavailable(
                f"{recipe.label} was not trained in this run; name it with --conditions or --degradations"
            )
        return degrade(self.load_model(recipe), images, seed)

    def score(
        self, measure: Measure, head: dict[str, Any], name: str, key: str, outputs: Callable[[], Outputs]
    ) -> list[dict[str, Any]]:
        """One metric of one cell, from the store where it is there."""
        base = {**head, "metric": measure.label, "direction": measure.metric.direction}
        if measure.label in self.unavailable:
            return [{**base, "status": "unavailable", "reason": self.unavailable[measure.label]}]
        try:
            files = [weights.file_hash(w) for w in measure.metric.required_weights()]
            references = [self.data.train_fingerprint, self.data.hr_test.fingerprint]
            key = key_of("score", measure.key, key, references, files, self.settings.seed)
            if not self.store.has("score", key):
                begin = time.monotonic()
                rows, protocol = evaluate(measure.metric, measure.label, outputs())
                value = {"rows": rows, "protocol": protocol, "seconds": round(time.monotonic() - begin, 3)}
                self.store.put("score", key, lambda folder: write_json(folder / "score.json", value))
                self.computed += 1
            kept = json.loads((self.store.path("score", key) / "score.json").read_text())
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
        lr = self.lr_of(self.condition(condition, method))
        root = self.out / "images"
        show_folder(folder, root / method.folder / condition.replace("/", "_"))
        if self.condition(condition, method) is not None:
            show_folder(self.store.path("lr", self.lr_key(self.condition(condition, method))), root / "lr" / condition)
        else:
            show_faces(lr, root / "lr" / condition)
            if self.data.truth is not None:
                show_faces(self.data.truth, root / "hr")
        show_faces(self.hr_test, root / "hr")

    def write(self, rows: list[dict[str, Any]]) -> None:
        """The results table, run.json and the reports; nothing is rendered again where nothing changed."""
        failures = [{"cell": c, "reason": r} for c, r in self.failed.items()]
        report = plugins.source_file("reports", "html")
        key = key_of(rows, failures, __version__, source_hash(report) if report else "", record.identity(self))
        old = self.out / "run.json"
        expected = ("report.html", "results.csv", "results.parquet")
        if old.exists() and not self.computed and all((self.out / name).exists() for name in expected):
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


def about(measure: Measure) -> str:
    """What a metric looks at: the restored faces, or the LR faces themselves."""
    return getattr(measure.metric, "about", "sr")


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
