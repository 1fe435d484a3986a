"""SRResNet and SRGAN: a residual network trained by MSE, then by VGG features and a critic (Ledig 2017)."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import bench
from bench.kit.blocks import to_signed
from bench.kit.critics import SRGANCritic
from bench.kit.enlarging import PlainBlock, normed, pixel_shuffles, start_as_bilinear
from bench.kit.features import VGG19, FeatureLoss
from bench.kit.losses import nonsaturating_critic, nonsaturating_generator, total_variation
from bench.kit.schedules import stepped

from .patchwise import Patchwise

VGG_SCALE = 1 / 12.75  # of VGG's features, so that their MSE is about that of pixels (section 3.2)


class SRResNet(nn.Module):
    """LR (B, 3, h, w) in [0, 1] -> HR (B, 3, h*scale, w*scale), about [-1, 1], any size (Ledig 2017, fig. 4).

    At 16 blocks of 64 channels and scale 4: 1,547,350 parameters (1.5 M in EDSR's Table 1).
    """

    def __init__(self, width: int, blocks: int, scale: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, width, 9, padding=4), nn.PReLU())
        self.blocks = nn.Sequential(*(PlainBlock(width, nn.PReLU(), norm=True) for _ in range(blocks)))
        self.merge = nn.Sequential(*normed(width, width, norm=True))
        self.up = pixel_shuffles(width, scale, nn.PReLU)
        self.last = nn.Conv2d(width, 3, 9, padding=4)

    def forward(self, lr: Tensor) -> Tensor:
        x = self.first(lr)
        return self.last(self.up(x + self.merge(self.blocks(x))))


class SRGAN(Patchwise):
    """SRResNet by MSE in [-1, 1]; then SRGAN from there: content + 10^-3 * adversarial loss (eq. 3).

    The content loss is the MSE of VGG19's features (eq. 5), or of pixels (eq. 4). The critic judges patches of one size,
    at most the faces'. ``init`` takes a checkpoint whose tensors come in the network's order and starts the second stage
    from it. The paper's size: 1,547,350 parameters at x4; the critic has 23,563,649 at 96x96, 13,077,889 at 64x64.
    """

    libraries = ("torchvision",)
    pretrained = {"vgg19": "content=vgg19"}
    paper = "Ledig, Theis, Huszar et al.: Photo-realistic single image super-resolution using a GAN, CVPR 2017"
    scales = (4, 2, 8)
    bounds = {"variation": (0, None)}
    lengths = ("mse_steps", "steps")

    @dataclass(frozen=True)
    class Params:
        width: int = 64  # channels (section 2.1, fig. 4)
        blocks: int = 16  # residual blocks B (section 3.2)
        critic_width: int = 64  # channels of the critic's first layer (fig. 4)
        init: str = "none"  # starting weights: none or a checkpoint's path
        start: Literal["random", "bilinear"] = "random"  # without init; bilinear interpolation shortens training
        content: Literal["vgg19", "mse"] = "vgg19"  # whose difference the second stage minimises: features' or pixels'
        layer: Literal["relu5_4", "relu2_2"] = "relu5_4"  # of VGG19: phi_5,4 or phi_2,2 (section 3.4)
        adversarial: float = 1e-3  # weight of the adversarial loss (eq. 3); 0 trains without a critic
        variation: float = 0.0  # weight of the total variation; 2e-8 for SRResNet-VGG22 (section 3.4)
        patch: int = 24  # side of a training patch in LR pixels: 96x96 of HR at x4 (section 3.2)
        turns: bool = False  # mirror and turn by 90 degrees; not stated
        mse_lr: float = 1e-4  # Adam, beta1 = 0.9 (section 3.2)
        mse_steps: int = 1_000_000  # section 3.2; none where ``init`` gives the weights
        lr: float = 1e-4  # of the second stage (section 3.2) ...
        falls: tuple[float, ...] = (0.5,)  # ... and the shares of its steps after which it falls to a tenth: at 10^5
        warm: int = 0  # steps over which mse_lr rises from 0; none in the paper
        batch: int = 16  # section 3.2
        steps: int = 200_000  # section 3.2: 10^5 at each rate
        tile: int = 256  # LR pixels: longer sides are restored in tiles ...
        overlap: int = 32  # ... that see so many pixels of their neighbours

    variants = {  # section 3.4, Table 1
        "srgan": {"content": "vgg19"},  # SRGAN-VGG54
        "srresnet": {"steps": 0, "content": "mse"},  # SRResNet-MSE
        # SRResNet-VGG22, trained as SRResNet is, from the start
        "mse-vgg22": {
            "content": "vgg19",
            "layer": "relu2_2",
            "adversarial": 0.0,
            "variation": 2e-8,
            "mse_steps": 0,
            "steps": 1_000_000,
            "falls": (),
        },
        "srgan-vgg22": {"content": "vgg19", "layer": "relu2_2"},
        "srgan-mse": {"content": "mse"},
    }
    # Small and short for the quick preset, without VGG's weights: SRGAN-MSE.
    quick = {"width": 24, "blocks": 3, "critic_width": 8, "start": "bilinear", "content": "mse", "mse_lr": 1e-3, "warm": 20,
             "mse_steps": 220, "batch": 8, "steps": 40}  # fmt: skip

    @staticmethod
    def generator(params: Any, scale: int) -> nn.Module:
        return SRResNet(params.width, params.blocks, scale)

    def start(self) -> None:
        if self.params.start == "bilinear":
            net: Any = self.net
            silent = [*(block.body[-1] for block in net.blocks), net.merge[-1]]
            start_as_bilinear(net.first[0], silent, net.up, net.last, gain=2, bias=-1)

    def build(self) -> None:
        super().build()
        p = self.params
        if p.steps and p.adversarial:
            side = min(p.patch * self.scale, self.hr_size)
            self.critic = SRGANCritic(side, p.critic_width, "batch").to(memory_format=torch.channels_last)
        self.content_loss: FeatureLoss | None = None

    def sharpen(self, lr: Tensor) -> Tensor:
        return (self.net(lr) + 1) / 2

    def stages(self) -> list[bench.Stage]:
        p = self.params

        def adam(module: nn.Module, lr: float) -> torch.optim.Optimizer:
            return torch.optim.Adam(module.parameters(), lr, (0.9, 0.999))

        stages = []
        if p.init == "none" and p.mse_steps:
            optimizer = adam(self.net, p.mse_lr)
            schedule = stepped(optimizer, p.mse_steps, (), warm=p.warm)
            stages.append(
                bench.Stage("mse", p.mse_steps, self.mse_step, {"net": optimizer}, {"net": schedule}, p.batch)
            )
        if p.steps:
            if p.content == "vgg19":
                self.content_loss = FeatureLoss("vgg19", VGG19[p.layer], next(self.parameters()).device, F.mse_loss)
            networks = {"net": self.net} | ({"critic": self.critic} if p.adversarial else {})
            optimizers = {name: adam(module, p.lr) for name, module in networks.items()}
            schedules = {name: stepped(o, p.steps, p.falls, 0.1) for name, o in optimizers.items()}
            stages.append(bench.Stage("gan", p.steps, self.gan_step, optimizers, schedules, p.batch))
        return stages

    def mse_step(self, batch: bench.Batch, run: bench.Step) -> None:
        hr, _, fake = self.pair(batch, run)
        run.minimize(F.mse_loss(fake, to_signed(hr)), "net")  # eq. 4

    def gan_step(self, batch: bench.Batch, run: bench.Step) -> None:
        """One update of the critic, one of the generator (section 3.2: k = 1)."""
        hr, _, fake = self.pair(batch, run)
        if self.params.adversarial:
            run.minimize(
                nonsaturating_critic(self.critic(to_signed(hr)), self.critic(fake.detach())), "critic"
            )  # eq. 2
        run.minimize(self.generator_loss(hr, fake, run), "net")

    def generator_loss(self, hr: Tensor, fake: Tensor, run: bench.Step) -> Tensor:
        """Eq. 3, for HR patches in [0, 1] and restored ones in [-1, 1]."""
        if self.content_loss is None:
            content = F.mse_loss(fake, to_signed(hr))  # eq. 4
        else:
            with run.fp32():
                content = VGG_SCALE**2 * self.content_loss((fake.float() + 1) / 2, hr)  # eq. 5
        run.log(content=content)
        loss = content
        if self.params.adversarial:
            adversarial = nonsaturating_generator(self.critic(fake))  # eq. 6
            run.log(adversarial=adversarial)
            loss = loss + self.params.adversarial * adversarial
        if self.params.variation:
            loss = loss + self.params.variation * total_variation(fake)
        return loss
