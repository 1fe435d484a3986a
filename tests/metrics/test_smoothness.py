"""Smoothness of features: known answers for features that are the input itself, the Sinkhorn value by assignment."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from bench.metrics.smoothness import Smoothness
from degraded import outputs, smoothed
from scipy.optimize import linear_sum_assignment

from bench.core.spec import override
from bench.errors import Unavailable
from bench.plugins import facts


def score(features, **options):
    return Smoothness(override(Smoothness.Params(), options, "smoothness")).score(outputs(None, features=features))


def pooled(lr):
    return F.avg_pool2d(smoothed(lr), 4)


def test_features_that_are_the_input_move_in_a_straight_line():
    found = score(lambda lr: lr, alphas=(0.75, 0.5, 0.25, 0))
    assert [found.extra[f"level{i}_input"] for i in range(5)] == [0, 0.25, 0.5, 0.75, 1]
    curve = [found.extra[f"level{i}"] for i in range(5)]
    assert curve == pytest.approx(np.array([0, 0.25, 0.5, 0.75, 1]) * found.extra["end"], rel=1e-4, abs=1e-6)
    assert found.value == pytest.approx(found.extra["end"] / 2, rel=1e-4), "a triangle"
    assert found.per_image.mean() == pytest.approx(found.value) and found.n == 8


def test_values_agree_with_numpy():
    given = outputs(None, features=lambda lr: lr)
    found = Smoothness(override(Smoothness.Params(), {"versions": 1}, "smoothness")).score(given)
    ((_, clean, versions),) = next(iter(given.cache.values()))
    x, v = clean.double().numpy().reshape(8, -1), versions[0, 0].double().numpy().reshape(8, -1)
    between = np.mean([np.sqrt(((x[i] - x[j]) ** 2).mean()) for i in range(8) for j in range(i)])
    assert found.extra["end"] == pytest.approx(np.sqrt(((x - v) ** 2).mean(1)).mean() / between, rel=1e-4)


def test_the_sinkhorn_value_is_the_optimal_assignment_where_the_blur_is_small():
    given = outputs(None, features=pooled)
    found = Smoothness(override(Smoothness.Params(), {"versions": 1, "epsilon": 1e-3}, "smoothness")).score(given)
    ((_, clean, versions),) = next(iter(given.cache.values()))
    x, v = (pooled(i).flatten(2).transpose(1, 2).double().numpy() for i in (clean, versions[0, 0]))

    def cost(a, b):
        squares = ((a[:, None] - b) ** 2).sum(2) / 2
        return squares[linear_sum_assignment(squares)].mean()

    between = np.mean([cost(x[i], x[j]) for i in range(8) for j in range(i)])
    assert found.extra["sinkhorn_end"] == pytest.approx(np.mean(list(map(cost, x, v))) / between, rel=0.02)
    assert found.extra["level0_sinkhorn"] == pytest.approx(0, abs=1e-6)


def test_smooth_features_score_better_and_their_size_does_not_matter():
    smooth, rough = score(pooled), score(lambda lr: lr - smoothed(lr))
    for part in ("end", "sinkhorn", "sinkhorn_end"):
        assert smooth.extra[part] < 0.7 * rough.extra[part], part
    assert smooth.value < 0.7 * rough.value
    large = score(lambda lr: 1000 * pooled(lr))
    assert (large.value, large.extra["sinkhorn"]) == pytest.approx((smooth.value, smooth.extra["sinkhorn"]), rel=1e-3)


def test_features_that_say_nothing_of_the_face_are_not_rewarded():
    with pytest.raises(Unavailable, match="the same"):
        score(lambda lr: torch.ones_like(lr))
    with pytest.raises(Unavailable, match="exposes no features"):
        score(lambda lr: None)


def test_features_of_a_method_that_ignores_its_input_are_told_apart():
    """Two values of features move little; the output, one of two pictures, does not explain the LR."""

    def two(lr):
        return (lr.mean((1, 2, 3), keepdim=True) > 0.5).float().expand(-1, 3, 64, 64)

    def extra(upscale):
        return Smoothness().score(outputs(upscale, features=lambda lr: lr)).extra

    deaf, honest = extra(two), extra(lambda lr: F.interpolate(lr, scale_factor=4))
    assert deaf["lr_psnr"] < deaf["lr_floor"] == honest["lr_floor"] < honest["lr_psnr"]
    assert facts("metrics", "smoothness")["guard"][:2] == ("lr_psnr", "lr_floor"), "what reports read"


def test_versions_may_be_made_on_the_way_from_hr():
    asked = []
    given = outputs(None, features=lambda lr: lr)
    degrade = given.degrade
    given.degrade = lambda spec, images, **more: asked.append(tuple(images.shape[-2:])) or degrade(spec, images, **more)
    sizes = {"lr": given.lr[0].shape[1:]} | ({"hr": given.hr[0].shape[1:]} if given.hr else {})
    for source, size in sizes.items():
        asked.clear()
        metric = Smoothness(override(Smoothness.Params(), {"source": source}, "smoothness"))
        metric.score(given)
        assert set(asked) == {tuple(size)} and f"made from the {source.upper()}" in metric.protocol(given)
    given.hr = None
    given.cache.clear()
    with pytest.raises(Unavailable, match="ground truth"):
        Smoothness(override(Smoothness.Params(), {"source": "hr"}, "smoothness")).score(given)
