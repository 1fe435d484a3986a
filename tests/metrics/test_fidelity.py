"""Metrics of single faces against reference code on the same files: networks of the right shape with random weights."""

import json
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
import torch
from bench.degradations.conditions import Noise
from bench.metrics import identity
from bench.metrics.consistency import Consistency
from bench.metrics.fidelity import LrPsnr, MsSsim, Nlpd, Psnr, Ssim, halved, scales
from bench.metrics.identity import Identity
from bench.metrics.naturalness import Piqe
from bench.metrics.perceptual import Dists, Lpips
from scored import agrees, outputs, with_params

from bench import plugins
from bench.api import metric as interface
from bench.api.metric import Outputs
from bench.commands.weights import command
from bench.core.image import upsample
from bench.errors import MissingWeights, Unavailable, UsageError
from bench.weights.add import add
from bench.weights.manifest import MANIFEST

pytestmark = pytest.mark.usefixtures("no_network")


# ---------------------------------------------------------------- fidelity


def in_space(images, color):
    """Luma, or the channels, of 0-255 in float64, as BasicSR and MATLAB compute it: not rounded."""
    rgb = np.stack(images) / 255.0
    if color == "rgb":
        return rgb * 255
    taps, offset = ([65.481, 128.553, 24.966], 16) if color == "ycbcr" else ([76.245, 149.685, 29.07], 0)
    return np.einsum("c,bchw->bhw", taps, rgb)[:, None] + offset


def contrasted(size, n=5, seed=0):
    """Faces of which one has the structure of its truth turned round: its SSIM is below 0."""
    given = outputs(n, size, seed)
    given.hr = [255 - given.sr[0], *given.hr[1:]]
    return given


@pytest.mark.parametrize("color", ["y", "ycbcr", "rgb"])
@pytest.mark.parametrize("size", [64, 128])
def test_psnr_and_ssim_are_scikit_images(color, size):
    skimage = pytest.importorskip("skimage.metrics")
    given, border = contrasted(size), 3
    cut = (slice(None), slice(border, -border), slice(border, -border))
    psnr = with_params(Psnr, color=color, border=border).score(given)
    ssim = with_params(Ssim, color=color, border=border).score(given)
    for i, (sr, hr) in enumerate(zip(in_space(given.sr, color), in_space(given.hr, color), strict=True)):
        assert psnr.per_image[i] == pytest.approx(
            skimage.peak_signal_noise_ratio(hr[cut], sr[cut], data_range=255),
            abs=3e-4,  # the epsilon
        )
        expected = skimage.structural_similarity(
            hr[cut],
            sr[cut],
            channel_axis=0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
        )
        assert ssim.per_image[i] == pytest.approx(expected, abs=1e-5)
    assert ssim.per_image[0] < 0, "wrong structure is worse than none"


def test_luma_of_16_to_235_gains_as_much_as_its_range_is_smaller():
    given = outputs(4)
    gain = Psnr().score(given).value - with_params(Psnr, color="y").score(given).value
    assert gain == pytest.approx(20 * np.log10(255 / 219), abs=0.02)


def test_a_border_of_the_scale_is_cut_off_and_the_protocol_begins_with_what_a_heading_says():
    given = outputs()
    assert Psnr().protocol(given).startswith("[Y, border 4] ")
    assert with_params(Psnr, color="rgb", border=0).protocol(given).startswith("[RGB, border 0] ")
    for image in given.sr:
        image[:, :4] = 0
    assert Psnr().score(given).value > with_params(Psnr, border=0).score(given).value + 3


