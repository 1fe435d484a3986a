"""KernelGAN for many images at once: the x2 downsampling kernel of each image (Bell-Kligler 2019; Aakerberg 2021, 3.2).

Each image has its own generator, discriminator, crops, losses and schedule; all tensors carry a first dimension N. The
generator is linear, so its pass over an image is one convolution with its composed 13x13 kernel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.colour import luma
from bench.core.image import downsample

from .kernels import bicubic_kernel

LAYERS = (7, 5, 3, 1, 1, 1)  # kernel sides of the generator; stride 2 in the last (METHODS section 4)
SIDE = 13  # of the composed kernel
PATCH = 7  # side of the discriminator's first convolution; five 1x1 with batch norm and ReLU follow, and one to 1
BLOCKS = 5
GAIN = 0.1  # of the Xavier initialisation (released code)
REAL_NOISE, FAKE_NOISE = 2 / 255, 1 / 255  # added to the discriminator's input, in [-1, 1] (released code)
FITS, FITS_TIMES = 0.4, 3  # the bicubic term fits: below 0.4 in three iterations running (released code)
LAST_BICUBIC = 5e-6  # the bicubic weight falls no lower (released code)
CONSTRAIN_BELOW = 5e-3  # the other weights switch on when it is below this (released code)
PENALTY, MARGIN = 30.0, 2  # of the boundary mask: scale, and rings that it covers (released code)
POWER = 0.2  # of the sparsity term (released code)
SMALLEST = 32  # px: the least side of an image
CROP_STEP = 8  # crops' sides are multiples of it, so that images share a batch
NOISE_BLOCK = 64  # iterations whose noise is drawn together


@dataclass(frozen=True)
class Schedule:
    """KernelGAN's numbers, all from METHODS section 4 where nothing else is said."""

    iterations: int = 3000
    crop: int = 64  # px: side of the generator's crops at most
    width: int = 64  # channels of both networks
    lr: float = 2e-4  # Adam, beta = (0.5, 0.999), both networks
    lr_every: int = 750  # iterations between divisions of it by 10
    bicubic: float = 5.0  # weights of the terms
    bicubic_every: int = 200  # iterations between divisions of the bicubic weight by 100, once it fits
    sum_to_one: float = 0.5
    boundaries: float = 0.5
    centring: float = 1.0  # from 0
    sparsity: float = 5.0  # from 0


