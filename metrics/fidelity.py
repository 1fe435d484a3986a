"""Fidelity to the ground truth: PSNR and SSIM as pyiqa computes them."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from torch import Tensor

import bench
from bench.image import downsample


@dataclass(frozen=True)
class Params:
    color: Literal["y", "rgb"] = "y"  # Y of ITU-R BT.601 (16-235), the field's habit, or all three channels
    border: int = 0  # pixels cut off at each side before measuring


class _Fidelity(bench.Metric):
    direction = "higher"
    needs = ("hr",)
    Params = Params
    formula: ClassVar[str] = ""

    def compare(self, sr: Tensor, hr: Tensor) -> Tensor:
        """(B, 3, H, W) twice -> (B,)."""
        raise NotImplementedError

    def protocol(self, outputs: bench.Outputs) -> str:
        p = self.params
        colour = "Y channel (BT.601)" if p.color == "y" else "RGB"
        return f"{self.formula}, {colour}, border {p.border} px, 8-bit images against the HR of the same face, by pyiqa"

    def score(self, outputs: bench.Outputs) -> bench.Score:
        return self.measure(outputs, outputs.sr, outputs.hr)

    def measure(self, outputs: bench.Outputs, first: Any, second: Any) -> bench.Score:
        values = np.empty(len(first))
        border = self.params.border
        for indices, a, b in bench.batches(first, second, device=outputs.device):
            if border:
                a, b = (x[..., border:-border, border:-border] for x in (a, b))
            if min(a.shape[-2:]) < 11:
                raise bench.Unavailable(f"faces of {a.shape[-1]}x{a.shape[-2]} px are too small")
            values[indices] = self.compare(a, b).double().cpu().numpy()
        return bench.Score(float(values.mean()), per_image=values)


class Psnr(_Fidelity):
    """10 log10(1 / MSE), dB; at most 80 dB, where pyiqa's epsilon of 1e-8 ends it."""

    formula = "10 log10(1/(MSE + 1e-8))"

    def compare(self, sr: Tensor, hr: Tensor) -> Tensor:
        from pyiqa.archs.psnr_arch import psnr

        return psnr(sr, hr, test_y_channel=self.params.color == "y", data_range=1.0)


class Ssim(_Fidelity):
    """Structural similarity (Wang 2004): Gaussian window 11 px, sigma 1.5, no downsampling."""

    formula = "SSIM, Gaussian window 11x11, sigma 1.5, K = (0.01, 0.03)"

    def compare(self, sr: Tensor, hr: Tensor) -> Tensor:
        from pyiqa.archs.ssim_arch import SSIM

        return SSIM(channels=1 if self.params.color == "y" else 3, test_y_channel=self.params.color == "y").to(sr)(
            sr, hr
        )


class LrPsnr(_Fidelity):
    """PSNR between the output, bicubically downsampled, and the LR input: does the output explain what was seen?"""

    needs = ("lr",)
    default = False

    def protocol(self, outputs: bench.Outputs) -> str:
        return f"PSNR (RGB) of the output, antialiased bicubic / {outputs.scale}, against the LR input, 8-bit"

    def score(self, outputs: bench.Outputs) -> bench.Score:
        values = np.empty(len(outputs.sr))
        for indices, sr, lr in bench.batches(outputs.sr, outputs.lr or [], device=outputs.device):
            error = (downsample(sr, outputs.scale).clamp(0, 1) - lr).square().mean((1, 2, 3))
            values[indices] = (-10 * (error + 1e-8).log10()).double().cpu().numpy()
        return bench.Score(float(values.mean()), per_image=values)
