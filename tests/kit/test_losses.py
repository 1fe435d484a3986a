"""The shared losses against hand-computed values and gradients."""

import math

import pytest
import torch

from bench.kit import losses

REAL, FAKE = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-2.0, 0.0, 1.0])


def test_hinge():
    assert losses.hinge_critic(REAL, FAKE).item() == pytest.approx((0 + 0.5 + 2) / 3 + (0 + 1 + 2) / 3)
    assert losses.critic_score(FAKE).item() == pytest.approx(1 / 3)


def test_hinge_gives_no_gradient_beyond_the_margin():
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    losses.hinge_critic(real, fake).backward()
    assert torch.allclose(real.grad, torch.tensor([0, -1 / 3, -1 / 3]))
    assert torch.allclose(fake.grad, torch.tensor([0, 1 / 3, 1 / 3]))


def test_wasserstein():
    assert losses.wasserstein_critic(REAL, FAKE).item() == pytest.approx(-1 / 3 - 0.5)


def test_nonsaturating():
    log_sigmoid = lambda x: -math.log(1 + math.exp(-x))
    critic = -sum(log_sigmoid(x) for x in REAL.tolist()) / 3 - sum(log_sigmoid(-x) for x in FAKE.tolist()) / 3
    assert losses.nonsaturating_critic(REAL, FAKE).item() == pytest.approx(critic, rel=1e-5)
    generator = -sum(log_sigmoid(x) for x in FAKE.tolist()) / 3
    assert losses.nonsaturating_generator(FAKE).item() == pytest.approx(generator, rel=1e-5)


def test_total_variation():
    first = torch.tensor([[1.0, 3.0, 3.0], [2.0, 0.0, 5.0]])  # right: 4 + 0 + 4 + 25; down: 1 + 9 + 4
    images = torch.stack([torch.stack([first, 0 * first]), torch.stack([0 * first, 2 * first])])
    assert losses.total_variation(images).item() == pytest.approx((47 + 4 * 47) / 2)


def test_relativistic_average():
    sigmoid = lambda x: 1 / (1 + math.exp(-x))
    mean_real, mean_fake = REAL.mean().item(), FAKE.mean().item()
    real = -sum(math.log(sigmoid(r - mean_fake)) for r in REAL.tolist()) / 3
    fake = -sum(math.log(1 - sigmoid(f - mean_real)) for f in FAKE.tolist()) / 3
    assert losses.relativistic_average(REAL, FAKE).item() == pytest.approx((real + fake) / 2, rel=1e-5)


def test_penalties_of_a_quadratic_critic_and_their_gradients():
    """D(x) = a/2 sum x^2 has the gradient a x: R1 = a^2 E|x|^2, and d R1 / d a = 2 a E|x|^2."""
    a = torch.tensor(1.5, requires_grad=True)
    x = torch.rand(4, 3, 5, 5)
    energy = x.pow(2).sum((1, 2, 3))
    value = losses.r1_penalty(lambda y: a / 2 * y.pow(2).sum((1, 2, 3)), x)
    value.backward()
    assert value.item() == pytest.approx(1.5**2 * energy.mean().item(), rel=1e-5)
    assert a.grad.item() == pytest.approx(2 * 1.5 * energy.mean().item(), rel=1e-5)
    b = torch.tensor(1.5, requires_grad=True)
    penalty = losses.gradient_penalty(lambda y: b / 2 * y.pow(2).sum((1, 2, 3)), x, x)  # real = fake: no mixing
    penalty.backward()
    norms = energy.sqrt()
    assert penalty.item() == pytest.approx(((1.5 * norms - 1) ** 2).mean().item(), rel=1e-5)
    assert b.grad.item() == pytest.approx((2 * (1.5 * norms - 1) * norms).mean().item(), rel=1e-4)
