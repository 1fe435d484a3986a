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
from bench.metrics.fidelity import LrPsnr, MsSsim, Nlpd, Psnr, Ssim, scales
from bench.metrics.identity import Identity
from bench.metrics.naturalness import Piqe
from bench.metrics.perceptual import Dists, Lpips
from scored import agrees, outputs, tensors, with_params

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


def test_psnr_and_ssim_agree_with_scikit_image():
    skimage = pytest.importorskip("skimage.metrics")
    given = outputs()
    psnr = with_params(Psnr, color="rgb").score(given)
    ssim = with_params(Ssim, color="rgb").score(given)
    for i, (sr, hr) in enumerate(zip(given.sr, given.hr, strict=True)):
        assert psnr.per_image[i] == pytest.approx(skimage.peak_signal_noise_ratio(hr, sr), abs=1e-3)
        _, full = skimage.structural_similarity(
            hr, sr, channel_axis=0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, full=True
        )  # fmt: skip
        assert ssim.per_image[i] == pytest.approx(full[:, 5:-5, 5:-5].mean(), abs=1e-4)


@pytest.mark.parametrize("color", ["y", "ycbcr", "rgb"])
def test_psnr_and_ssim_agree_with_pyiqa(color):
    from pyiqa.archs.psnr_arch import PSNR
    from pyiqa.archs.ssim_arch import SSIM

    given, luma = outputs(4), color != "rgb"
    space = {"color_space": "yiq" if color == "y" else color} if luma else {}
    agrees(with_params(Psnr, color=color), given, PSNR(test_y_channel=luma, **space))
    agrees(with_params(Ssim, color=color), given, SSIM(test_y_channel=luma, **space))


def test_luma_of_16_to_235_gains_as_much_as_its_range_is_smaller():
    given = outputs(4)
    gain = with_params(Psnr, color="ycbcr").score(given).value - Psnr().score(given).value
    assert gain == pytest.approx(20 * np.log10(255 / 219), abs=0.02)


def test_a_border_is_cut_off():
    given = outputs()
    for image in given.sr:
        image[:, :4] = 0
    assert with_params(Psnr, border=4).score(given).value > Psnr().score(given).value + 3


def test_ms_ssim_agrees_with_pyiqa_where_all_scales_fit_and_uses_fewer_where_not():
    from pyiqa.archs.ssim_arch import MS_SSIM, ssim

    large, given = outputs(2, 164), outputs(3)
    agrees(MsSsim(), large, MS_SSIM())
    assert "5 scales," in MsSsim().protocol(large) and "3 scales (64 px" in MsSsim().protocol(given)
    assert [scales(side) for side in (11, 20, 21, 40, 41, 80, 81, 160, 161)] == [1, 1, 2, 2, 3, 3, 4, 4, 5]
    x, y = (tensors(i) @ torch.eye(64) for i in (given.sr, given.hr))
    x, y = (
        torch.einsum("c,bchw->bhw", torch.tensor([0.299, 0.587, 0.114]), i)[:, None].mul(255).round() for i in (x, y)
    )
    expected = torch.ones(3, dtype=torch.float64)
    for scale, weight in enumerate(np.array([0.0448, 0.2856, 0.3001]) / 0.6305):
        whole, contrast = ssim(x.double(), y.double(), get_cs=True, data_range=255)
        expected *= (whole if scale == 2 else contrast) ** weight
        x, y = (torch.nn.functional.avg_pool2d(i, 2) for i in (x, y))
    assert MsSsim().score(given).per_image == pytest.approx(expected.numpy(), rel=1e-6)


@pytest.mark.parametrize("size", [64, 128])
def test_nlpd_agrees_with_pyiqa(size):
    from pyiqa.archs.nlpd_arch import NLPD

    given = outputs(3, size)
    agrees(Nlpd(), given, NLPD(channels=1, test_y_channel=True))
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
    with pytest.raises(Unavailable, match="8x8 px are smaller than 11 px: SSIM's window"):
        Ssim().score(small)


def test_missing_weights_name_the_command(store):
    given = outputs(3, 128, hr=None)
    given.hr = given.sr
    for name in plugins.names("metrics"):
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
