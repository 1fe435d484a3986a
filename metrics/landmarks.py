"""Geometry of the face, by facexlib's networks on local files: how far landmarks move, and how often a face is found."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

import bench
from bench import weights

from .alignment import EYES, aligner, detected, detector, landmarks


class Landmarks(bench.Metric):
    """Landmark distance (LMD): mean distance of 98 landmarks in the output and in the ground truth, in pixels (Gu 2022).

    Extra: ``nme``, over the distance of the eyes' outer corners in the ground truth, in per cent.
    """

    title = "LMD"
    libraries = ("facexlib",)
    pretrained = {"awing-fan": ""}
    needs = ("hr",)
    default = False
    parts = {"nme": "NME"}
    paper = (
        "Gu et al.: VQFR: Blind face restoration with vector-quantized dictionary and parallel decoder, ECCV 2022; "
        "Wang, Bo, Fuxin: Adaptive wing loss for robust face alignment via heatmap regression, ICCV 2019"
    )

    def protocol(self, outputs: bench.Outputs) -> str:
        return (
            f"mean distance of 98 landmarks in pixels of the output, AWing (sha256 {weights.file_hash('awing-fan')}), the "
            "whole crop to 256 px, by facexlib; .nme: % of the distance of the eyes' outer corners in the HR"
        )

    def score(self, outputs: bench.Outputs) -> bench.Score:
        assert outputs.hr is not None
        model = outputs.keep("awing", lambda: aligner(outputs.device))
        values, shares = (np.full(len(outputs.names), np.nan) for _ in range(2))
        for index, pair in enumerate(zip(outputs.sr, outputs.hr, strict=True)):
            ours, theirs = (landmarks(model, image) for image in pair)
            if ours is not None and theirs is not None:
                values[index] = np.linalg.norm(ours - theirs, axis=1).mean()
                eyes = np.linalg.norm(theirs[EYES[0]] - theirs[EYES[1]])
                shares[index] = 100 * values[index] / eyes if eyes else np.nan
        if np.isnan(values).all():
            raise bench.Unavailable("no landmarks were found in any face")
        counted = np.isfinite(shares)
        extra = {"nme": float(shares[counted].mean())} if counted.any() else {}
        counts = dict.fromkeys(extra, int(counted.sum()))
        return bench.Score(float(np.nanmean(values)), per_image=values, extra=extra, counts=counts)


class Detection(bench.Metric):
    """Detection rate: the share of outputs in which RetinaFace (Deng 2020) finds a face."""

    title = "Detection rate"
    libraries = ("facexlib",)
    pretrained = {
        "retinaface-resnet50": "network=retinaface-resnet50",
        "retinaface-mobile": "network=retinaface-mobile",
    }
    direction = "higher"
    default = False
    bounds = {"confidence": (0, 1)}
    paper = "Deng et al.: RetinaFace: Single-shot multi-level face localisation in the wild, CVPR 2020"

    @dataclass(frozen=True)
    class Params:
        network: Literal["retinaface-resnet50", "retinaface-mobile"] = "retinaface-resnet50"
        confidence: float = 0.8  # of a face that counts (facexlib's default)

    def protocol(self, outputs: bench.Outputs) -> str:
        p = self.params
        file = f"{p.network} (sha256 {weights.file_hash(p.network)})"
        return f"share of outputs with a face of confidence above {p.confidence:g}, {file}, no resize, by facexlib"

    def score(self, outputs: bench.Outputs) -> bench.Score:
        p = self.params
        model = outputs.keep(p.network, lambda: detector(p.network, outputs.device))
        found = np.array([float(len(detected(model, image, p.confidence)) > 0) for image in outputs.sr])
        return bench.Score(float(found.mean()), per_image=found)
