"""``bench check``: does a plugin keep the interface?"""

from __future__ import annotations

import dataclasses
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch

from bench import plugins
from bench.api.metric import Metric, Outputs
from bench.api.model import Degradation, Method, Model
from bench.core.spec import Spec
from bench.errors import UsageError
from bench.faces.faceset import Data, FaceSet
from bench.faces.procedural import portrait
from bench.grid import resolve
from bench.training.loop import fit
from bench.training.settings import TrainSettings


def command(name: str, **_: object) -> int:
    """Try a plugin on small random faces. Prints one line a check; exit code 1 if one fails, 2 if it cannot be loaded."""
    if name.endswith(".py"):
        before = {(k, n) for k in plugins.KINDS for n in plugins.names(k)}
        plugins.use(name)
        found = [(k, n) for k in plugins.KINDS for n in plugins.names(k) if (k, n) not in before]
        problems = plugins.catalogue().problems
        if problems or not found:
            raise UsageError("; ".join(problems) or f"{name}: no plugin in it")
    else:
        found = [(k, name) for k in plugins.KINDS[:3] if name in plugins.names(k)]
        if not found:
            plugins.entry("methods", name)
    failures = 0
    for kind, plugin in found:
        cls = plugins.load(kind, plugin)
        checks = CHECKS.get(kind, ())
        for text, function in checks:
            try:
                function(cls)
                print(f"ok      {plugin}: {text}")
            except Exception as error:
                failures += 1
                print(f"FAILED  {plugin}: {text}: {type(error).__name__}: {error}")
    return 1 if failures else 0


def _model(cls: Any, degradation: Model | None = None) -> Model:
    return resolve.untrained(cls, Spec(cls.__name__), "quick", degradation)


def _method_shape(cls: type[Method]) -> None:
    model = _model(cls).eval()
    with torch.inference_mode():
        for side in (16, 24):
            sr = model.infer(torch.rand(2, 3, side, side))
            assert sr.shape == (2, 3, side * model.scale, side * model.scale), (
                f"{tuple(sr.shape)} for a {side}x{side} LR"
            )
            assert torch.isfinite(sr).all(), "values that are not finite"


def _degradation_shape(cls: type[Degradation]) -> None:
    model = _model(cls).eval()
    with torch.inference_mode():
        lr = model.infer(torch.rand(2, 3, 64, 64), torch.Generator().manual_seed(0))
    side = 64 // model.scale
    assert lr.shape == (2, 3, side, side), f"{tuple(lr.shape)} for 64x64 HR"


def _degradation_seed(cls: type[Degradation]) -> None:
    model, hr = _model(cls).eval(), torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        first, again, other = (model.infer(hr, torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert torch.equal(first, again), "one seed, two results: take all randomness from the generator"
    assert cls.stochastic or torch.equal(first, other), "the seed changes the result: set stochastic = True"


def _parameters(cls: Any) -> None:
    how = getattr(cls.Params, "__dataclass_params__", None)
    assert how, "Params is no dataclass"
    assert how.frozen, "Params is not frozen"
    for variant in ({}, *({"variant": name} for name in cls.variants)):
        for preset in ("paper", "quick"):
            resolve.parameters(cls, Spec(cls.__name__).adding(**variant), preset)


def _trains(cls: Any) -> None:
    """Two steps of every stage move a weight and keep the losses finite."""
    if not cls.trains():
        return
    faces, _ = portrait.faces(12, 1, seed=0)
    names = [f"{i:02d}" for i in range(12)]
    hr, lr = FaceSet.of(list(faces), names), FaceSet.of(list(portrait.wild(faces, 4)), names)
    data = Data(hr, hr, lr, lr)

    def build() -> Model:
        bicubic = _model(plugins.load("degradations", "bicubic")) if issubclass(cls, Method) else None
        model = _model(cls, bicubic)
        if cls.stages is not Model.stages:
            whole = model.stages
            short = partial(dataclasses.replace, batch_size=4)
            setattr(model, "stages", lambda: [short(stage, steps=min(stage.steps, 2)) for stage in whole()])  # noqa: B010
        return model

    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        before = {k: v.clone() for k, v in build().state_dict().items() if isinstance(v, torch.Tensor)}
        result = fit(build, data, TrainSettings(device="cpu"), checkpoint=Path(folder) / "check.pt", quiet=True)
    moved = [
        k
        for k, v in result["model"].items()
        if isinstance(v, torch.Tensor) and (k not in before or not torch.equal(v, before[k]))
    ]
    assert moved, "no weight moved in training"


def _metric_runs(cls: type[Metric]) -> None:
    hr, _ = portrait.faces(8, 1, seed=0)
    lr = portrait.wild(hr, 4)
    names = [str(i) for i in range(8)]
    given = Outputs(
        sr=list(hr[::-1]), names=names, hr=list(hr), lr=list(lr), reference_hr=list(hr), reference_lr=list(lr)
    )
    metric = cls()
    lacking = [n for n in cls.needs if getattr(given, n) is None]
    if lacking:
        print(f"note    needs {', '.join(lacking)}: try it in a run")
        return
    score = metric.score(given)
    assert score.value == score.value, "the value is NaN"
    assert score.per_image is None or len(score.per_image) == 8, "per_image is not aligned with names"
    assert metric.protocol(given), "an empty protocol"


CHECKS: dict[str, tuple[tuple[str, Any], ...]] = {
    "methods": (("parameters and variants", _parameters), ("shape of its output", _method_shape), ("trains", _trains)),
    "degradations": (
        ("parameters and variants", _parameters),
        ("shape of its output", _degradation_shape),
        ("the seed decides", _degradation_seed),
        ("trains", _trains),
    ),
    "metrics": (("parameters and variants", _parameters), ("measures eight faces", _metric_runs)),
}
