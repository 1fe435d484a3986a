"""Consistency under degradation: how far a method's outputs lie apart for degraded versions of one face."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

import bench
from bench.api.metric import Picture
from bench.core.image import resize, to_uint8
from bench.kit.features import LpipsLoss

from .arcface import arcface, embed
from .versions import Distance, Params, decibels, explained, levels, pairwise, rms, unexplained, versions_of

Look = Callable[[Tensor], Tensor]
SAME = 1.0  # grey levels: outputs of different faces that lie nearer than this are one and the same picture


class Consistency(bench.Metric):
    """Mean distance between the outputs for K versions of a face at each of L severities, in grey levels (RMS, 0-255).

    Extras: ``to_clean`` (distance to the output for the undegraded LR), ``sensitivity`` (over the distance between the
    inputs), ``area`` (mean of the curve of ``to_clean`` over severity), ``relative`` (over the distance between
    different faces), ``response`` (of the output to a change towards another face over that to degradation, each per change
    of the input, the same size), ``lr_psnr`` (of the downsampled output against the input, dB) and ``lr_floor`` (what a
    copy of the input at half its resolution has, and half a dB), ``psnr`` and ``psnr_to_clean`` (the same
    distances in dB) and the curve itself: ``level0`` ..., at the input distances ``level0_input`` ....

    A method that answers every face with one picture is no candidate: Unavailable. One whose output explains less of its
    input than a copy at half the resolution would is never the best (``guard``), however consistent: it ignores what it
    is given. The first ``pictures`` faces make the robustness figure (Goswami 2020, section 4).
    """

    title = "Consistency"
    decimals = 2
    table = "consistency"
    parts = {
        "": "between",
        "psnr": "PSNR",
        "psnr_to_clean": "PSNR to clean",
        "lr_psnr": "LR-PSNR",
        "lr_floor": "its floor",
    }
    part_decimals = {"sensitivity": 3, "relative": 3, "response": 3, "lr_psnr": 2, "lr_floor": 2}
    headlines: ClassVar[tuple[str, ...]] = ("", "relative", "response")
    guard: ClassVar[tuple[str, ...]] = (  # see versions.GUARD: reports read it here
        "lr_psnr",
        "lr_floor",
        "the output explains less of the LR than a copy at half its resolution",
    )
    needs = ("lr", "upscale", "degrade")
    bounds = {"severities": (0, None)}
    Params = Params  # type: ignore[assignment]
    unit = "RMS difference (0-255, RGB)"
    pictures = 2

    def load(self, outputs: bench.Outputs) -> tuple[Look, Distance]:
        """What is compared of (B, 3, H, W) images, (B, ...), and the distance (B,) of two of those."""
        return (lambda images: images), rms

    def degradations(self) -> tuple[str, ...]:
        return tuple(levels(self.params))

    def protocol(self, outputs: bench.Outputs) -> str:
        p = self.params
        return (
            f"mean pairwise {self.unit} between the outputs for {p.versions} versions of each face at each severity "
            f"({', '.join(levels(p))}, made from the {p.source.upper()}), {min(p.faces, len(outputs.names))} faces, "
            f"seed {outputs.seed}"
        )

    def score(self, outputs: bench.Outputs) -> bench.Score:
        p = self.params
        look, distance = self.load(outputs)
        assert outputs.upscale is not None
        count = min(p.faces, len(outputs.names))
        apart, squares, inputs, drifts = (np.full(len(outputs.names), np.nan) for _ in range(4))
        curve: list[Tensor] = []  # (L, 2, B): input and output distance to the clean LR and its output
        faces: list[Tensor] = []
        heard: list[Tensor] = []  # (6, B), see listening
        pictures: list[Picture] = []
        made = versions_of(outputs, p)
        others = partners(outputs.names, made)
        for indices, clean, versions in made:
            given = list(versions.flatten(0, 1))
            outs = [outputs.upscale(v).clamp(0, 1) for v in given]
            answer = outputs.upscale(clean).clamp(0, 1)
            faces += list(answer)
            seen, reference = [look(o) for o in outs], look(answer)
            alone = len(given) == 1  # then the clean LR is the other one of the pair
            apart[indices] = pairwise([*seen, *[reference] * alone], distance)
            inputs[indices] = pairwise([*given, *[clean] * alone], rms)
            squares[indices] = pairwise([*outs, *[answer] * alone], lambda a, b: rms(a, b).square())
            drifts[indices] = torch.stack([rms(o, answer).square() for o in outs]).mean(0).double().cpu().numpy()
            ends = [torch.stack([rms(v, clean) for v in given]),
                    torch.stack([distance(s, reference) for s in seen])]  # fmt: skip
            curve.append(torch.stack([e.unflatten(0, versions.shape[:2]).mean(1) for e in ends], 1))
            heard.append(
                listening(outputs.upscale, look, distance, clean, answer, others[indices[0]], curve[-1].mean(0))
            )
            shown = [row for row, index in enumerate(indices) if index < self.pictures]
            pictures += robustness(outputs, p, indices, shown, (clean, versions), (answer, outs))
        if not np.nansum(inputs):
            raise bench.Unavailable(f"{' and '.join(p.degradation)} gives the same LR each time: nothing to compare")
        batch = common_size(faces)
        if count > 1 and (spread := between(batch, rms)) < SAME:
            raise bench.Unavailable(
                f"the outputs of different faces differ by {spread:.2g} of 255 grey levels: a method that "
                "answers every face with one picture is consistent in nothing that matters"
            )
        levels_in, levels_out = torch.cat(curve, 2).mean(2).double().cpu().numpy().T
        value = float(np.nanmean(apart))
        extra = {
            "to_clean": float(levels_out.mean()),
            "sensitivity": float(np.nansum(apart) / np.nansum(inputs)),
            "area": area(levels_in, levels_out),
            "psnr": decibels(np.nanmean(squares)),
            "psnr_to_clean": decibels(np.nanmean(drifts)),
        }
        if count > 1:
            extra["relative"] = value / between(look(batch), distance)
        changed, moved, degraded_in, degraded_out, error, coarse = torch.cat(heard, 1).double().cpu().numpy()
        extra |= explained(error.mean(), coarse.mean())
        if changed.sum() and degraded_out.sum():
            extra["response"] = float(moved.sum() / changed.sum() / (degraded_out.sum() / degraded_in.sum()))
        for level, (x, y) in enumerate(zip(levels_in, levels_out, strict=True)):
            extra |= {f"level{level}": float(y), f"level{level}_input": float(x)}
        higher = dict.fromkeys(("psnr", "psnr_to_clean", "response", "lr_psnr", "lr_floor"), "higher")
        return bench.Score(value, per_image=apart, n=count, extra=extra, directions=higher, pictures=pictures)


class ConsistencyLpips(Consistency):
    """``consistency`` in LPIPS (AlexNet) instead of grey levels."""

    decimals = 4
    headlines = ()
    prefix = "LPIPS"
    libraries = ("lpips", "torchvision")
    pretrained = {"alexnet": ""}
    unit = "LPIPS (AlexNet)"
    pictures = 0

    def load(self, outputs: bench.Outputs) -> tuple[Look, Distance]:
        """LPIPS is a squared distance: of features, each layer's weighted by its linear head over its positions."""
        lpips: Any = outputs.keep("lpips features", lambda: LpipsLoss("alex", outputs.device))
        weights = [head.model[-1].weight.sqrt() for head in lpips.model.lins]  # (1, C, 1, 1), none is negative

        def look(images: Tensor) -> Tensor:
            if min(images.shape[-2:]) < 32:
                raise bench.Unavailable(f"faces of {images.shape[-1]}x{images.shape[-2]} px are too small for AlexNet")
            layers = zip(lpips.features(images), weights, strict=True)
            return torch.cat([(f * w).flatten(1) / f[0, 0].numel() ** 0.5 for f, w in layers], 1)

        return look, lambda a, b: (a - b).square().sum(1)


