"""ESRGAN: RRDBNet by L1, then with VGG features and a relativistic average GAN, on bicubic LR (Wang 2018)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.func import functional_call

import bench
from bench.kit.critics import SRGANCritic

from .esrgan_training import RRDBGan


class ESRGAN(RRDBGan):
    """RRDBNet with SRGAN's critic made relativistic; any size of LR, large inputs in tiles.

    Loss of the second stage (eq. 3): feature * L1 of VGG19's conv5_4 before its activation + adversarial * relativistic
    average GAN (eq. 2) + pixel * L1. What the first stage reached is kept: ``alpha`` interpolates between its weights and
    the second's (eq. 4), at inference alone. ``init=rrdb-psnr-x4`` or any RRDBNet checkpoint replaces the first stage.
    The paper's size: 16,697,987 parameters; the critic has 38,243,713 at 128x128, 13,077,889 at 64x64.
    """

    libraries = ("torchvision",)
    pretrained = {"rrdb-psnr-x4": "init=rrdb-psnr-x4", "vgg19": "feature_loss=vgg19"}
    paper = "Wang, Yu, Wu, Gu, Liu, Dong, Loy, Qiao, Tang: ESRGAN: Enhanced super-resolution GANs, ECCV Workshops 2018"
    scales = (4, 2, 8)
    bounds = {"alpha": (0, 1)}
    lengths = ("l1_steps", "steps")
    betas = (0.9, 0.999)  # of Adam (section 4.1)
    training_only = ("critic", "psnr")

    @dataclass(frozen=True)
    class Params:
        width: int = 64  # channels of RRDBNet (released code)
        blocks: int = 23  # residual in residual dense blocks (section 4.1)
        growth: int = 32  # channels that each conv of a dense block adds (released code)
        critic_width: int = 64  # channels of the critic's first layer (SRGAN)
        init: str = "none"  # starting weights: none, a name of `bench weights list` or a checkpoint's path
        start: Literal["random", "bilinear"] = "random"  # without init; bilinear interpolation shortens training
        alpha: float = 1.0  # share of the GAN's weights against the PSNR stage's, 0 to 1 (eq. 4)
        l1_steps: int = 1_000_000  # steps with L1 alone where init=none (released code)
        l1_lr: float = 2e-4  # Adam (section 4.1)
        l1_halve: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8)  # shares of l1_steps: every 200k (section 4.1)
        l1_warm: int = 0  # steps over which l1_lr rises from 0; none in the paper
        pixel: float = 0.01  # eta (section 4.1)
        adversarial: float = 0.005  # lambda (section 4.1)
        feature: float = 1.0  # weight of the features (eq. 3)
        feature_loss: Literal["vgg19", "none"] = "vgg19"  # conv5_4 before its activation (section 3.3)
        patch: int = 32  # side of a training patch in LR pixels: 128x128 of HR at x4 (section 4.1)
        turns: bool = True  # mirror and turn by 90 degrees (section 4.2)
        lr: float = 1e-4  # Adam (section 4.1)
        halve: tuple[float, ...] = (0.125, 0.25, 0.5, 0.75)  # shares of steps: 50k, 100k, 200k, 300k (section 4.1)
        batch: int = 16  # section 4.1
        steps: int = 400_000  # released code
        tile: int = 256  # LR pixels: longer sides are restored in tiles ...
        overlap: int = 32  # ... that see so many pixels of their neighbours

    variants = {"esrgan": {"feature_loss": "vgg19"}, "psnr": {"steps": 0, "feature_loss": "none"}}
    # Small and short for the quick preset: one narrow block from a bilinear start, no pretrained features.
    quick = {"width": 24, "blocks": 1, "growth": 12, "critic_width": 4, "start": "bilinear", "l1_steps": 200, "l1_lr": 1e-3,
             "l1_halve": (0.5, 0.8), "l1_warm": 20, "feature_loss": "none", "turns": False, "lr": 1e-4, "batch": 8,
             "steps": 40}  # fmt: skip

    def build(self) -> None:
        super().build()
        p = self.params
        self.psnr = self.generator(p, self.scale).requires_grad_(False)
        if p.steps:
            side = min(p.patch * self.scale, self.hr_size)
            self.critic = SRGANCritic(side, p.critic_width, "batch").to(memory_format=torch.channels_last)

    def start(self) -> None:
        if self.params.start == "bilinear":
            super().start()

    def stages(self) -> list[bench.Stage]:
        stages = super().stages()
        return [replace(stage, enter=self.keep) if stage.name == "gan" else stage for stage in stages]

    def keep(self) -> None:
        """Remember the weights of the PSNR stage."""
        self.psnr.load_state_dict(self.net.state_dict())

    def sharpen(self, lr: Tensor) -> Tensor:
        alpha = self.params.alpha if self.params.steps else 1.0
        return self.net(lr) if alpha == 1 else functional_call(self.net, dict(self.interpolated(alpha)), (lr,))

    def interpolated(self, alpha: float) -> Iterator[tuple[str, Any]]:
        """(1 - alpha) * the PSNR stage's weights + alpha * the GAN's (eq. 4)."""
        for (name, smooth), sharp in zip(self.psnr.state_dict().items(), self.net.state_dict().values(), strict=True):
            yield name, torch.lerp(smooth, sharp, alpha)
