"""Surveillance ESRGAN: RRDBNet trained on LR with estimated blur, noise and JPEG (Aakerberg 2021, section 3.5)."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

import bench
from bench.core.image import resize
from bench.errors import UsageError
from bench.kit.patches import crops

from .esrgan_nets import SMALLEST, PatchGAN
from .esrgan_training import RRDBGan


class ESRGANJpegKernel(RRDBGan):
    """RRDBNet with a PatchGAN, on LR drawn anew from kernels, noise and JPEG; any size, large inputs in tiles.

    Loss (eq. 9): pixel * L1 + adversarial * relativistic average GAN + feature * LPIPS (eq. 8), in [0, 1]. The paper adds
    copies of each HR face shrunk "by 25, 50 and 75 %": with the original, sides of 1, 3/4, 1/2 and 1/4, whichever way it
    is read. Here each batch draws one of these sides, then crops patches; where a shrunk face is smaller than a patch
    it is used whole, down to 32 px. Training starts from the PSNR-trained RRDB of ESRGAN, or any such checkpoint
    (``init``), or from an L1 stage of its own, which begins as bilinear interpolation. ``feature_loss=none`` trains
    without pretrained weights, and so does the quick preset. The paper's size: 16,697,987 parameters, the critic's 2,765,633.
    """

    libraries = ("lpips", "torchvision")
    pretrained = {"rrdb-psnr-x4": "init=rrdb-psnr-x4", "alexnet": "feature_loss=lpips", "vgg19": "feature_loss=vgg19"}
    paper = (
        "Aakerberg, Nasrollahi, Moeslund: Real-world super-resolution of face-images from surveillance cameras, 2021"
    )
    scales = (4, 2, 8)
    bounds = {"critic_layers": (0, None), "sides": (0.01, 1)}
    default_degradation = "jpeg-kernel"
    betas = (0.9, 0.99)  # of Adam (ESRGAN's code; not stated)

    @dataclass(frozen=True)
    class Params:
        width: int = 64  # channels of RRDBNet (ESRGAN)
        blocks: int = 23  # residual in residual dense blocks (ESRGAN)
        growth: int = 32  # channels that each conv of a dense block adds (ESRGAN)
        critic_width: int = 64  # channels of PatchGAN's first layer (METHODS section 4)
        critic_layers: int = 3  # its conv layers of stride 2
        init: str = (
            "rrdb-psnr-x4"  # starting weights: a name of `bench weights list`, a checkpoint's path, or none (section 4)
        )
        l1_steps: int = 1_000_000  # steps with L1 alone where init=none (ESRGAN, section 4.1)
        l1_lr: float = 2e-4  # Adam, beta = (0.9, 0.99) (ESRGAN, section 4.1)
        l1_halve: tuple[float, ...] = (
            0.2,
            0.4,
            0.6,
            0.8,
        )  # shares of these steps after which l1_lr halves (section 4.1)
        l1_warm: int = 0  # steps over which l1_lr rises from 0; none in ESRGAN
        pixel: float = 0.01  # lambda_pix (section 4)
        adversarial: float = 0.005  # lambda_adv (section 4)
        feature: float = 0.001  # lambda_lpips (section 4)
        feature_loss: Literal["lpips", "vgg19", "none"] = "lpips"  # LPIPS with AlexNet (eq. 8); vgg19: ESRGAN's conv5_4
        patch: int = 32  # side of a training patch in LR pixels (section 4)
        sides: tuple[float, ...] = (1.0, 0.75, 0.5, 0.25)  # of the HR faces that patches are cropped from (section 3.6)
        lr: float = 1e-4  # Adam, beta = (0.9, 0.99) (ESRGAN; not stated here)
        halve: tuple[float, ...] = (
            0.125,
            0.25,
            0.5,
            0.75,
        )  # shares of the steps: 50k, 100k, 200k, 300k of 400k (ESRGAN)
        batch: int = 16  # section 4
        steps: int = 400_000  # section 4
        tile: int = 256  # LR pixels: longer sides are restored in tiles ...
        overlap: int = 32  # ... that see so many pixels of their neighbours

    variants = {  # section 4.2, fig. 6; feature = 1 for VGG (ESRGAN's code)
        "realsr": {"feature_loss": "vgg19", "feature": 1.0, "degradation": "jpeg-kernel[jpeg=none]"},
        "+jpeg": {"feature_loss": "vgg19", "feature": 1.0},
        "+jpeg+lpips": {"feature_loss": "lpips", "feature": 0.001},
    }
    # Small and short for the quick preset: one narrow block, from an L1 stage of its own, no pretrained features. The
    # high rate needs the warm-up: without it, Adam's first steps undo the bilinear start.
    quick = {"width": 24, "blocks": 1, "growth": 24, "critic_width": 8, "init": "none", "l1_steps": 600, "l1_lr": 1e-3,
             "l1_halve": (0.5, 0.7, 0.85), "l1_warm": 40, "feature_loss": "none", "patch": 16, "lr": 5e-5, "batch": 8,
             "steps": 60}  # fmt: skip

    def build(self) -> None:
        super().build()
        p = self.params
        self.critic = PatchGAN(p.critic_width, p.critic_layers).to(memory_format=torch.channels_last)

    def stages(self) -> list[bench.Stage]:
        if self.hr_size < SMALLEST:
            raise UsageError(f"esrgan-jpeg-kernel: HR faces of {self.hr_size} px; it needs {SMALLEST}")
        return super().stages()

    def patches(self, hr: Tensor) -> Tensor:
        """Patches of a batch of HR faces (B, 3, H, W) shrunk to one side drawn from ``sides``, in [0, 1]."""
        p, (height, width) = self.params, hr.shape[-2:]
        sizes = [tuple(int(side * s) // self.scale * self.scale for s in (height, width)) for side in p.sides]
        sizes = [size for size in sizes if min(size) >= SMALLEST] or [(height, width)]
        height, width = sizes[int(torch.randint(len(sizes), ()))]
        hr = resize(hr, (height, width)).clamp(0, 1)
        return crops(hr, p.patch * self.scale)
