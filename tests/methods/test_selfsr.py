import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from bench.degradations.conditions import Bicubic
from bench.degradations.flow_field import FlowField
from bench.degradations.flow_field_nets import total_variation, warp
from bench.methods import selfsr_nets as nets
from bench.methods.selfsr import SelfSR
from small_training import FakeRun, few_faces, gain_by_heart, train
from torch import nn
from watched import fed

from bench.api.training import Batch
from bench.commands import info
from bench.core.image import resize
from bench.core.spec import override
from bench.errors import UsageError

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = {"widths": (8, 6, 4), "blocks": 1, "hidden": 4, "critic_width": 4, "critic_most": 8, "batch": 4}
SMALL_FLOW = {"width": 4, "blocks": 1, "critic_width": 4, "batch": 4}


def model(scale=4, hr_size=32, **options):
    torch.manual_seed(0)
    params = override(SelfSR.Params(), {**SMALL, **options}, "test")
    return SelfSR(params, scale=scale, hr_size=hr_size, degradation=Bicubic(scale=scale))


def flow_field(**options):
    """A small one with heads that do something: at zero, where training starts, it changes nothing."""
    torch.manual_seed(0)
    m = FlowField(override(FlowField.Params(), {**SMALL_FLOW, **options}, "test"), hr_size=32).eval()
    if m.params.adaptation == "flow":
        for head in (m.net.image, m.net.flow):
            nn.init.normal_(head.weight, std=0.05)
    return m


# ---------------------------------------------------------------- flow field


def test_a_whole_pixel_flow_shifts_the_image():
    image = torch.rand(2, 3, 9, 12)
    flow = torch.tensor([2.0, -1.0]).view(1, 2, 1, 1).expand(2, 2, 9, 12)  # dx, dy: out(x, y) = in(x - 2, y + 1)
    assert torch.allclose(warp(image, flow)[..., :-1, 2:], image[..., 1:, :-2], atol=1e-5)
    assert torch.allclose(warp(image, torch.zeros(2, 2, 9, 12)), image, atol=1e-5)


def test_the_warp_is_equation_1_pixel_by_pixel():
    torch.manual_seed(0)
    image, flow = torch.rand(1, 2, 5, 7), 2 * torch.randn(1, 2, 5, 7)
    made, (height, width) = warp(image, flow), (5, 7)
    for y, x in itertools.product(range(height), range(width)):
        xs, ys = x - flow[0, 0, y, x].item(), y - flow[0, 1, y, x].item()
        xs, ys = min(max(xs, 0), width - 1), min(max(ys, 0), height - 1)  # beyond the border, its pixel counts
        expected = sum(
            image[0, :, v, u] * max(0, 1 - abs(xs - u)) * max(0, 1 - abs(ys - v))
            for u, v in itertools.product(range(width), range(height))
        )
        assert torch.allclose(made[0, :, y, x], expected, atol=1e-5)


def test_smoothness_is_equation_4():
    flow = torch.randn(2, 2, 4, 5)
    values = flow.double().numpy()
    across = [abs(values[..., y, x + 1] - values[..., y, x]).mean() for y in range(4) for x in range(4)]
    down = [abs(values[..., y + 1, x] - values[..., y, x]).mean() for y in range(3) for x in range(5)]
    assert total_variation(flow).item() == pytest.approx(np.mean(across) + np.mean(down), rel=1e-5)
    assert total_variation(torch.ones(1, 2, 4, 4)).item() == 0


def test_the_generators_loss_is_equation_5():
    m, run = flow_field(), FakeRun()
    hr, real = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 8, 8)
    m.flow_step(Batch(hr, real), run)
    clean = m.clean(hr) * 2 - 1
    image, flow = m.net(clean)
    fooled = -torch.log(torch.sigmoid(m.critic(warp(image, flow)))).mean()
    expected = fooled + 10 * (image - clean).abs().mean() + total_variation(flow)
    assert run.losses["net"].item() == pytest.approx(expected.item(), rel=1e-5)
    run.losses["critic"].backward()
    assert all(p.grad is None for p in m.net.parameters()), "the critic's loss does not reach the generator"


def test_training_starts_at_bicubic_lr():
    m, hr = FlowField(override(FlowField.Params(), SMALL_FLOW, ""), hr_size=32).eval(), torch.rand(2, 3, 32, 32)
    assert torch.allclose(m.infer(hr), m.clean(hr), atol=1e-5)
    assert torch.equal(m.flow(m.clean(hr)), torch.zeros(2, 2, 8, 8))


