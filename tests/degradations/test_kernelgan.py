import numpy as np
import pytest
import torch
import torch.nn.functional as F
from bench.degradations.kernelgan import (
    SIDE,
    KernelGAN,
    Schedule,
    _critic_weights,
    _directions,
    _generator_weights,
    compose,
    crop_places,
    crop_side,
    discriminate,
    generate,
    gradient_map,
    normalized,
)
from bench.degradations.kernels import (
    bicubic_kernel,
    centre_of_mass,
    composed,
    downsample_with,
    finished,
    read_kernels,
    significant,
)
from scipy import io
from smooth import smooth_images
from torch import nn

from bench.core.image import downsample
from bench.errors import UsageError

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = Schedule(iterations=40, crop=32, width=8, bicubic_every=10)


def pictures(*sizes):
    """One (3, H, W) in [0, 1] for each size."""
    return [
        torch.from_numpy(smooth_images(1, max(s), i)[0, :, : s[0], : s[1]]).float() / 255 for i, s in enumerate(sizes)
    ]


def layered(weights, crops):
    """The generator as METHODS and the paper describe it: six convolutions of one image's channels, stride 2 at the end."""
    x = crops.transpose(0, 1)  # colours as a batch
    width = weights[0].shape[0]
    for index, (w, k) in enumerate(zip(weights, (7, 5, 3, 1, 1, 1), strict=True)):
        inputs = 1 if index == 0 else width
        kernel = w.view(-1, k, k, inputs).permute(0, 3, 1, 2) if k > 1 else w.view(-1, inputs, 1, 1)
        x = F.conv2d(x, kernel, stride=2 if index == 5 else 1)
    return x.transpose(0, 1)


def test_the_composed_kernel_is_the_layers_and_so_are_its_gradients():
    weights = [w.double().requires_grad_() for w in _generator_weights(6, torch.Generator().manual_seed(0))]
    crops = torch.rand(1, 3, 30, 30, dtype=torch.float64)
    slow = layered(weights, crops)
    fast = generate(crops, compose([w[None] for w in weights]))
    assert fast.shape == (1, 3, 9, 9) and torch.allclose(slow, fast, rtol=1e-10)
    target = torch.rand_like(slow)
    gradients = [torch.autograd.grad(((x - target) ** 2).sum(), weights) for x in (slow, fast)]
    assert all(torch.allclose(a, b, rtol=1e-9) for a, b in zip(*gradients, strict=True))


def test_the_critic_is_seven_convolutions_with_batch_norm_between():
    width = 6
    weights = {k: v.double() for k, v in _critic_weights(width, torch.Generator().manual_seed(1)).items()}
    weights["shift"].normal_()
    weights["bias"].fill_(0.3)
    layers = [nn.Conv2d(3, width, 7)]
    for _ in range(5):
        layers += [nn.Conv2d(width, width, 1), nn.BatchNorm2d(width), nn.ReLU()]
    net = nn.Sequential(*layers, nn.Conv2d(width, 1, 1), nn.Sigmoid()).double()
    with torch.no_grad():
        net[0].weight.copy_(weights["first"].view(width, 3, 7, 7))
        for block in range(5):
            net[1 + 3 * block].weight.copy_(weights["blocks"][block].view(width, width, 1, 1))
            net[2 + 3 * block].weight.copy_(weights["gain"][block])
            net[2 + 3 * block].bias.copy_(weights["shift"][block])
        net[16].weight.copy_(weights["last"].view(1, width, 1, 1))
        net[16].bias.fill_(0.3)
    image = torch.rand(1, 3, 12, 11, dtype=torch.float64)
    found = discriminate({k: v[None] for k, v in weights.items()}, image[None])
    assert found.shape == (1, 1, 30) and torch.allclose(found.flatten(), net(image).flatten(), rtol=1e-9)


