"""One step of every method that trains: losses, gradients, and what each network is fed, from the papers' equations."""

import pytest
import torch
from bench.degradations.conditions import Bicubic, Jpeg, Noise
from bench.degradations.degradation_gan import DegradationGAN
from bench.degradations.flow_field import FlowField
from bench.degradations.high_to_low import HighToLow
from bench.methods.esrgan_jpeg_kernel import ESRGANJpegKernel
from bench.methods.low_to_high import LowToHigh
from bench.methods.selfsr import SelfSR
from bench.methods.smooth_features import SmoothFeatures
from torch import nn
from watched import agree, batches, fed, on_segments, own_noise, penalty, same, signed, watched

from bench.api.training import Augment
from bench.core.image import resize, to_float, to_uint8
from bench.core.spec import override

pytestmark = pytest.mark.usefixtures("one_thread")


def made(cls, base, small, **options):
    torch.manual_seed(0)
    return cls(override(cls.Params(), {**small, **options}, ""), hr_size=32, degradation=base)


def small_low():
    torch.manual_seed(0)
    return HighToLow(override(HighToLow.Params(), {"width": 4, "critic_width": 4}, ""), hr_size=32)


def low_to_high(base=None, **options):
    return made(
        LowToHigh, base or small_low(), {"widths": (6, 4, 4), "blocks": (1, 1, 1), "critic_width": 4}, **options
    )


def smooth_features(base=None, **options):
    small = {"width": 8, "pairs": 1, "critic_width": 4, "feature_loss": "none"}
    return made(SmoothFeatures, base or Noise(Noise.Params(sigma=20)), small, **options)


def selfsr(base=None, **options):
    small = {"widths": (6, 4, 4), "blocks": 1, "hidden": 4, "critic_width": 4, "critic_most": 8}
    return made(SelfSR, base or Bicubic(), small, **options)


def esrgan(base=None, **options):
    small = {"width": 8, "blocks": 1, "growth": 4, "critic_width": 4, "init": "none", "feature_loss": "none",
             "sides": (1.0,), "patch": 8}  # fmt: skip
    return made(ESRGANJpegKernel, base or Noise(Noise.Params(sigma=20)), small, **options)


# ---------------------------------------------------------------- the LR that methods learn from


@pytest.mark.parametrize("base", [Bicubic(), Noise(), Jpeg(), small_low()])
def test_training_lr_is_test_lr(base):
    """Float32 also under autocast, and of the 256 levels that a file holds."""
    m, hr = low_to_high(base), batches(1)[0].hr
    m.train()
    with torch.autocast("cpu", torch.bfloat16):
        lr = m.degrade(hr, torch.Generator().manual_seed(3))
    with torch.inference_mode():
        test = to_float(to_uint8(base.eval().infer(hr, torch.Generator().manual_seed(3)).clamp(0, 1)))
    assert torch.equal(lr, test) and lr.dtype == torch.float32
    assert not base.training and not any(p.requires_grad for p in base.parameters())


# ---------------------------------------------------------------- Low-to-High


def hinge(critic, real, fake):
    return (1 - critic(real)).clamp(min=0).mean() + (1 + critic(fake)).clamp(min=0).mean()


