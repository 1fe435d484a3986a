"""High-to-Low: a GAN that makes LR look like the real LR (Bulat 2018, section 3.3)."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

import bench
from bench.kit.blocks import ResidualCritic, normal, to_signed, to_unit
from bench.kit.losses import critic_score, gradient_penalty, hinge_critic, wasserstein_critic
from bench.kit.schedules import falling

from .high_to_low_nets import HighToLowGenerator, ReleasedGenerator

AUGMENT = bench.Augment(zoom=0.1, rotate=10.0, jitter=0.1)  # kinds: section 3.6; amounts not stated


class HighToLow(bench.Degradation):
    """HR -> LR by a generator with noise, trained against unpaired real LR.

    Loss (eq. 1): alpha * MSE(avgpool(HR), G(HR, z)) + beta * L_GAN, in the generator's range [-1, 1].
    The paper's size: 1,455,235 parameters (266,240 of them project the noise to 64x64), the critic 1,627,649.
    """

    paper = "Bulat, Yang, Tzimiropoulos: To learn image super-resolution, use a GAN to learn how to do image degradation first, ECCV 2018"  # noqa: E501
    scales = (4, 2, 8)
    bounds = {"noise": (0, None), "alpha": (0, None), "beta": (0, None)}
    stochastic = True
    needs = ("lr_real",)

    @dataclass(frozen=True)
    class Params:
        width: int = 64  # channels of the generator
        layout: Literal["paper", "released"] = (
            "paper"  # of the generator; released: full size first, strided convolutions
        )
        critic_width: int = 128  # channels of the critic
        critic_pool: Literal["sum", "mean"] = "sum"  # over its last positions (SN-GAN); mean: released code
        noise: int = 64  # dimensions of z (released code)
        alpha: float = 1.0  # weight of the pixel loss (section 3.5)
        beta: float = 0.05  # weight of the GAN loss (section 3.5)
        gan: Literal["hinge", "wgan-gp"] = "hinge"  # both tried in the paper, equal quality
        penalty: float = 10.0  # lambda of WGAN-GP (Gulrajani 2017)
        lr: float = 1e-4  # Adam, beta = (0, 0.9), constant (section 3.6)
        critic_updates: int = 5  # for each generator update (section 3.6)
        batch: int = 64  # not stated in the paper
        steps: int = 570_000  # generator updates (section 3.6, as its 200 epochs; with this batch they are 997)
        fall: float = 0.0  # the last share of the steps, over which lr falls to 0; 0: constant (section 3.6)
        augment: bench.Augment = AUGMENT  # section 3.6

    variants = {"wgan-gp": {"gan": "wgan-gp"}, "released": {"layout": "released", "critic_pool": "mean"}}
    # Small and short for the quick preset: narrow networks, one critic update, a high rate that ends at 0. In so few steps
    # the generator hardly learns to pass a face through its 4x4 pixels; the GAN loss at its full weight undoes that.
    quick = {"width": 24, "critic_width": 8, "critic_updates": 1, "batch": 4, "steps": 300, "lr": 2e-3, "beta": 0.001,
             "fall": 0.5}  # fmt: skip

    def build(self) -> None:
        p = self.params
        layout = HighToLowGenerator if p.layout == "paper" else ReleasedGenerator
        self.net = layout(p.width, p.noise, self.hr_size, self.scale).to(memory_format=torch.channels_last)
        self.critic = ResidualCritic(
            p.critic_width, pools=2, normalize=p.gan == "hinge", average=p.critic_pool == "mean"
        )

    def generate(self, hr: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """LR in [-1, 1] of HR in [0, 1], with new noise."""
        z = normal(len(hr), self.params.noise, device=hr.device, generator=generator)
        return self.net(to_signed(hr), z)

    def infer(self, hr: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return to_unit(self.generate(hr, generator))

    def critic_loss(self, batch: bench.Batch, run: object) -> Tensor:
        """What the critic minimises; the paper's eq. 2 prints it without its sign."""
        with torch.no_grad():
            fake = self.generate(batch.hr)
        real = to_signed(batch.lr_real)
        if self.params.gan == "hinge":
            return hinge_critic(self.critic(real), self.critic(fake))
        with run.fp32():  # type: ignore[attr-defined]
            penalty = gradient_penalty(self.critic, real.float(), fake.float())
        return wasserstein_critic(self.critic(real), self.critic(fake)) + self.params.penalty * penalty

    def generator_loss(self, hr: Tensor, fake: Tensor, run: object) -> Tensor:
        """Eq. 1 for LR ``fake`` (in [-1, 1]) made from ``hr``."""
        pixel = F.mse_loss(fake, F.avg_pool2d(to_signed(hr), self.scale))  # eq. 4
        adversarial = critic_score(self.critic(fake))
        run.log(**{"high-to-low/pixel": pixel, "high-to-low/adversarial": adversarial})  # type: ignore[attr-defined]
        return self.params.alpha * pixel + self.params.beta * adversarial

    def partner(self) -> bench.Partner:
        return bench.Partner(self.net, self.critic, self.play, self.critic_loss)

    def play(self, batch: bench.Batch, run: object) -> tuple[Tensor, Tensor]:
        """LR of ``batch.hr`` with gradient, and eq. 1 for it."""
        fake = self.generate(batch.hr)
        return (fake + 1) / 2, self.generator_loss(batch.hr, fake, run)

    def stages(self) -> list[bench.Stage]:
        p = self.params
        optimizers = {
            "net": torch.optim.Adam(self.net.parameters(), p.lr, (0.0, 0.9)),
            "critic": torch.optim.Adam(self.critic.parameters(), p.lr, (0.0, 0.9)),
        }
        schedulers = falling(optimizers, p.steps, p.fall)
        return [bench.Stage("gan", p.steps, self.step, optimizers, schedulers, batch_size=p.batch, augment=p.augment)]

    def step(self, batch: bench.Batch, run: object) -> None:
        for index in range(self.params.critic_updates):
            fresh = run.draw() if index else batch  # type: ignore[attr-defined]
            run.minimize(self.critic_loss(fresh, run), "critic")  # type: ignore[attr-defined]
        fake = self.generate(batch.hr)
        run.images(hr=batch.hr, lr=to_unit(fake))  # type: ignore[attr-defined]
        run.minimize(self.generator_loss(batch.hr, fake, run), "net")  # type: ignore[attr-defined]
