import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bench.kit.tile import tiled

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def net():
    """Looks 5 px of LR far: four conv3 at LR, one at twice that, and one at four times that."""
    torch.manual_seed(0)
    body = [layer for _ in range(4) for layer in (nn.Conv2d(3, 3, 3, padding=1), nn.Tanh())]
    up = nn.Upsample(scale_factor=2)
    return nn.Sequential(*body, up, nn.Conv2d(3, 3, 3, padding=1), up, nn.Conv2d(3, 3, 3, padding=1)).eval()


@pytest.mark.parametrize("size", [(7, 5), (16, 16), (17, 40), (63, 20), (51, 41), (67, 29)])
@pytest.mark.parametrize("multiple", [1, 8])
def test_tiles_leave_no_seam_at_any_size(net, size, multiple):
    lr = torch.rand(2, 3, *size)
    with torch.inference_mode():
        whole, parts = net(lr), tiled(net, lr, 4, tile=24, overlap=5, multiple=multiple)
    assert parts.shape == (2, 3, 4 * size[0], 4 * size[1])
    assert torch.allclose(whole, parts, atol=1e-6)


def test_an_overlap_shorter_than_the_function_looks_leaves_seams_at_the_tiles_borders_alone(net):
    lr = torch.rand(1, 3, 40, 40)
    with torch.inference_mode():
        wrong = (net(lr) - tiled(net, lr, 4, tile=24, overlap=2)).abs().amax((0, 1)) > 1e-5
    assert wrong.any() and not wrong[: 4 * 12].any(0)[: 4 * 12].any(), "the first tile's inside is exact"


def test_no_call_sees_more_than_a_tile_and_small_images_go_together():
    seen = []

    def function(x):
        seen.append(tuple(x.shape))
        return F.interpolate(x, scale_factor=2)

    lr = torch.rand(3, 3, 100, 30)
    assert torch.equal(tiled(function, lr, 2, tile=32, overlap=4, multiple=4), F.interpolate(lr, scale_factor=2))
    assert all(b * h * w <= 40 * 40 for b, _, h, w in seen) and len({s[2] for s in seen}) <= 3
    seen.clear()
    lr = torch.rand(10, 3, 16, 16)
    assert torch.equal(tiled(function, lr, 2, tile=32), F.interpolate(lr, scale_factor=2))
    assert [s[0] for s in seen] == [4, 4, 2]
    seen.clear()
    tiled(function, lr, 2, tile=64)
    assert [s[0] for s in seen] == [10]


def test_tiles_begin_where_windows_do():
    """A function that works on a grid of 8 px, as networks of windows do, gives the same in tiles."""
    windows = lambda x: F.interpolate(F.avg_pool2d(x, 8), scale_factor=16)
    lr = torch.rand(1, 3, 96, 64)
    assert torch.allclose(tiled(windows, lr, 2, tile=40, overlap=8, multiple=8), windows(lr))
