"""Fidelity to the ground truth: PSNR, SSIM, MS-SSIM as published, NLPD by pyiqa; and to the LR input."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

import bench
from bench.api import shapes
from bench.core.colour import BT601
from bench.core.image import downsample

from .separable import filtered

SPACES = {
    "ycbcr": ("Y", "Y of BT.601, 16-235 (MATLAB's rgb2ycbcr)"),
    "y": ("Y 0-255", "Y of BT.601, 0-255"),
    "rgb": ("RGB", "RGB"),
}
WINDOW, SIGMA = 11, 1.5  # px: side and deviation of SSIM's Gaussian window (Wang 2004, section III.C)
TAPS = [math.exp(-(offset**2) / (2 * SIGMA**2)) for offset in range(-(WINDOW // 2), WINDOW // 2 + 1)]
TAPS = [tap / sum(TAPS) for tap in TAPS]
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # (K L)^2 of the same
MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, finest first (Wang 2003, section 3.2)


@dataclass(frozen=True)
class Params:
    color: Literal["ycbcr", "y", "rgb"] = (
        "ycbcr"  # luma of 16-235 as MATLAB and most papers; of 0-255: 1.3 dB less; RGB
    )
    border: int | None = None  # pixels cut off at each side before measuring; none: as many as the scale


class _Fidelity(bench.Metric):
    direction: ClassVar[Literal["higher", "lower"]] = "higher"
    needs = ("hr",)
    by_face = True
    Params = Params  # type: ignore[assignment]
    formula: ClassVar[str] = ""
    least: ClassVar[int] = 1  # px: side of the smallest face, without its border
    why: ClassVar[str] = ""

    def compare(self, sr: Tensor, hr: Tensor) -> Tensor:
        """(B, 3, H, W) twice -> (B,)."""
        raise NotImplementedError

    def border(self, outputs: bench.Outputs) -> int:
        given: int | None = self.params.border
        return outputs.scale if given is None else given

    def protocol(self, outputs: bench.Outputs) -> str:
        short, space = SPACES[getattr(self.params, "color", "y")]
        border = self.border(outputs)
        return (
            f"[{short}, border {border}] {self.formula}, {space}, border {border} px, 8-bit images against the HR of the "
            "same face"
        )

    def score(self, outputs: bench.Outputs) -> bench.Score:
        assert outputs.hr is not None
        border = self.border(outputs)

        def inside(sr: Tensor, hr: Tensor) -> Tensor:
            return self.compare(
                *(x[..., border : x.shape[-2] - border, border : x.shape[-1] - border] for x in (sr, hr))
            )

        least = self.least + 2 * border
        return bench.per_face(inside, outputs.sr, outputs.hr, device=outputs.device, least=least, why=self.why)

    def channels(self, images: Tensor, peak: float = 255, floor: float = 16) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B, 1 or 3, H, W) of 0-``peak``, luma as it is, not rounded. ``floor``: luma of black."""
        color = self.params.color
        if color == "rgb":
            return images * peak if peak != 1 else images
        scale, floor = (219 / 255 * peak, floor) if color == "ycbcr" else (peak, 0)
        red, green, blue = images.unbind(1)
        first, second, third = (scale * weight for weight in BT601)
        grey = (red * first).add_(green, alpha=second).add_(blue, alpha=third)
        return (grey.add_(floor) if floor else grey)[:, None]


class Psnr(_Fidelity):
    """10 log10(1 / MSE), dB, of values over 255; at most 80 dB, where the epsilon of 1e-8 ends it."""

    title = "PSNR"
    decimals = 2
    formula = "10 log10(1/(MSE + 1e-8))"

    def compare(self, sr: Tensor, hr: Tensor) -> Tensor:
        change = self.channels(sr - hr, peak=1, floor=0).flatten(1)  # luma is linear
        error = torch.linalg.vector_norm(change, dim=1).square() / change.shape[1]
        return -10 * (error + 1e-8).log10()


class Ssim(_Fidelity):
    """Structural similarity (Wang 2004): Gaussian window of 11 px, sigma 1.5, no downsampling; negative structure counts."""

    title = "SSIM"
    decimals = 4
    paper = "Wang et al.: Image quality assessment: from error visibility to structural similarity, TIP 2004"
    formula = "SSIM, Gaussian window 11x11, sigma 1.5, K = (0.01, 0.03)"
    least, why = WINDOW, "SSIM's window does not fit"

    def compare(self, sr: Tensor, hr: Tensor) -> Tensor:
        return similarity(self.channels(sr), self.channels(hr))[0]


