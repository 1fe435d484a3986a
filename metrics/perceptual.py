"""Perceptual distance to the ground truth: LPIPS by its authors' package, on a local backbone file."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

import bench
from bench import weights
from bench.perceptual import BACKBONES, lpips


class Lpips(bench.Metric):
    """Learned perceptual image patch similarity, version 0.1 (Zhang 2018)."""

    needs = ("hr",)
    paper = "Zhang et al.: The unreasonable effectiveness of deep features as a perceptual metric, CVPR 2018"

    @dataclass(frozen=True)
    class Params:
        net: Literal["alex", "vgg", "squeeze"] = "alex"  # backbone; the papers use alex for evaluation

    def required_weights(self) -> tuple[str, ...]:
        return (BACKBONES[self.params.net],)

    def protocol(self, outputs: bench.Outputs) -> str:
        name = BACKBONES[self.params.net]
        return f"LPIPS 0.1, {name} (sha256 {weights.file_hash(name)}), RGB in [-1, 1], no resize, by lpips"

    def score(self, outputs: bench.Outputs) -> bench.Score:
        key = ("lpips", self.params.net)
        if key not in outputs.cache:
            outputs.cache[key] = lpips(self.params.net).to(outputs.device)
        model, values = outputs.cache[key], np.empty(len(outputs.sr))
        for indices, sr, hr in bench.batches(outputs.sr, outputs.hr or [], device=outputs.device):
            if min(sr.shape[-2:]) < 32:
                raise bench.Unavailable(
                    f"faces of {sr.shape[-1]}x{sr.shape[-2]} px are too small for {self.params.net}"
                )
            values[indices] = model(sr, hr, normalize=True).flatten().double().cpu().numpy()
        return bench.Score(float(values.mean()), per_image=values)
