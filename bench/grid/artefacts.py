"""The models and images of a plan: from the store where they are there, else computed and kept."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench import plugins
from bench.api.metric import Outputs
from bench.api.model import Inputs, Method, Model
from bench.api.reference import Reference, read_reference
from bench.core.files import folder_name
from bench.core.hashing import key_of
from bench.core.image import downsample, to_float, to_uint8, upsample
from bench.core.spec import parse
from bench.core.store import Store
from bench.errors import CellFailed, Unavailable
from bench.faces.faceset import Data, FaceSet
from bench.grid.files import TUNED, load_weights, read_faces, restored_apart, write_faces, write_restored
from bench.grid.inference import apply, checked, checked_lr, degrade, fast
from bench.grid.reasons import Reasons
from bench.grid.recipe import Plan, Recipe
from bench.grid.resolve import recipe
from bench.grid.settings import TEST_FACES, Settings

DRAWN = 64  # faces that a degradation draws for at once: its random numbers follow from that


def _of(name: str, faces: FaceSet) -> Reference:
    return Reference(name, faces.images(), tuple(faces.names), known=faces.fingerprint)


class Artefacts:
    """What cells work on. ``failed``: reasons of failed cells, by "train LABEL"; ``computed`` counts what was made anew."""

    def __init__(
        self, plan: Plan, data: Data, settings: Settings, store: Store, device: torch.device, failed: dict[str, str]
    ) -> None:
        self.plan, self.data, self.settings, self.store, self.device = plan, data, settings, store, device
        self.failed = failed
        limit = TEST_FACES.get(settings.preset, 64)
        self.hr_test = data.hr_test.subset(limit)
        self.lr_test = data.lr_test.subset(limit) if data.lr_test else None
        self.most = max(len(faces) for faces in (self.hr_test, self.lr_test) if faces is not None)  # faces of a cell
        self.shared: dict[Any, Any] = {}  # reference statistics of the metrics
        self.reference_hr = (
            read_reference(settings.reference) if settings.reference else _of("HR training faces", data.hr_train)
        )
        self.reference_lr = _of("real LR training faces", data.lr_train) if data.lr_train else None
        self.load_model = lru_cache(maxsize=4)(self._load_model)
        self.known = lru_cache(maxsize=256)(self._known)
        self.broken: dict[str, str] = {}  # key of LR faces that could not be made -> reason
        self.computed = 0
        self.reasons = Reasons(None)
        self.log: Path | None = None  # where methods may write logs of their own, a folder each

    def say(self, what: str, name: str) -> None:
        """Note that something is computed, and why."""
        self.computed += 1
        self.reasons.note(what, name)

    def _load_model(self, recipe: Recipe) -> Model:
        """A model for inference, on the device."""
        model = dataclasses.replace(recipe, degradation=None).build()
        if recipe.trains:
            found = self.store.find("train", recipe.weights)
            if found is None:
                raise CellFailed(self.failed.get(f"train {recipe.unique}", f"{recipe.unique} did not train"))
            load_weights(model, found / (TUNED if recipe.tuned else "model.pt"))
        if isinstance(model, Method) and self.log:
            model.log = self.log / recipe.folder
        return fast(model.to(self.device)).eval()

    def condition(self, condition: str, method: Recipe) -> Recipe | None:
        """The degradation behind a condition at the method's scale; None for the real LR."""
        return self.plan.degraded[condition, method.scale]

    def tuned(self) -> list[Recipe]:
        """The degradations that methods tuned in joint stages: models of their own, each named after its method."""
        return [
            dataclasses.replace(
                m.degradation,
                label=f"{m.degradation.label} (tuned by {m.unique})",
                key=key_of("tuned", m.weights, m.degradation.key),
                weights=m.weights,
                tuned=True,
            )
            for m in self.plan.methods
            if m.degradation and (found := self.store.find("train", m.weights)) and (found / TUNED).exists()
        ]

    def lr_of(self, recipe: Recipe | None) -> FaceSet:
        """The LR test faces: degraded once and kept; the real ones for None. Raises CellFailed where that failed."""
        if recipe is None:
            assert self.lr_test is not None
            return self.lr_test
        key = self.lr_key(recipe)
        if key in self.broken:
            raise CellFailed(self.broken[key])
        folder = self.store.obtain("lr", key, lambda f: self.make_lr(recipe, f), f"LR of {recipe.unique}")
        return read_faces(folder, self.hr_test.names)

    def make_lr(self, recipe: Recipe, folder: Path) -> None:
        """Degrade the test faces, once, with the seed of the conditions."""
        model = self.load_model(recipe)
        draws = torch.Generator(self.device).manual_seed(self.settings.condition_seed)
        images = apply(
            lambda hr: checked_lr(model.infer(hr.clone(), draws), hr, recipe.scale, recipe.label),
            self.hr_test,
            self.device,
            size=DRAWN,
        )
        write_faces(folder, self.hr_test.names, images)
        self.say(f"LR of {recipe.label}", f"{recipe.label} x{recipe.scale}")

    def lr_key(self, recipe: Recipe | None) -> str:
        if recipe is None:
            assert self.lr_test is not None
            return key_of("real", self.lr_test.fingerprint)
        return key_of(self.of_lr(recipe))

    def of_lr(self, recipe: Recipe) -> dict[str, Any]:
        """What degraded test faces depend on, by name."""
        settings = self.settings
        return {
            "degradation": recipe.key, "test faces": self.hr_test.fingerprint, "seed of the conditions": settings.condition_seed,
            "device": settings.device,
        }  # fmt: skip

    def sr_of(self, method: Recipe, condition: str) -> Path:
        """The folder of the restored faces."""
        if (method.label, condition) in self.plan.lacking:
            raise CellFailed(self.plan.lacking[method.label, condition])
        key, name = self.sr_key(method, condition), f"{method.unique} on {condition}"
        recipe = self.condition(condition, method)
        see = {"method": f"model {method.unique}", "LR": f"{condition} x{method.scale}"}
        self.reasons.depends(name, self.of_sr(method, condition), see)
        if recipe:
            see = {"degradation": f"model {recipe.unique}"}
            self.reasons.depends(f"{condition} x{method.scale}", self.of_lr(recipe), see)
        return self.store.obtain("sr", key, lambda folder: self.make_sr(method, condition, folder), name)

    def make_sr(self, method: Recipe, condition: str, folder: Path) -> None:
        """Restore the LR faces of a condition."""
        lr = self.lr_of(self.condition(condition, method))
        model = self.load_model(method)
        assert isinstance(model, Method)
        if type(model).restore_all is not Method.restore_all:
            notes: list[str] = []
            given = Inputs(lr.names, [image.copy() for image in lr.images()], folder_name(condition), notes.append)
            write_restored(folder, lr.names, model.restore_all(given), notes)
        else:
            write_faces(folder, lr.names, apply(lambda x: checked(model.infer(x.clone()), x, method), lr, self.device))
        self.say(f"{method.unique} on {condition}", f"{method.unique} on {condition}")

    def finished_sr(self, method: Recipe, condition: str) -> Path | None:
        """The same, where the cell did not fail."""
        if f"{method.unique} on {condition}" in self.failed:
            return None
        return self.sr_of(method, condition)

    def sr_key(self, method: Recipe, condition: str) -> str:
        return key_of(self.of_sr(method, condition))

    def method_key(self, method: Recipe) -> str:
        """Of a method itself, whatever it is tested on."""
        return key_of(method.key, self.settings.device)

    def of_sr(self, method: Recipe, condition: str) -> dict[str, Any]:
        """What restored faces depend on, by name."""
        lr = self.lr_key(self.condition(condition, method))
        files = self.plan.files.get((method.label, condition), "")
        return {"method": method.key, "LR": lr, "device": self.settings.device} | ({"files": files} if files else {})

    # ------------------------------------------------------------ what metrics are given

    def lr_outputs(self, recipe: Recipe) -> Outputs:
        faces = self.lr_of(recipe)
        return self._outputs(faces.images(), faces, self.hr_test.images(), recipe.scale)

    def outputs(self, method: Recipe, condition: str, folder: Path) -> Outputs:
        lr = self.lr_of(self.condition(condition, method))
        if absent := restored_apart(folder).failed:
            lr = lr.only([name for name in lr.names if name not in absent])
        truth = self.hr_test if self.condition(condition, method) is not None else self.data.truth
        hr = truth.only(lr.names).images() if truth is not None else None
        sr = read_faces(folder, lr.names).images()
        if hr is not None and any(a.shape != b.shape for a, b in zip(sr, hr, strict=True)):
            hr = None
        outputs = self._outputs(sr, lr, hr, method.scale)
        cls = plugins.load("methods", method.name)
        if "upscale" in cls.offers:
            outputs.upscale = lambda x: checked(self.load_model(method).infer(x.clone()), x, method)
        if cls.features is not Method.features:
            outputs.features = lambda x: self.load_model(method).features(x.clone())  # type: ignore[operator]
        return outputs

    def method_outputs(self, method: Recipe) -> Outputs:
        """The method itself and one LR face of the run's size."""
        face = torch.from_numpy(self.hr_test.images()[0].copy())[None]
        lr = to_uint8(downsample(to_float(face), method.scale)).numpy()
        outputs = self._outputs([], FaceSet.of(list(lr), self.hr_test.names[:1], ""), None, method.scale)
        offers = plugins.load("methods", method.name).offers
        if "upscale" in offers:
            outputs.upscale = lambda x: checked(self.load_model(method).infer(x.clone()), x, method)
        if "parameters" in offers:
            outputs.parameters = self.load_model(method).parameter_count()
        return outputs

    def _outputs(self, sr: list[np.ndarray], lr: FaceSet, hr: list[np.ndarray] | None, scale: int) -> Outputs:
        return Outputs(
            sr=sr,
            names=lr.names,
            lr=lr.images(),
            hr=hr,
            reference_hr=self.reference_hr,
            reference_lr=self.reference_lr,
            held_out_hr=self.hr_test.images(),
            held_out_lr=self.lr_test.images() if self.lr_test else None,
            scale=scale,
            device=self.device,
            seed=self.settings.condition_seed,
            degrade=self.degrade,
            cache=self.shared,
            folder=self.store.root / "partial" / "metrics",
        )

    def _known(self, spec: str, scale: int) -> Recipe:
        """The degradation of this name at ``scale``; where it has no such, at that of this run, or its first."""
        wanted = parse(spec)
        cls = plugins.load("degradations", wanted.name)
        if scale not in cls.scales:
            trained = (r.scale for r in self.plan.trained if r.kind == "degradations" and r.name == wanted.name)
            scale = next(trained, cls.scales[0])
        return recipe("degradations", wanted, self.settings, self.data, scale=scale)

    def degrade(self, spec: str, images: torch.Tensor, scale: int = 1, seed: int = 0) -> torch.Tensor:
        """Outputs.degrade: any degradation that is not trained, or that this run trained.

        Where ``scale`` is 1, one that knows clean LR is given it (``degrade_clean``); one that only makes LR from HR does so
        from the enlarged image.
        """
        recipe = self.known(spec, scale)
        if recipe.trains and not self.store.has("train", recipe.weights):
            raise Unavailable(
                f"{recipe.label} was not trained in this run; name it with --conditions or --degradations"
            )
        model = self.load_model(recipe)
        clean = recipe.scale != scale and model.degrade_clean is not None
        if recipe.scale != scale and not clean:
            images = upsample(images, recipe.scale // scale).clamp(0, 1)
        return degrade(model, images, seed, recipe.label, clean=clean)
