"""Bicubic resizing against a reference that follows MATLAB's documented steps, pixel by pixel."""

import math

import numpy as np
import pytest
import torch
from bench.degradations.conditions import Bicubic
from bench.methods import interpolation

from bench.core.image import downsample, resize, upsample
from bench.core.spec import override


def imresize(line, target):
    """A line of numbers to ``target`` numbers, as imresize: wider kernel when shrinking, weights to 1, mirrored border."""
    n, scale = len(line), target / len(line)
    shrink = min(1.0, scale)

    def cubic(x):
        x = abs(x)
        if x <= 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0.0

    mirrored = [*range(n), *reversed(range(n))]
    result = []
    for out in range(1, target + 1):  # counted from 1, as there
        u = out / scale + 0.5 * (1 - 1 / scale)
        left = math.floor(u - 2 / shrink)
        taps = [left + k for k in range(math.ceil(4 / shrink) + 2)]
        weights = [cubic(shrink * (u - t)) for t in taps]
        result.append(
            sum(w * line[mirrored[(t - 1) % (2 * n)]] for w, t in zip(weights, taps, strict=True)) / sum(weights)
        )
    return result


@pytest.mark.parametrize(("size", "target"), [(64, 16), (16, 64), (50, 16), (7, 30), (6, 3), (8, 64), (12, 16)])
def test_bicubic_is_matlabs_up_to_the_border(size, target):
    image = np.random.default_rng(0).random((size, size + 3))
    expected = np.array([imresize(row, target) for row in image])
    expected = np.array([imresize(column, target) for column in expected.T]).T
    ours = resize(torch.from_numpy(image)[None, None], (target, target))[0, 0].numpy()
    assert np.abs(ours - expected).max() < 1e-5
    single = resize(torch.from_numpy(image).float()[None, None], (target, target))[0, 0].numpy()
    assert np.abs(single - expected).max() < 1e-5


def test_degradation_and_interpolation_have_matlabs_edges_unless_told():
    x = torch.rand(1, 3, 32, 32)
    for cls, resized in (
        (Bicubic, lambda e: downsample(x, 4, edges=e)),
        (interpolation.Bicubic, lambda e: upsample(x, 4, edges=e)),
    ):
        by_default, matlab, torchs = (
            cls(override(cls.Params(), o, "")).infer(x) for o in ({}, {"edges": "matlab"}, {"edges": "torch"})
        )
        assert torch.equal(by_default, matlab) and torch.equal(matlab, resized("matlab").clamp(0, 1))
        assert torch.equal(torchs, resized("torch").clamp(0, 1))
        near, far = (torchs - matlab).abs().amax((0, 1)), 2 if cls is Bicubic else 8
        assert near.max() > 0.005 and near[far:-far, far:-far].max() < 1e-5, "only the border differs"


def test_resizing_is_in_float32_under_autocast():
    x = torch.rand(1, 3, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(resize(x, 8), resize(x.clone(), 8)) and resize(x, 8).dtype == torch.float32
        inside = resize(x, 8)
    assert torch.equal(inside, resize(x, 8))