def published_ms_ssim(x, y, count):
    """Wang 2003 in float64 by scipy's Gaussian filter, for even sides."""
    from scipy.ndimage import gaussian_filter

    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])[:count]
    weights = weights / (weights.sum() if count < 5 else 1)
    smooth = lambda i: gaussian_filter(i, 1.5, truncate=3.5)[5:-5, 5:-5]
    product = 1.0
    for scale, weight in enumerate(weights):
        m, n = smooth(x), smooth(y)
        vx, vy, vxy = smooth(x * x) - m * m, smooth(y * y) - n * n, smooth(x * y) - m * n
        term = (2 * vxy + 58.5225) / (vx + vy + 58.5225)
        if scale == count - 1:
            term = term * (2 * m * n + 6.5025) / (m * m + n * n + 6.5025)
        product *= term.mean() ** weight
        if scale == count - 1:
            return product
        x, y = (i.reshape(len(i) // 2, 2, -1, 2).mean((1, 3)) for i in (x, y))
    return None


@pytest.mark.parametrize(("size", "count"), [(64, 3), (128, 4), (176, 5)])
def test_ms_ssim_is_the_published_one_with_as_many_scales_as_fit(size, count):
    given, metric = outputs(2, size), with_params(MsSsim, border=0)
    pairs = zip(in_space(given.sr, "ycbcr"), in_space(given.hr, "ycbcr"), strict=True)
    expected = [published_ms_ssim(x[0], y[0], count) for x, y in pairs]
    assert metric.score(given).per_image == pytest.approx(expected, abs=1e-5)
    assert f"MS-SSIM, {count} scales" in metric.protocol(given)
    assert [scales(side) for side in (11, 20, 21, 40, 41, 80, 81, 160, 161)] == [1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert np.isfinite(metric.score(contrasted(size)).per_image).all(), "negative contrast has no power; it counts as 0"


def test_an_odd_side_repeats_its_last_line():
    image = torch.arange(15.0).view(1, 1, 3, 5)
    assert halved(image).tolist() == [[[[3.0, 5.0, 6.5], [10.5, 12.5, 14.0]]]]


@pytest.mark.parametrize("size", [64, 128])
def test_nlpd_agrees_with_pyiqa(size):
    from pyiqa.archs.nlpd_arch import NLPD

    given = outputs(3, size)
    agrees(with_params(Nlpd, border=0), given, NLPD(channels=1, test_y_channel=True))
    same = Outputs(sr=given.hr, hr=given.hr, names=given.names)
    assert Nlpd().score(same).value == 0 and MsSsim().score(same).value == pytest.approx(1)


def test_lr_psnr_is_high_where_the_output_explains_the_input():
    given = outputs()
    better = Outputs(sr=given.hr, names=given.names, lr=given.lr)
    assert LrPsnr().score(better).value > LrPsnr().score(given).value + 5


# ---------------------------------------------------------------- perceptual, identity


def random_backbone(store, name):
    """torchvision's network, of which LPIPS and DISTS use the features, with a file of the same random weights."""
    import torchvision

    with torch.device("meta"):
        features = getattr(torchvision.models, name)().features
    features.to_empty(device="cpu")
    torch.manual_seed(1)
    for weight in features.parameters():
        torch.nn.init.kaiming_normal_(weight) if weight.ndim > 1 else torch.nn.init.normal_(weight, std=0.1)
    store(name, {f"features.{key}": value for key, value in features.state_dict().items()})
    return SimpleNamespace(features=features)


@pytest.mark.parametrize(("net", "name"), [("alex", "alexnet"), ("vgg", "vgg16"), ("squeeze", "squeezenet1_1")])
def test_lpips_agrees_with_its_package_on_the_same_backbone(store, net, name):
    import lpips
    import torchvision

    network = random_backbone(store, name)
    with patch.object(torchvision.models, name, lambda **_: network):
        theirs = lpips.LPIPS(net=net, verbose=False).eval()
    agrees(with_params(Lpips, net=net), outputs(4), lambda sr, hr: theirs(sr * 2 - 1, hr * 2 - 1), rel=1e-4)


def test_dists_agrees_with_pyiqa_on_the_same_files(store):
    from pyiqa.archs import dists_arch

    network = random_backbone(store, "vgg16")
    file = store("dists", {name: torch.rand(1, 1475, 1, 1) for name in ("alpha", "beta")})
    with patch.object(dists_arch.models, "vgg16", lambda **_: network):
        theirs = dists_arch.DISTS(pretrained_model_path=str(file)).eval()
    given = outputs(3)
    score = agrees(Dists(), given, theirs, rel=1e-4)
    same = Outputs(sr=given.hr, hr=given.hr, names=given.names, cache=given.cache)
    assert abs(Dists().score(same).value) < 1e-5 < score.value


def test_identity_is_the_cosine_of_facexlibs_embeddings(store):
    from facexlib.recognition.arcface_arch import Backbone

    with torch.device("meta"):
        theirs = Backbone(num_layers=50, drop_ratio=0.6, mode="ir_se").eval()
    theirs.to_empty(device="cpu")
    torch.manual_seed(3)
    for name, value in theirs.state_dict().items():
        value.fill_(1) if "var" in name or value.ndim == 0 else value.normal_(0, max(value[0].numel(), 2) ** -0.5)
    store("arcface", theirs.state_dict())
    given = outputs(2)

    def cosine(*pair):
        large = (torch.nn.functional.interpolate(x, size=112, mode="bilinear", align_corners=False) for x in pair)
        return torch.nn.functional.cosine_similarity(*(theirs(x * 2 - 1) for x in large))

    agrees(Identity(), given, cosine, rel=1e-4, pair=True)
    same = Outputs(sr=given.hr, hr=given.hr, names=given.names, cache=given.cache)
    assert Identity().score(same).value == pytest.approx(1, abs=1e-5)
    assert "against the HR" in Identity().protocol(given)


def test_identity_without_a_ground_truth_compares_versions(store, monkeypatch):
    store("arcface", {})
    monkeypatch.setattr(identity, "arcface", lambda: torch.nn.Sequential(torch.nn.AvgPool2d(14), torch.nn.Flatten()))
    given = outputs(3, hr=None)
    with pytest.raises(Unavailable, match="ground truth in HR, or the method itself"):
        Identity().score(given)
    given.upscale = lambda x: upsample(x, 4)

    def noise(sigma):
        return lambda spec, x, scale, seed: Noise(Noise.Params(sigma)).infer(x, torch.Generator().manual_seed(seed))

    values = []
    for sigma in (1.0, 8.0):
        score = Identity().score(Outputs(**{**vars(given), "degrade": noise(sigma), "cache": {}}))
        values.append(score.value)
        assert score.value == pytest.approx(score.per_image.mean())
    assert 0.9 < values[1] < values[0] < 1
    assert "no ground truth: between the outputs for 3 versions" in Identity().protocol(given)


# ---------------------------------------------------------------- all of them


@pytest.mark.parametrize("metric", [Psnr, Ssim, MsSsim, Nlpd, LrPsnr, Piqe])
def test_values_depend_neither_on_the_batch_nor_on_the_order(metric, monkeypatch):
    given = outputs(10)
    first = metric().score(given)
    order = np.random.default_rng(0).permutation(10)
    lists = {name: [getattr(given, name)[i] for i in order] for name in ("sr", "hr", "lr", "names")}
    batches = interface.batches
    monkeypatch.setattr(interface, "batches", lambda *images, **o: batches(*images, **{**o, "size": 3}))
    again = metric().score(Outputs(**lists))
    assert again.value == pytest.approx(first.value, rel=1e-5)
    assert again.per_image == pytest.approx(first.per_image[order], rel=1e-5)


def test_faces_that_are_too_small_are_left_out_of_the_mean():
    given, small = outputs(3), outputs(2, 8)
    mixed = Outputs(sr=given.sr + small.sr, hr=given.hr + small.hr, names=list("abcde"))
    score = Ssim().score(mixed)
    assert np.isnan(score.per_image[3:]).all() and score.value == pytest.approx(Ssim().score(given).value)
    with pytest.raises(Unavailable, match="8x8 px are smaller than 19 px: SSIM's window"):
        Ssim().score(small)


def test_missing_weights_name_the_command(store):
    given = outputs(3, 128, hr=None)
    given.hr = given.sr
    for name in plugins.names("metrics"):
        if name == "ntire-face":
            continue  # tests/metrics/test_ntire.py
        metric = plugins.load("metrics", name)()
        if metric.required_weights() and not isinstance(metric, Consistency):
            with pytest.raises(MissingWeights, match=f"bench weights fetch ({'|'.join(metric.required_weights())})"):
                metric.score(Outputs(**{**vars(given), "reference_lr": given.lr}))


def test_directions_are_pyiqas():
    from pyiqa.default_model_configs import DEFAULT_CONFIGS

    names = {"ms-ssim": "ms_ssim", "topiq-face": "topiq_nr-face"}
    for name in ("psnr", "ssim", "ms-ssim", "nlpd", "lpips", "dists", "nima", "musiq", "topiq-face", "niqe", "brisque",
                 "piqe", "nrqm"):  # fmt: skip
        lower = DEFAULT_CONFIGS[names.get(name, name)].get("lower_better", False)
        assert plugins.load("metrics", name).direction == ("lower" if lower else "higher"), name


def test_a_wrong_checksum_is_refused(store, tmp_path):
    file = store("alexnet", {"a": torch.zeros(1)})
    rows = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps([{**rows[0], "sha256": "0" * 8}]))
    with pytest.raises(UsageError, match="refused"):
        add([str(file)])
    assert command("verify", []) == 1


def test_addresses_are_those_of_the_packages(monkeypatch):
    import torchvision
    from pyiqa.archs.arch_util import get_url_from_name
    from pytorch_fid.inception import FID_WEIGHTS_URL

    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    classes = {"alexnet": "AlexNet", "vgg16": "VGG16", "vgg19": "VGG19", "squeezenet1_1": "SqueezeNet1_1"}
    for w in MANIFEST:
        if "pyiqa" in w.licence or w.name == "dists":
            assert w.url == get_url_from_name(w.file)
        elif w.name in classes:
            assert w.url == getattr(torchvision.models, f"{classes[w.name]}_Weights").IMAGENET1K_V1.url
        elif w.name == "inception-fid":
            assert w.url == FID_WEIGHTS_URL
