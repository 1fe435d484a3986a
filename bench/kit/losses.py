"""Adversarial losses and gradient penalties that several papers share.

Every function takes a critic's raw outputs (any shape, no sigmoid) and returns a scalar tensor.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def hinge_critic(real: Tensor, fake: Tensor) -> Tensor:
    """E[relu(1 - D(real))] + E[relu(1 + D(fake))] (SN-GAN, Miyato 2018, eq. 16)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def wasserstein_critic(real: Tensor, fake: Tensor) -> Tensor:
    """E[D(fake)] - E[D(real)] (WGAN, Arjovsky 2017)."""
    return fake.mean() - real.mean()


def critic_score(fake: Tensor) -> Tensor:
    """-E[D(fake)]: the generator's loss of both hinge GAN and WGAN."""
    return -fake.mean()


def nonsaturating_critic(real: Tensor, fake: Tensor) -> Tensor:
    """-E[log sigmoid(D(real))] - E[log(1 - sigmoid(D(fake)))] (Goodfellow 2014, eq. 1)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def nonsaturating_generator(fake: Tensor) -> Tensor:
    """-E[log sigmoid(D(fake))] (Goodfellow 2014, section 3)."""
    return F.softplus(-fake).mean()


def relativistic_average(real: Tensor, fake: Tensor) -> Tensor:
    """-E[log sigmoid(D(real) - E[D(fake)])] - E[log(1 - sigmoid(D(fake) - E[D(real)]))], halved.

    The critic's loss of ESRGAN (Wang 2018, eq. 1); swap the arguments for the generator's (eq. 2).
    The papers print the sum; ESRGAN's code halves it, and so do the loss weights published with it.
    """
    real_side = F.softplus(-(real - fake.mean())).mean()
    fake_side = F.softplus(fake - real.mean()).mean()
    return (real_side + fake_side) / 2


def total_variation(images: Tensor) -> Tensor:
    """Squared differences of neighbours below and to the right, summed over an image (B, C, H, W), mean of the batch."""
    down, right = images.diff(dim=2), images.diff(dim=3)
    return (down.square().sum() + right.square().sum()) / len(images)


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """E[(||grad D(x)||_2 - 1)^2] at x on the segments between real and fake (WGAN-GP, Gulrajani 2017, eq. 3).

    ``real`` and ``fake``: (B, C, H, W), one shape. Differentiable once more; unweighted (the papers use 10).
    """
    mix = torch.rand(real.shape[0], 1, 1, 1, device=real.device, dtype=real.dtype)
    x = (mix * real.detach() + (1 - mix) * fake.detach()).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


def r1_penalty(critic: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """E[||grad D(x)||_2^2] at real x (Mescheder 2018, eq. 9, without its factor gamma/2)."""
    x = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return gradient.pow(2).flatten(1).sum(1).mean()
