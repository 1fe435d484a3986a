"""Fidelity to the ground truth, by pyiqa: PSNR, SSIM, MS-SSIM, NLPD; and to the LR input."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

import bench
from bench.core.image import downsample

SPACES = {
    "y": "Y of BT.601, 0-255 (pyiqa's)",
    "ycbcr": "Y of BT.601, 16-235 (MATLAB's rgb2ycbcr)",
    "rgb": "RGB",
}
WINDOW = 11  # px: side of SSIM's Gaussian window (Wang 2004)
MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, finest first (Wang 2003, section 3.2)


@dataclass(frozen=True)
class Params:
    color: Literal["y", "ycbcr", "rgb"] = "y"  # luma over 0-255; over 16-235, as MATLAB: 1.3 dB more; all channels
    border: int = 0  # pixels cut off at each side before measuring


class _Fidelity(bench.Metric):
    direction: ClassVar[Literal["higher", "lower"]] = "higher"
    needs = ("hr",)
    Params = Params  # type: ignore[assignment]
    formula: ClassVar[str] = ""
    least: ClassVar[int] = 1  # px: side of the smallest face, without its border
    why: ClassVar[str] = ""

    def compare(self, sr: Tensor, hr: Tensor) -> Tensor:
        """(B, 3, H, W) twice -> (B,)."""
        raise NotImplementedError

    def protocol(self, outputs: bench.Outputs) -> str:
        p = self.params
        space = SPACES[getattr(p, "color", "y")]
        return f"{self.formula}, {space}, border {p.border} px, 8-bit images against the HR of the same face, by pyiqa"

    def score(self, outputs: bench.Outputs) -> bench.Score:
        assert outputs.hr is not None
        border = self.params.border

        def inside(sr: Tensor, hr: Tensor) -> Tensor:
            return self.compare(*(F.pad(x, [-border] * 4) for x in (sr, hr)))

        least = self.least + 2 * border
        return bench.per_face(inside, outputs.sr, outputs.hr, device=outputs.device, least=least, why=self.why)

    def channels(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B, 1 or 3, H, W) float64, whole grey levels of 0-255."""
        from pyiqa.archs.func_util import preprocess_rgb

        color = self.params.color
        return preprocess_rgb(images, color != "rgb", 255, "yiq" if color == "y" else color).double()


class Psnr(_Fidelity):
    """10 log10(1 / MSE), dB; at most 80 dB, where pyiqa's epsilon of 1e-8 ends it."""

    title = "PSNR"
    decimals = 2
    formula = "10 log10(1/(MSE + 1e-8))"

    def compare(self, sr: Tensor, hr: Tensor) -> Tensor:
        from pyiqa.archs.psnr_arch import psnr

        color = self.params.color
        return psnr(sr, hr, color != "rgb", data_range=1.0, color_space="yiq" if color == "y" else color)


class Ssim(_Fidelity):
    """Structural similarity (Wang 2004): Gaussian window of 11 px, sigma 1.5, no downsampling."""

    title = "SSIM"
    decimals = 4
    paper = "Wang et al.: Image quality assessment: from error visibility to structural similarity, TIP 2004"
    formula = "SSIM, Gaussian window 11x11, sigma 1.5, K = (0.01, 0.03)"
    least, why = WINDOW, "SSIM's window does not fit"

    def compare(self, sr: Tensor, hr: Tensor) -> Tensor:
        from pyiqa.archs.ssim_arch import ssim

        return ssim(self.channels(sr), self.channels(hr), data_range=255)


class MsSsim(Ssim):
    """Multi-scale SSIM (Wang 2003) with as many of its five scales as the face has room for, their weights summing to 1.

    Five scales need 161 px, four 81, three 41; the window's 11 px must fit into the coarsest.
    """

    title = "MS-SSIM"
    default = False
    paper = "Wang, Simoncelli, Bovik: Multiscale structural similarity for image quality assessment, Asilomar 2003"

    def protocol(self, outputs: bench.Outputs) -> str:
        border = self.params.border
        sides = {min(image.shape[1:]) - 2 * border for image in outputs.sr}
        counts = sorted({scales(side) for side in sides if side >= WINDOW})
        used = " and ".join(map(str, counts))
        weights = (
            "" if counts == [5] else f" ({min(sides)} px have no room for five; their weights divided by their sum)"
        )
        return f"MS-SSIM, {used} scales{weights}, {super().protocol(outputs)}"

    def compare(self, sr: Tensor, hr: Tensor) -> Tensor:
        from pyiqa.archs.ssim_arch import ssim

        x, y = self.channels(sr), self.channels(hr)
        count = scales(min(x.shape[-2:]))
        weights = torch.tensor(MS_WEIGHTS[:count], dtype=x.dtype)
        parts: list[Tensor] = []
        for scale in range(count):
            whole, contrast = ssim(x, y, get_cs=True, data_range=255)
            parts.append(whole if scale == count - 1 else contrast)
            odd = (x.shape[2] % 2, x.shape[3] % 2)
            x, y = F.avg_pool2d(x, 2, padding=odd), F.avg_pool2d(y, 2, padding=odd)
        exponents = weights / (1 if count == len(MS_WEIGHTS) else weights.sum())
        return torch.stack([part ** float(w) for part, w in zip(parts, exponents, strict=True)]).prod(0)


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
    formula = "NLPD, 6 levels"
    least, why = 32, "six levels of a pyramid do not fit"

    @dataclass(frozen=True)
    class Params:
        border: int = 0  # pixels cut off at each side before measuring

    def compare(self, sr: Tensor, hr: Tensor) -> Tensor:
        from pyiqa.archs.nlpd_arch import NLPD

        return NLPD(channels=1, test_y_channel=True).to(sr)(sr, hr)


class LrPsnr(bench.Metric):
    """PSNR between the output, bicubically downsampled, and the LR input: does the output explain what was seen?"""

    title = "LR-PSNR"
    decimals = 2
    direction = "higher"
    needs = ("lr",)

    def protocol(self, outputs: bench.Outputs) -> str:
        return f"PSNR (RGB) of the output, antialiased bicubic / {outputs.scale}, against the LR input, 8-bit"

    def score(self, outputs: bench.Outputs) -> bench.Score:
        def compare(sr: Tensor, lr: Tensor) -> Any:
            error = (downsample(sr, outputs.scale).clamp(0, 1) - lr).square().mean((1, 2, 3))
            return -10 * (error + 1e-8).log10()

        return bench.per_face(compare, outputs.sr, outputs.lr or [], device=outputs.device)
