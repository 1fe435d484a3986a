"""Checks of metrics."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from bench import plugins
from bench.api.metric import Metric, Outputs, Score
from bench.core.image import upsample
from bench.core.spec import override
from bench.errors import Unavailable
from bench.grid import resolve
from bench.grid.inference import degrade
from bench.grid.scores import WORDS
from bench.testing.findings import Broken, Skipped
from bench.testing.models import untouched
from bench.testing.subject import people

FACES = 8


def metric_of(target: Any) -> Metric:
    found: Metric = target.plugin(resolve.parameters(target.plugin, target.spec, "quick"))
    return found


def given(order: list[int] | None = None, noise: float = 0.05) -> Outputs:
    """Eight faces restored a little wrong, with all that a metric can ask for, by a method that is bicubic."""
    hr, lr = people()
    order = list(range(FACES)) if order is None else order
    rng = np.random.default_rng(0)
    wrong = np.clip(hr + rng.normal(0, noise * 255, hr.shape), 0, 255).round().astype(np.uint8)

    def degraded(spec: str, images: torch.Tensor, scale: int = 1, seed: int = 0) -> torch.Tensor:
        wanted = resolve.parse(spec)
        cls = plugins.load("degradations", wanted.name)
        return degrade(cls(resolve.parameters(cls, wanted, "quick"), scale=scale), images, seed)

    return Outputs(
        sr=[wrong[i].copy() for i in order],
        names=[f"{i:02d}" for i in order],
        lr=[lr[i].copy() for i in order],
        hr=[hr[i].copy() for i in order],
        reference_hr=list(hr),
        reference_lr=list(lr),
        upscale=lambda x: upsample(x, 4).clamp(0, 1),
        features=lambda x: x,
        parameters=1000,
        degrade=degraded,
    )


def scored(target: Any, outputs: Outputs) -> Score:
    metric = metric_of(target)
    if lacking := [n for n in metric.needs if getattr(outputs, n, None) is None]:
        raise Skipped(f"needs {', '.join(lacking)}: try it in a run")
    with torch.inference_mode():
        return metric.score(outputs)


def parameters(target: Any) -> None:
    cls = target.plugin
    how = getattr(cls.Params, "__dataclass_params__", None)
    if how is None or not how.frozen:
        raise Broken("Params to be a frozen dataclass", "another class", "Params")
    params = metric_of(target).params
    if override(cls.Params(), dataclasses.asdict(params), target.spec.name) != params:
        raise Broken("parameters that come back from plain values", "others", "Params")


def declarations(target: Any) -> None:
    cls = target.plugin
    if cls.direction not in ("higher", "lower"):
        raise Broken("direction higher or lower", repr(cls.direction), "direction")
    if cls.about not in ("sr", "lr", "method"):
        raise Broken("about sr, lr or method", repr(cls.about), "about")
    if unknown := set(cls.needs) - set(WORDS) - {"sr", "names"}:
        raise Broken(f"needs of {', '.join(sorted(WORDS))}", ", ".join(unknown), "needs")


def measures(target: Any) -> str:
    outputs = given()
    score = scored(target, outputs)
    if not isinstance(score, Score):
        raise Broken("a bench.Score", type(score).__name__, "score")
    if np.isnan(score.value):
        raise Broken("a number, or bench.Unavailable with the reason", "NaN", "score")
    if score.per_image is not None and len(score.per_image) != FACES:
        raise Broken(f"per_image aligned with the {FACES} names", f"{len(score.per_image)} values", "score")
    text = metric_of(target).protocol(outputs)
    if not text or "\n" in text:
        raise Broken("a protocol of one line", repr(text), "protocol")
    return f"{score.value:.4g}"


def leaves_its_arrays_alone(target: Any) -> None:
    outputs = given()
    before = [image.copy() for image in (*outputs.sr, *(outputs.hr or ()), *(outputs.lr or ()))]
    scored(target, outputs)
    after = (*outputs.sr, *(outputs.hr or ()), *(outputs.lr or ()))
    if any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True)):
        raise Broken("its arrays as they were", "arrays that were changed in place", "score")


def the_same_twice(target: Any) -> None:
    with untouched("score"):
        first = scored(target, given())
    again = scored(target, given())
    if first.value != again.value and not np.isclose(first.value, again.value, rtol=1e-9):
        raise Broken("the same value twice: draw from outputs.seed", f"{first.value} and {again.value}", "score")


def order_does_not_matter(target: Any) -> None:
    order = [3, 0, 7, 1, 2, 6, 5, 4]
    first, other = scored(target, given()), scored(target, given(order))
    if first.per_image is None or other.per_image is None or target.plugin.about != "sr":
        raise Skipped("it has no values of single faces")
    if "upscale" in target.plugin.needs:
        raise Skipped("it draws versions of faces in their order")
    if not np.allclose(np.asarray(first.per_image)[order], other.per_image, rtol=1e-4, atol=1e-6, equal_nan=True):
        raise Broken("a face's value to go with the face", "values that depend on the order", "score")


def direction_is_right(target: Any) -> str:
    """Where the truth is known, outputs nearer to it are better."""
    if "hr" not in target.plugin.needs:
        raise Skipped("it does not look at the truth")
    near, far = (scored(target, given(noise=amount)).value for amount in (0.02, 0.2))
    if (near > far) != (target.plugin.direction == "higher"):
        came = f"{near:.4g} near the truth, {far:.4g} far from it"
        raise Broken(f"{target.plugin.direction} to be better", came, "direction")
    return f"{near:.4g} near the truth, {far:.4g} far from it"


def unavailable_says_why(target: Any) -> None:
    """With outputs alone, it measures or says what it lacks."""
    alone = Outputs(sr=given().sr, names=given().names)
    metric = metric_of(target)
    if any(getattr(alone, n) is None for n in metric.needs) or target.plugin.about != "sr":
        return
    try:
        metric.score(alone)
    except Unavailable as reason:
        if not str(reason):
            raise Broken("Unavailable with a reason", "none", "score") from None


CHECKS = (
    ("parameters round-trip", parameters, "parameters"),
    ("says its direction and needs", declarations, "a-metric"),
    ("measures eight faces", measures, "a-metric"),
    ("leaves its arrays alone", leaves_its_arrays_alone, "a-metric"),
    ("gives the same twice, from no global random state", the_same_twice, "randomness"),
    ("a face's value goes with the face", order_does_not_matter, "a-metric"),
    ("its direction is right", direction_is_right, "a-metric"),
    ("says what it lacks", unavailable_says_why, "a-metric"),
)