def test_low_to_high_trains_as_bulat_says():
    m, twin, given = low_to_high(), low_to_high(), batches(5)
    drawn, seen, judged = fed(m.degradation.net), fed(m.net), fed(m.critic)
    stage, _ = m.stages()
    events = watched(m, stage, given)
    assert [e.name for e in events] == ["critic"] * 5 + ["net"]
    own_noise(drawn, 64)
    assert len(drawn) == 6, "new LR for the generator's update too"
    for index, event in enumerate(events[:5]):
        real, lr = judged[2 * index], seen[index]
        hr = drawn[index][0]
        assert same(real, hr) and any(same(signed(b.hr), hr) for b in given), (
            "the critic's real images are the paired HR"
        )
        with torch.no_grad():
            low = m.degradation.net(*drawn[index])
        assert (lr - low).abs().max() < 1.01 / 255, "it restores the LR of these faces"
        agree(event, twin, lambda r=real, x=lr: hinge(twin.critic, r, twin.net(x).detach()))
        assert {n.split(".")[0] for n in event.moved} == {"critic"}
    assert len({float(hr.sum()) for hr, _ in drawn[:5]}) == 5
    lr, hr = seen[5], signed(given[0].hr)

    def equation_1():
        fake = twin.net(lr)
        return (fake - hr).square().mean() - 0.05 * twin.critic(fake).mean()

    agree(events[5], twin, equation_1)
    assert {n.split(".")[0] for n in events[5].moved} == {"net"}, "its degradation stays"


def test_low_to_high_with_wgan_gp():
    m, twin, given = (*(low_to_high(gan="wgan-gp", critic_updates=1) for _ in range(2)), batches(1))
    seen, judged = fed(m.net), fed(m.critic)
    events = watched(m, m.stages()[0], given)
    real, fake, mixed = signed(given[0].hr), twin.eval().net(seen[0]).detach(), judged[0]
    on_segments(mixed, real, fake)
    agree(events[0], twin, lambda: (
        twin.critic(fake).mean() - twin.critic(real).mean() + 10 * penalty(twin.critic, mixed)
    ))  # fmt: skip


PARTNERS = {
    "high-to-low": small_low,
    "degradation-gan": lambda: DegradationGAN(
        override(DegradationGAN.Params(), {"width": 4, "critic_width": 4}, ""), hr_size=32
    ),
    "flow-field": lambda: FlowField(
        override(FlowField.Params(), {"width": 4, "blocks": 1, "critic_width": 4}, ""), hr_size=32
    ),
}


@pytest.mark.parametrize("name", PARTNERS)
def test_the_joint_stage_trains_both_networks_by_both_losses(name):
    def build():
        torch.manual_seed(1)
        return low_to_high(PARTNERS[name]())

    m, twin, given = build(), build(), batches(5)
    _, joint = m.stages()
    assert joint.joint and joint.steps == 2000 and set(joint.optimizers) == {"both", "critic", "low_critic"}
    m.degradation.requires_grad_(True)
    low_judged = fed(m.degradation.critic)
    drawn = fed(m.degradation.net)
    events = watched(m, joint, given)
    assert [e.name for e in events] == ["critic", "low_critic"] * 5 + ["both"]
    assert {n.split(".")[0] for n in events[0].moved} == {"critic"}
    assert all(n.startswith("degradation.critic.") for n in events[1].moved) and events[1].moved
    moved = {".".join(n.split(".")[:2]) for n in events[-1].moved}
    assert "degradation.net" in moved and any(n.startswith("net.") for n in moved)
    assert not any("critic" in n for n in moved), "critics do not follow the generators' loss"
    reals = [signed(b.lr_real) for b in given]
    assert all(any(same(x, r) for x in low_judged) for r in reals), "each update with real LR of its own batch"
    if name != "high-to-low":
        return
    for index in range(5):  # drawn: for the method's critic, then for the degradation's, five times, then for both
        real = low_judged[2 * index]
        hr, z = drawn[2 * index + 1]
        agree(events[2 * index + 1], twin, lambda r=real, hr=hr, z=z: hinge(
            twin.degradation.critic, r, twin.degradation.net(hr, z).detach()
        ))  # fmt: skip
        assert same(signed(given[index].lr_real), real) and same(signed(given[index].hr), hr)
    hr, z = drawn[-1]
    assert same(hr, signed(given[0].hr))

    def both():
        low = twin.degradation
        lr = low.net(hr, z)
        sr = twin.net(lr)  # its gradient goes on into the degradation
        own = (lr - hr.reshape(3, 3, 8, 4, 8, 4).mean((3, 5))).square().mean() - 0.05 * low.critic(lr).mean()
        return (sr - hr).square().mean() - 0.05 * twin.critic(sr).mean() + own

    agree(events[-1], twin, both)


