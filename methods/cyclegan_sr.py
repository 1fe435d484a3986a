"""CycleGAN as super-resolution: LR faces enlarged to HR size, translated to HR without pairs (Zhu 2017)."""

from dataclasses import dataclass

import torch
from torch import Tensor

import bench
from bench.core.image import resize, upsample
from bench.kit.blocks import to_signed, to_unit
from bench.kit.cyclegan import (
    ImageHistory,
    PatchGAN,
    TranslationResNet,
    least_squares_critic,
    patch_layers,
    translation_losses,
)
from bench.kit.schedules import falling


class CycleGANSR(bench.Method):
    """Plain CycleGAN both ways between bicubic enlargements of real LR and HR faces; LR of any size.

    Loss: LSGAN + cycle * cycle consistency (eq. 3), in [-1, 1]; each critic sees a history of 50 made images. It learns
    from real LR alone and takes no degradation. Bulat (section 4.2, Table 1) and SelfSR (Table II) compare with it so.
    The paper's size: 7,837,699 parameters, as many back, and 2,764,737 a critic.
    """

    paper = "Zhu, Park, Isola, Efros: Unpaired image-to-image translation using cycle-consistent adversarial networks, ICCV 2017"
    scales = (4, 2, 8)
    bounds = {"history": (0, None)}
    needs = ("lr_real",)
    default_degradation = ""
    training_only = ("critic", "back", "back_critic", "history", "back_history")

    @dataclass(frozen=True)
    class Params:
        width: int = 64  # channels of the generators' first layer (appendix 7.2)
        blocks: int = 6  # their residual blocks: 6 up to 128 px (appendix 7.2)
        critic_width: int = 64  # channels of the critics' first layer (appendix 7.2)
        cycle: float = 10.0  # lambda, weight of the cycle consistency (section 4)
        identity: float = 0.0  # weight of the identity loss (section 5.2); 5 where colours are to stay (released code)
        history: int = 50  # made images from which the critics' are drawn (section 4)
        lr: float = 2e-4  # Adam, beta = (0.5, 0.999), falls to 0 over the second half (section 4; betas: code)
        batch: int = 1  # section 4
        steps: int = 200_000  # 200 epochs (section 4) of 1,000 faces; not stated for faces

    variants = {"cycle": {}, "cycle+idt": {"identity": 5.0}}  # half the cycle's (released code)
    # Small and short for the quick preset: narrow networks of two blocks, and a high rate.
    quick = {"width": 8, "blocks": 2, "critic_width": 8, "lr": 2e-3, "batch": 2, "steps": 200}

    def build(self) -> None:
        p = self.params
        self.net, self.back = (TranslationResNet(p.width, p.blocks) for _ in range(2))
        self.critic, self.back_critic = (PatchGAN(p.critic_width, patch_layers(self.hr_size)) for _ in range(2))
        self.history, self.back_history = (ImageHistory(p.history) for _ in range(2))

    def infer(self, lr: Tensor) -> Tensor:
        return to_unit(self.net(to_signed(upsample(lr, self.scale).clamp(0, 1))))

    def stages(self) -> list[bench.Stage]:
        p = self.params
        pairs = {"net": (self.net, self.back), "critic": (self.critic, self.back_critic)}
        optimizers = {
            name: torch.optim.Adam([q for module in pair for q in module.parameters()], p.lr, (0.5, 0.999))
            for name, pair in pairs.items()
        }
        return [bench.Stage("cycle", p.steps, self.step, optimizers, falling(optimizers, p.steps, 0.5), p.batch)]

    def step(self, batch: bench.Batch, run: bench.Step) -> None:
        """The generators' update, then the critics' (released code)."""
        p, (height, width) = self.params, batch.hr.shape[-2:]
        low, high = to_signed(resize(batch.lr_real, (height, width)).clamp(0, 1)), to_signed(batch.hr)
        restored, blurred = self.net(low), self.back(high)
        run.images(low=to_unit(low), sr=to_unit(restored), hr=batch.hr, lowered=to_unit(blurred))
        terms = translation_losses(self.net, self.back, self.critic, self.back_critic, low, high, restored, blurred)
        run.log(**terms)
        run.minimize(terms["adversarial"] + p.cycle * terms["cycle"] + p.identity * terms["identity"], "net")
        run.minimize(
            least_squares_critic(self.critic(high), self.critic(self.history(restored)))
            + least_squares_critic(self.back_critic(low), self.back_critic(self.back_history(blurred))),
            "critic",
        )
