import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from bench.degradations.conditions import Bicubic
from bench.methods.esrgan_jpeg_kernel import ESRGANJpegKernel
from bench.methods.esrgan_nets import PatchGAN, RRDBNet, released_weights, start_as_bilinear
from rrdb_files import rrdb_file
from small_training import FakeRun, few_faces, gain_by_heart, train
from spandrel import ModelLoader
from watched import fed

from bench.api.training import Batch
from bench.core.spec import override
from bench.errors import UsageError
from bench.kit.features import VGG19, FeatureLoss, LpipsLoss

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")
SMALL = {"width": 6, "blocks": 1, "growth": 4, "critic_width": 4, "init": "none", "feature_loss": "none", "batch": 4}


def model(hr_size=64, **options):
    params = override(ESRGANJpegKernel.Params(), {**SMALL, **options}, "test")
    return ESRGANJpegKernel(params, scale=4, hr_size=hr_size, degradation=Bicubic())


# ---------------------------------------------------------------- networks


def test_the_papers_sizes():
    with torch.device("meta"):
        count = lambda net: sum(p.numel() for p in net.parameters())
        assert count(RRDBNet()) == 16_697_987  # ESRGAN's x4 generator
        # Conv4s of 64, 128, 256, 512, 1 channels; the middle ones have a batch norm's two numbers for a bias.
        widths = [3, 64, 128, 256, 512, 1]
        convs = sum(16 * a * b for a, b in itertools.pairwise(widths))
        assert count(PatchGAN()) == convs + 64 + 2 * (128 + 256 + 512) + 1
        whole = ESRGANJpegKernel()
        assert whole.parameter_count() == 16_697_987 and ESRGANJpegKernel.training_only == ("critic",)


def test_patchgan_judges_patches_of_70_px():
    net = PatchGAN(4).eval()
    x = torch.rand(1, 3, 128, 128, requires_grad=True)
    verdicts = net(x)
    assert verdicts.shape == (1, 1, 14, 14)
    verdicts[0, 0, 7, 7].backward()
    rows = x.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    assert rows[-1] - rows[0] + 1 == 70


@pytest.mark.parametrize("layout", ["first", "later", "basicsr"])
def test_official_layouts_load_and_give_what_spandrel_gives(tmp_path, layout):
    path = rrdb_file(tmp_path / "net.pth", layout)
    theirs = ModelLoader().load_from_file(path).model.eval()
    ours = RRDBNet(8, 2, 32)
    ours.load_state_dict(released_weights(path, ours))
    lr = torch.rand(2, 3, 9, 13)
    with torch.inference_mode():
        assert torch.allclose(ours(lr), theirs(lr), atol=1e-6)
        assert ours(lr).std() > 0.01


def test_a_checkpoint_of_another_size_or_architecture_is_refused_in_a_line(tmp_path):
    path = rrdb_file(tmp_path / "net.pth", "later", blocks=1)
    with pytest.raises(
        UsageError, match="1 blocks of 8 channels, growth 32, at scale 4, but this one has 23 of 64, growth 32, at"
    ):
        ESRGANJpegKernel.fingerprint(override(ESRGANJpegKernel.Params(), {"init": str(path)}, ""), 4)
    torch.save({"some.weight": torch.zeros(3)}, path)
    with pytest.raises(UsageError, match="no architecture that spandrel knows"):
        released_weights(path, RRDBNet(8, 1, 32))


def test_training_without_weights_starts_as_bilinear_interpolation():
    net = RRDBNet(8, 1, 8)
    start_as_bilinear(net)
    lr = torch.rand(2, 3, 12, 10)
    expected = F.interpolate(F.interpolate(lr, scale_factor=2, mode="bilinear"), scale_factor=2, mode="bilinear")
    inner = (..., slice(4, -4), slice(4, -4))  # zeros beyond the borders darken them
    assert torch.allclose(net(lr)[inner], expected[inner], atol=1e-6)


# ---------------------------------------------------------------- losses