@pytest.mark.parametrize("adaptation", ["flow", "cycle", "none"])
def test_disturbed_lr_changes_with_the_seed_and_undisturbed_lr_does_not(adaptation):
    hr = torch.rand(2, 3, 48, 32)
    for disturb, same in ((0.0, True), (0.7, False)):
        m = flow_field(adaptation=adaptation, disturb=disturb) if adaptation != "none" else FlowField(
            override(FlowField.Params(), {"adaptation": "none", "disturb": disturb}, "")
        )  # fmt: skip
        first, again, other = (m.infer(hr, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
        assert torch.equal(first, again) and torch.equal(first, other) == same
        assert first.shape == (2, 3, 12, 8) and first.min() >= 0 and first.max() <= 1
    spread = m.random_flow(torch.zeros(50, 3, 16, 16), torch.Generator().manual_seed(0)).std().item()
    assert 0.5 < spread < 1.2, "disturb is about the deviation of the offsets, in pixels"


@pytest.mark.parametrize(("variant", "weight"), [("cycle", 0.0), ("cycle+idt", 5.0)])
def test_cycle_is_cyclegan_as_published(variant, weight):
    m, run = flow_field(**FlowField.variants[variant]), FakeRun()
    hr, real = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 8, 8)
    a, b = m.clean(hr) * 2 - 1, real * 2 - 1
    m.cycle_step(Batch(hr, real), run)
    to_b, to_a = m.net(a), m.back(b)  # the histories are young: they show these
    critic = sum(((d(x) - 1) ** 2).mean() / 2 + (d(y) ** 2).mean() / 2
                 for d, x, y in ((m.critic, b, to_b), (m.back_critic, a, to_a)))  # fmt: skip
    generator = ((m.critic(to_b) - 1) ** 2).mean() + ((m.back_critic(to_a) - 1) ** 2).mean()
    generator += 10 * ((m.back(to_b) - a).abs().mean() + (m.net(to_a) - b).abs().mean())
    generator += weight * ((m.net(b) - b).abs().mean() + (m.back(a) - a).abs().mean())
    assert run.losses["critic"].item() == pytest.approx(critic.item(), rel=1e-5)
    assert run.losses["net"].item() == pytest.approx(generator.item(), rel=1e-5)
    assert torch.equal(m.history.images, to_b) and torch.equal(m.back_history.images, to_a)
    (stage,) = m.stages()
    assert all(o.defaults["betas"] == (0.5, 0.999) and o.defaults["lr"] == 2e-4 for o in stage.optimizers.values())


def test_cycle_goes_on_after_a_stop_with_its_history(tmp_path):
    hr, real = torch.rand(6, 3, 32, 32), torch.rand(6, 3, 8, 8)
    options = {"adaptation": "cycle", "steps": 6, "history": 5}
    whole = train(flow_field(**options), hr, tmp_path / "whole", real)
    stopped = flow_field(**options)
    step = stopped.cycle_step

    def until_the_fourth(batch, run):
        step(batch, run)
        if run.step == 3:
            raise KeyboardInterrupt

    stopped.cycle_step = until_the_fourth
    with pytest.raises(KeyboardInterrupt):
        train(stopped, hr, tmp_path / "part", real, checkpoint_every=1)
    resumed = train(flow_field(**options), hr, tmp_path / "part", real)
    assert resumed["steps"] == 6 and len(resumed["model"]["history._extra_state"]["images"]) == 5
    assert all(torch.equal(resumed["model"][k], v) for k, v in whole["model"].items() if isinstance(v, torch.Tensor))


def test_the_rate_falls_to_zero_over_the_second_half():
    (stage,) = flow_field(steps=10).stages()
    rates = []
    for _ in range(10):
        rates.append(stage.optimizers["net"].param_groups[0]["lr"])
        stage.optimizers["net"].step()
        stage.schedulers["net"].step()
    assert rates == pytest.approx([2e-4] * 6 + [2e-4 * k / 5 for k in (4, 3, 2, 1)])


def test_disturbance_is_added_to_the_predicted_flow():
    m, hr = flow_field(disturb=0.7), torch.rand(2, 3, 32, 32)
    clean = m.clean(hr)
    image, flow = m.net(clean * 2 - 1)
    offset = 0.7 * m.random_flow(clean, torch.Generator().manual_seed(4))
    expected = (warp(image, flow + offset) + 1) / 2
    assert torch.allclose(m.infer(hr, torch.Generator().manual_seed(4)), expected.clamp(0, 1), atol=1e-5)
    assert flow.abs().max() > 0.05 and not torch.equal(offset[0], offset[1])


def test_figure_8_shows_clean_degraded_and_disturbed_lr():
    m, hr = flow_field(), torch.rand(3, 3, 32, 32)
    sheet = m.figure(hr)
    assert sheet.shape == (3, 3 * 32, 6 * 32) and sheet.min() >= 0 and sheet.max() <= 1
    tiles = sheet.view(3, 3, 8, 4, 6, 8, 4)[:, :, :, 0, :, :, 0]  # channel, face, y, column, x
    of = lambda column: tiles[:, :, :, column].transpose(0, 1)
    assert torch.allclose(of(0), m.clean(hr)) and torch.allclose(of(1), m.infer(hr), atol=1e-5)
    assert len({float(of(k).sum()) for k in range(6)}) == 6


def test_figure_9_shows_the_gammas_of_shallow_and_deep_blocks():
    m, lr = model(blocks=2).eval(), torch.rand(2, 3, 8, 8)
    for level in m.net.levels:
        for block in level:
            nn.init.normal_(block.first.gamma[-1].weight)
    sheet = m.figure(lr)
    assert sheet.shape == (3, 2 * 32, 9 * 32), "the LR, and two channels of two blocks of two levels"
    assert torch.equal(sheet[:, :32:4, :32:4], lr[0])
    deep = sheet[0, :32, -32:]
    gamma = m.net.levels[1][-1].first.gamma(resize(lr * 2 - 1, 32))[0]
    near = [float((deep - (g - g.min()) / (g.max() - g.min())).abs().max()) for g in gamma]
    assert min(near) < 1e-4
    assert model(condition="concat").figure(lr) is None


# ---------------------------------------------------------------- SelfSR: networks


def test_modulation_is_equation_6():
    torch.manual_seed(0)
    block = nets.SelfConditioned(2, 3, 4, concat=False)
    x, condition = torch.randn(2, 2, 5, 6), torch.rand(2, 3, 5, 6)
    f, gamma = (t.detach().double().numpy() for t in (block.conv(x), block.gamma(condition)))
    made = block(x, condition).detach().numpy()
    for n, c in itertools.product(range(2), range(3)):
        mean = f[n, c].sum() / 30
        sigma = math.sqrt(((f[n, c] - mean) ** 2).sum() / 30 + 1e-5)
        assert np.allclose(made[n, c], gamma[n, c] * (f[n, c] - mean) / sigma, atol=1e-5)


def test_concatenation_has_no_gamma_and_sees_the_condition():
    torch.manual_seed(0)
    block, x = nets.SelfConditioned(2, 3, 4, concat=True), torch.randn(1, 2, 6, 6)
    a, b = (block(x, condition) for condition in torch.rand(2, 1, 3, 6, 6))
    assert block.gamma is None and not torch.equal(a, b)
    assert torch.allclose(a.mean((2, 3)), torch.zeros(1, 3), atol=1e-5), "left normalised"


@pytest.mark.parametrize(("layer", "fan_in"), [(nets.EqualConv2d(5, 7, 3), 45), (nets.EqualLinear(60, 7), 60)])
def test_equalised_weights_are_scaled_in_use_so_that_adam_moves_all_layers_alike(layer, fan_in):
    x = torch.randn(4, 5, 6, 6) if isinstance(layer, nn.Conv2d) else torch.randn(4, 60)
    scaled = layer.weight * math.sqrt(2 / fan_in)
    expected = F.conv2d(x, scaled, padding=1) if isinstance(layer, nn.Conv2d) else x @ scaled.T
    assert torch.allclose(layer(x), expected, atol=1e-5)
    assert layer.weight.std().item() == pytest.approx(1, abs=0.15)
    before = layer.weight.detach().clone()
    layer(x).square().mean().backward()
    torch.optim.Adam([layer.weight], 0.003).step()
    assert torch.allclose((layer.weight - before).abs(), torch.full_like(before, 0.003), atol=1e-5)


def test_every_block_is_conditioned_on_the_lr_enlarged_to_its_size():
    m, lr = model(blocks=2).eval(), torch.rand(1, 3, 8, 8) * 2 - 1
    seen = [fed(block.first) for level in m.net.levels for block in level]
    m.net(lr, 2)
    for (call,), side in zip(seen, (16, 16, 32, 32), strict=True):
        assert torch.allclose(call[1], resize(lr, side)) and call[0].shape[-1] == side


@pytest.mark.parametrize("level", [2, 3])
def test_a_new_level_starts_as_the_one_before_enlarged_and_ends_alone(level):
    m, lr = model(8), torch.rand(2, 3, 5, 4) * 2 - 1
    before = m.net(lr, level - 1).repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.equal(m.net(lr, level, torch.tensor(0.0)), before)
    assert torch.equal(m.net(lr, level, torch.tensor(1.0)), m.net(lr, level))
    halfway = m.net(lr, level, torch.tensor(0.5))
    assert torch.allclose(halfway, (before + m.net(lr, level)) / 2, atol=1e-5)


@pytest.mark.parametrize("level", [2, 3])
def test_the_discriminator_and_its_faces_grow_without_a_jump(level):
    m, hr = model(8), torch.rand(2, 3, 32, 32)
    old, new = (m.target(hr, k, None) for k in (level - 1, level))
    faded = m.target(hr, level, torch.tensor(0.0))
    assert torch.equal(faded, old.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert torch.equal(m.target(hr, level, torch.tensor(1.0)), new) and new.shape[-1] == 4 << level
    assert torch.allclose(m.critic(faded, level, torch.tensor(0.0)), m.critic(old, level - 1), atol=1e-5)
    assert torch.allclose(m.critic(new, level, torch.tensor(1.0)), m.critic(new, level), atol=1e-6)


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("size", [(8, 8), (5, 12)])
def test_any_size_and_scale_fit(scale, size):
    m = model(scale).eval()
    assert m.infer(torch.rand(1, 3, *size)).shape == (1, 3, scale * size[0], scale * size[1])
    assert [len(m.net.levels), m.critic.top] == [int(math.log2(scale))] * 2
    assert m.critic(torch.rand(1, 3, scale * size[0], scale * size[1]), m.top).shape == (1, 1)
    low = FlowField(override(FlowField.Params(), SMALL_FLOW, ""), scale=scale).eval()
    assert low.infer(torch.rand(1, 3, scale * size[0], scale * size[1])).shape == (1, 3, *size)


def test_the_papers_size():
    assert info.facts("selfsr[scale=8]", "paper")["parameter_count"] == pytest.approx(17.89e6, rel=0.05)  # Table I


# ---------------------------------------------------------------- SelfSR: losses


class LinearCritic(nn.Module):
    """D(x) = w * sum(x): a gradient of w at each of n numbers, so ||grad||^2 = n w^2."""

    def __init__(self, w):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w))

    def forward(self, x, level, fade=None):
        return self.w * x.sum((1, 2, 3))