class MsSsim(Ssim):
    """Multi-scale SSIM (Wang 2003) with as many of its five scales as the face has room for, their weights summing to 1.

    Five scales need 161 px, four 81, three 41; the window's 11 px must fit into the coarsest.
    """

    title = "MS-SSIM"
    default = False
    paper = "Wang, Simoncelli, Bovik: Multiscale structural similarity for image quality assessment, Asilomar 2003"

    def protocol(self, outputs: bench.Outputs) -> str:
        border = self.border(outputs)
        sides = {min(shape[1:]) - 2 * border for shape in shapes(outputs.sr)}
        counts = sorted({scales(side) for side in sides if side >= WINDOW})
        used = " and ".join(map(str, counts))
        weights = (
            "" if counts == [5] else f" ({min(sides)} px have no room for five; their weights divided by their sum)"
        )
        return f"{super().protocol(outputs)}; MS-SSIM, {used} scales{weights}"

    def compare(self, sr: Tensor, hr: Tensor) -> Tensor:
        """The product of the scales' terms to their powers; a mean contrast below 0 counts as 0, which has every power."""
        x, y = self.channels(sr), self.channels(hr)
        count = scales(min(x.shape[-2:]))
        exponents = torch.tensor(MS_WEIGHTS[:count], dtype=torch.float64)
        exponents /= 1 if count == len(MS_WEIGHTS) else exponents.sum()
        product: Any = 1.0
        for scale, exponent in enumerate(exponents.tolist()):
            whole, contrast = similarity(x, y)
            product = product * (whole if scale == count - 1 else contrast).clamp(min=0) ** exponent
            if scale < count - 1:
                x, y = halved(x), halved(y)
        return product


def similarity(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """(B, C, H, W) of 0-255 twice -> SSIM and its contrast-structure term, (B,) each: means over positions and channels.

    A pixel's own mean is subtracted first, which changes no variance and keeps float32's digits for it.
    """
    middle_x, middle_y = (i.mean((2, 3), keepdim=True) for i in (x, y))
    x, y = x - middle_x, y - middle_y
    mean_x, mean_y = filtered(x, TAPS), filtered(y, TAPS)
    product = filtered(x * y, TAPS) - mean_x * mean_y
    squares = filtered(x.square() + y.square(), TAPS) - mean_x.square() - mean_y.square()
    contrast = (2 * product + C2) / (squares + C2)
    mean_x, mean_y = mean_x + middle_x, mean_y + middle_y
    whole = contrast * (2 * mean_x * mean_y + C1) / (mean_x.square() + mean_y.square() + C1)
    return whole.mean((1, 2, 3)), contrast.mean((1, 2, 3))


def halved(images: Tensor) -> Tensor:
    """Means of 2x2 pixels; the last line of an odd side is repeated (Wang's filter is symmetric at the edge)."""
    height, width = images.shape[-2:]
    if height % 2 or width % 2:
        images = F.pad(images, (0, width % 2, 0, height % 2), mode="replicate")
    return F.avg_pool2d(images, 2)


def scales(side: int) -> int:
    """How many of MS-SSIM's scales a face with this shorter side has room for."""
    count = 1
    while count < len(MS_WEIGHTS) and (side := -(-side // 2)) >= WINDOW:  # halves are rounded up, by padding
        count += 1
    return count


class Nlpd(_Fidelity):
    """Normalised Laplacian pyramid distance (Laparra 2016), six levels, on luma."""

    title = "NLPD"
    libraries = ("pyiqa",)
    direction = "lower"
    default = False
    paper = "Laparra et al.: Perceptual image quality assessment using a normalized Laplacian pyramid, EI 2016"
    formula = "NLPD by pyiqa, 6 levels"
    least, why = 32, "six levels of a pyramid do not fit"

    @dataclass(frozen=True)
    class Params:
        border: int | None = None  # pixels cut off at each side before measuring; none: as many as the scale

    def compare(self, sr: Tensor, hr: Tensor) -> Tensor:
        from pyiqa.archs.nlpd_arch import NLPD

        return NLPD(channels=1, test_y_channel=True).to(sr)(sr, hr)


class LrPsnr(bench.Metric):
    """PSNR between the output, bicubically downsampled, and the LR input: does the output explain what was seen?"""

    title = "LR-PSNR"
    decimals = 2
    direction = "higher"
    needs = ("lr",)
    by_face = True

    def protocol(self, outputs: bench.Outputs) -> str:
        return f"[RGB] PSNR of the output, antialiased bicubic / {outputs.scale}, against the LR input, 8-bit"

    def score(self, outputs: bench.Outputs) -> bench.Score:
        def compare(sr: Tensor, lr: Tensor) -> Any:
            error = (downsample(sr, outputs.scale).clamp(0, 1) - lr).square().mean((1, 2, 3))
            return -10 * (error + 1e-8).log10()

        return bench.per_face(compare, outputs.sr, outputs.lr or [], device=outputs.device)
