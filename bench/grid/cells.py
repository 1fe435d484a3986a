"""The cells of a plan as rows of results: each metric of each method under each condition, from the store or anew."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from bench import weights
from bench.api.metric import Outputs
from bench.core.files import folder_name
from bench.core.hashing import key_of
from bench.errors import MissingWeights
from bench.grid.artefacts import Artefacts
from bench.grid.failures import outcome
from bench.grid.files import restored_apart, save_score
from bench.grid.pictures import show_files
from bench.grid.recipe import Measure, Recipe
from bench.grid.scores import evaluate, labelled
from bench.grid.shards import FILE, Part, part_of, read_part, splits, starts, write_part

Rows = list[dict[str, Any]]


class Cells:
    """Rows of results. ``unavailable``: metric -> reason; ``measured``: what no other run repeats, by place and metric.

    ``attempt(cell, work)`` does one cell's work, or records why it failed and gives None.
    """

    def __init__(self, artefacts: Artefacts, out: Path, attempt: Callable[[str, Callable[[], Any]], Any]) -> None:
        self.artefacts, self.out, self.attempt = artefacts, out, attempt
        self.plan, self.store, self.settings = artefacts.plan, artefacts.store, artefacts.settings
        self.failed = artefacts.failed
        self.unavailable: dict[str, str] = {}
        self.notes: list[str] = []  # what a reader of the results must know of single cells
        self.measured: dict[str, dict[str, Any]] = {}
        self.lacking: dict[str, tuple[str, str]] = {}  # metric of a cell -> status and reason, where it has no value
        self.shows = True  # whether pictures go to the run's folder
        self.shown: dict[str, str] = {}  # where they went -> digests
        self.begins: Callable[[str], Any] = lambda name: None  # told of each metric of a cell before it is measured

    def rows(self, method: Recipe, condition: str) -> Rows:
        """All metrics of one method under one condition."""
        head = self.head(method, condition)
        name = f"{method.unique} on {condition}"
        work = partial(self.artefacts.sr_of, method, condition)
        folder = None if name in self.failed else self.attempt(name, work)
        measures = [m for m in self.plan.measures if m.metric.about == "sr"]
        if folder is None:
            failed = {"status": "failed", "reason": self.failed[name]}
            return [{**head, "metric": m.label, "direction": m.metric.direction, **failed} for m in measures]
        apart = restored_apart(folder)
        self.notes += [f"{name}: {note}" for note in apart.notes]
        rows = [
            {
                **head,
                "metric": m.label,
                "direction": m.metric.direction,
                "image": face,
                "status": "failed",
                "reason": why,
            }
            for m in measures
            for face, why in apart.failed.items()
        ]
        if apart.failed:
            first = "; ".join([*apart.failed.values()][:3])
            self.failed[f"{len(apart.failed)} faces of {name}"] = first + ("; ..." if len(apart.failed) > 3 else "")
        key = self.artefacts.sr_key(method, condition)
        outputs = lru_cache(maxsize=1)(lambda: self.artefacts.outputs(method, condition, folder))
        place = self.place(method, condition)
        for m in measures:
            rows += self.score(m, head, f"{m.label} of {name}", key, outputs, place)
        return rows

    def degradation_rows(self, label: str, recipe: Recipe) -> Rows:
        """Metrics of a degradation's LR faces against the real LR, no method."""
        key, given = self.artefacts.lr_key(recipe), partial(self.artefacts.lr_outputs, recipe)
        head, called = self.head(None, label), f"{label},seed={recipe.seed}" if recipe.several else label
        head["seed"] = recipe.seed
        return [
            row for measure in self.plan.measures if measure.metric.about == "lr"
            for row in self.score(measure, head, f"{measure.label} of {called}", key, given)
        ]  # fmt: skip

    def method_rows(self, method: Recipe) -> Rows:
        """Metrics of a method itself, whatever it is tested on."""
        key, given = self.artefacts.method_key(method), partial(self.artefacts.method_outputs, method)
        rows: Rows = []
        for measure in self.plan.measures:
            if measure.metric.about == "method":
                name = f"{measure.label} of {method.unique}"
                rows += self.score(measure, self.head(method, ""), name, key, given, method.folder)
        return rows

    def failed_rows(self, kind: str, condition: str, reason: str, method: Recipe | None) -> Rows:
        """What stands for metrics of a method itself, or of LR faces, that could not be measured at all."""
        head, about = self.head(method, condition), "method" if kind == "method" else "lr"
        return [
            {**head, "metric": m.label, "direction": m.metric.direction, "status": "failed", "reason": reason}
            for m in self.plan.measures if m.metric.about == about
        ]  # fmt: skip

    def lost_rows(self) -> Rows:
        """What stands for methods, conditions and metrics whose plugin failed before any cell: a failed row each."""
        rows: Rows = []
        for lost in self.plan.lost:
            self.failed[f"{lost.kind[:-1]} {lost.spec}"] = lost.reason
            heads = [self.head(m, c) for m, c in self.plan.cells]
            if lost.kind == "methods":
                named = {"method": lost.title, "variant": lost.variant}
                heads = [{**self.head(None, c), "degradation": "", **named} for c in self.plan.conditions]
            elif lost.kind == "degradations":
                heads = [self.head(m, str(lost.spec)) for m in self.plan.methods]
            asked = [(m.label, m.metric.direction) for m in self.plan.measures if m.metric.about == "sr"]
            for label, direction in [(str(lost.spec), "lower")] if lost.kind == "metrics" else asked:
                about = {"metric": label, "direction": direction, "status": "failed", "reason": lost.reason}
                rows += [{**head, **about} for head in heads]
        return rows

    def head(self, method: Recipe | None, condition: str) -> dict[str, Any]:
        """The columns that say what a row is about."""
        return {
            "method": method.title if method else "",
            "variant": method.variant if method else "",
            "degradation": method.degradation.label if method and method.degradation else ("" if method else condition),
            "condition": condition,
            "seed": method.seed if method else self.settings.seeds[0],
        }

    def place(self, method: Recipe, condition: str) -> str:
        """A cell's folder below images/ and figures/METRIC/."""
        return f"{method.folder}/{folder_name(condition)}"

    def score(
        self,
        measure: Measure,
        head: dict[str, Any],
        name: str,
        key: str,
        outputs: Callable[[], Outputs],
        place: str = "",
    ) -> Rows:
        """One metric of one cell, from the store where it is there; its pictures go to figures/METRIC/``place``."""
        base = {**head, "metric": measure.label, "direction": measure.metric.direction}
        if measure.label in self.unavailable:
            return [{**base, "status": "unavailable", "reason": self.unavailable[measure.label]}]
        if name in self.lacking:
            status, reason = self.lacking[name]
            return [{**base, "status": status, "reason": reason}]
        try:
            self.begins(name)
            kept = self.kept(measure, name, key, outputs, place)
        except (Exception, SystemExit) as error:
            status, reason = outcome(error, name, self.out / "log" / "errors.txt")
            if isinstance(error, MissingWeights):
                self.unavailable[measure.label] = reason
            if status == "failed":
                self.failed[name] = reason
            self.lacking[name] = status, reason
            return [{**base, "status": status, "reason": reason}]
        return labelled(base, kept["rows"], measure.label, kept["protocol"], seconds=kept["seconds"])

    def kept(self, measure: Measure, name: str, key: str, outputs: Callable[[], Outputs], place: str) -> dict[str, Any]:
        """What the store holds of a metric of one cell, computed where it is not there."""
        depends = self.of_score(measure, key)
        key = key_of(depends)
        of = name.removeprefix(f"{measure.label} of ")
        self.artefacts.reasons.depends(name, depends, {"metric": f"metric {measure.label}", "images": of})

        def fill(folder: Path) -> None:
            begin = time.monotonic()
            given = outputs()
            parts = (self.part(measure, key, outputs, start) for start in starts(len(given.names)))
            rows, protocol, score = evaluate(measure.metric, measure.label, given, parts)
            value = {"rows": rows, "protocol": protocol, "seconds": round(time.monotonic() - begin, 3)}
            save_score(folder, value, score)
            self.artefacts.say(measure.label, name)

        folder = self.store.obtain("score", key, fill, name)
        for start in starts(self.artefacts.most):
            self.store.drop("part", key_of(key, start))
        kept: dict[str, Any] = json.loads((folder / "score.json").read_text(encoding="utf-8"))
        if kept.get("measured"):
            self.measured.setdefault(place, {})[measure.label] = kept["measured"]
        target = f"figures/{folder_name(measure.label)}/{place}".rstrip("/")
        if self.shows and (found := show_files(folder / "figures", self.out / target, self.out)):
            self.shown[target] = found
        return kept

    def part(self, measure: Measure, key: str, outputs: Callable[[], Outputs], start: int) -> Part:
        """What the score of ``key`` needs of one chunk of a large set; kept until the score is."""

        def fill(folder: Path) -> None:
            write_part(folder / FILE, part_of(measure.metric, outputs(), start))
            self.artefacts.computed += 1

        return read_part(
            self.store.obtain("part", key_of(key, start), fill, f"{measure.label} from face {start} on") / FILE
        )

    def parts(self, method: Recipe, condition: str, start: int) -> None:
        """One chunk of a large cell for all metrics that can be measured so. What goes wrong is said when they are."""
        images, folder = self.artefacts.sr_key(method, condition), self.artefacts.sr_of(method, condition)
        outputs = self.artefacts.outputs(method, condition, folder)
        for m in self.plan.measures:
            lacks = any(getattr(outputs, need) is None for need in m.metric.needs)
            if m.metric.about != "sr" or lacks or start >= len(outputs.names) or m.label in self.unavailable:
                continue
            try:
                if not splits(m.metric, outputs):
                    continue
                key = key_of(self.of_score(m, images))
                if not self.store.has("score", key):
                    self.part(m, key, lambda: outputs, start)
            except (Exception, SystemExit) as error:
                outcome(error, m.label)  # raises what stops a run

    def stored(self, about: str, images: str, outputs: Callable[[], Outputs]) -> bool:
        """Whether the store holds every metric about these images that can be measured."""
        given = lru_cache(maxsize=1)(outputs)
        for m in self.plan.measures:
            if m.metric.about == about and m.label not in self.unavailable:
                with contextlib.suppress(MissingWeights):
                    known = self.store.has("score", key_of(self.of_score(m, images)))
                    if not known and all(getattr(given(), need) is not None for need in m.metric.needs):
                        return False
        return True

    def of_score(self, measure: Measure, images: str) -> dict[str, Any]:
        """What a score depends on, by name; ``images``: the key of those that it is of."""
        artefacts, data = self.artefacts, self.artefacts.data
        return {
            "metric": measure.key, "images": images,
            "training faces": data.train_fingerprint, "test faces": artefacts.hr_test.fingerprint,
            "reference": artefacts.reference_hr.fingerprint,
            "ground truth": data.truth.fingerprint if data.truth else "",
            "pretrained weights": [weights.file_hash(w) for w in measure.metric.required_weights()],
            "degradations": [artefacts.known(spec, 1).key for spec in measure.metric.degradations()],
            "seed of the conditions": self.settings.condition_seed,
        }  # fmt: skip
