"""Degradation GAN: clean LR to LR that looks real (Goswami 2020, section 3.3)."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

import bench
from bench.core.image import downsample
from bench.kit.blocks import to_signed, to_unit
from bench.kit.critics import SRGANCritic
from bench.kit.losses import critic_score, gradient_penalty, wasserstein_critic

from .degradation_gan_nets import DegradationGenerator


class DegradationGAN(bench.Degradation):
    """HR -> bicubic clean LR -> degraded LR by a generator with noise, trained against unpaired real LR by WGAN-GP.

    Loss (eq. 7): lambda_wgan * -E[D(G(x, z))] + lambda_mse * MSE(x, G(x, z)), in [-1, 1]. Eq. 8 prints G where it means
    D(G); eq. 6 prints the penalty without a value. ``degrade_clean`` takes the clean LR itself.
    """

    paper = "Goswami, Aakanksha, Rajagopalan: Robust super-resolution of real faces using smooth features, ECCV Workshops 2020"
    scales = (4, 2, 8)
    bounds = {"noise": (0, None), "wgan": (0, None), "mse": (0, None), "betas": (0, 0.9999), "decay": (0, 1)}
    stochastic = True
    needs = ("lr_real",)

    @dataclass(frozen=True)
    class Params:
        width: int = 64  # channels of the generator at LR size, doubled at each halving (released code)
        critic_width: int = 64  # channels of the critic's first layer (SRGAN)
        noise: int = 16  # dimensions of z (section 4.1)
        wgan: float = 0.05  # lambda_WGAN (section 4.1)
        mse: float = 1.0  # lambda_MSE (section 4.1)
        penalty: float = 10.0  # lambda of the gradient penalty (Gulrajani 2017; released code)
        lr: float = 1e-4  # Adam of the generator (section 4.1)
        betas: tuple[float, float] = (0.0, 0.9)  # of it, and of the critic's Adam (section 4.1)
        critic_lr: float = 4e-4  # of the critic (section 4.1)
        critic_optimizer: Literal["adam", "sgd"] = "adam"  # sgd: with momentum 0.5 (released code)
        decay: float = 0.5  # factor of both learning rates ... (section 4.1)
        decay_every: int = 10_000  # ... after so many generator updates (section 4.1)
        critic_updates: int = 5  # for each generator update (section 4.1)
        batch: int = 64  # not stated in the paper
        steps: int = 100_000  # generator updates; not stated, the learning rate is down to 1/1024 by then

    # The released code: 182,866 faces in batches of 20, one generator update in five: 1,828 an epoch, after which rates halve.
    variants = {"released": {"batch": 20, "mse": 0.8, "wgan": 1.0, "betas": (0.5, 0.999), "critic_optimizer": "sgd",
                             "decay_every": 1828}}  # fmt: skip
    lengths = ("steps", "decay_every")

    # Small and short for the quick preset: an eighth of the widths, twenty times the generator's learning rate, which halves
    # twice.
    quick = {"width": 8, "critic_width": 8, "batch": 16, "steps": 100, "lr": 2e-3, "critic_lr": 1e-3, "decay_every": 40}

    def build(self) -> None:
        p = self.params
        self.net = DegradationGenerator(p.width, p.noise)
        self.critic = SRGANCritic(self.lr_size, p.critic_width)

    def clean(self, hr: Tensor) -> Tensor:
        """Bicubic LR of HR (eq. 1), both in [0, 1]."""
        return downsample(hr, self.scale).clamp(0, 1)

    def degrade_clean(self, clean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Clean LR (B, 3, h, w) -> degraded LR of the same size (eq. 2), both in [0, 1], with new noise."""
        return to_unit(self._generate(clean, generator))

    def infer(self, hr: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return self.degrade_clean(self.clean(hr), generator)

    def generate(self, hr: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Degraded LR in [-1, 1] of HR in [0, 1], with new noise; not clamped, for training."""
        return self._generate(self.clean(hr), generator)

    def _generate(self, clean: Tensor, generator: torch.Generator | None) -> Tensor:
        z = torch.randn(len(clean), self.params.noise, device=clean.device, generator=generator)
        return self.net(to_signed(clean), z)

    def critic_loss(self, batch: bench.Batch, run: bench.Step, fake: Tensor | None = None) -> Tensor:
        """Eq. 6: what the critic minimises, for LR ``fake`` in [-1, 1] or, where that is None, of ``batch.hr``."""
        if fake is None:
            with torch.no_grad():
                fake = self.generate(batch.hr)
        fake = fake.detach()
        real = to_signed(batch.lr_real)
        with run.fp32():
            penalty = gradient_penalty(self.critic, real.float(), fake.float())
        return wasserstein_critic(self.critic(real), self.critic(fake)) + self.params.penalty * penalty

    def generator_loss(self, hr: Tensor, fake: Tensor, run: bench.Step) -> Tensor:
        """Eq. 7 for LR ``fake`` (in [-1, 1]) made from ``hr``."""
        adversarial = critic_score(self.critic(fake))  # eq. 8
        pixel = F.mse_loss(fake, to_signed(self.clean(hr)))  # eq. 9
        run.log(**{"degradation-gan/pixel": pixel, "degradation-gan/adversarial": adversarial})
        return self.params.wgan * adversarial + self.params.mse * pixel

    def stages(self) -> list[bench.Stage]:
        p = self.params
        critic: torch.optim.Optimizer
        if p.critic_optimizer == "sgd":
            critic = torch.optim.SGD(self.critic.parameters(), p.critic_lr, momentum=0.5)
        else:
            critic = torch.optim.Adam(self.critic.parameters(), p.critic_lr, p.betas, fused=True)
        optimizers = {"net": torch.optim.Adam(self.net.parameters(), p.lr, p.betas, fused=True), "critic": critic}
        schedulers = {n: torch.optim.lr_scheduler.StepLR(o, p.decay_every, p.decay) for n, o in optimizers.items()}
        plain = bench.Augment(flip=False)  # the paper names no augmentation
        return [bench.Stage("gan", p.steps, self.step, optimizers, schedulers, batch_size=p.batch, augment=plain)]

    def partner(self) -> bench.Partner:
        return bench.Partner(self.net, self.critic, self.play, self.critic_loss)

    def play(self, batch: bench.Batch, run: bench.Step) -> tuple[Tensor, Tensor]:
        """LR of ``batch.hr`` with gradient, and eq. 7 for it."""
        fake = self.generate(batch.hr)
        return (fake + 1) / 2, self.generator_loss(batch.hr, fake, run)

    def step(self, batch: bench.Batch, run: bench.Step) -> None:
        """The critic's updates, then the generator's on the last of their batches."""
        for _ in range(self.params.critic_updates - 1):
            run.minimize(self.critic_loss(run.draw(), run), "critic")
        fake = self.generate(batch.hr)
        run.minimize(self.critic_loss(batch, run, fake), "critic")
        run.minimize(self.generator_loss(batch.hr, fake, run), "net")
        run.images(clean=self.clean(batch.hr), degraded=to_unit(fake.detach()))
