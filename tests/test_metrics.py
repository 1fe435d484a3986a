"""Metrics against reference code on the same files, with networks that have the right shape and random weights."""

import json

import numpy as np
import pytest
import torch
from bench.degradations.conditions import Bicubic as Down
from bench.metrics.distribution import Fid, Swd, SwdLr, SwdLrGain, frechet_distance, laplacian_pyramid
from bench.metrics.fidelity import LrPsnr, Psnr, Ssim
from bench.metrics.noreference import Nima
from bench.metrics.perceptual import Lpips
from conftest import smooth_images

from bench import weights
from bench.errors import MissingWeights, UsageError
from bench.metric import Outputs
from bench.spec import override


def outputs(n=12, size=64, seed=0, **more):
    hr = smooth_images(n, size, seed)
    noise = np.random.default_rng(seed).normal(0, 9, hr.shape)
    sr = (hr + noise).clip(0, 255).astype(np.uint8)
    lr = (Down().infer(torch.from_numpy(hr) / 255) * 255).round().byte().numpy()
    given = {"hr": list(hr), "lr": list(lr), "reference_hr": list(smooth_images(3 * n, size, seed + 1))}
    return Outputs(sr=list(sr), names=[str(i) for i in range(n)], **{**given, **more})


def with_params(cls, **options):
    return cls(override(cls.Params(), options, cls.__name__))


def test_psnr_and_ssim_agree_with_scikit_image():
    skimage = pytest.importorskip("skimage.metrics")
    given = outputs()
    psnr = with_params(Psnr, color="rgb").score(given)
    ssim = with_params(Ssim, color="rgb").score(given)
    for i, (sr, hr) in enumerate(zip(given.sr, given.hr, strict=True)):
        assert psnr.per_image[i] == pytest.approx(skimage.peak_signal_noise_ratio(hr, sr), abs=1e-3)
        _whole, full = skimage.structural_similarity(
            hr,
            sr,
            channel_axis=0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
            full=True,
        )
        assert ssim.per_image[i] == pytest.approx(full[:, 5:-5, 5:-5].mean(), abs=2e-3)
    assert psnr.value == pytest.approx(psnr.per_image.mean())


def test_a_border_is_cut_off():
    given = outputs()
    for image in given.sr:
        image[:, :4] = 0
    assert with_params(Psnr, border=4).score(given).value > Psnr().score(given).value + 3


def test_lr_psnr_is_high_where_the_output_explains_the_input():
    given = outputs()
    better = Outputs(sr=given.hr, names=given.names, lr=given.lr)
    assert LrPsnr().score(better).value > LrPsnr().score(given).value + 5


def test_fid_agrees_with_pytorch_fid_on_the_same_file(store):
    from pytorch_fid import inception as package
    from pytorch_fid.fid_score import calculate_frechet_distance

    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(package.models.Inception3 if hasattr(package, "models") else package.torchvision.models.Inception3,
                      "load_state_dict", lambda *_, **__: None)  # fmt: skip
        patch.setattr(package, "load_state_dict_from_url", lambda *_, **__: {})
        network = package.fid_inception_v3()
    store("inception-fid", network.state_dict())
    given = outputs(8)
    ours = Fid().score(given)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(package, "load_state_dict_from_url", lambda *_, **__: network.state_dict())
        theirs = package.InceptionV3([3]).eval()
    with torch.inference_mode():
        first, second = (
            theirs(torch.from_numpy(np.stack(x)).float() / 255)[0].flatten(1).double().numpy()
            for x in (given.sr, given.reference_hr)
        )
    keep = slice(0, 6)  # few dimensions, so that scipy's root is exact
    pair = [x[:, keep] for x in (first, second)]
    expected = calculate_frechet_distance(*(f for x in pair for f in (x.mean(0), np.cov(x, rowvar=False))))
    assert frechet_distance(*pair) == pytest.approx(expected, rel=1e-6)
    assert (
        ours.value == pytest.approx(frechet_distance(first, second), rel=1e-4)
        and ours.ci[0] <= ours.value <= ours.ci[1]
    )
    assert "biased" in Fid().protocol(given) and weights.file_hash("inception-fid") in Fid().protocol(given)


@pytest.mark.parametrize(("n", "m", "d"), [(500, 400, 24), (20, 30, 64), (20, 300, 64)])
def test_frechet_distance_agrees_with_the_matrix_square_root(n, m, d):
    from scipy.linalg import sqrtm

    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 1, (n, d)) @ rng.normal(0, 1, (d, d)), rng.normal(0.2, 1.3, (m, d))
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = np.trace(sqrtm(s @ t)).real
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s) + np.trace(t) - 2 * root
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-6 if min(n, m) > d else 1e-3)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("net", "name"), [("alex", "alexnet"), ("squeeze", "squeezenet1_1")])
def test_lpips_agrees_with_its_package_on_the_same_backbone(store, net, name):
    import lpips
    import torchvision

    torch.manual_seed(1)
    backbone = getattr(torchvision.models, name)(weights=None)
    store(name, backbone.state_dict())
    given = outputs(4)
    score = with_params(Lpips, net=net).score(given)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torchvision.models, name, lambda **_: backbone)
        theirs = lpips.LPIPS(net=net, verbose=False).eval()
    with torch.inference_mode():
        sr, hr = (torch.from_numpy(np.stack(x)).float() / 127.5 - 1 for x in (given.sr, given.hr))
        assert score.per_image == pytest.approx(theirs(sr, hr).flatten().numpy(), rel=1e-4)


