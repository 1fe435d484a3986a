"""One step of every degradation that trains: losses, gradients, and what each network is fed, from the papers' equations."""

import pytest
import torch
from bench.degradations.degradation_gan import DegradationGAN
from bench.degradations.flow_field import FlowField
from bench.degradations.flow_field_nets import warp
from bench.degradations.high_to_low import HighToLow
from torch import nn
from watched import agree, batches, fed, on_segments, own_noise, penalty, same, signed, watched

from bench.api.training import Augment
from bench.core.image import resize
from bench.core.spec import override

pytestmark = pytest.mark.usefixtures("one_thread")
FLIPS, NOTHING = Augment(), Augment(flip=False)
BULAT = Augment(zoom=0.1, rotate=10.0, jitter=0.1)


def high_to_low(**options):
    torch.manual_seed(0)
    return HighToLow(override(HighToLow.Params(), {"width": 4, "critic_width": 4, **options}, ""), hr_size=32)


def degradation_gan(**options):
    torch.manual_seed(0)
    return DegradationGAN(override(DegradationGAN.Params(), {"width": 4, "critic_width": 4, **options}, ""), hr_size=32)


def flow_field(**options):
    torch.manual_seed(0)
    m = FlowField(override(FlowField.Params(), {"width": 4, "blocks": 1, "critic_width": 4, **options}, ""), hr_size=32)
    if m.params.adaptation == "flow":
        for head in (m.net.image, m.net.flow):
            nn.init.normal_(head.weight, std=0.1)
    return m


# ---------------------------------------------------------------- High-to-Low


def test_high_to_low_trains_as_bulat_says():
    m, twin, given = high_to_low(), high_to_low(), batches(5)
    made, judged = fed(m.net), fed(m.critic)
    (stage,) = m.stages()
    events = watched(m, stage, given)
    assert [e.name for e in events] == ["critic"] * 5 + ["net"]
    own_noise(made, 64)
    for index, event in enumerate(events[:5]):  # eq. 2 with its signs; each update on faces of its own
        (hr, z), real = made[index], judged[2 * index]
        (which,) = [b for b in given if same(signed(b.hr), hr)]
        assert same(real, signed(which.lr_real)), "the critic's real images are real LR, not HR and not clean LR"
        agree(event, twin, lambda hr=hr, z=z, real=real: (
            (1 - twin.critic(real)).clamp(min=0).mean() + (1 + twin.critic(twin.net(hr, z).detach())).clamp(min=0).mean()
        ))  # fmt: skip
        assert event.moved and all(n.startswith("critic.") for n in event.moved)
    assert len({float(hr.sum()) for hr, _ in made[:5]}) == 5, "five critic updates see five batches"
    hr, z = made[5]

    def equation_1():
        fake = twin.net(hr, z)
        mean = hr.reshape(3, 3, 8, 4, 8, 4).mean((3, 5))  # eq. 4
        return (fake - mean).square().mean() - 0.05 * twin.critic(fake).mean()

    agree(events[5], twin, equation_1)
    assert all(n.startswith("net.") for n in events[5].moved)
    assert any(n.startswith("net.noise") for n in events[5].moved)


def test_high_to_low_with_wgan_gp():
    m, twin, given = (*(high_to_low(gan="wgan-gp", critic_updates=1) for _ in range(2)), batches(1))
    made, judged = fed(m.net), fed(m.critic)
    events = watched(m, m.stages()[0], given)
    real, fake, mixed = signed(given[0].lr_real), made[0], judged[0]
    agree(events[0], twin, lambda: (
        twin.critic(twin.net(*fake).detach()).mean() - twin.critic(real).mean() + 10 * penalty(twin.critic, mixed)
    ))  # fmt: skip
    on_segments(mixed, real, twin.net(*fake).detach())


def test_the_critics_pooling_is_a_parameter():
    x = torch.rand(2, 3, 8, 8)
    one, other = (high_to_low(critic_pool=pool).critic.eval() for pool in ("sum", "mean"))
    other.load_state_dict(one.state_dict())
    at_zero = one.linear.bias
    positions = one.blocks(x)[0, 0].numel()
    assert same(one(x) - at_zero, positions * (other(x) - at_zero)) and positions == 4


def test_the_released_high_to_low_halves_by_strides_and_begins_at_full_size():
    m = high_to_low(layout="released", critic_pool="mean")
    sizes = []
    for layer in m.net.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda _, __, out: sizes.append(out.shape[-1]))
    assert m.infer(torch.rand(2, 3, 32, 32)).shape == (2, 3, 8, 8)
    assert sizes == [32] * 25 + [16] * 7 + [8] * 4


