"""Goswami's degradation GAN and smooth features: equations by hand, who moves in which back-propagation, sizes."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from bench.degradations.conditions import Bicubic, Noise
from bench.degradations.degradation_gan import DegradationGAN
from bench.methods.smooth_features import VGG_LAYERS, SmoothFeatures
from bench.methods.smooth_features_nets import FeatureExtractor, SuperResolver, cloud, start_as_bicubic
from small_training import few_faces, gain_by_heart

from bench.api.training import Batch
from bench.core.image import upsample
from bench.core.spec import override
from bench.faces.faceset import Data, FaceSet
from bench.training.loop import fit
from bench.training.settings import TrainSettings

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = {"width": 8, "pairs": 1, "critic_width": 4, "feature_loss": "none", "batch": 4}


def method(scale=4, hr_size=64, degradation=None, **options):
    params = override(SmoothFeatures.Params(), {**SMALL, **options}, "test")
    return SmoothFeatures(
        params, scale=scale, hr_size=hr_size, degradation=degradation or Noise(Noise.Params(sigma=20))
    )


def gan(scale=4, **options):
    return DegradationGAN(
        override(DegradationGAN.Params(), {"width": 8, "critic_width": 4, **options}, ""), scale=scale
    )


class Run:
    """Steps the stage's optimizers as the harness does; ``seen(name, when)`` is told before and after each."""

    def __init__(self, stage, batch, seen=lambda name, when: None):
        self.stage, self.batch, self.seen, self.draws, self.losses = stage, batch, seen, 0, []

    def draw(self):
        self.draws += 1
        return self.batch

    def minimize(self, loss, name):
        self.losses.append((name, loss.item()))
        optimizer = self.stage.optimizers[name]
        self.seen(name, "before")
        optimizer.zero_grad()
        loss.backward(inputs=[p for group in optimizer.param_groups for p in group["params"]])
        optimizer.step()
        self.seen(name, "after")

    def log(self, **_):
        pass

    images = log

    def fp32(self):
        return torch.autocast("cpu", enabled=False)