def test_nima_agrees_with_pyiqa_and_downloads_nothing(store):
    from pyiqa.archs import nima_arch

    create = nima_arch.timm.create_model
    torch.manual_seed(2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nima_arch.timm, "create_model", lambda name, **o: create(name, **{**o, "pretrained": False}))
        theirs = nima_arch.NIMA("inception_resnet_v2", pretrained=False).eval()
    store("nima-ava", {"params": theirs.state_dict()})
    given = outputs(3)
    with torch.inference_mode():
        expected = theirs(torch.from_numpy(np.stack(given.sr)).float() / 255).flatten().numpy()
    assert Nima().score(given).per_image == pytest.approx(expected, rel=1e-4)


def test_swd_agrees_with_a_computation_in_numpy():
    given = outputs(5, 32)
    metric = with_params(Swd, per_image=6, directions=9, smallest=16)
    score = metric.score(given)
    mine = [p.numpy() for p in metric.patches(given.sr, 6, given)]
    other = [p.numpy() for p in metric.patches(given.reference_hr, 2, given)]
    rng = torch.Generator().manual_seed(0)
    for level, (a, b) in enumerate(zip(mine, other, strict=True)):
        a, b = a.reshape(-1, 3, 49), b.reshape(-1, 3, 49)
        mean, std = b.mean((0, 2), keepdims=True), b.std((0, 2), keepdims=True, ddof=1)
        directions = torch.randn(147, 9, generator=rng).numpy()
        directions /= np.linalg.norm(directions, axis=0)
        b = b[torch.randperm(len(b), generator=rng)[: len(a)].numpy()]
        projected = [np.sort(((x - mean) / (std + 1e-8)).reshape(len(x), -1) @ directions, axis=0) for x in (a, b)]
        assert score.extra[f"level{level}"] == pytest.approx(
            1000 * np.abs(projected[0] - projected[1]).mean(), rel=1e-4
        )
    assert score.value == pytest.approx(np.mean(list(score.extra.values())))


def test_the_pyramids_levels_add_up_to_the_image():
    image = torch.rand(1, 3, 64, 64)
    levels = laplacian_pyramid(image, 16)
    assert [level.shape[-1] for level in levels] == [64, 32, 16]
    whole = levels[-1]
    for level in reversed(levels[:-1]):
        whole = level + torch.nn.functional.interpolate(
            whole, size=level.shape[-2:], mode="bilinear", align_corners=False
        )
    assert torch.allclose(whole, image, atol=1e-6)


def test_swd_prefers_what_looks_like_the_reference():
    hr = list(smooth_images(40, 32, 1))
    given = [
        Outputs(sr=list(smooth_images(40, 32, 2)), names=[""] * 40, reference_hr=hr),
        outputs(40, 32, reference_hr=hr),
    ]
    near, far = (Swd().score(g).value for g in given)
    assert near < far


def test_swd_gain_is_a_paired_difference_to_bicubic_lr():
    hr, wild = smooth_images(40, 64, 1), smooth_images(60, 16, 2)
    clean = list((Down().infer(torch.from_numpy(hr) / 255) * 255).round().byte().numpy())
    dark, real = [(0.6 * x).astype(np.uint8) for x in clean], [(0.6 * x).astype(np.uint8) for x in wild]

    def given(sr):
        return Outputs(sr=sr, names=[""] * 40, hr=list(hr), reference_lr=real)

    assert SwdLrGain().score(given(clean)).ci == (0.0, 0.0)
    gain, near, far = SwdLrGain().score(given(dark)), SwdLr().score(given(dark)), SwdLr().score(given(clean))
    assert gain.value == pytest.approx(far.value - near.value, rel=1e-6) and gain.ci[0] > 0
    assert gain.ci[1] - gain.ci[0] < near.ci[1] - near.ci[0] + far.ci[1] - far.ci[0]


@pytest.mark.parametrize("metric", [Psnr, Ssim, LrPsnr, Swd])
def test_values_do_not_depend_on_the_batch_size(metric, monkeypatch):
    import bench

    given = outputs(10)
    first = metric().score(given).value
    batches = bench.batches
    monkeypatch.setattr(bench, "batches", lambda *images, **o: batches(*images, **{**o, "size": 3}), raising=False)
    given.cache.clear()
    assert metric().score(given).value == pytest.approx(first, rel=1e-5 if metric is not Swd else 0.2)


def test_missing_weights_name_the_command(store):
    for metric in (Fid, Lpips, Nima):
        with pytest.raises(MissingWeights, match=f"bench weights fetch {metric().required_weights()[0]}"):
            metric().score(outputs(3))


def test_a_wrong_checksum_is_refused(store, tmp_path, monkeypatch):
    file = store("alexnet", {"a": torch.zeros(1)})
    rows = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps([{**rows[0], "sha256": "0" * 8}]))
    with pytest.raises(UsageError, match="refused"):
        weights.add([str(file)])
    assert weights.command("verify", []) == 1