# ---------------------------------------------------------------- degradation GAN


def test_degradation_gan_trains_as_goswami_says():
    m, twin, given = degradation_gan(), degradation_gan(), batches(5)
    made, judged = fed(m.net), fed(m.critic)
    (stage,) = m.stages()
    events = watched(m, stage, given)
    assert [e.name for e in events] == ["critic"] * 5 + ["net"]
    own_noise(made, 16)
    assert len(made) == 5
    for index, event in enumerate(events[:5]):
        (clean, z), (mixed, real, fake) = made[index], judged[3 * index : 3 * index + 3]
        (which,) = [b for b in given if same(signed(b.lr_real), real)]
        assert same(clean, signed(resize(which.hr, 8).clamp(0, 1))), "the generator sees bicubic LR (eq. 1)"
        on_segments(mixed, real, fake)
        agree(event, twin, lambda c=clean, z=z, r=real, x=mixed: (
            twin.critic(twin.net(c, z).detach()).mean() - twin.critic(r).mean() + 10 * penalty(twin.critic, x)
        ))  # fmt: skip
        assert event.moved and all(n.startswith("critic.") for n in event.moved)
    assert len({float(clean.sum()) for clean, _ in made}) == 5
    clean, z = made[4]

    def equation_7():
        fake = twin.net(clean, z)
        return -0.05 * twin.critic(fake).mean() + (fake - clean).square().mean()

    agree(events[5], twin, equation_7)
    assert events[5].moved and all(n.startswith("net.") for n in events[5].moved)


# ---------------------------------------------------------------- flow field


def test_flow_field_trains_as_zeng_says():
    m, twin, given = flow_field(), flow_field(), batches(1)
    seen, judged = fed(m.net), fed(m.critic)
    events = watched(m, m.stages()[0], given)
    assert [e.name for e in events] == ["critic", "net"]
    clean, real = signed(resize(given[0].hr, 8).clamp(0, 1)), signed(given[0].lr_real)
    assert same(seen[0], clean) and same(judged[0], real)

    def log_sigmoid(x):
        return (1 / (1 + (-x).exp())).log().mean()

    def fake():
        return warp(*twin.net(clean))

    agree(events[0], twin, lambda: -log_sigmoid(twin.critic(real)) - log_sigmoid(-twin.critic(fake().detach())))

    def equation_5():
        image, flow = twin.net(clean)
        differences = flow[..., 1:] - flow[..., :-1], flow[..., 1:, :] - flow[..., :-1, :]
        smooth = sum(d.abs().mean() for d in differences)
        return -log_sigmoid(twin.critic(warp(image, flow))) + 10 * (image - clean).abs().mean() + smooth

    agree(events[1], twin, equation_5)
    assert {n.split(".")[0] for n in events[0].moved} == {"critic"}
    assert {n.split(".")[0] for n in events[1].moved} == {"net"} and any("flow" in n for n in events[1].moved)


@pytest.mark.parametrize(("variant", "weight"), [("cycle", 0), ("cycle+idt", 5)])
def test_cycle_trains_as_cyclegan(variant, weight):
    options = FlowField.variants[variant]
    m, twin, given = flow_field(**options, history=3), flow_field(**options, history=3), batches(2)
    (stage,) = m.stages()
    watched(m, stage, given[:1])  # the histories are full after these three faces
    old = m.history.images
    judged, judged_back = fed(m.critic), fed(m.back_critic)
    events = watched(m, stage, given[1:])
    a, b = signed(resize(given[1].hr, 8).clamp(0, 1)), signed(given[1].lr_real)
    (real, shown), (clean, shown_back) = judged[:2], judged_back[:2]
    assert same(real, b) and same(clean, a)
    twin.load_state_dict(events[0].state)
    fresh = twin.eval().net(a).detach()
    assert all(any(same(x, y) for y in [*fresh, *old]) for x in shown), "shown are new ones or those of the history"
    agree(events[0], twin, lambda: (
        (twin.critic(b) - 1).square().mean() / 2 + twin.critic(shown).square().mean() / 2
        + (twin.back_critic(a) - 1).square().mean() / 2 + twin.back_critic(shown_back).square().mean() / 2
    ))  # fmt: skip

    def generators():
        to_b, to_a = twin.net(a), twin.back(b)
        total = (twin.critic(to_b) - 1).square().mean() + (twin.back_critic(to_a) - 1).square().mean()
        total = total + 10 * ((twin.back(to_b) - a).abs().mean() + (twin.net(to_a) - b).abs().mean())
        return total + weight * ((twin.net(b) - b).abs().mean() + (twin.back(a) - a).abs().mean())

    agree(events[1], twin, generators)
    assert {n.split(".")[0] for n in events[1].moved} == {"net", "back"}