def batch(size=64):
    return Batch(torch.rand(4, 3, size, size), torch.rand(4, 3, size // 4, size // 4))


# ---------------------------------------------------------------- equations


def log_domain_cost(x, y, power, epsilon):
    """Entropic transport cost of two uniform clouds (N, D) by 3,000 plain iterations in the log domain, in float64."""
    distance = np.linalg.norm(x[:, None] - y[None], axis=2)
    cost, n, m = distance**power / power, len(x), len(y)

    def soft_minimum(values, axis):
        low = values.min(axis, keepdims=True)
        return low.squeeze(axis) - epsilon * np.log(np.exp((low - values) / epsilon).mean(axis))

    u, v = np.zeros(n), np.zeros(m)
    for _ in range(3000):
        u = soft_minimum(cost - v[None], 1)
        v = soft_minimum(cost - u[:, None], 0)
    return u.mean() + v.mean()


@pytest.mark.parametrize(("power", "blur"), [(2, 0.3), (2, 0.7), (1, 0.3)])
def test_the_sinkhorn_value_is_that_of_a_plain_iteration(power, blur):
    """Debiased (Feydy 2019, eq. 3): OT(x, y) - OT(x, x) / 2 - OT(y, y) / 2 with entropy blur ** power, mean over images."""
    torch.manual_seed(0)
    m = method(epsilon=blur, power=power, scaling=0.98)
    a, b = torch.randn(3, 8, 4, 4), torch.randn(3, 8, 4, 4) + 0.5
    value = m.sinkhorn(cloud(a, 16), cloud(b, 16)).item()
    expected = []
    for x, y in zip(a, b, strict=True):
        x, y = (i.double().numpy().reshape(8, 16).T for i in (x, y))
        cost = lambda p, q: log_domain_cost(p, q, power, blur**power)
        expected.append(cost(x, y) - cost(x, x) / 2 - cost(y, y) / 2)
    assert value == pytest.approx(np.mean(expected), rel=1e-3)
    assert m.sinkhorn(cloud(a, 16), cloud(a, 16)).item() == pytest.approx(0, abs=1e-5)


def test_a_cloud_is_one_images_positions_thinned_to_so_many():
    x = torch.rand(2, 5, 4, 4)
    whole = cloud(x, 16)
    assert whole.shape == (2, 16, 5) and torch.equal(whole[1, 6], x[1, :, 1, 2])
    few = cloud(x, 4)
    assert few.shape == (2, 4, 5) and torch.equal(few, whole[:, [0, 5, 10, 15]])


def test_inputs_are_equations_1_to_3():
    torch.manual_seed(0)
    hr = torch.rand(2, 3, 64, 64)
    clean, degraded, mixed = method(alpha=0.3).inputs(hr)
    assert torch.equal(clean, Bicubic().infer(hr)) and not torch.allclose(degraded, clean, atol=0.05)
    assert torch.allclose(mixed, 0.3 * clean + 0.7 * degraded, atol=1e-6)
    clean, _, mixed = method(alpha=1.0).inputs(hr)
    assert torch.equal(mixed, clean)


class Bowl(torch.nn.Module):
    """D(x) = a / 2 |x|^2, whose gradient is a x."""

    def __init__(self):
        super().__init__()
        self.a = torch.nn.Parameter(torch.tensor(0.02))

    def forward(self, x):
        return self.a / 2 * x.pow(2).flatten(1).sum(1, keepdim=True)


@pytest.mark.parametrize("make", [gan, method])
def test_critics_minimise_equations_6_and_15(make):
    """Their value and its slope in a by hand, for the mixtures of real and fake faces that were drawn."""
    torch.manual_seed(0)
    m, side = make(penalty=7.0), 16 if make is gan else 64
    m.critic = Bowl()
    real, fake = torch.rand(4, 3, side, side), torch.rand(4, 3, side, side) * 2 - 1
    torch.manual_seed(5)
    loss = m.critic_loss(
        *((Batch(None, real), Run(None, None), fake) if make is gan else (real, fake, Run(None, None)))
    )
    loss.backward()
    torch.manual_seed(5)
    share = torch.rand(4, 1, 1, 1)
    square = lambda x: x.double().pow(2).flatten(1).sum(1)
    gap = (square(fake) - square(real * 2 - 1)).mean() / 2
    lengths = square(share * (real * 2 - 1) + (1 - share) * fake).sqrt()
    a = 0.02
    assert loss.item() == pytest.approx((a * gap + 7 * (a * lengths - 1).pow(2).mean()).item(), rel=1e-4)
    assert m.critic.a.grad.item() == pytest.approx((gap + 14 * ((a * lengths - 1) * lengths).mean()).item(), rel=1e-4)


def test_generators_minimise_equations_7_and_11():
    torch.manual_seed(0)
    m, hr, fake = gan(wgan=0.05, mse=2.0), torch.rand(4, 3, 64, 64), torch.rand(4, 3, 16, 16)
    clean = Bicubic().infer(hr)
    expected = 2 * (fake - (2 * clean - 1)).pow(2).mean() - 0.05 * m.critic(fake).mean()
    assert m.generator_loss(hr, fake, Run(None, None)).item() == pytest.approx(expected.item(), rel=1e-5)
    m, fake = method(pixel=2.0, adversarial=0.3), torch.rand(4, 3, 64, 64)
    expected = 2 * (fake - (2 * hr - 1)).abs().mean() - 0.3 * m.critic(fake).mean()
    assert m.sr_loss(hr, fake, Run(None, None)).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(("net", "last"), [("vgg16", "relu3_3"), ("vgg19", "conv3_1")])
def test_features_are_those_of_the_papers_vgg_or_the_released_ones(store, net, last):
    torch.manual_seed(0)
    layers = getattr(torchvision.models, net)().features
    store(net, {f"features.{k}": v for k, v in layers.state_dict().items()})
    m = method(feature_loss=net, pixel=0.0, adversarial=0.0, feature=0.5)
    assert m.required_weights() == (net,)
    m.stages()
    names, group, place = [], 1, 0
    for layer in layers[: VGG_LAYERS[net]]:
        if isinstance(layer, torch.nn.MaxPool2d):
            group, place = group + 1, 0
        else:
            place += isinstance(layer, torch.nn.Conv2d)
            names.append(f"{'conv' if isinstance(layer, torch.nn.Conv2d) else 'relu'}{group}_{place}")
    assert names[-1] == last
    normalize = torchvision.transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    hr, fake = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64) * 2 - 1
    seen = [layers[: VGG_LAYERS[net]](normalize(x)) for x in (hr, (fake + 1) / 2)]
    assert m.sr_loss(hr, fake, Run(None, None)).item() == pytest.approx(0.5 * F.l1_loss(*seen).item(), rel=1e-4)


# ---------------------------------------------------------------- who moves


def moved(m, stage, given, watch):
    """The children of ``m`` whose state changed during the optimizer ``watch``'s step, and all losses."""
    children, states, changed = ("f", "g", "critic"), {}, set()

    def seen(name, when):
        now = {c: [x.clone() for x in getattr(m, c).state_dict().values()] for c in children}
        if when == "after" and name == watch:
            changed.update(c for c in children if not all(map(torch.equal, states[c], now[c])))
        states.update(now)

    run = Run(stage, given, seen)
    stage.step(given, run)
    return changed, run


def test_each_back_propagation_moves_its_own_networks_to_the_bit():
    torch.manual_seed(0)
    given = batch()
    m = method(critic_updates=3, lr=1e-3).train()
    (stage,) = m.stages()
    assert moved(m, stage, given, "critic")[0] == {"critic"}
    assert moved(m, stage, given, "net")[0] == {"f", "g"}
    changed, run = moved(m, stage, given, "features")
    assert changed == {"f"}
    assert [name for name, _ in run.losses] == ["critic"] * 3 + ["net", "features"] and run.draws == 2
    before = [p.clone() for p in m.f.parameters()]
    seen = lambda name, when: before.__setitem__(slice(None), [p.clone() for p in m.f.parameters()])
    stage.step(given, Run(stage, given, lambda n, w: seen(n, w) if (n, w) == ("features", "before") else None))
    assert all((a != b).any() for a, b in zip(before, m.f.parameters(), strict=True) if a.numel() > 64)


def test_the_second_back_propagation_sees_what_the_first_has_left_also_in_bf16(tmp_path):
    torch.manual_seed(0)
    m, found = method(hr_size=32, lr=0.1, critic_updates=1, steps=1), []
    robust_loss = m.robust_loss

    def noted(clean, degraded, mixed, run):
        with torch.no_grad():
            found.append(m.features(mixed))
            torch.clear_autocast_cache()
            found.append(m.features(mixed))
        return robust_loss(clean, degraded, mixed, run)

    m.robust_loss = noted
    images = list(np.random.default_rng(0).integers(0, 256, (6, 3, 32, 32), np.uint8))
    faces = FaceSet.of(images, list("abcdef"), "test")
    settings = TrainSettings("cpu", precision="bf16")
    fit(lambda: m, Data(faces, faces), settings, checkpoint=tmp_path / "part.pt", quiet=True)
    assert torch.equal(*found)


def test_without_the_second_back_propagation_f_moves_by_the_first_alone():
    torch.manual_seed(0)
    m = method(**SmoothFeatures.variants["no-robust"]).train()
    (stage,) = m.stages()
    changed, run = moved(m, stage, batch(), "net")
    assert changed == {"f", "g"} and {name for name, _ in run.losses} == {"critic", "net"}
    assert set(stage.optimizers) == {"net", "critic"}


# ---------------------------------------------------------------- variants


@pytest.mark.parametrize("variant", ["paper", "detach-anchor"])
def test_the_anchor_has_a_gradient_unless_it_is_detached(variant):
    torch.manual_seed(0)
    m, taken = method(**SmoothFeatures.variants[variant]).train(), []
    sinkhorn = m.sinkhorn
    m.sinkhorn = lambda a, b: taken.append((a.requires_grad, b.requires_grad)) or sinkhorn(a, b)
    m.robust_loss(*torch.rand(3, 4, 3, 16, 16), Run(None, None))
    assert taken == [(True, variant == "paper")] * 2


def test_the_robust_loss_weighs_both_divergences():
    torch.manual_seed(0)
    m = method(clean_weight=0.25, degraded_weight=2.0).eval()
    clean, degraded, mixed = torch.rand(3, 4, 3, 16, 16)
    h_c, h_d, h_in = (cloud(m.f(2 * x - 1), 16) for x in (clean, degraded, mixed))
    expected = 0.25 * m.sinkhorn(h_c, h_in) + 2 * m.sinkhorn(h_d, h_in)
    assert m.robust_loss(clean, degraded, mixed, Run(None, None)).item() == pytest.approx(expected.item(), rel=1e-4)


def test_rates_fall_as_the_paper_and_the_released_code_say():
    (paper,) = method().stages()
    assert paper.steps == 100_000 and paper.batch_size == 4 and paper.name == "robust"
    rates = {n: [f(i) for i in (0, 9_999, 10_000, 20_000)] for n, s in paper.schedulers.items() for f in s.lr_lambdas}
    assert all(r == [1, 1, 0.5, 0.25] for r in rates.values()) and set(rates) == {"net", "critic", "features"}
    lr = lambda stage: {n: o.param_groups[0]["initial_lr"] for n, o in stage.optimizers.items()}
    assert lr(paper) == {"net": 1e-4, "critic": 4e-4, "features": 1e-4}
    first, second = method(**{**SmoothFeatures.variants["released"], "feature_loss": "none"}).stages()
    assert (first.steps, second.steps, first.batch_size) == (2813, 100_000 - 2813, 13)
    assert lr(second) == {"net": 1e-4, "critic": 4e-4, "features": 1e-6} and "features" not in first.optimizers
    assert second.optimizers["features"].param_groups[0]["betas"] == (0.0, 0.5)
    (fall,) = second.schedulers["features"].lr_lambdas  # the learning rates fall together: every second epoch
    assert [fall(i) for i in (0, 2812, 2813)] == [1, 1, 0.2]


# ---------------------------------------------------------------- networks


def test_the_papers_sizes():
    conv = lambda a, b, k=3: a * b * k * k + b
    block = lambda a, b, k=3: conv(a, b, k) + 2 * b + 1  # with batch norm and PReLU
    attention = lambda c: conv(c, c // 4, 1) + 1 + conv(c // 4, c, 1)
    rca = lambda c: 3 * block(c, c) + attention(c)
    rcabp = lambda a, c: 2 * (block(a, c) + 2 * block(c, c)) + attention(c)
    f = conv(3, 64) + 1 + 6 * (rca(64) + block(64, 64)) + conv(64, 64, 1) + 1
    dense = sum(rca(64 * i) + rcabp(64 * i, 64) for i in range(1, 6))
    g = 2 * dense + 4 * block(16, 64, 5) + conv(64, 3)
    count = lambda net: sum(p.numel() for p in net.parameters())
    with torch.device("meta"):
        assert (count(FeatureExtractor(64)), count(SuperResolver(64, 5, 4))) == (f, g) == (908_096, 16_234_293)
        assert SmoothFeatures().parameter_count() == f + g
        residual = lambda c: 2 * (2 * c + conv(c, c))
        halves = ((64, 128), (128, 256), (256, 512))
        down, up = (sum(residual(p[i]) + conv(p[i], p[1 - i]) for p in halves) for i in (0, 1))
        assert DegradationGAN().parameter_count() == conv(19, 64, 1) + down + up + conv(64, 3, 1) == 10_848_899


@pytest.mark.parametrize(("scale", "size"), itertools.product([2, 4, 8], [(16, 16), (8, 12), (13, 21), (5, 6)]))
def test_any_size_and_scale_fit(scale, size):
    m = method(scale).eval()
    lr = torch.rand(2, 3, *size)
    with torch.inference_mode():
        assert m.infer(lr).shape == (2, 3, size[0] * scale, size[1] * scale)
        assert m.features(lr).shape == (2, 8, -(-size[0] // 4), -(-size[1] // 4))
        d = gan(scale).eval()
        assert d.infer(F.interpolate(lr, scale_factor=scale)).shape == lr.shape
        assert d.degrade_clean(lr).shape == lr.shape


def test_a_start_from_bicubic_interpolation():
    """Batch norms scale and shift each channel's mean and deviation; up to that, the output is the enlarged input."""
    torch.manual_seed(0)
    for scale in (2, 4, 8):
        f, g = FeatureExtractor(48).train(), SuperResolver(48, 1, scale).train()
        start_as_bicubic(f, g)
        coarse = torch.rand(8, 3, 8, 8)
        lr = F.interpolate(coarse, size=24, mode="bicubic").clamp(0, 1)
        with torch.no_grad():
            out, inner = g(f(2 * lr - 1)), (..., slice(8 * scale, -8 * scale), slice(8 * scale, -8 * scale))
        expected = upsample(lr, scale)
        for a, b in zip(out[inner].transpose(0, 1), expected[inner].transpose(0, 1), strict=True):
            assert torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1] > 0.995


# ---------------------------------------------------------------- the degradation


def test_the_degraded_lr_changes_with_the_seed_and_not_otherwise():
    torch.manual_seed(0)
    m, hr = gan().eval(), torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        first, again, other = (m.infer(hr, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
        assert torch.equal(first, again) and not torch.equal(first, other)
        clean = Bicubic().infer(hr)
        z = torch.randn(2, 16)
        a, b, c = m.net(clean, z), m.net(clean, z), m.net(clean, z + 1)
        assert torch.equal(a, b) and not torch.equal(a, c)


def test_a_step_updates_the_critic_five_times_and_the_generator_once():
    torch.manual_seed(0)
    m = gan().train()
    (stage,) = m.stages()
    run = Run(stage, batch())
    before = [p.clone() for p in m.net.parameters()]
    stage.step(run.batch, run)
    assert [name for name, _ in run.losses] == ["critic"] * 5 + ["net"] and run.draws == 4
    assert all((a != b).any() for a, b in zip(before, m.net.parameters(), strict=True) if a.numel() > 64)


# ---------------------------------------------------------------- whole trainings


def test_missing_weights_are_one_line_before_any_work(bench, folders, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path / "empty"))
    hr, lr = folders
    given = ("--hr", hr, "--lr", lr, "--device", "cpu", "--quiet", "--out", tmp_path / "out")
    code, _, err = bench("train", "smooth-features", "--preset", "paper", *given)
    assert code == 2 and err.count("\n") == 1 and "bench weights fetch vgg16" in err
    small = "width=8,pairs=1,critic_width=4,steps=1,batch=4,start=random,degradation=bicubic"
    code, _, err = bench("train", f"smooth-features[{small}]", *given)
    assert code == 0, err  # the quick preset has no VGG features
    code, _, err = bench("train", "smooth-features[width=16]", *given)
    assert code == 2 and err.count("\n") == 1 and "a width of 48" in err


def test_it_learns_few_faces_by_heart(faces, tmp_path):
    """3 dB above bicubic on what it was trained on, with the quick preset's networks; for the test's sake at 32x32 and
    without the second back-propagation."""
    options = {**SmoothFeatures.quick, "batch": 4, "steps": 90, "robust": False, "decay_every": 36, "lr": 2e-3}
    m = method(hr_size=32, degradation=Bicubic(), **options)
    gain = gain_by_heart(m, few_faces(faces), tmp_path)
    assert gain > 3, gain
