"""Kernel estimation: how fast, against the layered networks of one image at a time; and how near to known kernels.

    python benchmarks/kernelgan.py FOLDER [--device cuda] [--together 32] [--iterations 12] [--rounds 3]
    python benchmarks/kernelgan.py FOLDER --recover 12 [--figure PNG]
    python benchmarks/kernelgan.py FOLDER --whole 100

The first prints iterations x images a second of both forms, in turn in one run, and their ratio. The peer is KernelGAN as
its paper describes it: nn.Conv2d layers, torch's spectral norm and batch norm, Adam, the same losses. The second blurs the
portraits of FOLDER with known anisotropic Gaussians, shrinks them to half, estimates, and compares with the bicubic
kernel. The third times the whole estimation of so many images.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
from bench.degradations.jpeg_kernel import captioned
from bench.degradations.kernelgan import SIDE, KernelGAN, Schedule, crop_side
from bench.degradations.kernels import SIDE as CLEAN_SIDE
from bench.degradations.kernels import bicubic_kernel, downsample_with, finished
from torch import Tensor, nn

from bench.core.image import read_image, to_float, to_uint8, write_image
from bench.core.progress import Progress
from bench.faces.read import images_under


class Layered:
    """KernelGAN of one image, layer by layer."""

    def __init__(self, image: Tensor, schedule: Schedule, device: torch.device) -> None:
        self.state = KernelGAN([image], [0], schedule, device)  # its crops and weights of the loss
        width = schedule.width
        sides = (7, 5, 3, 1, 1, 1)
        channels = (1, *[width] * 5, 1)
        layers = [
            nn.Conv2d(channels[i], channels[i + 1], side, stride=2 if i == 5 else 1, bias=False)
            for i, side in enumerate(sides)
        ]
        self.generator = nn.Sequential(*layers).to(device)
        norm = nn.utils.parametrizations.spectral_norm
        blocks: list[nn.Module] = [norm(nn.Conv2d(3, width, 7))]
        for _ in range(5):
            blocks += [norm(nn.Conv2d(width, width, 1)), nn.BatchNorm2d(width), nn.ReLU()]
        self.critic = nn.Sequential(*blocks, norm(nn.Conv2d(width, 1, 1)), nn.Sigmoid()).to(device)
        self.optimizers = [
            torch.optim.Adam(net.parameters(), schedule.lr, (0.5, 0.999)) for net in (self.generator, self.critic)
        ]

    def kernel(self) -> Tensor:
        """The layers' response to an impulse: their kernel."""
        impulse = torch.zeros(1, 1, 2 * SIDE - 1, 2 * SIDE - 1, device=self.state.device)
        impulse[..., SIDE - 1, SIDE - 1] = 1
        x = impulse
        for layer in self.generator:
            x = F.conv2d(x, layer.weight)
        return x[0].flip(1, 2)

    def step(self) -> None:
        s, t = self.state, self.state.iteration
        place = s.places["g"][t]
        crop = s._crop("image", s.images, place, s.crop)
        small = s._crop("small", s.small, place // 2, s.out)
        real = s._crop("image", s.images, s.places["d"][t], s.out)
        noise = s._noise()
        fake = self.generator(crop.transpose(0, 1)).transpose(0, 1)
        bicubic = F.mse_loss(fake, small)[None]
        loss = (1 - self.critic(fake)).abs().mean() + s._regularizers(self.kernel(), bicubic).sum()
        self.optimizers[0].zero_grad()
        loss.backward()
        self.optimizers[0].step()
        with torch.no_grad():
            fake = self.generator(crop.transpose(0, 1)).transpose(0, 1)
        real, fake = real + 2 / 255 * noise[0], fake + noise[1] / 255
        loss = 0.5 * ((1 - self.critic(real)).abs().mean() + self.critic(fake).abs().mean())
        self.optimizers[1].zero_grad()
        loss.backward()
        self.optimizers[1].step()
        s._advance(bicubic.detach())


def synchronised(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def speed(images: list[Tensor], iterations: int, rounds: int, device: torch.device) -> None:
    schedule = Schedule(iterations=(rounds + 1) * iterations)
    together, alone = (
        KernelGAN(images, list(range(len(images))), schedule, device),
        Layered(images[0], schedule, device),
    )
    rates: dict[str, list[float]] = {"together": [], "layered, one at a time": []}
    for turn in range(rounds + 1):  # the first warms up
        begin = synchronised(device)
        together.train(iterations)
        middle = synchronised(device)
        for _ in range(iterations):
            alone.step()
        end = synchronised(device)
        if turn:
            rates["together"].append(len(images) * iterations / (middle - begin))
            rates["layered, one at a time"].append(iterations / (end - middle))
    for name, found in rates.items():
        minutes = Schedule.iterations / median(found) / 60
        print(f"{name}: {median(found):.1f} iterations x images/s ({min(found):.1f}-{max(found):.1f}); "
              f"{1 / minutes:.2f} images a minute at 3,000 iterations")  # fmt: skip
    ratios = [a / b for a, b in zip(*rates.values(), strict=True)]
    print(
        f"ratio {median(ratios):.1f} ({min(ratios):.1f}-{max(ratios):.1f}), {len(images)} images, crops of {together.crop} px"
    )


def gaussian(rng: np.random.Generator) -> np.ndarray:
    """An anisotropic Gaussian (14, 14), variances 0.6-5 px^2 along its axes, at any angle (as DIV2KRK of KernelGAN)."""
    y, x = np.mgrid[:CLEAN_SIDE, :CLEAN_SIDE] - (CLEAN_SIDE - 1) / 2
    (a, b), angle = rng.uniform(0.6, 5, 2), rng.uniform(0, math.pi)
    u, v = math.cos(angle) * x + math.sin(angle) * y, math.cos(angle) * y - math.sin(angle) * x
    kernel = np.exp(-0.5 * (u**2 / a + v**2 / b))
    return kernel / kernel.sum()


def recover(images: list[Tensor], figure: Path | None, device: torch.device) -> None:
    rng = np.random.default_rng(0)
    truth = [gaussian(rng) for _ in images]
    kernels = torch.from_numpy(np.stack(truth)).float()
    lr = [to_float(to_uint8(downsample_with(i[None], k[None], 2)))[0] for i, k in zip(images, kernels, strict=True)]
    gan = KernelGAN(lr, list(range(len(lr))), Schedule(), device)
    bar = Progress("estimate", gan.schedule.iterations, unit="iteration")
    while gan.iteration < gan.schedule.iterations:
        gan.train(50)
        bar.advance(gan.iteration)
    bar.close()
    found = [finished(k) for k in gan.kernels().cpu().double().numpy()]
    bicubic = bicubic_kernel(2, CLEAN_SIDE)
    near = [
        (float(np.linalg.norm(f - t)), float(np.linalg.norm(bicubic - t))) for f, t in zip(found, truth, strict=True)
    ]
    for index, (ours, theirs) in enumerate(near):
        print(f"image {index}: distance of the estimate {ours:.4f}, of bicubic {theirs:.4f}")
    print(
        f"{sum(a < b for a, b in near)} of {len(near)} nearer than bicubic; means {np.mean(near, 0).round(4).tolist()}"
    )
    if figure:
        rows = {"known": truth, "estimated": found, "bicubic": [bicubic] * len(truth)}
        sheets = []
        for name, shown in rows.items():
            tiles = torch.from_numpy(np.stack(shown[:12])).float()
            sheets.append(
                captioned(
                    name, (tiles / kernels[:12].amax((1, 2), keepdim=True)).clamp(0, 1)[:, None].expand(-1, 3, -1, -1)
                )
            )
        write_image(figure, np.concatenate(sheets, 1))


def whole(images: list[Tensor], together: int, device: torch.device) -> None:
    groups: dict[int, list[Tensor]] = {}
    for image in images:
        groups.setdefault(crop_side(image, Schedule.crop), []).append(image)
    chunks = [g[i : i + together] for _, g in sorted(groups.items()) for i in range(0, len(g), together)]
    begin = synchronised(device)
    bar = Progress("estimate", len(images), unit="image")
    done = 0
    for chunk in chunks:
        gan = KernelGAN(chunk, list(range(len(chunk))), Schedule(), device)
        gan.train(Schedule.iterations)
        gan.kernels().cpu()
        done += len(chunk)
        bar.advance(done)
    bar.close()
    seconds = synchronised(device) - begin
    print(
        f"{len(images)} images, 3,000 iterations each: {seconds / 60:.1f} min, {seconds / len(images):.1f} s an image"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="cpu", type=torch.device)
    parser.add_argument("--together", type=int, default=32)
    parser.add_argument("--iterations", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--recover", type=int, default=0, metavar="N")
    parser.add_argument("--whole", type=int, default=0, metavar="N")
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    images = [to_float(torch.from_numpy(read_image(f))) for f in images_under(options.folder)]
    if options.recover:
        recover(images[: options.recover], options.figure, options.device)
    elif options.whole:
        whole(images[: options.whole], options.together, options.device)
    else:
        side = max(crop_side(i, Schedule.crop) for i in images)
        large = [i for i in images if crop_side(i, Schedule.crop) == side]
        speed(large[: options.together], options.iterations, options.rounds, options.device)


if __name__ == "__main__":
    main()
