import numpy as np
import pytest
import torch
from bench.degradations.noise_pool import (
    draw_noise,
    gaussian_patches,
    mean_and_variance,
    noise_level,
    noise_patches,
    read_patches,
    smooth_places,
)
from PIL import Image
from scipy import io

from bench.errors import UsageError
from bench.kit.jpeg import luma

LIMITS = {"mu": 0.1, "gamma": 0.25, "phi": 0.5}


def naive(grey, patch, sub, stride, sub_stride, mu, gamma, phi):
    """Eqs. 4-6 window by window."""
    found = []
    for top in range(0, grey.shape[0] - patch + 1, stride):
        for left in range(0, grey.shape[1] - patch + 1, stride):
            p = grey[top : top + patch, left : left + patch]
            good = p.var() >= phi
            for y in range(0, patch - sub + 1, sub_stride):
                for x in range(0, patch - sub + 1, sub_stride):
                    q = p[y : y + sub, x : x + sub]
                    good &= abs(q.mean() - p.mean()) <= mu * p.mean() and abs(q.var() - p.var()) <= gamma * p.var()
            if good:
                found.append([top, left])
    return found


@pytest.mark.parametrize(("stride", "sub_stride"), [(1, 8), (4, 4), (5, 3)])
def test_the_same_patches_as_a_sliding_window_finds(stride, sub_stride):
    rng = np.random.default_rng(0)
    grey = rng.normal(120, 6, (56, 70)).round()
    grey[:, 40:] += np.arange(30) * 3  # a slope, which fails eq. 4
    grey[:30] = grey[:30].mean() + (grey[:30] - grey[:30].mean()) * 0.2
    settings = {"patch": 16, "sub": 8, "stride": stride, "sub_stride": sub_stride, "mu": 0.1, "gamma": 0.6, "phi": 0.5}
    found = smooth_places(torch.from_numpy(grey), **settings).tolist()
    assert found == naive(grey, **settings)
    assert 0 < len(found) < len(naive(grey, **{**settings, "gamma": 99.0, "mu": 99.0}))


def checked_board(low, high, side=32):
    """Every window of 8x8 has the same mean and variance."""
    y, x = np.mgrid[:side, :side]
    return torch.from_numpy(np.where((x + y) % 2, high, low).astype(float))


def accepted(grey, **limits):
    return len(smooth_places(grey, patch=32, sub=8, stride=1, sub_stride=8, **{**LIMITS, **limits})) == 1


def test_each_equation_decides_alone():
    board = checked_board(99, 101)
    assert accepted(board)
    assert not accepted(board, phi=1.01)  # eq. 6: its variance is 1
    assert accepted(board, psi=1.0) and not accepted(board, psi=0.99)
    lighter = board.clone()
    lighter[:8, :8] += 12  # mean 112 in q, 100.75 in p: over a tenth, eq. 4
    assert not accepted(lighter, gamma=1e9)
    assert accepted(lighter, gamma=1e9, mu=0.2)
    rougher = board.clone()
    rougher[:8, :8] = checked_board(97, 103, 8)  # variance 9 in q, 1.5 in p: eq. 5
    assert not accepted(rougher, mu=1.0)
    assert accepted(rougher, mu=1.0, gamma=6.0)
    smoother = board.clone()
    smoother[8:16, 8:16] = 100  # variance 0 in q: from below, eq. 5
    assert not accepted(smoother, mu=1.0)


def test_means_and_variances_are_those_of_the_windows():
    grey = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (20, 23)).astype(float))
    mean, variance = mean_and_variance(grey, 8)
    window = grey[3:11, 5:13]
    assert mean[3, 5] == window.mean() and torch.isclose(variance[3, 5], window.var(correction=0), rtol=1e-12)


def test_luma_is_pillows():
    image = np.random.default_rng(2).integers(0, 256, (3, 9, 7), dtype=np.uint8)
    grey = np.asarray(Image.fromarray(image.transpose(1, 2, 0)).convert("L"))
    assert np.array_equal(luma(torch.from_numpy(image)).numpy(), grey)


def test_patches_have_no_mean_and_an_image_too_small_has_none():
    image = torch.randint(256, (3, 40, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    patches = noise_patches(image, torch.tensor([[0, 0], [3, 8]]), 32)
    assert patches.shape == (2, 3, 32, 32) and patches.mean((2, 3)).abs().max() < 1e-6
    difference = patches[1] - image[:, 3:35, 8:40] / 255
    assert (difference - difference.mean((1, 2), keepdim=True)).abs().max() < 1e-6
    assert not len(smooth_places(torch.zeros(20, 40), patch=32, sub=8, stride=1, sub_stride=8, **LIMITS))


@pytest.mark.parametrize(("height", "width"), [(8, 8), (5, 7), (20, 9), (8, 21)])
def test_noise_is_cut_from_the_pool_and_follows_its_generator(height, width):
    pool = torch.arange(6 * 3 * 64).float().view(6, 3, 8, 8)  # every value tells where it comes from
    noise, again, other = (
        draw_noise(pool, (16, height, width), torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert noise.shape == (16, 3, height, width)
    assert torch.equal(noise, again) and not torch.equal(noise, other)
    first = noise[:, 0]
    which, place = first.long() // 192, first.long() % 64
    assert which.unique().tolist() == list(range(6))
    assert torch.equal(noise[:, 2].long(), which * 192 + 128 + place)  # channels stay together
    steps = (place[:, :, 1:] - place[:, :, :-1])[which[:, :, 1:] == which[:, :, :-1]]
    assert ((steps - 1) % 8 == 0).all()  # neighbours stay neighbours, within a patch and around its edge


def test_the_level_of_noise_is_found_below_a_smooth_picture_and_given_to_patches():
    rng = np.random.default_rng(0)
    smooth = 100 + 50 * np.sin(np.arange(64) / 10)[:, None] * np.cos(np.arange(64) / 13)
    noisy = smooth + rng.normal(0, 1, (3, 64, 64)) * np.array([4, 8, 12])[:, None, None]
    level = noise_level(torch.from_numpy(noisy.round().astype(np.uint8)))
    assert torch.allclose(255 * level, torch.tensor([4.0, 8.0, 12.0]), rtol=0.1)
    patches = gaussian_patches(torch.stack([level, 2 * level]), 100, 16, seed=0)
    assert patches.shape == (100, 3, 16, 16)
    assert torch.allclose(patches[1::2].std((0, 2, 3)), 2 * level, rtol=0.05)
    assert torch.equal(patches, gaussian_patches(torch.stack([level, 2 * level]), 100, 16, seed=0))


def test_patches_of_others_are_read(tmp_path):
    values = np.random.default_rng(0).normal(0, 5, (4, 8, 8, 3))
    np.save(tmp_path / "a.npy", values[:3])
    io.savemat(tmp_path / "b.mat", {"noise": values[3]})
    pool = read_patches(str(tmp_path))
    expected = (values - values.mean((1, 2), keepdims=True)).transpose(0, 3, 1, 2) / 255
    assert np.allclose(pool, expected, atol=1e-6)
    np.save(tmp_path / "c.npy", np.zeros((8, 9, 3)))
    with pytest.raises(UsageError, match=r"c\.npy: not noise patches"):
        read_patches(str(tmp_path))


def test_psi_bounds_the_variance_from_above():
    quiet, loud = checked_board(118, 122), checked_board(80, 160)  # variances 4 and 1600
    assert accepted(quiet, psi=100) and not accepted(loud, psi=100) and accepted(loud)