@pytest.mark.parametrize("base", [Bicubic(), FlowField(FlowField.Params(adaptation="none"), hr_size=32)])
def test_a_degradation_that_cannot_train_along_has_no_joint_stage_and_the_report_says_so(base):
    m, notes = low_to_high(base), []
    m.prepare(None, type("Run", (), {"note": notes.append}))
    assert [s.name for s in m.stages()] == ["gan"]
    assert len(notes) == 1 and "cannot train along" in notes[0]


# ---------------------------------------------------------------- smooth features


def test_smooth_features_train_as_goswami_says():
    m, twin, given = smooth_features(), smooth_features(), batches(5)
    seen, judged = fed(m.f), fed(m.critic)
    clouds = []
    m.sinkhorn = lambda a, b: clouds.append((a.shape, b.shape)) or (a - b).square().mean()
    m.degrade = lambda hr: kept.setdefault(float(hr.sum()), (resize(hr, 8) * 0.5).clamp(0, 1))
    kept = {}
    (stage,) = m.stages()
    events = watched(m, stage, given)
    assert [e.name for e in events] == ["critic"] * 5 + ["net", "features"]

    def inputs(hr):
        clean = resize(hr, 8).clamp(0, 1)
        return signed(clean), signed(kept[float(hr.sum())]), signed(0.3 * clean + 0.7 * kept[float(hr.sum())])  # eq. 3

    order = [*given[1:], given[0]]
    for index, event in enumerate(events[:5]):
        hr, mixed = order[index].hr, inputs(order[index].hr)[2]
        assert same(seen[index], mixed), "restored are mixtures of clean and degraded LR"
        x, real, fake = judged[3 * index : 3 * index + 3]
        assert same(real, signed(hr))
        on_segments(x, real, fake)
        agree(event, twin, lambda r=real, x=x, y=mixed: (
            twin.critic(twin.g(twin.f(y)).detach()).mean() - twin.critic(r).mean() + 10 * penalty(twin.critic, x)
        ))  # fmt: skip
        assert {n.split(".")[0] for n in event.moved} == {"critic"}
    clean, degraded, mixed = inputs(given[0].hr)

    def equation_11():
        fake = twin.g(twin.f(mixed))
        return (fake - signed(given[0].hr)).abs().mean() - 0.05 * twin.critic(fake).mean()

    agree(events[5], twin, equation_11)
    assert {n.split(".")[0] for n in events[5].moved} == {"f", "g"}

    def equation_16():
        c, d, x = (twin.f(i).flatten(2).transpose(1, 2) for i in (clean, degraded, mixed))
        return 0.3 * (c - x).square().mean() + 0.7 * (d - x).square().mean()

    agree(events[6], twin, equation_16)  # with a squared distance in place of Sinkhorn's divergence, tested elsewhere
    assert {n.split(".")[0] for n in events[6].moved} == {"f"}, "g's parameters must not move"
    assert clouds == [((3, 4, 8), (3, 4, 8))] * 2, "one cloud of positions a face"


def test_the_feature_loss_counts_half_and_sees_faces_in_0_to_1():
    m, given = smooth_features(), batches(1)[0]
    fake, calls = torch.rand(3, 3, 32, 32) * 2 - 1, []
    without = m.eval().sr_loss(given.hr, fake, type("Run", (), {"log": lambda **_: None}))
    m.feature_loss = lambda a, b: calls.append((a, b)) or torch.tensor(4.0)
    assert m.sr_loss(given.hr, fake, type("Run", (), {"log": lambda **_: None})).item() == pytest.approx(
        without.item() + 2
    )
    assert same(calls[0][0], (fake + 1) / 2) and same(calls[0][1], given.hr)