def test_the_generators_loss_is_equation_9_with_the_relativistic_average_gan():
    torch.manual_seed(0)
    m, run = model(), FakeRun()
    hr, fake = torch.rand(2, 4, 3, 64, 64)
    loss = m.generator_loss(hr, fake, run).item()
    real, made = (m.critic(x).detach().double().flatten().numpy() for x in (hr, fake))
    sigmoid = lambda x: 1 / (1 + np.exp(-x))
    # ESRGAN's eq. 2: the generator wants fakes above the mean real verdict, and real ones below the mean fake one.
    adversarial = -np.log(1 - sigmoid(real - made.mean())).mean() - np.log(sigmoid(made - real.mean())).mean()
    expected = 0.01 * (hr - fake).abs().mean().item() + 0.005 * adversarial / 2
    assert loss == pytest.approx(expected, rel=1e-5)


def test_vgg_features_are_those_of_conv5_4_before_its_activation(store):
    torch.manual_seed(0)
    layers = torchvision.models.vgg19().features
    store("vgg19", {f"features.{k}": v for k, v in layers.state_dict().items()})
    loss = FeatureLoss("vgg19", VGG19["conv5_4"], CPU)
    convs = [layer for layer in loss.layers if isinstance(layer, torch.nn.Conv2d)]
    assert len(convs) == 16 and loss.layers[-1] is convs[-1]  # the fourth conv of the fifth group, and no ReLU after it
    a, b = torch.rand(2, 1, 3, 32, 32)
    normalize = torchvision.transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    expected = (layers[:35](normalize(a)) - layers[:35](normalize(b))).abs().mean()
    assert loss(a, b).item() == pytest.approx(expected.item(), rel=1e-4)


def test_lpips_loss_is_the_packages_number_with_a_finite_gradient(store):
    import lpips

    torch.manual_seed(0)
    features = torchvision.models.alexnet().features
    store("alexnet", {f"features.{k}": v for k, v in features.state_dict().items()})
    loss = LpipsLoss("alex", CPU)
    a, b = torch.rand(2, 2, 3, 64, 64)
    theirs = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    theirs.net.load_state_dict(loss.model.net.state_dict())
    assert loss(a, b).item() == pytest.approx(theirs(a, b, normalize=True).mean().item(), rel=1e-4)
    flat = torch.full((1, 3, 64, 64), 0.5, requires_grad=True)  # most of its features are zero
    for layer in loss.model.net.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.constant_(layer.bias, -1.0)
    loss(flat, b[:1]).backward()
    assert torch.isfinite(flat.grad).all()


# ---------------------------------------------------------------- training


def test_patches_come_from_faces_of_every_side():
    torch.manual_seed(0)
    hr = torch.rand(3, 3, 128, 128)
    sides = lambda m: {m.patches(hr).shape[-2:] for _ in range(60)}
    assert sides(model(128)) == {(128, 128), (96, 96), (64, 64), (32, 32)}
    assert sides(model(128, patch=12)) == {(48, 48), (32, 32)}
    wide = model(128, patch=16, sides="1").patches(hr)
    found = hr.unfold(2, 64, 1).unfold(3, 64, 1)[0].permute(1, 2, 0, 3, 4)
    assert (found == wide[0]).flatten(2).all(2).any(), "at full side, a patch is a piece of its face"


def test_a_step_trains_the_generator_and_the_critic_apart():
    torch.manual_seed(0)
    m, run = model(), FakeRun()
    m.gan_step(Batch(torch.rand(4, 3, 64, 64), None), run)
    assert set(run.losses) == {"net", "critic"} and math.isfinite(run.losses["critic"].item())
    run.losses["critic"].backward()
    assert all(p.grad is None for p in m.net.parameters()), "the critic's loss does not reach the generator"