def crop_side(image: Tensor, most: int) -> int:
    """The side of the generator's crops in (3, H, W): a multiple of 8 that fits, at least 32 and at most ``most``."""
    return max(SMALLEST, min(most, min(image.shape[-2:]) // CROP_STEP * CROP_STEP))


class KernelGAN:
    """N images and their networks in training. ``images``: (3, H, W) in [0, 1], 32 px and more, that share ``crop_side``.

    ``seeds``: one an image; with its seed an image takes the same steps in any company, to rounding.
    """

    def __init__(self, images: list[Tensor], seeds: list[int], schedule: Schedule, device: torch.device | str = "cpu"):
        images = [image.cpu() for image in images]
        self.schedule, self.device = schedule, torch.device(device)
        self.crop = crop_side(images[0], schedule.crop)
        if any(crop_side(image, schedule.crop) != self.crop for image in images):
            raise ValueError("images of one KernelGAN share a crop side")
        self.out = (self.crop - SIDE) // 2 + 1
        self.iteration = 0
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.generator = self._stack([_generator_weights(schedule.width, g) for g in generators])
        self.critic = self._stack([_critic_weights(schedule.width, g) for g in generators])
        self.u = self._stack([_directions(schedule.width, g) for g in generators], grad=False)
        self.optimizers = {
            "generator": torch.optim.Adam(self.generator, schedule.lr, (0.5, 0.999), fused=True),
            "critic": torch.optim.Adam(self.critic.values(), schedule.lr, (0.5, 0.999), fused=True),
        }
        self._load_crops(images, generators)
        count = len(images)
        self.weight = torch.full((count,), schedule.bicubic, device=self.device)  # of the bicubic term
        self.fits = torch.zeros(count, dtype=torch.long, device=self.device)  # iterations running in which it fits
        self.constrained = torch.zeros(count, dtype=torch.bool, device=self.device)
        self.mask = _boundary_mask().to(self.device)

    def _stack(self, items: list[Any], *, grad: bool = True) -> Any:
        if isinstance(items[0], dict):
            return {k: self._stack([i[k] for i in items], grad=grad) for k in items[0]}
        if isinstance(items[0], (list, tuple)):
            return [self._stack([i[k] for i in items], grad=grad) for k in range(len(items[0]))]
        return torch.stack(items).to(self.device).requires_grad_(grad)

    # ------------------------------------------------------------ crops

    def _load_crops(self, images: list[Tensor], generators: list[torch.Generator]) -> None:
        """Images side by side in one tensor, and the places of all crops of all iterations."""
        height, width = (max(i.shape[axis] for i in images) for axis in (-2, -1))
        bicubic = torch.from_numpy(bicubic_kernel(2, SIDE + 1)[:SIDE, :SIDE]).to(images[0])[None, None]
        stacks: dict[str, list[Tensor]] = {"image": [], "small": [], "g": [], "d": []}
        for image, generator in zip(images, generators, strict=True):
            signed = F.pad(image * 2 - 1, (0, width - image.shape[-1], 0, height - image.shape[-2]))
            stacks["image"].append(signed.flatten(1))
            stacks["small"].append(F.conv2d(signed[:, None], bicubic, stride=2).flatten(1))
            coarse = F.interpolate(gradient_map(downsample(image[None], 2)[0])[None, None], image.shape[-2:])[0, 0]
            for key, strength, side in (("g", coarse, self.crop), ("d", gradient_map(image), self.out)):
                places = crop_places(strength, side, self.schedule.iterations, generator)
                stacks[key].append(places)
        self.images, self.small = (torch.stack(stacks[k]).to(self.device) for k in ("image", "small"))
        self.places = {k: torch.stack(stacks[k], 1).to(self.device) for k in ("g", "d")}  # (iterations, N, 2)
        self.widths = {"image": width, "small": (width - SIDE) // 2 + 1}

    def _crop(self, which: str, source: Tensor, places: Tensor, side: int) -> Tensor:
        """(N, 3, side, side) at (N, 2) places, top and left."""
        line = torch.arange(side, device=self.device)
        inside = (line[:, None] * self.widths[which] + line).flatten()
        index = (places[:, 0] * self.widths[which] + places[:, 1])[:, None, None] + inside
        return source.gather(2, index.expand(-1, 3, -1)).view(-1, 3, side, side)

    def _noise(self) -> Tensor:
        """(2, 3, out, out) standard normal, the same for all images: what one gets depends on no other."""
        block, place = divmod(self.iteration, NOISE_BLOCK)
        if place == 0 or not hasattr(self, "_block"):
            drawn = torch.randn(NOISE_BLOCK, 2, 3, self.out, self.out, generator=torch.Generator().manual_seed(block))
            self._block = drawn.to(self.device)
        return self._block[place]

    # ------------------------------------------------------------ training

    def train(self, iterations: int) -> None:
        """So many more iterations, up to the schedule's end."""
        for _ in range(min(iterations, self.schedule.iterations - self.iteration)):
            self._step()

    def _step(self) -> None:
        s, t = self.schedule, self.iteration
        place = self.places["g"][t]
        crops = self._crop("image", self.images, place, self.crop)
        small = self._crop("small", self.small, place // 2, self.out)
        real = self._crop("image", self.images, self.places["d"][t], self.out)
        noise = self._noise()
        lr = s.lr / 10 ** (t // s.lr_every)

        critic = normalized(self.critic, self.u)
        kernel = compose(self.generator)
        fake = generate(crops, kernel)
        verdict = discriminate({k: v.detach() for k, v in critic.items()}, fake[:, None])
        bicubic = F.mse_loss(fake, small, reduction="none").mean((1, 2, 3))
        loss = (1 - verdict).abs().mean((1, 2)) + self._regularizers(kernel[:, 0], bicubic)
        self._minimize("generator", self.generator, loss, lr)

        with torch.no_grad():
            fake = generate(crops, compose(self.generator))
        both = torch.stack([real + REAL_NOISE * noise[0], fake + FAKE_NOISE * noise[1]], 1)
        verdict = discriminate(critic, both)
        loss = 0.5 * ((1 - verdict[:, 0]).abs().mean(1) + verdict[:, 1].abs().mean(1))
        self._minimize("critic", list(self.critic.values()), loss, lr)
        self._advance(bicubic.detach())

    def _minimize(self, name: str, parameters: list[Tensor], losses: Tensor, lr: float) -> None:
        optimizer = self.optimizers[name]
        for parameter, gradient in zip(parameters, torch.autograd.grad(losses.sum(), parameters), strict=True):
            parameter.grad = gradient
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()

    def _regularizers(self, kernel: Tensor, bicubic: Tensor) -> Tensor:
        """(N,) from kernels (N, 13, 13): the weighted terms beside the adversarial one."""
        s = self.schedule
        place = torch.arange(SIDE, device=self.device, dtype=kernel.dtype)
        total = kernel.sum((1, 2))
        off_centre = sum(((kernel.sum(axis) * place).sum(1) / total - SIDE / 2).square() for axis in (1, 2)) / 2
        sparsity = kernel.abs().pow(POWER).mean((1, 2))
        return (
            self.weight * bicubic
            + s.sum_to_one * (1 - total).abs()
            + s.boundaries * (kernel * self.mask).abs().mean((1, 2))
            + self.constrained * (s.centring * off_centre + s.sparsity * sparsity)
        )

    def _advance(self, bicubic: Tensor) -> None:
        """The schedule of each image's weights (released code: nothing changes in the first iteration)."""
        s, t = self.schedule, self.iteration
        if t > 0:
            fitting = self.fits >= FITS_TIMES
            self.fits = torch.where(fitting | (bicubic < FITS), self.fits + 1, torch.zeros_like(self.fits))
            if t % s.bicubic_every == 0:
                fall = fitting & (self.weight > LAST_BICUBIC)
                self.weight = torch.where(fall, (self.weight / 100).clamp_min(LAST_BICUBIC), self.weight)
                self.constrained |= self.weight < CONSTRAIN_BELOW
        self.iteration += 1

    @torch.no_grad()
    def kernels(self) -> Tensor:
        """(N, 13, 13), as composed from the generators' layers."""
        return compose(self.generator)[:, 0]


# ---------------------------------------------------------------- crops


def gradient_map(image: Tensor) -> Tensor:
    """(3, H, W) -> (H, W): |dx| + |dy| + magnitude of the luma, each cut at its 97th percentile, box 5 (KernelGAN)."""
    dy, dx = torch.gradient(luma(image))
    maps = [torch.minimum(m, torch.quantile(m, 0.97)) for m in (dy.abs(), dx.abs(), (dx**2 + dy**2).sqrt())]
    return box(torch.stack(maps).sum(0), 5)


def box(values: Tensor, side: int) -> Tensor:
    """Mean over a (side, side) window, zeros outside; the same size."""
    before = (side - 1) // 2
    padded = F.pad(values, (before, side - 1 - before, before, side - 1 - before))
    return F.avg_pool2d(padded[None, None], side, 1)[0, 0]


def crop_places(strength: Tensor, side: int, count: int, generator: torch.Generator) -> Tensor:
    """(count, 2): tops and lefts, even, drawn in proportion to the mean strength around the crop's centre."""
    around = box(strength, max(1, side // 2))
    height, width = strength.shape
    middle = around[side // 2 : side // 2 + height - side + 1, side // 2 : side // 2 + width - side + 1][::2, ::2]
    chances = middle.flatten() + 1e-8
    drawn = torch.multinomial(chances, count, replacement=True, generator=generator)
    return torch.stack([drawn // middle.shape[1], drawn % middle.shape[1]], 1) * 2


# ---------------------------------------------------------------- networks


def _xavier(*shape: int, fan: int, generator: torch.Generator) -> Tensor:
    """Normal with Xavier's deviation, ``fan`` = inputs + outputs a layer's tap sees."""
    return torch.randn(shape, generator=generator) * GAIN * math.sqrt(2 / fan)


def _generator_weights(width: int, g: torch.Generator) -> list[Tensor]:
    """Layers 7, 5, 3, 1, 1, 1 as (C, 49), (C, 25 C), (C, 9 C), (C, C), (C, C), (1, C): (outputs, taps x inputs)."""
    first = _xavier(width, LAYERS[0] ** 2, fan=(1 + width) * LAYERS[0] ** 2, generator=g)
    middle = [_xavier(width, k * k * width, fan=2 * width * k * k, generator=g) for k in LAYERS[1:-1]]
    return [first, *middle, _xavier(1, width, fan=width + 1, generator=g)]


def compose(layers: list[Tensor]) -> Tensor:
    """(N, 1, 13, 13): the generator's layers convolved together, from the last to the first."""
    w7, w5, w3, w1, w1b, last = layers
    count, width = w7.shape[:2]
    vector = last @ w1b @ w1  # (N, 1, C): the output's weight on each channel of layer 3
    three = (vector @ w3).view(count, 9, width)  # taps of layer 3 on channels of layer 2
    pairs = (three @ w5).view(count, 9 * 25, width)
    five = _overlap(3, 5, w7) @ pairs  # (N, 49, C): taps of layers 2-6 on channels of layer 1
    pairs = (five @ w7).reshape(count, 49 * 49, 1)
    return (_overlap(7, 7, w7) @ pairs).view(count, 1, SIDE, SIDE)


_overlaps: dict[tuple[int, int, torch.device, torch.dtype], Tensor] = {}


def _overlap(a: int, b: int, like: Tensor) -> Tensor:
    """((a + b - 1)^2, a^2 b^2) of 0 and 1: sums the products of two kernels' taps where positions add up."""
    key = (a, b, like.device, like.dtype)
    if key not in _overlaps:
        side = a + b - 1
        y = (torch.arange(a)[:, None, None, None] + torch.arange(b)[:, None]).expand(a, a, b, b)
        x = (torch.arange(a)[:, None, None] + torch.arange(b)).expand(a, a, b, b)
        _overlaps[key] = F.one_hot((y * side + x).flatten(), side * side).T.to(like)
    return _overlaps[key]


def generate(crops: Tensor, kernel: Tensor) -> Tensor:
    """(N, 3, c, c) by one (N, 1, 13, 13) each: (N, 3, o, o), o = (c - 13) // 2 + 1; channels apart."""
    return F.conv2d(crops.transpose(0, 1), kernel, stride=2, groups=len(crops)).transpose(0, 1)


def _critic_weights(width: int, g: torch.Generator) -> dict[str, Tensor]:
    """conv7, five 1x1 with batch norm, 1x1 to one. The biases before a batch norm change nothing and are left out."""
    blocks = [_xavier(width, width, fan=2 * width, generator=g) for _ in range(BLOCKS)]
    return {
        "first": _xavier(width, 3 * PATCH**2, fan=(3 + width) * PATCH**2, generator=g),
        "blocks": torch.stack(blocks),
        "gain": 1 + 0.02 * torch.randn(BLOCKS, width, generator=g),  # of the batch norms (released code)
        "shift": torch.zeros(BLOCKS, width),
        "last": _xavier(1, width, fan=width + 1, generator=g),
        "bias": torch.zeros(1, 1),
    }


def _directions(width: int, g: torch.Generator) -> dict[str, Tensor]:
    """Starts of the power iterations: each layer's left singular vector."""
    shapes = {"first": (width, 1), "blocks": (BLOCKS, width, 1), "last": (1, 1)}
    return {k: F.normalize(torch.randn(shape, generator=g), dim=-2) for k, shape in shapes.items()}


def normalized(critic: dict[str, Tensor], u: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights over their spectral norms (Miyato 2018), by one power iteration, which updates ``u``."""
    result = dict(critic)
    for name in u:
        weight = critic[name]
        with torch.no_grad():
            v = F.normalize(weight.mT @ u[name], dim=-2)
            u[name] = F.normalize(weight @ v, dim=-2)
        result[name] = weight / (u[name].mT @ weight @ v)
    return result


def discriminate(critic: dict[str, Tensor], images: Tensor) -> Tensor:
    """(N, P, 3, o, o) -> (N, P, (o - 6)^2) in (0, 1); batch norm over each image's positions."""
    count, passes = images.shape[:2]
    patches = F.unfold(images.flatten(0, 1), PATCH).view(count, passes, 3 * PATCH**2, -1)
    first = critic["blocks"][:, 0] @ critic["first"]  # two linear layers in a row
    x = first[:, None] @ patches
    for block in range(BLOCKS):
        if block:
            x = critic["blocks"][:, block, None] @ x
        x = F.relu(_batch_norm(x, critic["gain"][:, block], critic["shift"][:, block]))
    return torch.sigmoid(critic["last"][:, None] @ x + critic["bias"][:, None]).squeeze(2)


def _batch_norm(x: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    """(N, P, C, L) over L, with (N, C) gain and shift."""
    flat = x.reshape(1, -1, x.shape[-1])
    gain, shift = (v[:, None].expand(x.shape[:3]).reshape(-1) for v in (gain, shift))
    return F.batch_norm(flat, None, None, gain, shift, training=True).view(x.shape)


def _boundary_mask() -> Tensor:
    """(13, 13): 30 x (1 - Gaussian of deviation 13), 0 inside two rings (released code)."""
    place = torch.arange(SIDE) - (SIDE - 1) / 2
    line = torch.exp(-0.5 * (place / SIDE) ** 2)
    mask = PENALTY * (1 - torch.outer(line, line))
    mask[MARGIN:-MARGIN, MARGIN:-MARGIN] = 0
    return mask