def test_spectral_norms_of_the_critic_become_one():
    g = torch.Generator().manual_seed(0)
    critic, u = ({k: v[None] for k, v in made.items()} for made in (_critic_weights(8, g), _directions(8, g)))
    for _ in range(500):
        weights = normalized(critic, u)
    for name in ("first", "blocks", "last"):
        largest = torch.linalg.svdvals(weights[name].flatten(0, -3))[:, 0]
        assert torch.allclose(largest, torch.ones_like(largest), atol=1e-3)


def test_images_trained_together_take_the_steps_that_they_take_alone():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # rounding grows in the training of any GAN: ten-fold in a step at times
    try:
        images = [image.double() for image in pictures((40, 52), (33, 33), (32, 36))]
        together = KernelGAN(images, [3, 4, 5], SMALL)
        starts = together.kernels()
        together.train(8)
        for index, image in enumerate(images):
            alone = KernelGAN([image], [3 + index], SMALL)
            alone.train(8)
            pairs = zip(
                [*together.generator, *together.critic.values()],
                [*alone.generator, *alone.critic.values()],
                strict=True,
            )
            assert all((a[index] - b[0]).abs().max() < 1e-9 for a, b in pairs)
            assert (together.kernels()[index] - starts[index]).abs().max() > 0.01 * starts[index].abs().max()
    finally:
        torch.set_default_dtype(before)


def test_a_seed_decides_a_kernel():
    image = pictures((36, 36))
    kernels = []
    for seed in (1, 1, 2):
        gan = KernelGAN(image, [seed], SMALL)
        gan.train(5)
        kernels.append(gan.kernels())
    assert torch.equal(kernels[0], kernels[1]) and not torch.equal(kernels[0], kernels[2])


def test_the_regularisers_are_those_of_the_paper_by_hand():
    gan = KernelGAN(pictures((32, 32)), [0], SMALL)
    kernel = torch.rand(1, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) - 0.2
    values, mask = kernel[0].double().numpy(), np.zeros((SIDE, SIDE))
    for y in range(SIDE):
        for x in range(SIDE):
            if min(y, x, SIDE - 1 - y, SIDE - 1 - x) < 2:
                mask[y, x] = 30 * (1 - np.exp(-((y - 6) ** 2 + (x - 6) ** 2) / (2 * 13**2)))
    centre = [(values.sum(1 - axis) * np.arange(SIDE)).sum() / values.sum() for axis in (0, 1)]
    by_hand = 5 * 0.7 + 0.5 * abs(1 - values.sum()) + 0.5 * np.abs(values * mask).mean()
    assert np.isclose(gan._regularizers(kernel, torch.tensor([0.7])).item(), by_hand, rtol=1e-5)
    gan.constrained[:] = True
    by_hand += np.mean([(c - 6.5) ** 2 for c in centre]) + 5 * (np.abs(values) ** 0.2).mean()
    assert np.isclose(gan._regularizers(kernel, torch.tensor([0.7])).item(), by_hand, rtol=1e-4)


def test_the_bicubic_weight_falls_once_it_fits_and_the_others_switch_on():
    gan = KernelGAN(pictures((32, 32), (32, 32)), [0, 1], SMALL)
    weights = []
    for _ in range(31):
        gan._advance(torch.tensor([0.1, 0.5]))  # the first fits, the second never does
        weights.append(gan.weight.tolist())
    assert [w[0] for w in weights[:10]] == [5.0] * 10 and np.isclose(weights[10][0], 0.05)
    assert np.isclose(weights[20][0], 5e-4) and np.isclose(weights[30][0], 5e-6)
    assert gan.constrained.tolist() == [True, False] and {w[1] for w in weights} == {5.0}


def test_crops_fit_small_faces_and_lie_where_the_gradients_are():
    sizes = ((132, 100), (64, 70), (63, 90), (47, 48), (39, 90))
    assert [crop_side(torch.empty(3, *size), 64) for size in sizes] == [64, 64, 56, 40, 32]
    image = torch.zeros(3, 64, 64)
    image[:, 40:60, 40:60] = torch.rand(20, 20, generator=torch.Generator().manual_seed(0))
    places = crop_places(gradient_map(image), 16, 400, torch.Generator().manual_seed(0))
    assert places.min() >= 0 and places.max() <= 48 and (places % 2 == 0).all()
    assert (places + 8 >= 28).all(1).float().mean() > 0.95


