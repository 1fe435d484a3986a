"""Faces to measure: made-up outputs of a method, and metrics with options."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from bench.degradations.conditions import Bicubic
from smooth import smooth_images

from bench.api.metric import Metric, Outputs, Score
from bench.core.spec import override


def outputs(n: int = 12, size: int = 64, seed: int = 0, **more: object) -> Outputs:
    """``n`` smooth pictures with noise as the restored faces, what they were, their LR, and others as the reference."""
    hr = smooth_images(n, size, seed)
    noise = np.random.default_rng(seed).normal(0, 9, hr.shape)
    sr = (hr + noise).clip(0, 255).astype(np.uint8)
    lr = (Bicubic().infer(torch.from_numpy(hr) / 255) * 255).round().byte().numpy()
    given = {"hr": list(hr), "lr": list(lr), "reference_hr": list(smooth_images(3 * n, size, seed + 1))}
    return Outputs(sr=list(sr), names=[str(i) for i in range(n)], **{**given, **more})


def tensors(images: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(images)).float() / 255


def with_params(cls: type[Metric], **options: object) -> Metric:
    return cls(override(cls.Params(), options, cls.__name__))


def agrees(
    metric: Metric, given: Outputs, theirs: Callable[..., torch.Tensor], rel: float = 1e-5, pair: bool = False
) -> Score:
    """The metric's values are those of the package's network on the same faces."""
    score, pair = metric.score(given), pair or "hr" in metric.needs
    with torch.inference_mode():
        expected = theirs(*(tensors(x) for x in ([given.sr, given.hr] if pair else [given.sr])))
    assert score.per_image == pytest.approx(expected.flatten().double().numpy(), rel=rel)
    assert score.value == pytest.approx(score.per_image.mean())
    return score
