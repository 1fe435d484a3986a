import pytest
import torch
from bench.degradations.conditions import Bicubic
from bench.degradations.high_to_low import HighToLow
from bench.methods.low_to_high import LowToHigh
from small_training import few_faces, gain_by_heart
from torch import nn

import bench
from bench.api.training import Batch
from bench.core.spec import override
from bench.kit.blocks import CriticBlock, ResidualBlock, ResidualCritic
from bench.kit.schedules import falling

SMALL = {"width": 8, "critic_width": 8, "batch": 2}


class FakeRun:
    """Notes which optimizer was asked for, and steps nothing."""

    def __init__(self, batch):
        self.batch, self.asked, self.losses = batch, [], []

    def draw(self):
        return self.batch

    def minimize(self, loss, name):
        self.asked.append(name)
        self.losses.append(loss)

    def log(self, **_):
        pass

    images = log

    def fp32(self):
        return torch.autocast("cpu", enabled=False)


def batch():
    torch.manual_seed(0)
    return Batch(torch.rand(2, 3, 64, 64), torch.rand(2, 3, 16, 16))


def shapes(model, kind, *inputs):
    seen = []
    hooks = [
        m.register_forward_hook(lambda m, i, o: seen.append(tuple(o.shape[1:])))
        for m in model.modules()
        if type(m) is kind
    ]
    model(*inputs)
    for hook in hooks:
        hook.remove()
    return seen


def test_high_to_low_has_twelve_blocks_that_go_from_64_to_4_to_16():
    model = HighToLow().eval()
    sides = [s[-1] for s in shapes(model.net, ResidualBlock, torch.rand(1, 3, 64, 64), torch.randn(1, 64))]
    assert sides == [64, 64, 32, 32, 16, 16, 8, 8, 4, 4, 8, 8]
    assert model.infer(torch.rand(1, 3, 64, 64)).shape == (1, 3, 16, 16)


def test_low_to_high_has_12_3_and_2_blocks_at_16_32_and_64_pixels():
    model = LowToHigh().eval()
    assert (
        shapes(model.net, ResidualBlock, torch.rand(1, 3, 16, 16))
        == [(256, 16, 16)] * 12 + [(128, 32, 32)] * 3 + [(96, 64, 64)] * 2
    )