def test_the_discriminators_loss_is_hinge_and_r1_with_both_factors():
    real, fake = (torch.full((2, 3, 2, 2), v) for v in (0.1, -0.02))
    real[1] = -0.1  # sums: real 1.2 and -1.2, fake -0.24
    m, run = model(), FakeRun()
    m.critic = LinearCritic(0.5)
    loss = m.critic_loss(real, fake, 1, None, run)
    hinge = ((1 - 0.6) + (1 + 0.6)) / 2 + (1 - 0.12)
    assert loss.item() == pytest.approx(hinge + 3 * 10 / 2 * 12 * 0.5**2, rel=1e-5)
    loss.backward()
    slope = (-1.2 + 1.2) / 2 - 0.24  # of the hinge in w; and of 15 * 12 * w^2
    assert m.critic.w.grad.item() == pytest.approx(slope + 15 * 12 * 2 * 0.5, rel=1e-5)
    without = model(r1=0.0)
    without.critic = LinearCritic(0.5)
    assert without.critic_loss(real, fake, 1, None, run).item() == pytest.approx(hinge, rel=1e-5)


def test_the_generators_loss_is_equation_8_or_11():
    torch.manual_seed(0)
    fake, real, lr = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16), torch.rand(2, 3, 8, 8)
    paired, unpaired = model(), model(pairs="unpaired")
    for m, distance in ((paired, (fake - real).abs()), (unpaired, (resize(fake, 8) - lr).abs())):
        expected = -m.critic(fake, 1).mean() + 150 * distance.mean()
        assert m.generator_loss(fake, real, lr, 1, None).item() == pytest.approx(expected.item(), rel=1e-5)


