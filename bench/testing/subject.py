"""A model class under test: as its options make it, and after a few steps of training on twelve faces."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench import plugins
from bench.api.model import Degradation, Method, Model
from bench.api.training import Stage
from bench.core.spec import Spec
from bench.errors import Interrupted
from bench.faces.faceset import Data, FaceSet
from bench.faces.procedural import portrait
from bench.grid import resolve
from bench.testing.findings import Skipped
from bench.training.loop import fit
from bench.training.settings import TrainSettings

STEPS = 3  # of every stage: the first may give some parameters no gradient (layers that start at zero)
BATCH = 4


@dataclass
class Subject:
    """A model class with options, trained once for all checks that need it."""

    cls: Any
    spec: Spec
    trained: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, plugin: Any, spec: Spec) -> Subject:
        subject = cls(plugin, spec)
        subject.new()
        return subject

    def new(self, degradation: bool = False, seed: int = 0) -> Model:
        """A new one of the quick preset; ``degradation``: with bicubic to train on."""
        base = None
        if degradation and issubclass(self.cls, Method) and self.cls.trains():
            base = resolve.untrained(plugins.load("degradations", "bicubic"), Spec("bicubic"), "quick")
        torch.manual_seed(seed)
        return resolve.untrained(self.cls, self.spec, "quick", base)

    def ready(self) -> Model:
        """In eval mode, after the few steps of training where there are some; new where they fail, which one check says."""
        model = self.new()
        if self.cls.trains():
            with suppress(Exception):
                model.load_state_dict(self.training()["model"])
        return model.eval()

    def training(self) -> dict[str, Any]:
        if "error" in self.trained:
            raise self.trained["error"]
        if not self.trained:
            try:
                begin = time.monotonic()
                self.trained = train(self)
                self.trained["took"] = time.monotonic() - begin
            except Exception as error:
                self.trained = {"error": error}
                raise
        return self.trained

    def input(self, count: int = 2, height: int = 0, width: int = 0) -> Tensor:
        """Faces in [0, 1]: LR for a method, HR for a degradation, cut to a size."""
        hr, lr = people()
        images = lr if issubclass(self.cls, Method) else hr
        side = images.shape[-1]
        images = images[:count, :, : height or side, : width or side]
        return torch.from_numpy(images.astype(np.float32) / 255)

    def infer(self, model: Model, images: Tensor, seed: int = 0) -> Tensor:
        """As the harness calls it."""
        with torch.inference_mode():
            if isinstance(model, Degradation):
                return model.infer(images, torch.Generator().manual_seed(seed))
            return model.infer(images)

    def only_files(self) -> None:
        """Raises Skipped for a method that has no ``infer`` of its own to try."""
        if issubclass(self.cls, Method) and "upscale" not in self.cls.offers:
            raise Skipped("it has outputs only")


@lru_cache(maxsize=1)
def people() -> tuple[np.ndarray, np.ndarray]:
    """(12, 3, 64, 64) and (12, 3, 16, 16) uint8: procedural faces, and wild LR of theirs."""
    hr, _ = portrait.faces(12, 1, seed=0)
    return hr, portrait.wild(hr, 4)


def train(subject: Subject, *, stop_at: int = 0, folder: Path | None = None) -> dict[str, Any]:
    """A few steps of every stage on twelve faces. ``stop_at``: raises Interrupted there, after its checkpoint."""
    hr, lr = people()
    names = [f"{i:02d}" for i in range(len(hr))]
    sets = FaceSet.of(list(hr), names), FaceSet.of(list(lr), names)
    seen: dict[str, Any] = {"stages": [], "before": {}, "steps": 0, "network": None, "asked": 0, "spent": 0.0}

    def build() -> Model:
        model = subject.new(degradation=True)
        stages = model.stages

        def short() -> list[Stage]:
            seen["before"] = {k: p.detach().clone() for k, p in model.named_parameters()}
            whole = stages()
            seen["asked"] = sum(stage.steps for stage in whole)
            seen["stages"] = [shortened(stage, seen, stop_at) for stage in whole]
            seen["network"] = model
            return seen["stages"]

        model.stages = short  # type: ignore[method-assign]
        return model

    with tempfile.TemporaryDirectory() as own:
        result = fit(build, Data(*sets[:1] * 2, *sets[1:] * 2), TrainSettings(device="cpu", checkpoint_every=1),
                     checkpoint=(folder or Path(own)) / "check.pt", quiet=True)  # fmt: skip
    return {**result, **{name: seen[name] for name in ("stages", "before", "network", "asked", "spent")}}


def shortened(stage: Stage, seen: dict[str, Any], stop_at: int) -> Stage:
    def step(batch: Any, run: Any) -> Any:
        if stop_at and seen["steps"] >= stop_at:
            raise Interrupted("the check stops it")
        seen["steps"] += 1
        begin = time.monotonic()
        result = stage.step(batch, run)
        seen["spent"] += time.monotonic() - begin
        return result

    held = {id(p) for o in stage.optimizers.values() for g in o.param_groups for p in g["params"]}

    def enter() -> None:
        """What entering a stage copies is no step of training."""
        if stage.enter:
            stage.enter()
            fixed = {k: p.detach().clone() for k, p in seen["network"].named_parameters() if id(p) not in held}
            seen["before"].update(fixed)

    steps, batch = min(stage.steps, STEPS), min(stage.batch_size, BATCH)
    return dataclasses.replace(stage, steps=steps, batch_size=batch, step=step, enter=enter)
