"""CycleGAN as published (Zhu, Park, Isola, Efros 2017): generator, critic, history of made images, losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Network = Callable[[Tensor], Tensor]


class TranslationResNet(nn.Module):
    """(B, 3, H, W) in [-1, 1] -> the same: CycleGAN's generator (appendix 7.2).

    c7s1-w, d2w, d4w, ``blocks`` residual blocks, u2w, uw, c7s1-3 and tanh; instance norm; mirrored edges in the
    first and last layer and the blocks. The paper has w = 64, 6 blocks for 128 px and 9 for 256. Sides that 4 does not
    divide are filled up with repeated edges, and cut again; at least 8 px.
    """

    def __init__(self, width: int = 64, blocks: int = 9) -> None:
        super().__init__()

        def down(inputs: int, outputs: int) -> list[nn.Module]:
            return [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.InstanceNorm2d(outputs), nn.ReLU()]

        def up(inputs: int, outputs: int) -> list[nn.Module]:
            convolution = nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, output_padding=1)
            return [convolution, nn.InstanceNorm2d(outputs), nn.ReLU()]

        self.body = nn.Sequential(
            nn.Conv2d(3, width, 7, padding=3, padding_mode="reflect"), nn.InstanceNorm2d(width), nn.ReLU(),
            *down(width, 2 * width), *down(2 * width, 4 * width),
            *(ResidualBlock(4 * width) for _ in range(blocks)),
            *up(4 * width, 2 * width), *up(2 * width, width),
            nn.Conv2d(width, 3, 7, padding=3, padding_mode="reflect"), nn.Tanh(),
        )  # fmt: skip
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        return self.body(F.pad(x, (0, -width % 4, 0, -height % 4), mode="replicate"))[..., :height, :width]


class ResidualBlock(nn.Module):
    """x + in(conv3(relu(in(conv3(x))))), no activation after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"), nn.InstanceNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"), nn.InstanceNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class PatchGAN(nn.Module):
    """(B, 3, H, W) in [-1, 1] -> (B, 1, h, w): a verdict on each overlapping patch, unbounded, without sigmoid.

    C64-C128-C256-C512 and a convolution to one channel (appendix 7.2): conv4, all of stride 2 but the last two;
    instance norm in all but the first and the last; leaky ReLU of slope 0.2. ``layers`` of stride 2: 3 sees 70x70
    (the paper's), 2 sees 34x34, 1 sees 16x16.
    """

    def __init__(self, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        body: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for depth in range(1, layers + 1):
            inputs, outputs = width * min(2 ** (depth - 1), 8), width * min(2**depth, 8)
            convolution = nn.Conv2d(inputs, outputs, 4, 1 if depth == layers else 2, 1)
            body += [convolution, nn.InstanceNorm2d(outputs), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*body, nn.Conv2d(width * min(2**layers, 8), 1, 4, 1, 1))
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def patch_layers(size: int) -> int:
    """The ``layers`` of the largest published patch (70, 34 or 16 px) whose layers fit images of this side."""
    return 3 if size >= 24 else 2 if size >= 12 else 1


def initialise(module: nn.Module) -> None:
    """Normal weights of deviation 0.02 and no bias (appendix 7.1)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0, 0.02)
        nn.init.zeros_(module.bias)  # type: ignore[arg-type]


class ImageHistory(nn.Module):
    """The last images that a generator made, mixed into what its critic sees (Shrivastava 2017; section 4 of Zhu).

    Until ``size`` images are kept, each goes in and comes out again. Then each comes out itself with probability 1/2,
    else it takes the place of a kept one, which comes out; a size of 0 keeps none. Choices are drawn from torch's CPU
    generator, so nothing waits for the device; images and choices go on after a resume, as extra state.
    """

    def __init__(self, size: int = 50) -> None:
        super().__init__()
        self.size = size
        self.images: Tensor | None = None  # (n, C, H, W), n <= size

    def forward(self, made: Tensor) -> Tensor:
        """(B, C, H, W) -> the same, without gradient: some of them, some of earlier calls."""
        made = made.detach()
        if not self.size:
            return made
        known = made if self.images is None else torch.cat([self.images.to(made), made])
        kept = len(known) - len(made)
        slots, shown = list(range(kept)), []  # places in `known`: of what is kept, of what comes out
        swaps, places = torch.rand(len(made)).tolist(), torch.randint(self.size, (len(made),)).tolist()
        for new, (swap, place) in enumerate(zip(swaps, places, strict=True), kept):
            if len(slots) < self.size:
                slots.append(new)
                shown.append(new)
            elif swap < 0.5:
                shown.append(slots[place])
                slots[place] = new
            else:
                shown.append(new)
        self.images = known[slots]
        return known[shown]

    def get_extra_state(self) -> dict[str, Any]:
        return {"images": self.images}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.images = state["images"]


def least_squares_critic(real: Tensor, fake: Tensor) -> Tensor:
    """(E[(D(real) - 1)^2] + E[D(fake)^2]) / 2 (LSGAN, Mao 2017; halved: appendix 7.1 of Zhu)."""
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def least_squares_generator(fake: Tensor) -> Tensor:
    """E[(D(fake) - 1)^2]."""
    return (fake - 1).square().mean()


def translation_losses(
    forth: Network,
    back: Network,
    critic: Network,
    back_critic: Network,
    a: Tensor,
    b: Tensor,
    to_b: Tensor,
    to_a: Tensor,
) -> dict[str, Tensor]:
    """The generators' losses for unpaired a and b, ``to_b`` = forth(a), ``to_a`` = back(b), unweighted.

    adversarial: LSGAN both ways. cycle (eq. 2): E|back(forth(a)) - a| + E|forth(back(b)) - b|. identity (section 5.2):
    E|forth(b) - b| + E|back(a) - a|. CycleGAN weighs them 1, 10, and 5 or 0.
    """
    return {
        "adversarial": least_squares_generator(critic(to_b)) + least_squares_generator(back_critic(to_a)),
        "cycle": F.l1_loss(back(to_b), a) + F.l1_loss(forth(to_a), b),
        "identity": F.l1_loss(forth(b), b) + F.l1_loss(back(a), a),
    }
