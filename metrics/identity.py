"""Identity: do two pictures show the same person? Cosine of ArcFace embeddings, by facexlib's network on the local file."""

import numpy as np
import torch

import bench
from bench import weights

from .arcface import SIDE, arcface, embed
from .versions import Params, levels, pairwise, versions_of


class Identity(bench.Metric):
    """Cosine between the ArcFace embeddings (Deng 2019) of the output and of the ground truth, 1 for the same picture.

    Where no ground truth exists: the mean cosine between the outputs for degraded versions of the face (see
    ``consistency``), which says whether they stay one person, not which.
    """

    title = "Identity"
    libraries = ("facexlib",)
    pretrained = {"arcface": ""}
    direction = "higher"
    default = False
    paper = "Deng et al.: ArcFace: Additive angular margin loss for deep face recognition, CVPR 2019"

    def protocol(self, outputs: bench.Outputs) -> str:
        p = Params()
        file = f"ArcFace IR-SE-50 (sha256 {weights.file_hash('arcface')})"
        against = "against the HR of the same face"
        if outputs.hr is None:
            against = (
                f"no ground truth: between the outputs for {p.versions} versions of the LR at each severity "
                f"({', '.join(levels(p))}), the first {p.faces} faces, seed {outputs.seed}"
            )
        return f"cosine, {file}, the whole crop to {SIDE} px without alignment, RGB in [-1, 1], by facexlib; {against}"

    def score(self, outputs: bench.Outputs) -> bench.Score:
        model = outputs.keep("arcface", lambda: arcface().to(outputs.device))
        if outputs.hr is not None:
            return bench.per_face(
                lambda sr, hr: (embed(model, sr) * embed(model, hr)).sum(1),
                outputs.sr, outputs.hr, size=32, device=outputs.device,
            )  # fmt: skip
        if outputs.upscale is None or outputs.degrade is None or outputs.lr is None:
            raise bench.Unavailable("needs the ground truth in HR, or the method itself to upscale versions of a face")
        return self.between_versions(model, outputs)

    def between_versions(self, model: torch.nn.Module, outputs: bench.Outputs) -> bench.Score:
        assert outputs.upscale is not None
        values = np.full(len(outputs.names), np.nan)
        for indices, _, versions in versions_of(outputs, Params()):
            found = [embed(model, outputs.upscale(v).clamp(0, 1)) for v in versions.flatten(0, 1)]
            values[indices] = pairwise(found, lambda a, b: (a * b).sum(1))
        return bench.Score(float(np.nanmean(values)), per_image=values)
