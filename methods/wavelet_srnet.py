"""Wavelet-SRNet: predicts the Haar wavelet packet coefficients of the HR face (Huang 2017)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

import bench
from bench.core.image import upsample
from bench.kit.schedules import stepped
from bench.kit.tile import tiled

from .wavelet_srnet_nets import WaveletNet, decompose, packet_kernels, reconstruct


class WaveletSRNet(bench.Method):
    """A network that predicts scale^2 coefficients at LR size, from which the inverse transform makes HR of any size.

    Loss: wavelet + texture + image, in [0, 1]. wavelet: squared errors of the coefficients, the average one weighed apart.
    texture: max(alpha * |c|^2 + margin - |c'|^2, 0), which keeps a predicted detail c' from fading. image: squared errors
    of the face. The paper's size at x4: 51,071,344 parameters.
    """

    paper = "Huang, He, Sun, Tan: Wavelet-SRNet: A wavelet-based CNN for multi-scale face super resolution, ICCV 2017"
    scales = (4, 2, 8)
    bounds = {"subnet": (1, None), "average": (0, None), "detail": (0, None), "texture": (0, None),
              "image": (0, None), "alpha": (0, None), "margin": (0, None), "decay": (0, None)}  # fmt: skip

    @dataclass(frozen=True)
    class Params:
        widths: tuple[int, ...] = (64, 128, 256, 512, 1024)  # channels of the embedding net's blocks (released code)
        blocks: int = 2  # residual blocks of each width (released code)
        subnet: int = 32  # channels of each coefficient's subnet, doubled once (released code)
        skip: bool = False  # predict what to add to the coefficients of bicubic enlargement; shortens training
        average: float = 0.01  # weight of the average coefficient's errors (released code)
        detail: float = 0.99  # weight of the other coefficients' errors (released code)
        texture: float = 1.0  # weight of the texture loss (released code)
        image: float = 0.1  # weight of the full-image loss (released code)
        alpha: float = 1.2  # of the texture loss (released code)
        margin: float = 0.0  # of the texture loss (released code)
        lr: float = 2e-4  # Adam, beta = (0.9, 0.999) (released code)
        decay: float = 5e-4  # weight decay (released code)
        falls: tuple[float, ...] = ()  # shares of the steps after which lr halves; none in the paper
        batch: int = 64  # released code
        steps: int = 1_270_000  # 500 epochs of CelebA's 162,770 training faces (released code)
        tile: int = 128  # LR pixels: longer sides are restored in tiles ...
        overlap: int = 26  # ... that see so many pixels of their neighbours: all that the network sees

    variants = {"full": {}, "no-texture": {"texture": 0.0}, "no-image": {"image": 0.0}}
    # Small and short for the quick preset: two widths, added to the coefficients of bicubic enlargement.
    quick = {"widths": (32, 64), "blocks": 1, "subnet": 8, "skip": True, "lr": 3e-3, "falls": (0.5, 0.75, 0.9), "batch": 8,
             "steps": 250}  # fmt: skip

    kernels: Tensor

    def build(self) -> None:
        p, levels = self.params, self.scale.bit_length() - 1
        self.net = WaveletNet(p.widths, p.blocks, p.subnet, levels).to(memory_format=torch.channels_last)
        self.register_buffer("kernels", packet_kernels(levels), persistent=False)
        if p.skip:  # start as bicubic enlargement
            for subnets in self.net.predict:
                torch.nn.init.zeros_(subnets[-1].weight)  # type: ignore[index,arg-type]

    def coefficients(self, lr: Tensor) -> Tensor:
        """The predicted packet coefficients of LR (B, 3, h, w) in [0, 1]: (B, scale^2, 3, h, w)."""
        found = self.net(lr)
        return found + decompose(upsample(lr, self.scale), self.kernels) if self.params.skip else found

    def restore(self, lr: Tensor) -> Tensor:
        return reconstruct(self.coefficients(lr), self.kernels)

    def infer(self, lr: Tensor) -> Tensor:
        return tiled(self.restore, lr, self.scale, self.params.tile, self.params.overlap).clamp(0, 1)

    def stages(self) -> list[bench.Stage]:
        p = self.params
        optimizer = torch.optim.Adam(self.net.parameters(), p.lr, (0.9, 0.999), weight_decay=p.decay)
        schedule = stepped(optimizer, p.steps, p.falls)
        return [bench.Stage("wavelets", p.steps, self.step, {"net": optimizer}, {"net": schedule}, p.batch)]

    def step(self, batch: bench.Batch, run: bench.Step) -> None:
        lr = self.degrade(batch.hr)
        found = self.coefficients(lr)
        run.images(lr=lr, sr=reconstruct(found.detach(), self.kernels), hr=batch.hr)
        run.minimize(self.loss(found, batch.hr, run), "net")

    def loss(self, found: Tensor, hr: Tensor, run: bench.Step) -> Tensor:
        """For predicted coefficients (B, N, 3, h, w) of faces (B, 3, H, W) in [0, 1]; sums over a face, halved."""
        p, wanted = self.params, decompose(hr, self.kernels)

        def errors(a: Tensor, b: Tensor) -> Tensor:
            return F.mse_loss(a, b, reduction="sum") / (2 * len(hr))

        average, detail = errors(found[:, :1], wanted[:, :1]), errors(found[:, 1:], wanted[:, 1:])
        energy, given = (c[:, 1:].square().sum(2) for c in (found, wanted))
        texture = F.relu(p.alpha * given + p.margin - energy).mean()
        image = errors(reconstruct(found, self.kernels), hr)
        run.log(average=average, detail=detail, texture=texture, image=image)
        return p.average * average + p.detail * detail + p.texture * texture + p.image * image
