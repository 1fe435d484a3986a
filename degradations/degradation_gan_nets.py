"""The generator of the Degradation GAN (Goswami 2020, section 3.3)."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from bench.kit.blocks import ResidualBlock

RESIDUAL = 0.2  # weight of the upsampling path where a skip joins it (released code)


class DegradationGenerator(nn.Module):
    """Clean LR and noise to degraded LR: (B, 3, h, w) in [-1, 1] and (B, noise) -> (B, 3, h, w), about [-1, 1].

    Each dimension of the noise is a constant plane. Three residual blocks with conv3 of stride 2 (channels double, as
    in the released code), three with nearest x2 and conv3; skips join equal sizes. Any h and w: an odd side is
    rounded up on the way down and cropped on the way up. The outermost skip starts as the identity on the image, which the
    paper does not state and which shortens training.
    """

    def __init__(self, width: int, noise: int) -> None:
        super().__init__()
        widths = [width * 2**i for i in range(4)]
        self.enter = nn.Conv2d(3 + noise, width, 1)
        self.down = nn.ModuleList(
            nn.Sequential(ResidualBlock(a), nn.Conv2d(a, b, 3, stride=2, padding=1)) for a, b in pairwise(widths)
        )
        self.up = nn.ModuleList(
            nn.Sequential(ResidualBlock(b), nn.Upsample(scale_factor=2), nn.Conv2d(b, a, 3, padding=1))
            for a, b in reversed(list(pairwise(widths)))
        )
        self.leave = nn.Conv2d(width, 3, 1)
        with torch.no_grad():
            self.enter.weight[:3] = torch.eye(3, 3 + noise)[:, :, None, None]
            self.enter.bias[:3] = 0  # type: ignore[index]
            nn.init.dirac_(self.leave.weight)
            nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def forward(self, clean: Tensor, z: Tensor) -> Tensor:
        planes = z.to(clean)[:, :, None, None].expand(-1, -1, *clean.shape[-2:])
        x = self.enter(torch.cat([clean, planes], 1))
        skips = []
        for block in self.down:
            skips.append(x)
            x = block(x)
        for block in self.up:
            skip = skips.pop()
            x = skip + RESIDUAL * block(x)[..., : skip.shape[-2], : skip.shape[-1]]
        return self.leave(x)
