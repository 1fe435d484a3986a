import numpy as np
import pytest
import torch
from bench.methods.interpolation import Bicubic, Bilinear, Lanczos, lanczos_matrix
from PIL import Image
from smooth import smooth_images

FILTERS = {Bicubic: Image.BICUBIC, Bilinear: Image.BILINEAR, Lanczos: Image.LANCZOS}
LR = (torch.from_numpy(smooth_images(2, 12)[..., :10]) // 2 + 64) / 255  # grey levels 64-191: nothing is clamped


@pytest.mark.parametrize("cls", FILTERS)
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_interpolation_is_pillows(cls, scale):
    ours = cls(cls.Params(**({"edges": "torch"} if cls is Bicubic else {})), scale=scale).infer(LR)
    assert ours.shape == (2, 3, 12 * scale, 10 * scale)
    for image, plane in zip(LR.flatten(0, 1).numpy(), ours.flatten(0, 1).numpy(), strict=True):
        theirs = np.asarray(Image.fromarray(image).resize((10 * scale, 12 * scale), FILTERS[cls]))  # in floats
        assert np.abs(theirs - plane).max() < 1e-5


@pytest.mark.parametrize("cls", FILTERS)
def test_what_overshoots_is_clamped(cls):
    edge = torch.zeros(1, 3, 8, 8)
    edge[..., 4:] = 1
    sr = cls().infer(edge)
    assert sr.min() == 0 and sr.max() == 1


def test_lanczos_weighs_six_pixels_at_most_and_sums_to_one():
    weights = lanczos_matrix(16, 64)
    assert torch.allclose(weights.sum(1), torch.ones(64, dtype=torch.float64))
    assert (weights != 0).sum(1).max() == 6


@pytest.mark.parametrize("cls", FILTERS)
def test_nothing_is_trained(cls):
    assert not cls.trains() and cls().parameter_count() == 0
