"""Known degradations: bicubic, bilinear, blur, noise, JPEG. Test conditions, and baselines to train on.

At scale 1 each changes its input without downsampling, which the consistency metrics use on LR faces.
"""

import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import bench
from bench.core.image import downsample, to_float, to_uint8
from bench.kit.blocks import normal

SCALES = (4, 1, 2, 8)


class Bicubic(bench.Degradation):
    """Antialiased cubic downsampling (Keys, a = -0.5), as MATLAB's imresize: the usual clean LR."""

    scales = SCALES

    @dataclass(frozen=True)
    class Params:
        edges: Literal["matlab", "torch"] = "matlab"  # mirrored at the border; torch: as PyTorch and Pillow, cut off

    def infer(self, hr: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return downsample(hr, self.scale, edges=self.params.edges).clamp(0, 1)


class Bilinear(bench.Degradation):
    """Antialiased linear downsampling."""

    scales = SCALES

    def infer(self, hr: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return downsample(hr, self.scale, "bilinear").clamp(0, 1)


class Noise(bench.Degradation):
    """Bicubic downsampling, then white Gaussian noise on every channel."""

    scales = SCALES
    bounds = {"sigma": (0, 255)}
    stochastic = True

    @dataclass(frozen=True)
    class Params:
        sigma: float = 8.0  # standard deviation in grey levels of 255 (Aakerberg 2021, section 4)

    def infer(self, hr: Tensor, generator: torch.Generator | None = None) -> Tensor:
        lr = downsample(hr, self.scale)
        noise = normal(*lr.shape, device=lr.device, generator=generator)
        return (lr + noise * self.params.sigma / 255).clamp(0, 1)


class Jpeg(bench.Degradation):
    """Bicubic downsampling, then JPEG (libjpeg through Pillow, 4:2:0 colour)."""

    libraries = ("pillow",)
    scales = SCALES
    bounds = {"quality": (1, 100)}

    @dataclass(frozen=True)
    class Params:
        quality: int = 30  # libjpeg quality, 1-95 (Aakerberg 2021, section 4)

    def infer(self, hr: Tensor, generator: torch.Generator | None = None) -> Tensor:
        lr = downsample(hr, self.scale)
        images = [compress(image, self.params.quality) for image in to_uint8(lr).cpu().numpy()]
        return to_float(torch.from_numpy(np.stack(images))).to(lr.device)


def compress(image: np.ndarray, quality: int) -> np.ndarray:
    """(3, H, W) uint8 through a JPEG file in memory."""
    file = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).transpose(2, 0, 1)


class Blur(bench.Degradation):
    """Blur in HR, then downsampling."""

    scales = SCALES
    bounds = {"sigma": (0.01, 100), "box": (1, 100)}

    @dataclass(frozen=True)
    class Params:
        kind: Literal["gaussian", "box"] = "gaussian"
        sigma: float = 2.0  # of the Gaussian, HR pixels
        box: tuple[int, int] = (2, 6)  # HR pixels: the box's side is drawn from this range (Bulat 2018, section 4.1)
        resize: Literal["bicubic", "bilinear"] = "bicubic"

    variants = {"blur-bilinear": {"kind": "box", "resize": "bilinear"}}

    @property
    def stochastic(self) -> bool:  # type: ignore[override]
        return self.params.kind == "box"

    def infer(self, hr: Tensor, generator: torch.Generator | None = None) -> Tensor:
        p = self.params
        if p.kind == "gaussian":
            blurred = blur(hr, gaussian(p.sigma).to(hr).expand(len(hr), -1))
        else:
            source = generator.device if generator else hr.device
            sides = torch.randint(p.box[0], p.box[1] + 1, (len(hr),), generator=generator, device=source).to(hr.device)
            blurred = blur(hr, box(sides, p.box[1]).to(hr))
        return downsample(blurred, self.scale, p.resize).clamp(0, 1)


def gaussian(sigma: float) -> Tensor:
    """(1, K): Gaussian weights out to three standard deviations."""
    radius = max(1, round(3 * sigma))
    weights = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
    return (weights / weights.sum())[None]


def box(sides: Tensor, largest: int) -> Tensor:
    """(B, K): a box of each side, centred; an even side ends in two half weights, so that nothing shifts."""
    radius = largest // 2
    offset = torch.arange(-radius, radius + 1, device=sides.device).abs()
    weights = (sides[:, None] / 2 + 0.5 - offset).clamp(0, 1)
    return weights / weights.sum(1, keepdim=True)


def blur(images: Tensor, kernels: Tensor) -> Tensor:
    """(B, 3, H, W) by one separable (B, K) kernel each, K odd; the border is reflected (repeated where too small)."""
    count, channels, height, width = images.shape
    radius = kernels.shape[1] // 2
    mode = "reflect" if radius < min(height, width) else "replicate"
    flat = F.pad(images, (radius,) * 4, mode=mode).reshape(1, count * channels, height + 2 * radius, width + 2 * radius)
    weights = kernels.repeat_interleave(channels, 0)
    flat = F.conv2d(flat, weights[:, None, :, None], groups=count * channels)
    flat = F.conv2d(flat, weights[:, None, None, :], groups=count * channels)
    return flat.view(count, channels, height, width)
