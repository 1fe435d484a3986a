"""SelfSR: self-conditioned face super-resolution that grows by levels (Zeng 2022, section III.B)."""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

import bench
from bench.core.image import downsample, resize
from bench.errors import UsageError
from bench.kit.blocks import to_signed, to_unit
from bench.kit.losses import critic_score, hinge_critic, r1_penalty

from .selfsr_nets import GrowingDiscriminator, GrowingGenerator

# Shares of the steps at which a level is added. Section IV.B: x4 grows at 60k of 160k; section IV.A: x8 at 20k and 80k of
# 160k, unpaired x8 at 40k and 120k of 280k.
GROWTH: dict[tuple[str, int], tuple[float, ...]] = {
    ("paired", 4): (60 / 160,), ("paired", 8): (20 / 160, 80 / 160),
    ("unpaired", 4): (60 / 160,), ("unpaired", 8): (40 / 280, 120 / 280),
}  # fmt: skip


class SelfSR(bench.Method):
    """A generator and a discriminator that grow by x2, trained on LR drawn anew from a frozen degradation.

    Loss (eq. 10): hinge GAN (eq. 7) + reconstruction * L1 (eq. 8; eq. 11 where ``pairs=unpaired``) + R1 (eq. 9), all in
    [-1, 1]. The paper gives R1 two factors, r/2 in eq. 9 and lambda_r1 in eq. 10; both apply. A new level is faded in over
    the first part of its stage: outputs, discriminator and HR faces alike (Karras 2018, appendix A).
    """

    paper = "Zeng, Zhang, Liu, Tian, Liu: SelfSR: Self-conditioned face super-resolution in the wild via flow field degradation network, 2022"  # noqa: E501
    scales = (4, 2, 8)
    bounds = {"hidden": (1, None), "critic_most": (1, None), "reconstruction": (0, None), "r1": (0, None),
              "r1_weight": (0, None), "grow_at": (0, 1)}  # fmt: skip
    default_degradation = "flow-field"

    @dataclass(frozen=True)
    class Params:
        widths: tuple[int, int, int] = (384, 192, 96)  # channels at x2, x4, x8; chosen for 17.89 M in all (Table I)
        blocks: int = 4  # residual pairs of self-conditioned blocks, the same at each level (section III.B); not stated
        hidden: int = 64  # channels between a block's condition and its gamma; not stated
        critic_width: int = 64  # discriminator's channels at HR size, doubled at each halving; not stated
        critic_most: int = 512  # most channels of the discriminator (Karras 2018)
        condition: Literal["modulate", "concat"] = "modulate"  # how the LR enters a block; concat is Table IV's vanilla
        pairs: Literal["paired", "unpaired"] = "paired"  # eq. 8 or eq. 11
        reconstruction: float = 150.0  # lambda_rec (section IV.A)
        r1: float = 10.0  # r of eq. 9 (section III.B); 0 trains without
        r1_weight: float = 3.0  # lambda_r1 (section IV.A)
        progressive: bool = True  # grow by levels; else all levels from the start
        grow_at: tuple[float, ...] = ()  # shares of the steps at which a level is added; empty: the paper's, see GROWTH
        fade: float = 0.5  # share of a new level's stage over which it is faded in (Karras 2018); not stated
        lr: float = 0.003  # Adam, beta = (0.9, 0.99), constant (section IV)
        batch: int = 48  # section IV
        steps: int = 160_000  # section IV

    _table_iv = {"scale": 8, "degradation": "bicubic"}  # CelebA: x8, LR by bicubic downsampling
    variants = {
        "real": {},
        "paired": _table_iv,
        "unpaired": {"pairs": "unpaired", "steps": 280_000, **_table_iv},
        "concat": {"condition": "concat", **_table_iv},
        "no-progressive": {"progressive": False, **_table_iv},
        "no-r1": {"r1": 0.0, **_table_iv},
        "unpaired-concat": {"condition": "concat", "pairs": "unpaired", "steps": 280_000, **_table_iv},
        "unpaired-no-progressive": {"progressive": False, "pairs": "unpaired", "steps": 280_000, **_table_iv},
        "unpaired-no-r1": {"r1": 0.0, "pairs": "unpaired", "steps": 280_000, **_table_iv},
    }
    # Small and short for the quick preset: narrow levels of one residual pair. Weights of unit variance need the high rate
    # to be anything else within 280 steps.
    quick = {"widths": (32, 16, 8), "blocks": 1, "hidden": 8, "critic_width": 4, "critic_most": 16, "batch": 4,
             "steps": 280, "lr": 0.05}  # fmt: skip

    def build(self) -> None:
        p = self.params
        self.top = self.scale.bit_length() - 1
        self.net = GrowingGenerator(p.widths[: self.top], p.blocks, p.hidden, concat=p.condition == "concat")
        critic = GrowingDiscriminator(self.hr_size, self.top, p.critic_width, p.critic_most)
        self.critic = critic.to(memory_format=torch.channels_last)

    def infer(self, lr: Tensor) -> Tensor:
        return to_unit(self.net(to_signed(lr), self.top))

    def figure(self, images: Tensor) -> Tensor | None:
        """Figure 9: LR, then gamma of the first and the last block of each level, the two channels that vary most."""
        if self.params.condition == "concat":
            return None
        maps: list[Tensor] = []
        blocks: list[list[Any]] = [list(level.children()) for level in self.net.levels.children()]
        gammas = [block.first.gamma for level in blocks for block in (level[0], level[-1])]
        hooks = [g.register_forward_hook(lambda _, __, out: maps.append(out)) for g in gammas]
        height, width = self.infer(images).shape[-2:]
        size = (height, width)
        for hook in hooks:
            hook.remove()
        columns = [resize(images, size, "nearest")]
        for gamma in maps:
            most = gamma.std((2, 3)).mean(0).topk(2).indices
            for channel in gamma[:, most].unbind(1):
                low, high = channel.amin((1, 2), keepdim=True), channel.amax((1, 2), keepdim=True)
                bright = ((channel - low) / (high - low).clamp(min=1e-6))[:, None].expand(-1, 3, -1, -1)
                columns.append(resize(bright, size, "nearest"))
        return torch.cat(list(torch.cat(columns, 3)), 1)

    @staticmethod
    def growth(p: Any, scale: int) -> tuple[float, ...]:
        """The shares of the steps at which a level is added, rising, one less than there are levels."""
        count = scale.bit_length() - 2 if p.progressive else 0
        shares = p.grow_at or (GROWTH[p.pairs, scale] if count else ())
        if len(shares) != count or not all(a < b for a, b in pairwise((0, *shares, 1))):
            given, wanted = "+".join(map(str, shares)), f"{count} rising shares between 0 and 1" if count else "empty"
            raise UsageError(f"selfsr: grow_at={given} has to be {wanted} at scale {scale}")
        return shares

    @classmethod
    def fingerprint(cls, params: Any, scale: int) -> str:
        cls.growth(params, scale)  # refused before any work
        return ""

    def stages(self) -> list[bench.Stage]:
        p = self.params
        ends = [round(p.steps * share) for share in (0, *self.growth(p, self.scale), 1)]
        stages = []
        for index, (start, end) in enumerate(pairwise(ends)):
            level = self.top - len(ends) + 2 + index
            optimizers = {  # anew at each level, as in progressive GAN
                name: torch.optim.Adam(module.parameters(), p.lr, (0.9, 0.99))
                for name, module in (("net", self.net), ("critic", self.critic))
            }
            step = partial(self.step, level=level, grown=index > 0)
            stages.append(bench.Stage(f"x{2**level}", end - start, step, optimizers, batch_size=p.batch))
        return stages

    def target(self, hr: Tensor, level: int, fade: Tensor | None) -> Tensor:
        """HR faces in [-1, 1] at a level's size; while it fades in, mixed with those of the level before."""
        size = tuple(side // self.scale << level for side in hr.shape[-2:])
        image = to_signed(downsample(hr, hr.shape[-1] // size[-1]).clamp(0, 1))
        if fade is None:
            return image
        return torch.lerp(F.interpolate(self.target(hr, level - 1, None), scale_factor=2.0), image, fade)

    def critic_loss(self, real: Tensor, fake: Tensor, level: int, fade: Tensor | None, run: bench.Step) -> Tensor:
        """Eqs. 7 and 9 for the discriminator."""
        p = self.params
        loss = hinge_critic(self.critic(real, level, fade), self.critic(fake, level, fade))
        if p.r1:
            with run.fp32():  # forward: compiled networks have no second derivative
                penalty = r1_penalty(lambda x: self.critic.forward(x, level, fade), real.float())
            run.log(r1=penalty)
            loss = loss + p.r1_weight * p.r1 / 2 * penalty
        return loss

    def generator_loss(self, fake: Tensor, real: Tensor, lr: Tensor, level: int, fade: Tensor | None) -> Tensor:
        """Eqs. 7 and 8, or 11, for the generator."""
        p = self.params
        made, given = (downsample(fake, 2**level), lr) if p.pairs == "unpaired" else (fake, real)
        reconstruction = F.l1_loss(made, given)
        return critic_score(self.critic(fake, level, fade)) + p.reconstruction * reconstruction

    def step(self, batch: bench.Batch, run: bench.Step, level: int, grown: bool) -> None:
        share = run.progress / self.params.fade if self.params.fade else 1.0
        fade = torch.full((), share, device=batch.hr.device) if grown and share < 1 else None
        unpaired = self.params.pairs == "unpaired"  # then the LR comes from other faces
        lr = to_signed(self.degrade(run.draw().hr if unpaired else batch.hr))
        real, fake = self.target(batch.hr, level, fade), self.net(lr, level, fade)
        run.images(lr=to_unit(lr), sr=to_unit(fake), hr=to_unit(real))
        run.minimize(self.critic_loss(real, fake.detach(), level, fade, run), "critic")
        run.minimize(self.generator_loss(fake, real, lr, level, fade), "net")
