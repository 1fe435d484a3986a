"""Flow field: clean LR to LR that looks real, by warping (Zeng 2022, section III.A)."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

import bench
from bench.core.image import downsample, resize
from bench.kit.blocks import to_signed, to_unit
from bench.kit.cyclegan import (
    ImageHistory,
    PatchGAN,
    TranslationResNet,
    least_squares_critic,
    patch_layers,
    translation_losses,
)
from bench.kit.losses import nonsaturating_critic, nonsaturating_generator
from bench.kit.schedules import falling

from .flow_field_nets import PatchCritic, TranslationGenerator, total_variation, warp


class FlowField(bench.Degradation):
    """HR -> bicubic clean LR -> intermediate image and flow field -> warped LR, trained against unpaired real LR.

    Loss (eq. 5): GAN (eq. 2, non-saturating) + identity * L1(intermediate, clean) + smooth * TV(flow), in [-1, 1].
    ``adaptation=cycle`` puts CycleGAN in its place, as published (Zhu 2017): plain ResNet generators both ways, PatchGAN,
    LSGAN, a history of images, L = GAN + cycle * cycle loss + identity * identity loss; ``none`` is bicubic.
    """

    paper = "Zeng, Zhang, Liu, Tian, Liu: SelfSR: Self-conditioned face super-resolution in the wild via flow field degradation network, 2022"  # noqa: E501
    scales = (4, 2, 8)
    needs = ("lr_real",)
    bounds = {"disturb": (0, None), "smooth": (0, None), "history": (0, None)}
    training_only = ("critic", "back", "back_critic", "history", "back_history")

    @dataclass(frozen=True)
    class Params:
        adaptation: Literal["flow", "cycle", "none"] = "flow"  # how clean LR is adapted (Table III)
        width: int = 64  # channels of the generator at LR size (CycleGAN; not stated)
        blocks: int = 6  # its residual blocks (CycleGAN for small images; not stated)
        critic_width: int = 64  # channels of the critic's first layer (PatchGAN; not stated)
        identity: float = 10.0  # lambda_idt of eq. 3 (section IV.B); with cycle, of CycleGAN's identity loss
        smooth: float = 1.0  # lambda_s of eq. 4, flow only (section IV.B)
        cycle: float = 10.0  # weight of the cycle consistency, cycle only (Zhu 2017)
        disturb: float = 0.0  # standard deviation, in LR pixels, of a smooth random flow added in infer (fig. 8)
        history: int = 50  # images that each critic's history holds, cycle only (Zhu 2017)
        lr: float = 2e-4  # Adam, beta = (0.9, 0.99), cycle (0.5, 0.999); falls to 0 over the second half (section IV)
        batch: int = 48  # section IV
        steps: int = 180_000  # section IV.B

    variants = {  # Table III
        "flow+idt": {},
        "cycle+idt": {"adaptation": "cycle", "identity": 5.0},  # half the cycle's (Zhu 2017, section 5.2)
        "cycle": {"adaptation": "cycle", "identity": 0.0},
        "vanilla": {"adaptation": "none"},
    }
    # Small and short for the quick preset: narrow, two residual blocks; the high rate needs a smoother flow, and half the
    # hold on the intermediate image lets it get anywhere in 280 steps.
    quick = {"width": 16, "blocks": 2, "critic_width": 16, "batch": 16, "steps": 280, "lr": 7e-4, "identity": 5.0,
             "smooth": 3.0}  # fmt: skip

    DISTURB_GRID = 4  # LR pixels between the nodes of the random flow

    @classmethod
    def needs_for(cls, params: Any) -> tuple[str, ...]:
        return () if params.adaptation == "none" else cls.needs

    def build(self) -> None:
        p = self.params
        self.net: torch.nn.Module
        self.critic: torch.nn.Module
        if p.adaptation == "none":
            return
        if p.adaptation == "flow":
            self.net = TranslationGenerator(p.width, p.blocks)
            self.critic = PatchCritic(p.critic_width)
            return
        self.net, self.back = (TranslationResNet(p.width, p.blocks) for _ in range(2))
        layers = patch_layers(self.lr_size)
        self.critic, self.back_critic = (PatchGAN(p.critic_width, layers) for _ in range(2))
        self.history, self.back_history = (ImageHistory(p.history) for _ in range(2))

    @property
    def stochastic(self) -> bool:  # type: ignore[override]
        return self.params.disturb > 0

    def clean(self, hr: Tensor) -> Tensor:
        """Bicubic LR of HR, both in [0, 1]."""
        return downsample(hr, self.scale).clamp(0, 1)

    def flow(self, clean: Tensor) -> Tensor:
        """The predicted offsets (dx, dy) in pixels, (B, 2, h, w), of clean LR in [0, 1]."""
        return self.net(to_signed(clean))[1]

    def infer(self, hr: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return self.degrade_clean(self.clean(hr), generator)

    def degrade_clean(self, clean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Clean LR (B, 3, h, w) -> degraded LR of the same size, both in [0, 1]."""
        image, flow = to_signed(clean), None
        if self.params.adaptation == "flow":
            image, flow = self.net(image)
        elif self.params.adaptation == "cycle":
            image = self.net(image)
        if self.params.disturb:
            offset = self.params.disturb * self.random_flow(clean, generator)
            flow = offset if flow is None else flow + offset
        return to_unit(image if flow is None else warp(image, flow))

    def figure(self, images: Tensor) -> Tensor:
        """Figure 8: clean LR, degraded LR, and four whose flow is disturbed (by 0.7 px where ``disturb`` is 0)."""
        amount, clean = self.params.disturb or 0.7, self.clean(images)
        draws = torch.Generator(clean.device).manual_seed(0)
        plain, flow = to_signed(clean), torch.zeros_like(clean[:, :2])
        if self.params.adaptation != "none":
            made = self.net(plain)
            plain, flow = made if self.params.adaptation == "flow" else (made, flow)
        others = [warp(plain, flow + amount * self.random_flow(clean, draws)) for _ in range(4)]
        columns = [clean, to_unit(warp(plain, flow)), *map(to_unit, others)]
        return torch.cat(list(resize(torch.cat(columns, 3), self._shown(columns), "nearest")), 1)

    def _shown(self, columns: list[Tensor]) -> tuple[int, int]:
        """The size of a row of these pictures, four times as large."""
        return 4 * columns[0].shape[2], 4 * sum(c.shape[3] for c in columns)

    def random_flow(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        """(B, 2, h, w) of about unit variance: standard normal nodes, joined by cubic interpolation."""
        height, width = like.shape[-2:]
        nodes = (len(like), 2, height // self.DISTURB_GRID + 1, width // self.DISTURB_GRID + 1)
        noise = torch.randn(nodes, device=like.device, generator=generator)
        return resize(noise, (height, width))

    def stages(self) -> list[bench.Stage]:
        p = self.params
        if p.adaptation == "none":
            return []
        forth, critics = list(self.net.parameters()), list(self.critic.parameters())
        if p.adaptation == "cycle":
            forth += self.back.parameters()
            critics += self.back_critic.parameters()
        betas = (0.9, 0.99) if p.adaptation == "flow" else (0.5, 0.999)
        optimizers = {
            "net": torch.optim.Adam(forth, p.lr, betas),
            "critic": torch.optim.Adam(critics, p.lr, betas),
        }
        schedulers = falling(optimizers, p.steps, 0.5)
        step = self.flow_step if p.adaptation == "flow" else self.cycle_step
        return [bench.Stage(p.adaptation, p.steps, step, optimizers, schedulers, batch_size=p.batch)]

    def pair(self, batch: bench.Batch) -> tuple[Tensor, Tensor]:
        """Clean and unpaired real LR of one size, in [-1, 1]."""
        clean = to_signed(self.clean(batch.hr))
        return clean, to_signed(batch.lr_real)

    def partner(self) -> bench.Partner | None:
        """Of the flow field; CycleGAN trains two generators and two critics, bicubic none."""
        if self.params.adaptation != "flow":
            return None
        return bench.Partner(self.net, self.critic, self.play, self.critic_loss)

    def play(self, batch: bench.Batch, run: bench.Step) -> tuple[Tensor, Tensor]:
        """LR of ``batch.hr`` with gradient, and eq. 5 for it."""
        clean = to_signed(self.clean(batch.hr))
        image, flow = self.net(clean)
        fake = warp(image, flow)
        return (fake + 1) / 2, self.generator_loss(clean, image, flow, fake, run)

    def critic_loss(self, batch: bench.Batch, run: bench.Step) -> Tensor:
        """Eq. 2 for the critic, on new LR."""
        clean, real = self.pair(batch)
        with torch.no_grad():
            fake = warp(*self.net(clean))
        return nonsaturating_critic(self.critic(real), self.critic(fake))

    def generator_loss(self, clean: Tensor, image: Tensor, flow: Tensor, fake: Tensor, run: bench.Step) -> Tensor:
        """Eq. 5 for the generator; ``fake`` is ``image`` warped by ``flow``; all in [-1, 1]."""
        p = self.params
        adversarial = nonsaturating_generator(self.critic(fake))  # eq. 2
        identity, smooth = F.l1_loss(image, clean), total_variation(flow)  # eqs. 3 and 4
        run.log(adversarial=adversarial, identity=identity, smooth=smooth, flow=flow.abs().mean())
        return adversarial + p.identity * identity + p.smooth * smooth

    def flow_step(self, batch: bench.Batch, run: bench.Step) -> None:
        clean, real = self.pair(batch)
        image, flow = self.net(clean)
        fake = warp(image, flow)
        run.images(clean=to_unit(clean), degraded=to_unit(fake), real=to_unit(real))
        run.minimize(nonsaturating_critic(self.critic(real), self.critic(fake.detach())), "critic")
        run.minimize(self.generator_loss(clean, image, flow, fake, run), "net")

    def cycle_step(self, batch: bench.Batch, run: bench.Step) -> None:
        """CycleGAN: a is clean LR, b real LR (Zhu 2017, eq. 3; section 4; section 5.2 for the identity loss)."""
        p = self.params
        clean, real = self.pair(batch)
        fake, cleaned = self.net(clean), self.back(real)
        run.images(clean=to_unit(clean), degraded=to_unit(fake), real=to_unit(real), cleaned=to_unit(cleaned))
        run.minimize(
            least_squares_critic(self.critic(real), self.critic(self.history(fake)))
            + least_squares_critic(self.back_critic(clean), self.back_critic(self.back_history(cleaned))),
            "critic",
        )
        terms = translation_losses(self.net, self.back, self.critic, self.back_critic, clean, real, fake, cleaned)
        run.log(**terms)
        run.minimize(terms["adversarial"] + p.cycle * terms["cycle"] + p.identity * terms["identity"], "net")