class ConsistencyIdentity(Consistency):
    """``consistency`` in identity, 1 - cosine of ArcFace embeddings: do the outputs stay one person?"""

    decimals = 3
    headlines = ()
    prefix = "identity"
    libraries = ("facexlib",)
    pretrained = {"arcface": ""}
    default = False
    unit = "1 - cosine of ArcFace embeddings"
    pictures = 0

    def load(self, outputs: bench.Outputs) -> tuple[Look, Distance]:
        model = outputs.keep("arcface", lambda: arcface().to(outputs.device))
        return (lambda images: embed(model, images)), (lambda a, b: 1 - (a * b).sum(1))


def partners(names: list[str], made: list[tuple[list[int], Tensor, Tensor]]) -> dict[int, Tensor]:
    """By a batch's first index: for each of its faces the next one by name, of the same size; itself where it is alone."""
    clean = {index: face for indices, batch, _ in made for index, face in zip(indices, batch, strict=True)}
    groups: dict[Any, list[int]] = {}
    for index in sorted(clean, key=lambda i: names[i]):
        groups.setdefault(clean[index].shape, []).append(index)
    after = {i: g[(k + 1) % len(g)] for g in groups.values() for k, i in enumerate(g)}
    return {indices[0]: torch.stack([clean[after[i]] for i in indices]) for indices, _, _ in made}


