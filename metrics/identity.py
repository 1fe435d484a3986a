"""Identity: do two pictures show the same person? Cosine and angle of ArcFace's or AdaFace's embeddings, on local files."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

import bench
from bench import weights
from bench.core.image import resize, to_uint8

from . import versions
from .alignment import detected, detector, read_points, warped
from .arcface import SIDE, adaface, arcface, embed
from .versions import levels, pairwise, versions_of

NAMES = {"arcface": "ArcFace IR-SE-50", "adaface-ir50": "AdaFace IR-50", "adaface-ir101": "AdaFace IR-101"}
NONE = bench.File("")
SURE = 0.8  # confidence of a detected face (facexlib's)


class Identity(bench.Metric):
    """Cosine between the embeddings of the output and of the ground truth (or the LQ input), 1 for the same picture.

    Extras: ``degrees``, the mean angle (Deg.); ``verified``, the share of outputs that are nearer to their own face than
    all but the share ``far`` of pairs of different faces are to each other (verification rate at that false accept rate).
    Where no ground truth exists: the mean cosine between the outputs for degraded versions of the face (see
    ``consistency``), which says whether they stay one person, not which.
    """

    title = "Identity"
    libraries = ("facexlib",)
    pretrained = {
        "arcface": "network=arcface",
        "adaface-ir50": "network=adaface-ir50",
        "adaface-ir101": "network=adaface-ir101",
        "retinaface-resnet50": "align=detector",
    }
    direction = "higher"
    default = False
    parts = {"degrees": "Deg."}
    part_decimals = {"degrees": 2}
    paper = (
        "Deng et al.: ArcFace: Additive angular margin loss for deep face recognition, CVPR 2019; "
        "Kim, Jain, Liu: AdaFace: Quality adaptive margin for face recognition, CVPR 2022"
    )

    bounds = {"far": (0, 1)}

    @dataclass(frozen=True)
    class Params:
        network: Literal["arcface", "adaface-ir50", "adaface-ir101"] = "arcface"
        align: Literal["crop", "detector", "points"] = "crop"  # the crop as it is, or moved by five points
        points: bench.File = NONE  # align=points: CSV of a face's name and ten numbers, pixels of the output
        against: Literal["hr", "lq"] = "hr"  # the ground truth, or the LQ input enlarged to the output's size
        far: float = 0.001  # false accept rate of ``verified``

    def protocol(self, outputs: bench.Outputs) -> str:
        p, v = self.params, versions.Params()
        file = f"{NAMES[p.network]} (sha256 {weights.file_hash(p.network)})"
        how = f"the whole crop to {SIDE} px without alignment"
        if p.align != "crop":
            by = f"points of {p.points}"
            if p.align == "detector":
                by = f"RetinaFace's (ResNet-50, sha256 {weights.file_hash('retinaface-resnet50')}) in the face compared with"
            how = f"aligned to {SIDE} px by five points, {by}"
        against = "against the HR of the same face"
        if p.against == "lq":
            against = "against the LQ input, bicubic to the output's size"
        elif outputs.hr is None:
            against = (
                f"no ground truth: between the outputs for {v.versions} versions of the LR at each severity "
                f"({', '.join(levels(v))}), the first {v.faces} faces, seed {outputs.seed}"
            )
        return (
            f"cosine, {file}, {how}, RGB in [-1, 1], by facexlib; {against}; .verified at {p.far:g} of the pairs of "
            "different faces"
        )

    def score(self, outputs: bench.Outputs) -> bench.Score:
        p = self.params
        model = outputs.keep(p.network, lambda: network(p.network).to(outputs.device))
        if p.against == "lq" or outputs.hr is not None:
            return self.against_faces(model, outputs)
        if outputs.upscale is None or outputs.degrade is None or outputs.lr is None:
            raise bench.Unavailable("needs the ground truth in HR, or the method itself to upscale versions of a face")
        return self.between_versions(model, outputs)

    def against_faces(self, model: torch.nn.Module, outputs: bench.Outputs) -> bench.Score:
        theirs = outputs.lr if self.params.against == "lq" else outputs.hr
        if theirs is None:
            raise bench.Unavailable("against=lq needs the LQ inputs")
        crops = self.crops(outputs)
        ours, others = (np.full((len(outputs.names), 512), np.nan) for _ in range(2))
        for indices, sr, face in bench.batches(outputs.sr, theirs, size=32, device=outputs.device):
            pair = crops(indices, sr, resize(face, tuple(sr.shape[-2:])).clamp(0, 1))
            if not pair:
                continue
            kept, *faces = pair
            found = [embed(model, one).double().cpu().numpy() for one in faces]
            if ours.shape[1] != found[0].shape[1]:
                ours, others = (np.full((len(ours), found[0].shape[1]), np.nan) for _ in range(2))
            ours[kept], others[kept] = found
        values = (ours * others).sum(1)
        seen = np.isfinite(values)
        if not seen.any():
            raise bench.Unavailable("no face was found in what the outputs are compared with")
        angles = np.degrees(np.arccos(values[seen].clip(-1, 1)))
        extra = {"degrees": float(angles.mean())}
        rate = verified(ours[seen], others[seen], self.params.far)
        if rate is not None:
            extra["verified"] = rate
        return bench.Score(
            float(values[seen].mean()), per_image=values, extra=extra, directions={"degrees": "lower"},
            counts=dict.fromkeys(extra, int(seen.sum())),
        )  # fmt: skip

    def crops(self, outputs: bench.Outputs) -> Callable[..., tuple[Any, ...]]:
        """(indices, outputs, faces) -> what is embedded of them: indices of the faces that were found, and two batches."""
        p = self.params
        if p.align == "crop":
            return lambda indices, sr, faces: (indices, sr, faces)
        if p.align == "detector":
            finder = outputs.keep("retinaface", lambda: detector("retinaface-resnet50", outputs.device))

            def points(index: int, face: np.ndarray) -> np.ndarray | None:
                found = detected(finder, face, SURE)
                return found[0, 5:].reshape(5, 2) if len(found) else None
        else:
            if not p.points:
                raise bench.Unavailable("align=points takes points=FILE, a CSV of a name and ten numbers a row")
            known = read_points(p.points)

            def points(index: int, face: np.ndarray) -> np.ndarray | None:
                return known.get(outputs.names[index])

        def aligned(indices: list[int], sr: Tensor, faces: Tensor) -> tuple[Any, ...]:
            kept, moved = [], []
            for index, ours, theirs in zip(indices, *(to_uint8(x).cpu().numpy() for x in (sr, faces)), strict=True):
                if (where := points(index, theirs)) is not None:
                    kept.append(index)
                    moved.append([warped(ours, where), warped(theirs, where)])
            if not kept:
                return ()
            both = torch.from_numpy(np.array(moved)).to(outputs.device).float() / 255  # (B, 2, 3, 112, 112)
            return kept, both[:, 0], both[:, 1]

        return aligned

    def between_versions(self, model: torch.nn.Module, outputs: bench.Outputs) -> bench.Score:
        assert outputs.upscale is not None
        values = np.full(len(outputs.names), np.nan)
        for indices, _, made in versions_of(outputs, versions.Params()):
            found = [embed(model, outputs.upscale(v).clamp(0, 1)) for v in made.flatten(0, 1)]
            values[indices] = pairwise(found, lambda a, b: (a * b).sum(1))
        return bench.Score(float(np.nanmean(values)), per_image=values)


def network(name: str) -> torch.nn.Module:
    return arcface() if name == "arcface" else adaface(name)


def verified(ours: np.ndarray, others: np.ndarray, far: float, block: int = 256) -> float | None:
    """(n, d) embeddings of outputs and of their faces, one person each -> the share of outputs that is accepted as its face.

    Accepted is a cosine above the threshold that a share ``far`` of the other pairs exceeds, at most. None where these are
    too few for that rate. Memory holds the cosines of a ``block`` of outputs, and those above the threshold.
    """
    n = len(ours)
    last = int(n * (n - 1) * far)
    if last < 1:
        return None
    highest, own = np.empty(0), []
    for start in range(0, n, block):
        cosines = ours[start : start + block] @ others.T
        places = np.arange(len(cosines)), np.arange(start, start + len(cosines))
        own.append(cosines[places])
        cosines[places] = -np.inf
        highest = np.concatenate([highest, cosines.ravel()])
        if len(highest) > last + 1:
            highest = -np.partition(-highest, last)[: last + 1]
    return float((np.concatenate(own) > highest.min()).mean())