def test_unpaired_lr_comes_from_other_faces():
    shown, other = torch.rand(2, 2, 3, 32, 32)
    for pairs, source in (("paired", shown), ("unpaired", other)):
        m, seen = model(pairs=pairs), []
        m.degrade = lambda hr, seen=seen: seen.append(hr) or Bicubic().infer(hr)
        m.step(Batch(shown, None), FakeRun(Batch(other, None)), level=1, grown=False)
        assert len(seen) == 1 and seen[0] is source


# ---------------------------------------------------------------- SelfSR: training


@pytest.mark.parametrize(
    ("variant", "scale", "steps"),
    [("real", 4, {"x2": 60_000, "x4": 100_000}), ("paired", 8, {"x2": 20_000, "x4": 60_000, "x8": 80_000}),
     ("unpaired", 8, {"x2": 40_000, "x4": 80_000, "x8": 160_000}), ("no-progressive", 8, {"x8": 160_000})],
)  # fmt: skip
def test_levels_are_added_when_the_paper_says(variant, scale, steps):
    options = {k: v for k, v in SelfSR.variants[variant].items() if k not in ("scale", "degradation")}
    assert {s.name: s.steps for s in model(scale, **options).stages()} == steps
    assert SelfSR.variants[variant].get("scale", 4) == scale