# ---------------------------------------------------------------- kernels


def gaussian(side, sigma=(1.2, 2.0), angle=0.5):
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    kernel = np.exp(-0.5 * ((u / sigma[0]) ** 2 + (v / sigma[1]) ** 2))
    return kernel / kernel.sum()


@pytest.mark.parametrize("scale", [4, 8])
def test_one_analytic_kernel_is_x2_again_and_again(scale):
    kernel = gaussian(14)
    kernel[kernel < 1e-4] = 0  # so that cropping takes nothing away
    kernel /= kernel.sum()
    image = torch.rand(1, 3, 160, 160, dtype=torch.float64)
    repeated = image
    for _ in range(scale.bit_length() - 1):
        repeated = downsample_with(repeated, torch.from_numpy(kernel)[None], 2)
    whole = composed(kernel, scale)
    assert whole.shape == (7 * scale - 2,) * 2
    once = downsample_with(image, torch.from_numpy(whole)[None], scale)
    inside = slice(32 // scale + 3, -(32 // scale + 3))
    assert torch.allclose(once[..., inside, inside], repeated[..., inside, inside], rtol=2e-3)


@pytest.mark.parametrize("scale", [2, 4])
def test_the_bicubic_kernel_is_bicubic_downsampling(scale):
    image = torch.rand(1, 3, 64, 48, dtype=torch.float64)
    kernel = torch.from_numpy(bicubic_kernel(scale, 4 * scale))[None]
    found = downsample_with(image, kernel, scale)
    assert found.shape == (1, 3, 64 // scale, 48 // scale)
    assert torch.allclose(found[..., 4:-4, 4:-4], downsample(image, scale)[..., 4:-4, 4:-4], atol=1e-12)


def test_each_image_has_its_kernel_and_small_ones_are_no_error():
    kernels = torch.from_numpy(np.stack([gaussian(26), gaussian(26, (3.0, 1.0))])).float()
    images = torch.rand(2, 3, 12, 16)
    both = downsample_with(images, kernels, 4)
    assert both.shape == (2, 3, 3, 4)
    for index in range(2):
        alone = downsample_with(images[index : index + 1], kernels[index : index + 1], 4)
        assert torch.allclose(both[index], alone[0], atol=1e-6)


def test_a_raw_estimate_is_cleaned_normalised_and_centred():
    raw = np.zeros((13, 13))
    raw[3:12, 1:10] = gaussian(9)
    raw += 1e-4 * np.random.default_rng(0).random((13, 13))
    threshold = 0.75 * np.sort(raw, axis=None)[-40]
    kept = significant(raw)
    assert ((kept > 0) == (raw > threshold)).all() and np.isclose(kept.sum(), 1)
    clean = finished(raw)
    assert clean.shape == (14, 14) and np.isclose(clean.sum(), 1) and (clean >= 0).all()
    assert np.allclose(centre_of_mass(clean), 6.5, atol=0.02)


def test_kernels_of_others_are_read_from_npy_and_mat(tmp_path):
    np.save(tmp_path / "a.npy", np.stack([gaussian(26), gaussian(25)[:25, :25]][:1]))
    io.savemat(tmp_path / "b.mat", {"Kernel": gaussian(25), "about": "x4"})
    kernels = read_kernels(str(tmp_path), 26)
    assert kernels.shape == (2, 26, 26) and torch.allclose(kernels.sum((1, 2)), torch.ones(2))
    assert (kernels[0] - torch.from_numpy(gaussian(26))).abs().max() < 1e-4
    assert np.allclose(centre_of_mass(kernels[1].double().numpy()), 12.5, atol=0.02)


@pytest.mark.parametrize(
    ("content", "words"), [(np.zeros(5), "not a kernel"), (-np.ones((5, 5)), "sum"), (None, "cannot be read")]
)
def test_a_file_that_is_no_kernel_is_named(tmp_path, content, words):
    if content is None:
        (tmp_path / "bad.npy").write_text("text")
    else:
        np.save(tmp_path / "bad.npy", content)
    with pytest.raises(UsageError, match=rf"bad\.npy: .*{words}"):
        read_kernels(str(tmp_path), 26)


def test_kernels_of_others_are_shifted_and_keep_their_negative_lobes(tmp_path):
    line = np.array([-0.1, 0.2, 0.8, 0.2, -0.1])
    sharp = np.zeros((9, 9))
    sharp[1:6, 2:7] = np.outer(line, line)
    np.save(tmp_path / "sharp.npy", sharp)
    (kernel,) = read_kernels(str(tmp_path), 26).double().numpy()
    assert np.allclose(centre_of_mass(kernel), 12.5, atol=0.02) and kernel.sum() == pytest.approx(1)
    assert kernel.min() < -0.02, "clipped to 0, it would blur more"
    moment = lambda k: ((k.sum(1) * (np.arange(len(k)) - centre_of_mass(k)[0]) ** 2).sum()) / k.sum()
    assert moment(kernel) == pytest.approx(moment(sharp), abs=0.05)


def test_the_rate_is_divided_by_ten_again_and_again():
    gan = KernelGAN([torch.rand(3, 40, 40)], [0], Schedule(width=4, iterations=5, lr=2e-4, lr_every=2))
    rates = []
    for _ in range(5):
        gan.train(1)
        rates.append([o.param_groups[0]["lr"] for o in gan.optimizers.values()])
    assert np.allclose(rates, [[2e-4] * 2, [2e-4] * 2, [2e-5] * 2, [2e-5] * 2, [2e-6] * 2])


def test_an_asymmetric_kernel_composes_the_right_way_round():
    """Two x2 steps with a kernel that reads one pixel are one x4 step that reads one pixel."""
    kernel = np.zeros((14, 14))
    kernel[5, 8] = 1  # 1 up and 2 right of the window's middle, in half pixels
    image = torch.rand(1, 1, 96, 96, dtype=torch.float64)
    twice = image
    for _ in range(2):
        twice = downsample_with(twice, torch.from_numpy(kernel)[None], 2)
    once = downsample_with(image, torch.from_numpy(composed(kernel, 4))[None], 4)
    assert torch.allclose(once[..., 6:-6, 6:-6], twice[..., 6:-6, 6:-6])


def test_the_networks_are_told_apart_and_pulled_the_right_way(monkeypatch):
    """The critic's minimum is 1 at the image's own patches and 0 at the generator's; the generator is pulled to 1."""
    from bench.degradations import kernelgan

    gan = KernelGAN([torch.rand(3, 40, 40)], [0], SMALL)
    asked, verdicts = [], []

    def judged(critic, images):
        verdict = (0.2 + 0.5 * torch.arange(images.shape[1])).view(1, -1, 1).expand(1, images.shape[1], 9)
        asked.append(images.detach())
        return verdict + 0 * sum(v.sum() for v in critic.values()) + 0 * images.sum()

    monkeypatch.setattr(kernelgan, "discriminate", judged)
    monkeypatch.setattr(gan, "_regularizers", lambda kernel, bicubic: torch.zeros(1))
    monkeypatch.setattr(gan, "_minimize", lambda name, parameters, losses, lr: verdicts.append((name, float(losses))))
    gan.train(1)
    (of_generator,), (real, fake) = asked[0][0], asked[1][0]
    assert verdicts[0] == ("generator", pytest.approx(0.8))
    assert verdicts[1] == ("critic", pytest.approx((0.8 + 0.7) / 2)), "real first: |1 - 0.2| and |0.7|"
    assert (fake - of_generator).abs().max() < 0.05 < (real - of_generator).abs().max()
