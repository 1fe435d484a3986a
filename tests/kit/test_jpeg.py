import numpy as np
import pytest
import torch
from bench.degradations.conditions import compress
from smooth import smooth_images

from bench.kit.jpeg import jpeg


def images(height, width, seed=0):
    """Smooth pictures with noise on them: all frequencies, no colour left out."""
    rng = np.random.default_rng(seed)
    smooth = smooth_images(3, max(height, width), seed)[:, :, :height, :width].astype(float)
    return (smooth + rng.normal(0, 12, smooth.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("quality", [5, 30, 50, 75, 95])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (64, 48), (33, 47), (5, 3), (8, 2)])
def test_a_batch_is_what_libjpeg_makes_of_each_image(height, width, quality):
    given = images(height, width, quality)
    found = jpeg(torch.from_numpy(given), quality).numpy()
    for mine, image in zip(found, given, strict=True):
        assert np.array_equal(mine, compress(image, quality))


def test_a_quality_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="quality 0"):
        jpeg(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), 0)