# ---------------------------------------------------------------- SelfSR


@pytest.mark.parametrize("pairs", ["paired", "unpaired"])
@pytest.mark.parametrize(("level", "progress"), [(1, 0.0), (2, 0.25), (2, 0.9)])
def test_selfsr_trains_as_zeng_says(pairs, level, progress):
    m, twin, given = selfsr(pairs=pairs), selfsr(pairs=pairs), batches(2)
    fade = torch.tensor(progress / 0.5) if level == 2 and progress < 0.5 else None
    stage = m.stages()[level - 1]
    seen, judged = fed(m.net), fed(m.critic)
    events = watched(m, stage, given, progress=progress)
    assert [e.name for e in events] == ["critic", "net"]
    source = given[1 if pairs == "unpaired" else 0].hr
    lr = signed((resize(source, 8).clamp(0, 1) * 255).round() / 255)
    first = seen[0][0] if isinstance(seen[0], tuple) else seen[0]
    assert same(first, lr)
    sizes = {k: signed(given[0].hr if k == 2 else resize(given[0].hr, 16).clamp(0, 1)) for k in (1, 2)}
    target = sizes[level]
    if fade is not None:
        target = fade * target + (1 - fade) * sizes[1].repeat_interleave(2, 2).repeat_interleave(2, 3)
    real = judged[0][0] if isinstance(judged[0], tuple) else judged[0]
    assert same(real, target)

    def r1():  # eq. 9 with r / 2 = 5, and the weight of 3 of eq. 10
        total = torch.zeros(())
        for face in target:
            face = face[None].clone().requires_grad_()
            (slope,) = torch.autograd.grad(twin.critic(face, level, fade).sum(), face, create_graph=True)
            total = total + slope.square().sum()
        return 3 * 5 * total / len(target)

    def fake():
        return twin.net(lr, level, fade)

    agree(events[0], twin, lambda: hinge(lambda x: twin.critic(x, level, fade), target, fake().detach()) + r1())

    def equation_10():
        sr = fake()
        apart = resize(sr, 8) - lr if pairs == "unpaired" else sr - target
        return -twin.critic(sr, level, fade).mean() + 150 * apart.abs().mean()

    agree(events[1], twin, equation_10)
    assert {n.split(".")[0] for n in events[0].moved} == {"critic"}
    assert {n.split(".")[0] for n in events[1].moved} == {"net"}


# ---------------------------------------------------------------- ESRGAN


def test_esrgan_trains_as_aakerberg_says():
    m, twin, given = esrgan(), esrgan(), batches(1)
    seen, judged = fed(m.net), fed(m.critic)
    stages = m.stages()
    events = watched(m, stages[-1], given)
    assert [e.name for e in events] == ["net", "critic"]
    hr = judged[0]
    assert hr.shape == given[0].hr.shape and same(hr, given[0].hr)
    assert (seen[0] - resize(hr, 8)).abs().mean() > 5 / 255, "it restores the degraded LR"

    def relativistic(a, b):  # half the sum, as ESRGAN's code
        one = -(1 / (1 + (b.mean() - a).exp())).log().mean()
        return (one - (1 - 1 / (1 + (a.mean() - b).exp())).log().mean()) / 2

    def equation_9():
        sr = twin.net(seen[0])
        return 0.01 * (sr - hr).abs().mean() + 0.005 * relativistic(twin.critic(sr), twin.critic(hr).detach())

    agree(events[0], twin, equation_9)
    agree(events[1], twin, lambda: relativistic(twin.critic(hr), twin.critic(judged[-1])))
    assert {n.split(".")[0] for n in events[0].moved} == {"net"}
    assert {n.split(".")[0] for n in events[1].moved} == {"critic"}
    before = esrgan()
    assert same(judged[-1], before.eval().net(seen[0]).detach()), "the critic sees what the generator made"


