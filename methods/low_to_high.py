"""Low-to-High: super-resolution trained on the LR that High-to-Low makes (Bulat 2018, section 3.4)."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

import bench
from bench.kit.blocks import ResidualCritic, to_signed, to_unit
from bench.kit.losses import critic_score, gradient_penalty, hinge_critic, wasserstein_critic
from bench.kit.schedules import falling

from .low_to_high_nets import LowToHighGenerator

AUGMENT = bench.Augment(zoom=0.1, rotate=10.0, jitter=0.1)  # kinds: section 3.6; amounts not stated


class LowToHigh(bench.Method):
    """A residual generator with a critic, on LR drawn anew each time from a frozen degradation.

    Loss (eq. 1): alpha * MSE(HR, G(LR)) + beta * L_GAN in [-1, 1]; the critic's real images are the paired HR. The text
    orders the 17 blocks 2, 3, 12; the released code and fig. 4b put 12 at LR resolution, 3 at twice and a head at four
    times: 12, 3, 2 blocks of 256, 128, 96 channels fit all three. After its own training, both networks train together
    where the degradation is a GAN of this kind. The paper's size: 15,449,411 parameters, the critic 1,627,649.
    """

    paper = "Bulat, Yang, Tzimiropoulos: To learn image super-resolution, use a GAN to learn how to do image degradation first, ECCV 2018"  # noqa: E501
    scales = (4, 2, 8)
    bounds = {"alpha": (0, None), "beta": (0, None)}
    default_degradation = "high-to-low"

    @dataclass(frozen=True)
    class Params:
        widths: tuple[int, int, int] = (256, 128, 96)  # channels of each group (released code)
        blocks: tuple[int, int, int] = (12, 3, 2)  # residual blocks of each group (section 3.4)
        layout: Literal["paper", "released"] = "paper"  # of the last group; released: no residual blocks, a head
        critic_width: int = 128  # channels of the critic
        critic_pool: Literal["sum", "mean"] = "sum"  # over its last positions (SN-GAN); mean: released code
        alpha: float = 1.0  # weight of the pixel loss (section 3.5)
        beta: float = 0.05  # weight of the GAN loss (section 3.5); 0 trains without a critic
        gan: Literal["hinge", "wgan-gp"] = "hinge"  # both tried in the paper, equal quality
        penalty: float = 10.0  # lambda of WGAN-GP (Gulrajani 2017)
        lr: float = 1e-4  # Adam, beta = (0, 0.9), constant (section 3.6)
        critic_updates: int = 5  # for each generator update (section 3.6)
        batch: int = 64  # not stated in the paper
        steps: int = 570_000  # generator updates (section 3.6, as its 200 epochs; with this batch they are 997)
        fall: float = 0.0  # the last share of the steps, over which lr falls to 0; 0: constant (section 3.6)
        joint_steps: int = 2_000  # updates of both networks together (section 3.6)
        augment: bench.Augment = AUGMENT  # section 3.6

    variants = {  # section 4.1, Table 1
        "full": {},
        "pixel-only": {"beta": 0.0},
        "bilinear": {"degradation": "bilinear"},
        "blur-bilinear": {"degradation": "blur[kind=box,resize=bilinear]"},
        "wgan-gp": {"gan": "wgan-gp", "degradation": "high-to-low[variant=wgan-gp]"},  # both networks
        "released": {"layout": "released", "critic_pool": "mean", "degradation": "high-to-low[variant=released]"},
    }
    # Small and short for the quick preset: narrow, few blocks, one critic update of little weight, a high rate that ends at 0.
    quick = {"widths": (48, 16, 16), "blocks": (3, 1, 1), "critic_width": 8, "critic_updates": 1, "batch": 8, "steps": 250,
             "joint_steps": 10, "lr": 1e-3, "beta": 0.003, "fall": 0.4}  # fmt: skip

    def build(self) -> None:
        p = self.params
        net = LowToHighGenerator(p.widths, p.blocks, self.scale, head=p.layout == "released")
        self.net = net.to(memory_format=torch.channels_last)
        if p.beta:
            critic = ResidualCritic(
                p.critic_width, pools=4, normalize=p.gan == "hinge", average=p.critic_pool == "mean"
            )
            self.critic = critic.to(memory_format=torch.channels_last)

    def infer(self, lr: Tensor) -> Tensor:
        return to_unit(self.net(to_signed(lr)))

    def critic_loss(self, hr: Tensor, fake: Tensor, run: bench.Step) -> Tensor:
        """What the critic minimises for HR ``fake`` (in [-1, 1], detached) against the paired ``hr``."""
        real = to_signed(hr)
        if self.params.gan == "hinge":
            return hinge_critic(self.critic(real), self.critic(fake))
        with run.fp32():
            penalty = gradient_penalty(self.critic, real.float(), fake.float())
        return wasserstein_critic(self.critic(real), self.critic(fake)) + self.params.penalty * penalty

    def generator_loss(self, hr: Tensor, fake: Tensor, run: bench.Step) -> Tensor:
        """Eq. 1 for HR ``fake`` (in [-1, 1]) restored from the LR of ``hr``."""
        pixel = F.mse_loss(fake, to_signed(hr))
        run.log(pixel=pixel)
        loss = self.params.alpha * pixel
        if self.params.beta:
            adversarial = critic_score(self.critic(fake))
            run.log(adversarial=adversarial)
            loss = loss + self.params.beta * adversarial
        return loss

    def prepare(self, data: bench.Data, run: bench.Step) -> None:
        p = self.params
        if p.joint_steps and p.beta and self.partner() is None:
            run.note(f"{type(self.degradation).__name__} cannot train along: the stage of both networks is left out")

    def partner(self) -> bench.Partner | None:
        """What the degradation trains along with, where it can."""
        return self.degradation.partner() if self.degradation is not None else None

    def stages(self) -> list[bench.Stage]:
        p = self.params
        settings: dict[str, Any] = {"batch_size": p.batch, "augment": p.augment}

        def adam(*modules: torch.nn.Module) -> torch.optim.Optimizer:
            return torch.optim.Adam([q for m in modules for q in m.parameters()], p.lr, (0.0, 0.9))

        optimizers = {"net": adam(self.net)} | ({"critic": adam(self.critic)} if p.beta else {})
        name, schedulers = "gan" if p.beta else "pixel", falling(optimizers, p.steps, p.fall)
        stages = [bench.Stage(name, p.steps, self.step, optimizers, schedulers, **settings)]
        low = self.partner()
        if p.joint_steps and p.beta and low:
            together = {
                "both": adam(self.net, low.generator),
                "critic": adam(self.critic),
                "low_critic": adam(low.critic),
            }
            schedulers = falling(together, p.joint_steps, p.fall)
            joint = bench.Stage("joint", p.joint_steps, self.joint_step, together, schedulers, joint=True, **settings)
            stages.append(joint)
        return stages

    def step(self, batch: bench.Batch, run: bench.Step) -> None:
        if self.params.beta:
            for index in range(self.params.critic_updates):
                hr = run.draw().hr if index else batch.hr
                with torch.no_grad():
                    fake = self.net(to_signed(self.degrade(hr)))
                run.minimize(self.critic_loss(hr, fake, run), "critic")
        lr = self.degrade(batch.hr)
        fake = self.net(to_signed(lr))
        run.images(lr=lr, sr=to_unit(fake), hr=batch.hr)
        run.minimize(self.generator_loss(batch.hr, fake, run), "net")

    def joint_step(self, batch: bench.Batch, run: bench.Step) -> None:
        """Section 3.6's last updates: the gradient of Low-to-High reaches High-to-Low, which keeps its own losses."""
        low, degradation = self.partner(), self.degradation
        assert low is not None and degradation is not None
        for index in range(self.params.critic_updates):
            fresh = run.draw() if index else batch
            with torch.no_grad():
                fake = self.net(to_signed(degradation.infer(fresh.hr)))
            run.minimize(self.critic_loss(fresh.hr, fake, run), "critic")
            run.minimize(low.critic_loss(fresh, run), "low_critic")
        lr, own = low.play(batch, run)
        run.minimize(self.generator_loss(batch.hr, self.net(to_signed(lr)), run) + own, "both")
