"""Surveillance ESRGAN: RRDBNet trained on LR with estimated blur, noise and JPEG (Aakerberg 2021, section 3.5)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

import bench
from bench import weights
from bench.core.image import resize
from bench.errors import MissingWeights, UsageError
from bench.kit.losses import relativistic_average
from bench.kit.perceptual import FeatureLoss, LpipsLoss
from bench.kit.tile import tiled

from .checkpoints import content_hash
from .esrgan_nets import SMALLEST, PatchGAN, RRDBNet, released_weights, start_as_bilinear

BACKBONES = {"lpips": "alexnet", "vgg19": "vgg19", "none": ""}  # weights that a feature loss needs
CONV5_4 = 35  # layers of VGG19 up to conv5_4, before its activation (Wang 2018, section 3.3)


class ESRGANJpegKernel(bench.Method):
    """RRDBNet with a PatchGAN, on LR drawn anew from kernels, noise and JPEG; any size, large inputs in tiles.

    Loss (eq. 9): pixel * L1 + adversarial * relativistic average GAN + feature * LPIPS (eq. 8), in [0, 1]. The paper adds
    copies of each HR face shrunk "by 25, 50 and 75 %": with the original, sides of 1, 3/4, 1/2 and 1/4, whichever way it
    is read. Here each batch draws one of these sides, then crops patches; where a shrunk face is smaller than a patch
    it is used whole, down to 32 px. Training starts from the PSNR-trained RRDB of ESRGAN, or any such checkpoint
    (``init``), or from an L1 stage of its own, which begins as bilinear interpolation. ``feature_loss=none`` trains
    without pretrained weights, and so does the quick preset. The paper's size: 16,697,987 parameters, the critic's 2,765,633.
    """

    pretrained = {"rrdb-psnr-x4": "init=rrdb-psnr-x4", "alexnet": "feature_loss=lpips", "vgg19": "feature_loss=vgg19"}
    paper = (
        "Aakerberg, Nasrollahi, Moeslund: Real-world super-resolution of face-images from surveillance cameras, 2021"
    )
    scales = (4, 2, 8)
    default_degradation = "jpeg-kernel"

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

    @classmethod
    def fingerprint(cls, params: Any, scale: int) -> str:
        """The hash of the starting weights; a file that does not fit is refused here, before any work."""
        if params.init == "none":
            return ""
        try:
            path = starting_point(params.init)
        except MissingWeights:
            return ""  # named by required_weights
        with torch.device("meta"):
            net = RRDBNet(params.width, params.blocks, params.growth, scale)
        released_weights(path, net)
        return content_hash(path)

    def views(self) -> dict[str, bench.View]:
        """Patches of the faces as they are: blur and noise are of their own pixels."""
        return {"hr": bench.View(self.hr_size, whole=False), "lr_real": bench.View(self.lr_size)}

    def build(self) -> None:
        p = self.params
        self.net = RRDBNet(p.width, p.blocks, p.growth, self.scale).to(memory_format=torch.channels_last)
        self.critic = PatchGAN(p.critic_width, p.critic_layers).to(memory_format=torch.channels_last)
        self.feature_loss: FeatureLoss | LpipsLoss | None = None

    def required_weights(self) -> tuple[str, ...]:
        other = (
            self.params.init
            if self.params.init in weights.manifest() and self.params.init not in self.pretrained
            else ""
        )
        return (*((other,) if other else ()), *super().required_weights())

    def infer(self, lr: Tensor) -> Tensor:
        return tiled(self.net, lr, self.scale, self.params.tile, self.params.overlap).clamp(0, 1)

    def prepare(self, data: Any, run: Any) -> None:
        if self.params.init == "none":
            start_as_bilinear(self.net)
        else:
            self.net.load_state_dict(released_weights(starting_point(self.params.init), self.net))

    def stages(self) -> list[bench.Stage]:
        p, device = self.params, next(self.parameters()).device
        if self.hr_size < SMALLEST:
            raise UsageError(f"esrgan-jpeg-kernel: HR faces of {self.hr_size} px; it needs {SMALLEST}")
        if p.feature_loss == "lpips":
            self.feature_loss = LpipsLoss("alex", device)
        elif p.feature_loss == "vgg19":
            self.feature_loss = FeatureLoss("vgg19", CONV5_4, device)

        def adam(module: torch.nn.Module, lr: float) -> torch.optim.Optimizer:
            return torch.optim.Adam(module.parameters(), lr, (0.9, 0.99))

        def halving(optimizer: torch.optim.Optimizer, shares: tuple[float, ...], steps: int, warm: int = 0) -> Any:
            def factor(step: int) -> float:
                return min(1, (step + 1) / (warm + 1)) * 0.5 ** sum(step >= round(share * steps) for share in shares)

            return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)

        stages = []
        if p.init == "none" and p.l1_steps:
            optimizer = adam(self.net, p.l1_lr)
            schedule = halving(optimizer, p.l1_halve, p.l1_steps, p.l1_warm)
            stages.append(bench.Stage("l1", p.l1_steps, self.l1_step, {"net": optimizer}, {"net": schedule}, p.batch))
        if p.steps:
            both = {"net": adam(self.net, p.lr), "critic": adam(self.critic, p.lr)}
            schedules = {name: halving(optimizer, p.halve, p.steps) for name, optimizer in both.items()}
            stages.append(bench.Stage("gan", p.steps, self.gan_step, both, schedules, p.batch))
        return stages

    def patches(self, hr: Tensor) -> Tensor:
        """Patches of a batch of HR faces (B, 3, H, W) shrunk to one side drawn from ``sides``, in [0, 1]."""
        p, (height, width) = self.params, hr.shape[-2:]
        sizes = [tuple(int(side * s) // self.scale * self.scale for s in (height, width)) for side in p.sides]
        sizes = [size for size in sizes if min(size) >= SMALLEST] or [(height, width)]
        height, width = sizes[int(torch.randint(len(sizes), ()))]
        hr = resize(hr, (height, width)).clamp(0, 1)
        side_y, side_x = (min(p.patch * self.scale, s) for s in (height, width))
        tops = torch.randint(height - side_y + 1, (len(hr),)).tolist()
        lefts = torch.randint(width - side_x + 1, (len(hr),)).tolist()
        crops = [x[:, y : y + side_y, z : z + side_x] for x, y, z in zip(hr, tops, lefts, strict=True)]
        return torch.stack(crops)

    def l1_step(self, batch: bench.Batch, run: Any) -> None:
        hr = self.patches(batch.hr)
        lr = self.degrade(hr)
        fake = self.net(lr)
        run.images(lr=lr, sr=fake, hr=hr)
        run.minimize(F.l1_loss(fake, hr), "net")

    def gan_step(self, batch: bench.Batch, run: Any) -> None:
        hr = self.patches(batch.hr)
        lr = self.degrade(hr)
        fake = self.net(lr)
        run.images(lr=lr, sr=fake, hr=hr)
        run.minimize(self.generator_loss(hr, fake, run), "net")
        run.minimize(relativistic_average(self.critic(hr), self.critic(fake.detach())), "critic")

    def generator_loss(self, hr: Tensor, fake: Tensor, run: Any) -> Tensor:
        """Eq. 9 for ``fake`` restored from the LR of ``hr``, both (B, 3, H, W)."""
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


def starting_point(init: str) -> Path:
    """The file that ``init`` names. Raises MissingWeights, or UsageError where it names nothing."""
    if init in weights.manifest():
        return weights.path(init)
    path = Path(init)
    if not path.is_file():
        raise UsageError(f"init={init}: neither none, nor a name of `bench weights list`, nor a file")
    return path
