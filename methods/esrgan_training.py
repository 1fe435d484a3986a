"""The training that `esrgan` and `esrgan-jpeg-kernel` share: RRDBNet by L1, then with a relativistic average GAN."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import bench
from bench.kit.features import VGG19, FeatureLoss, LpipsLoss
from bench.kit.losses import relativistic_average
from bench.kit.schedules import stepped

from .esrgan_nets import RRDBNet, released_weights, start_as_bilinear
from .patchwise import Patchwise


class RRDBGan(Patchwise):
    """An L1 stage where ``init=none``, then pixel * L1 + adversarial * relativistic average GAN + feature * features.

    Everything in [0, 1]. Beside Patchwise's, ``Params`` have RRDBNet's width, blocks and growth; ``feature_loss`` (vgg19,
    lpips or none) and the losses' weights; rates, steps and where they halve. A subclass adds its ``critic`` in ``build``.
    """

    net: RRDBNet
    critic: nn.Module
    betas: ClassVar[tuple[float, float]]  # of every Adam
    released = staticmethod(released_weights)  # type: ignore[assignment]

    @staticmethod
    def generator(params: Any, scale: int) -> RRDBNet:
        return RRDBNet(params.width, params.blocks, params.growth, scale)

    def start(self) -> None:
        start_as_bilinear(self.net)

    def build(self) -> None:
        super().build()
        self.feature_loss: FeatureLoss | LpipsLoss | None = None

    def stages(self) -> list[bench.Stage]:
        p, device = self.params, next(self.parameters()).device
        if p.feature_loss == "lpips":
            self.feature_loss = LpipsLoss("alex", device)
        elif p.feature_loss == "vgg19":
            self.feature_loss = FeatureLoss("vgg19", VGG19["conv5_4"], device)

        def adam(module: nn.Module, lr: float) -> torch.optim.Optimizer:
            return torch.optim.Adam(module.parameters(), lr, self.betas)

        stages = []
        if p.init == "none" and p.l1_steps:
            optimizer = adam(self.net, p.l1_lr)
            schedule = stepped(optimizer, p.l1_steps, p.l1_halve, warm=p.l1_warm)
            stages.append(bench.Stage("l1", p.l1_steps, self.l1_step, {"net": optimizer}, {"net": schedule}, p.batch))
        if p.steps:
            both = {"net": adam(self.net, p.lr), "critic": adam(self.critic, p.lr)}
            schedules = {name: stepped(optimizer, p.steps, p.halve) for name, optimizer in both.items()}
            stages.append(bench.Stage("gan", p.steps, self.gan_step, both, schedules, p.batch))
        return stages

    def l1_step(self, batch: bench.Batch, run: bench.Step) -> None:
        hr, _, fake = self.pair(batch, run)
        run.minimize(F.l1_loss(fake, hr), "net")

    def gan_step(self, batch: bench.Batch, run: bench.Step) -> None:
        hr, _, fake = self.pair(batch, run)
        run.minimize(self.generator_loss(hr, fake, run), "net")
        run.minimize(relativistic_average(self.critic(hr), self.critic(fake.detach())), "critic")

    def generator_loss(self, hr: Tensor, fake: Tensor, run: bench.Step) -> Tensor:
        """Wang's eq. 3, Aakerberg's eq. 9, for ``fake`` restored from the LR of ``hr``, both (B, 3, H, W)."""
        p = self.params
        with torch.no_grad():
            real = self.critic(hr)
        pixel, adversarial = F.l1_loss(fake, hr), relativistic_average(self.critic(fake), real)
        run.log(pixel=pixel, adversarial=adversarial)
        loss = p.pixel * pixel + p.adversarial * adversarial
        if self.feature_loss:
            with run.fp32():  # squared differences of normalised features are below bf16's resolution
                feature = self.feature_loss(fake.float(), hr)
            run.log(feature=feature)
            loss = loss + p.feature * feature
        return loss
