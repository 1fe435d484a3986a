"""The score of the NTIRE 2025 challenge on real-world face restoration: five qualities and FID, with a gate on identity."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

import bench

from .by_name import Pyiqa
from .distribution import Fid
from .identity import NONE, Identity

LEAST = {"wider": 0.3, "webphoto": 0.3, "lfw": 0.6, "celebchild": 0.6, "celeba": 0.5}  # AdaFace similarity to the input
FAILURES = 10 / 450  # of the challenge's faces that may lie below: ten of 450
QUALITIES = ("clipiqa", "maniqa", "musiq", "qalign", "niqe")  # as pyiqa calls them


class NtireFace(bench.Metric):
    """CLIPIQA + MANIQA + MUSIQ/100 + QALIGN/5 + max(0, (10 - NIQE)/10) + max(0, (100 - FID)/100), FID against FFHQ.

    Extras: each term of the sum; ``similarity``, the mean AdaFace similarity to the LQ input; ``below``, the faces whose
    similarity is under their set's threshold; ``passes``, 1 where these are no more than ten of 450, and ``gate``, 1. What
    does not pass is never marked best. Needs ``--reference ffhq-512``, or FFHQ otherwise.
    """

    title = "NTIRE 2025 face"
    libraries = ("pyiqa", "facexlib", "pytorch-fid", "scipy")
    pretrained = {"adaface-ir50": "", "inception-fid": "", "retinaface-resnet50": "align=detector"}
    needs = ("lr", "reference_hr")
    direction = "higher"
    default = False
    guard = ("passes", "gate", "more faces than the challenge allows are too unlike their LQ input")
    parts = {
        "clipiqa": "clipiqa term", "maniqa": "maniqa term", "musiq": "musiq term", "qalign": "qalign term", "niqe": "niqe term",
        "fid": "fid term",
    }  # fmt: skip
    part_decimals: ClassVar[dict[str, int]] = {"below": 0, "passes": 0, "gate": 0}
    paper = "Chen et al.: NTIRE 2025 challenge on real-world face restoration: methods and results, CVPR workshops 2025"

    @dataclass(frozen=True)
    class Params:
        faces: Literal["", "wider", "webphoto", "lfw", "celebchild", "celeba"] = ""  # the test set, whose gate applies
        align: Literal["crop", "detector", "points"] = "crop"  # how faces are moved for AdaFace, as in ``identity``
        points: bench.File = NONE  # align=points: a CSV of a face's name and ten numbers, as the challenge has it

    def required_weights(self) -> tuple[str, ...]:
        of_pyiqa = [name for quality in self.qualities().values() for name in quality.required_weights()]
        return (*super().required_weights(), *dict.fromkeys(of_pyiqa))

    def qualities(self) -> dict[str, bench.Metric]:
        return {name: Pyiqa(Pyiqa.Params(name)) for name in QUALITIES}

    def similarity(self) -> Identity:
        p = self.params
        return Identity(Identity.Params("adaface-ir50", p.align, p.points, "lq"))

    def gate(self) -> str:
        if not self.params.faces:
            return "no gate: faces=wider, webphoto, lfw, celebchild or celeba has one"
        return f"gate: similarity from {LEAST[self.params.faces]:g} on ({self.params.faces}), ten faces of 450 excepted"

    def protocol(self, outputs: bench.Outputs) -> str:
        terms = [*(metric.protocol(outputs) for metric in self.qualities().values()), Fid().protocol(outputs)]
        return (
            "CLIPIQA + MANIQA + MUSIQ/100 + QALIGN/5 + max(0, (10 - NIQE)/10) + max(0, (100 - FID)/100); "
            f"{self.gate()}; {'; '.join(terms)}; similarity: {self.similarity().protocol(outputs)}"
        )

    def score(self, outputs: bench.Outputs) -> bench.Score:
        name = getattr(outputs.reference_hr, "name", "")
        if "ffhq" not in name.lower():
            raise bench.Unavailable(
                f"its FID is against FFHQ, not {name or 'these faces'}: --reference ffhq-512, or a folder or file with ffhq "
                "in its name"
            )
        similar = self.similarity().score(outputs)
        found = {name: metric.score(outputs).value for name, metric in self.qualities().items()}
        terms = score_terms(**found, fid=Fid().score(outputs).value)
        extra = {**terms, "similarity": similar.value}
        assert similar.per_image is not None
        if self.params.faces:
            seen = similar.per_image[np.isfinite(similar.per_image)]
            below = int((seen < LEAST[self.params.faces]).sum())
            extra |= {"below": below, "passes": float(below <= FAILURES * len(seen)), "gate": 1.0}
        return bench.Score(
            sum(terms.values()), n=len(outputs.sr), extra=extra, directions={"below": "lower"},
            counts=dict.fromkeys(("similarity", "below", "passes"), similar.n or len(outputs.sr)),
        )  # fmt: skip


def score_terms(
    *, clipiqa: float, maniqa: float, musiq: float, qalign: float, niqe: float, fid: float
) -> dict[str, float]:
    """Each term of the challenge's sum, from the measures' own values."""
    return {
        "clipiqa": clipiqa, "maniqa": maniqa, "musiq": musiq / 100, "qalign": qalign / 5,
        "niqe": max(0.0, (10 - niqe) / 10), "fid": max(0.0, (100 - fid) / 100),
    }  # fmt: skip