def test_esrgans_feature_loss_has_its_weight():
    m, given = esrgan(feature=0.001).eval(), batches(1)[0]
    run = type("Run", (), {"log": lambda **_: None, "fp32": lambda: torch.autocast("cpu", enabled=False)})
    fake = torch.rand(3, 3, 32, 32)
    without = m.generator_loss(given.hr, fake, run)
    m.feature_loss = lambda a, b: (a - b).square().sum()
    with_it = m.generator_loss(given.hr, fake, run)
    assert (with_it - without).item() == pytest.approx(0.001 * (fake - given.hr).square().sum().item(), rel=1e-3)


# ---------------------------------------------------------------- optimizers and variants

ADAM = {  # method: stage: optimizer: rate, betas, parts that move
    "low-to-high": (low_to_high, {
        "gan": {"net": (1e-4, (0, 0.9), "net"), "critic": (1e-4, (0, 0.9), "critic")},
        "joint": {"both": (1e-4, (0, 0.9), "degradation.net net"), "critic": (1e-4, (0, 0.9), "critic"),
                  "low_critic": (1e-4, (0, 0.9), "degradation.critic")},
    }),
    "smooth-features": (smooth_features, {
        "robust": {"net": (1e-4, (0, 0.9), "f g"), "critic": (4e-4, (0, 0.9), "critic"),
                   "features": (1e-4, (0, 0.9), "f")},
    }),
    "selfsr": (selfsr, {s: {"net": (3e-3, (0.9, 0.99), "net"), "critic": (3e-3, (0.9, 0.99), "critic")}
                        for s in ("x2", "x4")}),
    "esrgan": (esrgan, {
        "l1": {"net": (2e-4, (0.9, 0.99), "net")},
        "gan": {"net": (1e-4, (0.9, 0.99), "net"), "critic": (1e-4, (0.9, 0.99), "critic")},
    }),
}  # fmt: skip
FACTORS = {  # of the rates, by stage and step
    "low-to-high": {"gan": {0: 1, 500_000: 1}, "joint": {1_999: 1}},
    "smooth-features": {"robust": {0: 1, 9_999: 1, 10_000: 0.5, 30_000: 0.125}},
    "selfsr": {"x2": {0: 1}, "x4": {99_999: 1}},
    "esrgan": {"l1": {0: 1, 200_000: 0.5, 900_000: 1 / 16}, "gan": {49_999: 1, 50_000: 0.5, 350_000: 1 / 16}},
}
AUGMENTS = {
    "low-to-high": Augment(zoom=0.1, rotate=10.0, jitter=0.1), "smooth-features": Augment(flip=False),
    "selfsr": Augment(), "esrgan": Augment(),
}  # fmt: skip


@pytest.mark.parametrize("name", ADAM)
def test_optimizers_rates_and_schedules(name):
    make, wanted = ADAM[name]
    m = make()
    stages = {s.name: s for s in m.stages()}
    assert set(stages) == set(wanted)
    names = {id(p): n for n, p in m.named_parameters()}
    for title, stage in stages.items():
        assert stage.augment == AUGMENTS[name] and set(stage.optimizers) == set(wanted[title])
        for key, (rate, betas, parts) in wanted[title].items():
            (group,) = stage.optimizers[key].param_groups
            assert isinstance(stage.optimizers[key], torch.optim.Adam) and group["betas"] == betas
            of = {n for n in names.values() if any(n.startswith(f"{part}.") for part in parts.split())}
            assert {names[id(p)] for p in group["params"]} == of
            for step, factor in FACTORS[name][title].items():
                schedule = stage.schedulers.get(key)
                now = schedule.lr_lambdas[0](step) * schedule.base_lrs[0] if schedule else group["lr"]
                assert now == pytest.approx(rate * factor), (title, key, step)