def test_stages_halve_the_rates_where_esrgan_does(tmp_path):
    m = model(l1_steps=10, steps=16, lr=1e-3)
    first, second = m.stages()
    rates = []
    for stage, name in ((first, "net"), (second, "critic")):
        for _ in range(stage.steps):
            rates.append(stage.optimizers[name].param_groups[0]["lr"])
            stage.optimizers[name].step()
            stage.schedulers[name].step()
    assert rates[:10] == pytest.approx([2e-4 / 2 ** (i // 2) for i in range(10)])
    assert rates[10:] == pytest.approx([1e-3 / 2**k for k in [0] * 2 + [1] * 2 + [2] * 4 + [3] * 4 + [4] * 4])
    result = train(model(l1_steps=3, steps=3), torch.rand(6, 3, 64, 64), tmp_path)
    assert [s["name"] for s in result["stages"]] == ["l1", "gan"] and result["steps"] == 6


def test_a_checkpoint_is_where_training_starts(tmp_path, store):
    path = rrdb_file(tmp_path / "net.pth", "later", width=6, growth=4, blocks=1)
    with pytest.raises(UsageError, match="cannot load"):  # spandrel knows ESRGAN's growth of 32 alone
        released_weights(path, RRDBNet(6, 1, 4))
    path = rrdb_file(tmp_path / "net.pth", "later", width=6, blocks=1)
    for init in (str(path), "rrdb-psnr-x4"):
        if init != str(path):
            store(init, torch.load(path))
        m = model(32, growth=32, init=init, lr=0.0, steps=2)
        expected = released_weights(path, m.net)
        assert [s.name for s in m.stages()] == ["gan"]
        result = train(m, torch.rand(4, 3, 32, 32), tmp_path)
        assert all(torch.equal(result["model"][f"net.{k}"], v) for k, v in expected.items())


def test_missing_weights_are_named_before_any_work(bench, folders, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path / "empty"))
    hr, lr = folders
    name = "esrgan-jpeg-kernel[degradation=bicubic,init={}]"
    call = lambda init: bench("run", "--methods", name.format(init), "--hr", hr, "--lr", lr, "--conditions", "bicubic",
                              "--metrics", "psnr", "--device", "cpu", "--out", tmp_path / "out")  # fmt: skip
    code, _, err = call("rrdb-psnr-x4")
    assert code == 1 and "bench weights fetch rrdb-psnr-x4" in err and "Traceback" not in err
    assert "steps/s" not in err
    code, _, err = call("no-such-thing")
    assert code == 2 and err.count("\n") == 1 and "init=no-such-thing" in err


def test_it_learns_few_faces_by_heart(faces, tmp_path):
    """3 dB above bicubic on what it was trained on, with the quick preset's networks; at 32x32 for the test's sake."""
    torch.manual_seed(0)
    m = model(32, **{**ESRGANJpegKernel.quick, "l1_steps": 250, "steps": 0, "batch": 4, "sides": "1", "l1_lr": 3e-3})
    gain = gain_by_heart(m, few_faces(faces), tmp_path)
    assert gain > 3, gain


def test_large_inputs_go_through_the_network_in_tiles():
    m = model(128, tile=16, overlap=4).eval()
    seen = fed(m.net)
    assert m.infer(torch.rand(1, 3, 40, 20)).shape == (1, 3, 160, 80)
    assert len(seen) > 1 and all(max(x.shape[-2:]) <= 16 for x in seen)


def test_patches_are_cut_at_random_places():
    m = model(128, patch=16, sides="1")
    line = torch.arange(128.0)
    where = torch.stack([line.expand(128, 128), line[:, None].expand(128, 128), torch.zeros(128, 128)]) / 255
    corners = [m.patches(where[None])[0, :2, 0, 0] * 255 for _ in range(40)]
    left, top = torch.stack(corners).round().T
    for side in (left, top):
        assert side.min() < 15 and side.max() > 49 and side.max() <= 64, "anywhere in the face"
    assert not torch.equal(left, top)


@pytest.mark.parametrize(("kind", "expected"), [("lpips", ("alex",)), ("vgg19", ("vgg19", 35)), ("none", None)])
def test_stages_bring_the_feature_loss_that_is_asked_for(kind, expected, monkeypatch):
    for name in ("LpipsLoss", "FeatureLoss"):
        monkeypatch.setattr(f"bench.methods.esrgan_training.{name}", lambda *arguments: arguments[:-1])
    m = model(128, feature_loss=kind)
    m.stages()
    assert m.feature_loss == expected