@pytest.mark.parametrize(("pools", "size"), [(2, 16), (4, 64)])
def test_the_critic_pools_in_its_last_blocks_to_4_pixels_with_spectral_norm_everywhere(pools, size):
    critic = ResidualCritic(16, pools).train()
    assert [s[-1] for s in shapes(critic, CriticBlock, torch.rand(1, 3, size, size))][-1] == 4
    assert not any(isinstance(m, nn.BatchNorm2d) for m in critic.modules())
    for _ in range(30):
        critic(torch.rand(1, 3, size, size))
    layers = [m for m in critic.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert len(layers) == 14
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("size", [64, 48, 72])
def test_any_size_and_scale_fit(scale, size):
    low = HighToLow(override(HighToLow.Params(), SMALL, ""), scale=scale).eval()
    assert low.infer(torch.rand(1, 3, size, size)).shape == (1, 3, size // scale, size // scale)
    high = LowToHigh(override(LowToHigh.Params(), {"widths": (8, 8, 8), "critic_width": 8}, ""), scale=scale).eval()
    assert high.infer(torch.rand(1, 3, 12, 12)).shape == (1, 3, 12 * scale, 12 * scale)


def test_the_lr_changes_with_the_seed_and_not_otherwise():
    model = HighToLow(override(HighToLow.Params(), SMALL, "")).eval()
    hr = batch().hr
    first, again, other = (model.infer(hr, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_a_step_updates_the_critic_five_times_then_the_generator_with_equation_1():
    model = HighToLow(override(HighToLow.Params(), SMALL, "")).train()
    run = FakeRun(batch())
    model.step(run.batch, run)
    assert run.asked == ["critic"] * 5 + ["net"]
    torch.manual_seed(5)
    model.eval()
    fake = model.generate(run.batch.hr)
    mean = (run.batch.hr * 2 - 1).reshape(2, 3, 16, 4, 16, 4).mean((3, 5))
    expected = ((fake - mean) ** 2).mean() - 0.05 * model.critic(fake).mean()
    assert torch.allclose(model.generator_loss(run.batch.hr, fake, run), expected, atol=1e-6)


def test_low_to_high_leaves_its_degradation_alone_until_the_joint_stage():
    low = HighToLow(override(HighToLow.Params(), SMALL, ""))
    model = LowToHigh(
        override(LowToHigh.Params(), {"widths": (8, 8, 8), "critic_width": 8, "batch": 2}, ""), degradation=low
    )
    model.train()
    assert not low.training and not any(p.requires_grad for p in low.parameters())
    first, joint = model.stages()
    assert (first.steps, joint.steps, joint.joint) == (570_000, 2_000, True)
    run = FakeRun(batch())
    first.step(run.batch, run)
    assert run.asked == ["critic"] * 5 + ["net"]
    low.requires_grad_(True)
    model.train()
    assert low.training
    run = FakeRun(batch())
    joint.step(run.batch, run)
    assert run.asked == ["critic", "low_critic"] * 5 + ["both"]
    run.losses[-1].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in low.net.noise.parameters())


def test_variants_train_on_what_table_1_names():
    assert LowToHigh.variants["bilinear"]["degradation"] == "bilinear"
    pixel = LowToHigh(
        override(LowToHigh.Params(), {**LowToHigh.variants["pixel-only"], "widths": (8, 8, 8)}, ""),
        degradation=Bicubic(),
    )
    (stage,) = pixel.stages()
    run = FakeRun(batch())
    stage.step(run.batch, run)
    assert run.asked == ["net"] and not hasattr(pixel, "critic")


def test_wgan_gp_has_no_spectral_norm_and_a_penalty():
    model = HighToLow(override(HighToLow.Params(), {**SMALL, "gan": "wgan-gp", "penalty": 0.0}, "")).train()
    heavy = HighToLow(override(HighToLow.Params(), {**SMALL, "gan": "wgan-gp", "penalty": 10.0}, "")).train()
    heavy.load_state_dict(model.state_dict())
    run, losses = FakeRun(batch()), []
    for one in (model, heavy):
        torch.manual_seed(3)
        losses.append(one.critic_loss(run.batch, run))
    assert losses[1] > losses[0] and not hasattr(model.critic.linear, "parametrizations")


def test_the_papers_sizes_have_as_many_parameters_as_documented():
    low, high = HighToLow(), LowToHigh()
    noise, ends = 64 * 64**2 + 64**2, (4 * 64 * 9 + 64) + (64 * 3 * 9 + 3)
    blocks, norms, shuffles = 12 * 2 * (64 * 64 * 9 + 64), (12 * 2 + 1) * 2 * 64, 2 * (64 * 256 * 9 + 256)
    assert low.parameter_count() == noise + ends + blocks + norms + shuffles == 1_455_235
    assert high.parameter_count() == 15_449_411
    for critic in (low.critic, high.critic):
        assert sum(p.numel() for p in critic.parameters()) == 1_627_649


def test_the_rate_is_constant_unless_it_is_told_to_fall():
    quick = override(LowToHigh.Params(), {**LowToHigh.quick, "steps": 8, "fall": 0.5}, "")
    stage, joint = LowToHigh(quick, degradation=HighToLow(override(HighToLow.Params(), SMALL, ""))).stages()
    rates = []
    for _ in range(8):
        rates.append(stage.optimizers["critic"].param_groups[0]["lr"] / quick.lr)
        stage.optimizers["critic"].step()
        stage.schedulers["critic"].step()
    assert rates == pytest.approx([1, 1, 1, 1, 1, 0.75, 0.5, 0.25]) and set(joint.schedulers) == set(joint.optimizers)
    (constant,) = HighToLow(override(HighToLow.Params(), SMALL, "")).stages()
    assert not constant.schedulers


@pytest.mark.usefixtures("one_thread")
def test_low_to_high_learns_few_faces_by_heart(faces, tmp_path):
    """3 dB above bicubic on what it was trained on: the quick preset's networks, 32x32, little weight on the critic."""
    torch.manual_seed(0)
    options = {
        **LowToHigh.quick,
        "steps": 160,
        "batch": 4,
        "beta": 0.002,
        "augment": bench.Augment(flip=False),
        "lr": 2e-3,
        "fall": 0.5,
    }
    m = LowToHigh(override(LowToHigh.Params(), options, ""), hr_size=32, degradation=Bicubic())
    gain = gain_by_heart(m, few_faces(faces), tmp_path)
    assert gain > 3, gain


def test_no_steps_need_no_schedule():
    optimizers = {"net": torch.optim.SGD([nn.Parameter(torch.zeros(1))], 1.0)}
    assert falling(optimizers, 0, 0.5) == falling(optimizers, 10, 0.0) == {}
