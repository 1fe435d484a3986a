"""Degraded versions of faces, which consistency, identity and smoothness compare."""

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

import bench
from bench.core.image import downsample, resize
from bench.core.spec import Spec, parse

Distance = Callable[[Tensor, Tensor], Tensor]
GUARD = (
    "lr_psnr",
    "lr_floor",
)  # extras: a method whose first is below its second ignores its input and is never the best
MARGIN = (
    0.5  # dB: by so much a method must explain more than such a copy: made by other filters it has up to 0.2 dB more
)


@dataclass(frozen=True)
class Params:
    degradation: tuple[str, ...] = ("noise",)  # what makes the versions, at scale 1; each is a level or a scale of them
    parameter: str | None = "sigma"  # the option of the degradation that is its severity; none: it has one level
    severities: tuple[float, ...] = (2.0, 4.0, 8.0, 16.0)  # the parameter's values, L levels
    versions: int = 3  # K, the versions of a face at each level
    source: str = "lr"  # what is degraded: lr, the input itself; hr, the ground truth, on the way to its LR
    faces: int = 32  # the first so many faces


def levels(p: Any) -> list[str]:
    """The degradations of all levels as specs: noise[sigma=2], noise[sigma=4], ..."""
    found = []
    for spec in map(parse, p.degradation):
        if p.parameter is None:
            found.append(str(spec))
        else:
            rest = spec.without(p.parameter).options
            found += [str(Spec(spec.name, tuple(sorted([*rest, (p.parameter, f"{s:g}")])))) for s in p.severities]
    return found


def versions_of(outputs: bench.Outputs, p: Any) -> list[tuple[list[int], Tensor, Tensor]]:
    """Indices, clean LR (B, 3, h, w) and its versions (L, K, B, 3, h, w), of faces of one size each.

    A version depends on the seed, the face's name, the level and its number alone, not on the batch or the order.
    """
    images = outputs.hr if p.source == "hr" else outputs.lr
    if p.source not in ("lr", "hr"):
        raise bench.Unavailable(f"source={p.source} is neither lr nor hr")
    if images is None:
        raise bench.Unavailable("source=hr needs the ground truth in HR, which these faces lack")
    images = images[: p.faces]
    digest = hashlib.sha256(b"".join(image.tobytes() for image in images)).hexdigest()
    key = ("versions", p, digest, outputs.seed, outputs.scale)
    if key not in outputs.cache:
        outputs.cache[key] = [
            (indices, downsample(batch, outputs.scale).clamp(0, 1) if p.source == "hr" else batch,
             degraded(outputs, p, indices, batch))
            for indices, batch in bench.batches(images, size=32, device=outputs.device)
        ]  # fmt: skip
    return outputs.cache[key]


def degraded(outputs: bench.Outputs, p: Any, indices: list[int], batch: Tensor) -> Tensor:
    """(B, 3, H, W) -> (L, K, B, 3, h, w); K is 1 where the degradation gives the same LR each time."""
    degrade, scale = outputs.degrade, outputs.scale if p.source == "hr" else 1
    assert degrade is not None

    def version(spec: str, number: int) -> Tensor:
        seeds = [outputs.seed + zlib.crc32(f"{outputs.names[i]}|{spec}|{number}".encode()) for i in indices]
        return torch.cat([degrade(spec, x[None], scale=scale, seed=s) for x, s in zip(batch, seeds, strict=True)])

    found = torch.stack([torch.stack([version(spec, k) for k in range(p.versions)]) for spec in levels(p)])
    return found[:, :1] if all(torch.equal(found[:, 0], found[:, k]) for k in range(1, p.versions)) else found


def pairwise(versions: list[Tensor], distance: Distance) -> np.ndarray:
    """M tensors of B faces -> (B,): the mean distance over all pairs; 0 where there is no pair."""
    pairs = [distance(a, b) for i, a in enumerate(versions) for b in versions[:i]]
    mean = torch.stack(pairs).mean(0) if pairs else torch.zeros(len(versions[0]))
    return mean.double().cpu().numpy()


# ---------------------------------------------------------------- does the output follow its input?


def rms(a: Tensor, b: Tensor) -> Tensor:
    """(B, C, H, W) twice -> (B,): root mean square difference in grey levels."""
    return 255 * (a - b).square().mean((1, 2, 3)).sqrt()


def unexplained(clean: Tensor, answer: Tensor) -> tuple[Tensor, Tensor]:
    """LR (B, 3, h, w) and the outputs for it -> (B,) twice: squared error of the output, downsampled, against the LR; and
    that of a copy of the LR at half its resolution."""
    height, width = clean.shape[-2:]
    coarse = resize(resize(clean, (max(1, height // 2), max(1, width // 2))), (height, width))
    return tuple(rms(x.clamp(0, 1), clean).square() for x in (resize(answer, (height, width)), coarse))  # type: ignore[return-value]


def explained(error: Any, coarse: Any) -> dict[str, float]:
    """The extras of ``GUARD``, dB, of these mean squared errors."""
    return dict(zip(GUARD, (decibels(error), decibels(coarse) + MARGIN), strict=True))


def decibels(mean_square: Any) -> float:
    """PSNR of a mean squared difference of grey levels; infinite for equal pictures."""
    with np.errstate(divide="ignore"):
        return float(10 * np.log10(255**2 / np.float64(mean_square)))
