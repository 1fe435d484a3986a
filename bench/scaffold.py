"""``bench new`` writes a plugin to start from; ``bench check`` tests that a plugin keeps the interface."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import torch

from . import plugins
from .errors import UsageError
from .metric import Metric, Outputs
from .model import Degradation, Method, Model

TEMPLATES = {
    "method": '''
        """{name}: a method plugin. Try it: bench run --plugin {file} --methods bicubic,{name}"""

        from dataclasses import dataclass

        import torch
        import torch.nn.functional as F
        from torch import nn

        import bench


        class {cls}(bench.Method):
            """A residual network on bicubic upsampling, trained with L1."""

            @dataclass(frozen=True)
            class Params:
                width: int = 64  # feature channels
                lr: float = 1e-3
                steps: int = 100_000

            quick = {{"width": 24, "steps": 300}}  # what --preset quick changes
            default_degradation = "bicubic"

            def build(self):
                w, s = self.params.width, self.scale
                self.net = nn.Sequential(
                    nn.Conv2d(3, w, 3, padding=1), nn.ReLU(),
                    nn.Conv2d(w, w, 3, padding=1), nn.ReLU(),
                    nn.Conv2d(w, 3 * s * s, 3, padding=1), nn.PixelShuffle(s),
                )

            def stages(self):
                optimizer = torch.optim.Adam(self.net.parameters(), self.params.lr)
                return [bench.Stage("l1", self.params.steps, self.step, {{"net": optimizer}}, batch_size=16)]

            def step(self, batch, run):  # batch.hr: (B, 3, H, W) in [0, 1]
                run.minimize(F.l1_loss(self.restore(self.degrade(batch.hr)), batch.hr), "net")

            def restore(self, lr):
                return F.interpolate(lr, scale_factor=self.scale, mode="bicubic") + self.net(lr)

            def infer(self, lr):  # (B, 3, h, w) -> (B, 3, scale*h, scale*w), both in [0, 1]
                return self.restore(lr).clamp(0, 1)
        ''',
    "degradation": '''
        """{name}: a degradation plugin. Try it: bench run --plugin {file} --methods bicubic --conditions {name}"""

        from dataclasses import dataclass

        import torch
        import torch.nn.functional as F

        import bench


        class {cls}(bench.Degradation):
            """Bilinear downsampling and uniform noise."""

            @dataclass(frozen=True)
            class Params:
                amount: float = 8.0  # half-width of the noise, of 255 levels

            stochastic = True

            def infer(self, hr, generator=None):  # (B, 3, H, W) -> (B, 3, H/scale, W/scale), both in [0, 1]
                lr = F.interpolate(hr, scale_factor=1 / self.scale, mode="bilinear", antialias=True)
                noise = torch.rand(lr.shape, device=lr.device, generator=generator) * 2 - 1
                return (lr + noise * self.params.amount / 255).clamp(0, 1)
        ''',
    "metric": '''
        """{name}: a metric plugin. Try it: bench run --plugin {file} --methods bicubic,bilinear --metrics {name}"""

        import numpy as np

        import bench


        class {cls}(bench.Metric):
            """Mean absolute error to the ground truth, in grey levels."""

            direction = "lower"
            needs = ("hr",)

            def protocol(self, outputs):
                return "mean |SR - HR| over RGB, 0-255, no border"

            def score(self, outputs):
                pairs = zip(outputs.sr, outputs.hr, strict=True)
                values = np.array([np.abs(sr.astype(float) - hr).mean() for sr, hr in pairs])
                return bench.Score(values.mean(), per_image=values)
        ''',
}


def new(kind: str, name: str) -> int:
    """Write NAME.py in the current folder."""
    file = Path(f"{name.replace('-', '_')}.py")
    cls = "".join(part.capitalize() for part in name.replace("_", "-").split("-"))
    if not cls.isidentifier():
        raise UsageError(f"{name!r} is not a plugin's name; use letters, digits and hyphens")
    if file.exists():
        raise UsageError(f"{file}: exists already; choose another name")
    file.write_text(dedent(TEMPLATES[kind]).lstrip().format(name=plugins.kebab(cls), cls=cls, file=file))
    print(f"{file}: a {kind} that works; next: bench check {file}")
    return 0


def check(name: str) -> int:
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


def _model(cls: Any) -> Model:
    from .spec import override

    return cls(override(cls.Params(), cls.quick, "quick preset"))


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
    import dataclasses

    from .spec import override

    assert dataclasses.is_dataclass(cls.Params), "Params is no dataclass"
    params: Any = cls.Params
    assert params.__dataclass_params__.frozen, "Params is not frozen"
    for name, options in {"quick": cls.quick, **cls.variants}.items():
        override(params(), {k: v for k, v in options.items() if k not in ("degradation", "scale")}, name)


def _trains(cls: Any) -> None:
    """Two steps of every stage move a weight and keep the losses finite."""
    import tempfile

    from . import synth
    from .data import Data, FaceSet
    from .train import TrainSettings, fit

    if not cls.trains():
        return
    faces, _ = synth.faces(12, 1, seed=0)
    names = [f"{i:02d}" for i in range(12)]
    hr, lr = FaceSet.of(list(faces), names), FaceSet.of(list(synth.wild(faces, 4)), names)
    data = Data(hr, hr, lr, lr)

    def build() -> Model:
        from .spec import override

        degradation = _model(plugins.load("degradations", "bicubic")) if issubclass(cls, Method) else None
        model = cls(override(cls.Params(), cls.quick, "quick preset"), degradation=degradation)
        if cls.stages is not Model.stages:
            stages = model.stages

            def short() -> list[Any]:
                import dataclasses

                return [
                    dataclasses.replace(s, steps=min(s.steps, 2), batch_size=min(s.batch_size, 4)) for s in stages()
                ]

            model.stages = short
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
    from . import synth

    hr, _ = synth.faces(8, 1, seed=0)
    lr = synth.wild(hr, 4)
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
