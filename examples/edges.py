"""A metric: how far the edges of a restored face are as strong as those of the true one.

bench run --plugin examples/edges.py --methods bicubic,lanczos --metrics psnr,edges
"""

from dataclasses import dataclass

import torch

import bench
from bench.api import luma


class Edges(bench.Metric):
    """|log(mean gradient of SR / mean gradient of HR)| of luma: 0 where edges are as strong, without regard to place."""

    @dataclass(frozen=True)
    class Params:
        floor: float = 1e-4  # against division by zero on flat faces

    title = "edge strength"
    needs = ("hr",)
    direction = "lower"

    def protocol(self, outputs):
        return "|log ratio of mean |dx| + |dy|| of luma in [0, 1], a face at a time"

    def strength(self, images):  # (B, 3, H, W) -> (B,)
        y = luma(images)
        dx, dy = y.diff(dim=-1).abs(), y.diff(dim=-2).abs()
        return dx.flatten(1).mean(1) + dy.flatten(1).mean(1) + self.params.floor

    def score(self, outputs):
        return bench.per_face(
            lambda sr, hr: torch.log(self.strength(sr) / self.strength(hr)).abs(), outputs.sr, outputs.hr
        )
