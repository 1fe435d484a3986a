"""Smoothness of features under degradation (Goswami 2020, section 4): how far they move from the clean input's."""

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

import bench

from . import versions as made
from .consistency import between
from .versions import GUARD, explained, unexplained, versions_of

SAME = 1e-6  # of the features' mean square: those of different faces that lie nearer than this are one and the same
PAPER = "Goswami, Aakanksha, Rajagopalan: Robust super-resolution of real faces using smooth features, ECCVW 2020"


@dataclasses.dataclass(frozen=True)
class Params:
    degradation: str = "noise[sigma=16]"  # what degrades the LR, at scale 1; Goswami's is degradation-gan
    alphas: tuple[float, ...] = (0.75, 0.5, 0.25, 0.0)  # shares of the clean LR in the input, falling
    versions: int = 2  # K, the degraded versions of a face
    faces: int = 32  # the first so many faces
    source: str = "lr"  # what is degraded: lr, the input itself; hr, the ground truth, on the way to its LR
    epsilon: float = 0.05  # blur of the Sinkhorn divergence, over the features' root mean square
    points: int = 16  # most points of a cloud (4x4 positions of a 16x16 LR, section 3.4); more are thinned evenly


class Smoothness(bench.Metric):
    """How far a method's features h move while the input goes from clean (alpha = 1) to degraded (alpha = 0).

    The input is alpha x + (1 - alpha) v (Goswami 2020, eq. 3), v a degraded version of the LR x. The value is the mean
    height, over 1 - alpha, of the curve of the distance of h from h(x), over that between different faces. Extras:
    ``end`` (its end, at alpha = 0), ``sinkhorn`` and ``sinkhorn_end`` (the same with the debiased Sinkhorn divergence of
    the features as clouds of positions, eq. 10) and the curves: ``level0`` ... , ``level0_sinkhorn`` ... at
    ``level0_input`` = 1 - alpha .... ``lr_psnr`` and its floor say whether the output follows the input: features of a
    method that ignores what it is given move little, and are never the best (see consistency).
    """

    table = "smoothness"
    libraries = ("geomloss",)
    parts = {"": "moved", "lr_psnr": "LR-PSNR", "lr_floor": "its floor"}
    part_decimals = {"lr_psnr": 2, "lr_floor": 2}
    guard: ClassVar[tuple[str, ...]] = (  # as consistency's
        "lr_psnr",
        "lr_floor",
        "the output explains less of the LR than a copy at half its resolution",
    )
    needs = ("lr", "features", "degrade")
    bounds = {"alphas": (0, 1), "epsilon": (1e-06, None), "points": (2, None)}
    paper = PAPER
    Params = Params  # type: ignore[assignment]

    def degradations(self) -> tuple[str, ...]:
        return (self.params.degradation,)

    def protocol(self, outputs: bench.Outputs) -> str:
        p = self.params
        return (
            "RMS distance of the features from those of the clean LR over that between different faces, mean over "
            f"1 - alpha = 0, {', '.join(f'{1 - a:g}' for a in p.alphas)}; {p.versions} versions of each LR by "
            f"{p.degradation}, made from the {p.source.upper()}; Sinkhorn divergence of |x - y|^2 / 2, blur {p.epsilon:g} of "
            f"the features' root mean square, at most {p.points} points; {min(p.faces, len(outputs.names))} faces, "
            f"seed {outputs.seed}"
        )

    def score(self, outputs: bench.Outputs) -> bench.Score:
        p = self.params
        given = made.Params((p.degradation,), parameter=None, versions=p.versions, source=p.source, faces=p.faces)
        alphas = np.array([1.0, *p.alphas])
        # kind of distance, alpha, face
        moved = np.full((2, len(alphas), len(outputs.names)), np.nan)
        errors: list[torch.Tensor] = []  # (2, B)
        for indices, clean, ((*versions,),) in versions_of(outputs, given):
            if len(indices) < 2:
                continue  # no other face of this size to compare with
            inputs = [[torch.lerp(v, clean, float(a)) for v in versions] for a in alphas]
            for kind, (look, distance) in enumerate(self.kinds(outputs, clean)):
                apart = between(h := look(clean), distance)
                if apart < SAME:
                    raise bench.Unavailable("the features of different faces are the same")
                drifts = torch.stack([torch.stack([distance(look(x), h) for x in row]).mean(0) for row in inputs])
                moved[kind][:, indices] = drifts.double().cpu().numpy() / apart
            if outputs.upscale:
                errors.append(torch.stack(unexplained(clean, outputs.upscale(clean))))
        used = np.isfinite(moved[0, 0])
        if not used.any():
            raise bench.Unavailable("needs at least two faces of one size")
        curves = moved[:, :, used].mean(2)
        steps = -np.diff(alphas)
        heights = ((moved[:, 1:] + moved[:, :-1]) / 2 * steps[:, None]).sum(1) / steps.sum()  # trapezoids
        extra = {
            "end": float(curves[0, -1]),
            "sinkhorn": float(heights[1, used].mean()),
            "sinkhorn_end": float(curves[1, -1]),
        }
        for level, (alpha, (y, s)) in enumerate(zip(alphas, curves.T, strict=True)):
            extra |= {
                f"level{level}": float(y),
                f"level{level}_input": float(1 - alpha),
                f"level{level}_sinkhorn": float(s),
            }
        if errors:
            extra |= explained(*torch.cat(errors, 1).double().mean(1).cpu().numpy())
        higher = dict.fromkeys(GUARD, "higher")
        value = float(heights[0, used].mean())
        return bench.Score(value, per_image=heights[0], n=int(used.sum()), extra=extra, directions=higher)

    def kinds(self, outputs: bench.Outputs, clean: Tensor) -> list[tuple[Callable, Callable]]:
        """What is compared of LR images, and how: features by their RMS distance, clouds by the Sinkhorn divergence."""
        from geomloss import SamplesLoss

        p, f = self.params, outputs.features
        assert f is not None

        def of(lr: Tensor) -> Tensor:
            if (features := f(lr)) is None:
                raise bench.Unavailable("the method exposes no features")
            return features.float()

        size = of(clean).square().mean().sqrt().clamp(min=1e-12)

        def cloud(lr: Tensor) -> Tensor:
            """(B, 3, h, w) -> (B, N, C): each position is a point."""
            flat = (of(lr) / size).flatten(2).transpose(1, 2)
            kept = torch.linspace(0, flat.shape[1] - 1, min(flat.shape[1], p.points), device=flat.device)
            return flat[:, kept.round().long()].contiguous()

        def apart(a: Tensor, b: Tensor) -> Tensor:
            return (a - b).square().mean(1).sqrt()

        divergence = SamplesLoss("sinkhorn", p=2, blur=p.epsilon, scaling=0.9)  # exact to about 1 %
        return [(lambda lr: (of(lr) / size).flatten(1), apart), (cloud, divergence)]