def test_variants_hold_what_they_are_named_after():
    assert LowToHigh.variants == {
        "full": {}, "pixel-only": {"beta": 0.0}, "bilinear": {"degradation": "bilinear"},
        "blur-bilinear": {"degradation": "blur[kind=box,resize=bilinear]"},
        "wgan-gp": {"gan": "wgan-gp", "degradation": "high-to-low[variant=wgan-gp]"},
        "released": {"layout": "released", "critic_pool": "mean", "degradation": "high-to-low[variant=released]"},
    }  # fmt: skip
    assert SmoothFeatures.variants["no-robust"] == {"robust": False}
    assert SmoothFeatures.variants["detach-anchor"] == {"detach_anchor": True}
    released = SmoothFeatures.variants["released"]
    wanted = {"batch": 13, "beta2": 0.5, "robust_lr": 1e-6, "decay": 0.2, "pixel": 0.5, "feature": 1.0,
              "feature_loss": "vgg19", "detach_anchor": True}  # fmt: skip
    assert {k: released[k] for k in wanted} == wanted
    table = {"scale": 8, "degradation": "bicubic"}
    for name, more in {"paired": {}, "concat": {"condition": "concat"}, "no-progressive": {"progressive": False},
                       "no-r1": {"r1": 0.0}, "unpaired": {"pairs": "unpaired", "steps": 280_000}}.items():  # fmt: skip
        assert SelfSR.variants[name] == {**table, **more}
    assert ESRGANJpegKernel.variants == {
        "realsr": {"feature_loss": "vgg19", "feature": 1.0, "degradation": "jpeg-kernel[jpeg=none]"},
        "+jpeg": {"feature_loss": "vgg19", "feature": 1.0},
        "+jpeg+lpips": {"feature_loss": "lpips", "feature": 0.001},
    }
    p = LowToHigh.Params()
    assert (p.alpha, p.beta, p.penalty, p.critic_updates, p.steps, p.joint_steps) == (1, 0.05, 10, 5, 570_000, 2_000)
    p = SmoothFeatures.Params()
    assert (p.alpha, p.pixel, p.feature, p.adversarial, p.clean_weight, p.degraded_weight, p.critic_updates) == (
        0.3, 1, 0.5, 0.05, 0.3, 0.7, 5)  # fmt: skip
    p = SelfSR.Params()
    assert (p.reconstruction, p.r1, p.r1_weight, p.lr, p.batch) == (150, 10, 3, 0.003, 48)
    p = ESRGANJpegKernel.Params()
    assert (p.pixel, p.adversarial, p.feature, p.patch, p.batch, p.sides) == (
        0.01,
        0.005,
        0.001,
        32,
        16,
        (1, 0.75, 0.5, 0.25),
    )


def test_the_released_low_to_high_ends_in_a_head():
    m = low_to_high(layout="released", critic_pool="mean")
    kernels = [c.kernel_size[0] for c in m.net.modules() if isinstance(c, nn.Conv2d)]
    assert kernels[-3:] == [3, 1, 1] and m.eval().infer(torch.rand(1, 3, 8, 8)).shape == (1, 3, 32, 32)
    assert m.critic.average


@pytest.mark.parametrize("make", [low_to_high, smooth_features, selfsr, esrgan])
def test_infer_is_the_network_in_its_range(make):
    """The papers' networks work in [-1, 1], ESRGAN's in [0, 1]; both sides of infer are in [0, 1]."""
    m, lr = make().eval(), torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    if make is esrgan:
        [c for c in m.net.modules() if isinstance(c, nn.Conv2d)][-1].bias.data += 0.5  # a picture that is not black
    networks = {low_to_high: lambda x: m.net(x), smooth_features: lambda x: m.g(m.f(x)), selfsr: lambda x: m.net(x, 2)}
    with torch.no_grad():
        made = m.net(lr) if make is esrgan else (networks[make](signed(lr)) + 1) / 2
    sr = m.infer(lr)
    assert same(sr, made.clamp(0, 1)) and sr.std() > 1e-3