def listening(
    upscale: Look, look: Look, distance: Distance, clean: Tensor, answer: Tensor, others: Tensor, degraded: Tensor
) -> Tensor:
    """(6, B): does the output follow its input?

    Changes of input and output towards the ``others``, as large as the degradation's; these (``degraded``, (2, B)); squared
    errors of the downsampled output and of the input at half resolution.
    """
    towards = others - clean
    size = rms(towards, torch.zeros_like(towards))
    share = (degraded[0] / size.clamp(min=1e-6)).clamp(max=1)
    other = clean + towards * share[:, None, None, None]
    moved = distance(look(upscale(other).clamp(0, 1)), look(answer))
    return torch.stack([rms(other, clean), moved, degraded[0], degraded[1], *unexplained(clean, answer)])


def robustness(
    outputs: bench.Outputs, p: Any, indices: list[int], rows: list[int], inputs: Any, outs: Any
) -> list[Picture]:
    """The clean LR and its versions, and what the method makes of each, of these rows of a batch.

    All versions where there is one level (Goswami 2020, the figure), else the first of each level.
    """
    (clean, versions), (answer, of_versions) = inputs, outs
    each = versions.shape[1]
    found = []
    for row in rows:
        name = outputs.names[indices[row]]
        columns = [("clean", clean, answer)]
        for level, spec in enumerate(levels(p)):
            for k in range(each if len(versions) == 1 else 1):
                label = f"{spec} ({k + 1})" if k else spec
                columns.append((label, versions[level, k], of_versions[level * each + k]))
        for label, lr, sr in columns:
            one, other = (x[row : row + 1] for x in (sr, answer))
            note = "" if label == "clean" else f"{decibels(float(rms(one, other).square())):.1f} dB"
            found.append(Picture(name, label, to_uint8(lr[row]).cpu().numpy(), of="lr"))
            found.append(Picture(name, label, to_uint8(sr[row]).cpu().numpy(), note))
    return found


# ---------------------------------------------------------------- distances


def between(faces: Tensor, distance: Distance) -> float:
    """The mean distance over all pairs of different faces of a batch."""
    count = len(faces)
    rounds = [float(distance(faces, faces.roll(s, 0)).sum()) for s in range(1, count // 2 + 1)]
    if count % 2 == 0:
        rounds[-1] /= 2  # the last round meets each of its pairs twice
    return sum(rounds) / (count * (count - 1) / 2)


def common_size(pictures: list[Tensor]) -> Tensor:
    """(3, H, W) pictures as one batch, larger ones reduced to the smallest."""
    size = min(p.shape[1] for p in pictures), min(p.shape[2] for p in pictures)
    return torch.cat([resize(p[None], size) for p in pictures])


def area(inputs: np.ndarray, outs: np.ndarray) -> float:
    """The mean height of the curve of output over input distance, from (0, 0) to the strongest level (trapezoids)."""
    order = np.argsort(inputs)
    x, y = (np.concatenate([[0.0], v[order]]) for v in (inputs, outs))
    return float(((y[1:] + y[:-1]) / 2 * np.diff(x)).sum() / x[-1])
