"""Consistency under degradation: how far a method's outputs lie apart for degraded versions of one face."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

import bench


class Consistency(bench.Metric):
    """Mean distance between the outputs for K degraded versions of one LR face.

    d(a, b) is the root mean square difference in grey levels (0-255). The versions are the condition's LR, degraded once
    more without downsampling; so real LR needs no ground truth. Extras: ``to_clean``, the mean distance to the output
    of the LR itself; ``sensitivity``, the mean distance between outputs over that between the inputs (below 1: the method
    damps the degradation). A constant output has distance 0: read it beside the fidelity columns.
    """

    needs = ("lr", "upscale", "degrade")

    @dataclass(frozen=True)
    class Params:
        degradation: str = "noise[sigma=4]"  # what makes the versions, at scale 1
        versions: int = 4  # K
        faces: int = 32  # the first so many faces

    def protocol(self, outputs: bench.Outputs) -> str:
        p = self.params
        return (
            f"mean pairwise RMS difference (0-255, RGB) between the outputs for {p.versions} versions "
            f"of an LR by {p.degradation}, {min(p.faces, len(outputs.sr))} faces, seed {outputs.seed}"
        )

    def score(self, outputs: bench.Outputs) -> bench.Score:
        p = self.params
        assert outputs.lr is not None and outputs.upscale is not None and outputs.degrade is not None
        lr = outputs.lr[: p.faces]
        apart, to_clean, inputs = (np.empty(len(lr)) for _ in range(3))
        for indices, batch in bench.batches(lr, size=32, device=outputs.device):
            versions = torch.stack(
                [outputs.degrade(p.degradation, batch, scale=1, seed=outputs.seed + 1 + k) for k in range(p.versions)]
            )
            restored = torch.stack([outputs.upscale(v) for v in versions])
            apart[indices] = pairwise(restored)
            inputs[indices] = pairwise(versions)
            clean = outputs.upscale(batch)
            to_clean[indices] = torch.stack([rms(r, clean) for r in restored]).mean(0).cpu().numpy()
        if not inputs.any():
            raise bench.Unavailable(f"{p.degradation} gives the same LR each time: nothing to compare")
        extra = {"to_clean": float(to_clean.mean()), "sensitivity": float(apart.sum() / inputs.sum())}
        values = np.full(len(outputs.sr), np.nan)
        values[: len(lr)] = apart
        return bench.Score(float(apart.mean()), per_image=values if len(lr) == len(values) else None, n=len(lr),
                           ci=None if len(lr) == len(values) else mean_interval(apart, outputs.seed), extra=extra)  # fmt: skip


def rms(a: Tensor, b: Tensor) -> Tensor:
    """(B, C, H, W) twice -> (B,): root mean square difference in grey levels."""
    return 255 * (a - b).square().mean((1, 2, 3)).sqrt()


def pairwise(versions: Tensor) -> np.ndarray:
    """(K, B, C, H, W) -> (B,): the mean distance over all pairs of versions."""
    count = len(versions)
    pairs = [rms(versions[i], versions[j]) for i in range(count) for j in range(i)]
    return torch.stack(pairs).mean(0).double().cpu().numpy()


def mean_interval(values: np.ndarray, seed: int) -> tuple[float, float]:
    from bench.stats import bootstrap_mean

    return bootstrap_mean(values, seed=seed)