def test_a_level_fades_in_over_the_first_half_of_its_stage(monkeypatch):
    m, seen = model(), []
    critic_loss = m.critic_loss
    monkeypatch.setattr(m, "critic_loss", lambda *a: seen.append(a[3]) or critic_loss(*a))
    for progress in (0.0, 0.25, 0.5, 0.9):
        m.step(Batch(torch.rand(2, 3, 32, 32), None), FakeRun(progress=progress), level=2, grown=True)
    m.step(Batch(torch.rand(2, 3, 32, 32), None), FakeRun(), level=1, grown=False)
    assert [None if f is None else f.item() for f in seen] == [0.0, 0.5, None, None, None]


def test_r1_is_computed_in_float32_under_bf16(tmp_path):
    found = {}
    for precision in ("fp32", "bf16"):
        hr = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        result = train(model(steps=6), hr, tmp_path, precision=precision, log_every=1)
        found[precision] = [v for _, v in result["curve"]["r1"]]
        assert all(torch.isfinite(v).all() for v in result["model"].values())
    assert len(found["bf16"]) == 6 and np.isfinite(found["bf16"]).all()
    assert found["bf16"][0] == pytest.approx(found["fp32"][0], rel=1e-5), "the same images and weights"
    assert found["bf16"] != found["fp32"], "the rest is in bf16"


def test_training_stopped_while_a_level_fades_in_goes_on_bit_for_bit(tmp_path):
    hr = torch.rand(6, 3, 32, 32)
    settings = {"checkpoint_every": 1, "seed": 3}
    whole = train(model(steps=16), hr, tmp_path / "whole", **settings)
    stopped = model(steps=16)
    step = stopped.step

    def until_the_eighth(batch, run, level, grown):
        step(batch, run, level, grown)
        if level == 2 and run.step == 2:
            raise KeyboardInterrupt

    stopped.step = until_the_eighth
    with pytest.raises(KeyboardInterrupt):
        train(stopped, hr, tmp_path / "part", **settings)
    position = torch.load(tmp_path / "part/part.pt")["position"]
    assert (position["stage"], position["step"], position["total"]) == (1, 2, 8)
    resumed = train(model(steps=16), hr, tmp_path / "part", **settings)
    assert resumed["steps"] == 16
    assert all(torch.equal(resumed["model"][k], v) for k, v in whole["model"].items())


@pytest.mark.parametrize(
    ("options", "words"),
    [("scale=8,grow_at=0.5", "2 rising shares"), ("grow_at=1.5", "not from 0 to 1"), ("scale=8,grow_at=0.6+0.2", "0.6+0.2"),
     ("scale=2,grow_at=0.5", "empty at scale 2"), ("progressive=no,grow_at=0.5", "has to be empty")],
)  # fmt: skip
def test_wrong_shares_are_answered_in_one_line_before_any_work(bench, folders, tmp_path, options, words):
    hr, lr = folders
    code, _, err = bench("run", "--methods", f"selfsr[degradation=bicubic,{options}]", "--hr", hr, "--lr", lr,
                         "--metrics", "psnr", "--out", tmp_path / "out")  # fmt: skip
    assert code == 2 and words in err and len(err.strip().splitlines()) == 1
    with pytest.raises(UsageError, match="rising shares"):
        SelfSR.growth(override(SelfSR.Params(), {"grow_at": (0.0,)}, ""), 4)


def test_it_learns_few_faces_by_heart(faces, tmp_path):
    """3 dB above bicubic on what it was trained on, with the quick preset's networks; at 32x32 for the test's sake."""
    m = model(**{**SelfSR.quick, "steps": 200, "batch": 4, "grow_at": (0.2,), "fade": 0.3})
    gain = gain_by_heart(m, few_faces(faces), tmp_path)
    assert gain > 3, gain