# ---------------------------------------------------------------- optimizers


@pytest.mark.parametrize(
    ("make", "options", "net", "critic", "at", "augment"),
    [
        (high_to_low, {}, (1e-4, (0.0, 0.9)), (1e-4, (0.0, 0.9)), {0: 1, 5: 1}, BULAT),
        (degradation_gan, {}, (1e-4, (0.0, 0.9)), (4e-4, (0.0, 0.9)), {0: 1, 9_999: 1, 10_000: 0.5, 20_000: 0.25}, NOTHING),
        (flow_field, {}, (2e-4, (0.9, 0.99)), (2e-4, (0.9, 0.99)), {0: 1, 90_000: 1, 135_000: 0.5, 179_999: 1 / 90_000},
         FLIPS),
        (flow_field, {"adaptation": "cycle"}, (2e-4, (0.5, 0.999)), (2e-4, (0.5, 0.999)), {0: 1, 90_000: 1, 135_000: 0.5},
         FLIPS),
        (degradation_gan, DegradationGAN.variants["released"], (1e-4, (0.5, 0.999)), (4e-4, None), {1_827: 1, 1_828: 0.5},
         NOTHING),
    ],
)  # fmt: skip
def test_optimizers_rates_and_schedules(make, options, net, critic, at, augment):
    m = make(**options)
    (stage,) = m.stages()
    assert stage.augment == augment and set(stage.optimizers) == {"net", "critic"}
    for name, (rate, betas) in (("net", net), ("critic", critic)):
        optimizer = stage.optimizers[name]
        group = optimizer.param_groups[0]
        assert isinstance(optimizer, torch.optim.Adam if betas else torch.optim.SGD)
        assert group.get("betas") == betas and group.get("momentum", 0.5) == 0.5 and len(optimizer.param_groups) == 1
        schedule = stage.schedulers.get(name)
        for step, factor in at.items():
            lr = rate_at(schedule, step) if schedule else group["lr"]
            assert lr == pytest.approx(rate * factor, rel=1e-6), (name, step)
    moving = {id(p) for o in stage.optimizers.values() for g in o.param_groups for p in g["params"]}
    assert moving == {id(p) for p in m.parameters()}, "all networks train"


def rate_at(schedule, step):
    """The rate that a schedule of torch gives at a step, without going there."""
    rate = schedule.base_lrs[0]
    if hasattr(schedule, "lr_lambdas"):
        return rate * schedule.lr_lambdas[0](step)
    return rate * schedule.gamma ** (step // schedule.step_size)


def test_variants_hold_what_they_are_named_after():
    assert HighToLow.variants == {
        "wgan-gp": {"gan": "wgan-gp"},
        "released": {"layout": "released", "critic_pool": "mean"},
    }
    assert FlowField.variants == {
        "flow+idt": {},
        "cycle+idt": {"adaptation": "cycle", "identity": 5.0},
        "cycle": {"adaptation": "cycle", "identity": 0.0},
        "vanilla": {"adaptation": "none"},
    }
    released = DegradationGAN.variants["released"]
    assert {k: released[k] for k in ("batch", "mse", "wgan")} == {"batch": 20, "mse": 0.8, "wgan": 1.0}
    p = DegradationGAN.Params()
    assert (p.width, p.noise, p.wgan, p.mse, p.penalty, p.critic_updates) == (64, 16, 0.05, 1.0, 10.0, 5)
    p = HighToLow.Params()
    assert (p.width, p.critic_width, p.noise, p.alpha, p.beta, p.penalty, p.critic_updates) == (
        64,
        128,
        64,
        1,
        0.05,
        10,
        5,
    )
    p = FlowField.Params()
    assert (p.identity, p.smooth, p.cycle, p.history, p.batch, p.steps) == (10, 1, 10, 50, 48, 180_000)


@pytest.mark.parametrize("make", [high_to_low, degradation_gan, flow_field])
def test_infer_is_the_network_in_its_range(make):
    m, hr = make().eval(), batches(1)[0].hr
    seen = fed(m.net)
    with torch.no_grad():
        lr = m.infer(hr, torch.Generator().manual_seed(0))
        given = seen[0]
        out = m.net(*given) if isinstance(given, tuple) else warp(*m.net(given))
    assert same(lr, ((out + 1) / 2).clamp(0, 1)) and lr.shape == (3, 3, 8, 8)
    first = given[0] if isinstance(given, tuple) else given
    assert same(first, signed(hr) if make is high_to_low else signed(resize(hr, 8).clamp(0, 1)))
