"""Perceptual distance to the ground truth on local weights: LPIPS by its authors' package, DISTS by pyiqa."""

from dataclasses import dataclass
from typing import Literal

import torch

import bench
from bench import weights
from bench.kit.features import BACKBONES, backbone, lpips
from bench.kit.offline import standing_in

LEAST = 32  # px: below this the backbones' last maps are empty
WHY = "too small for the backbone"


class Lpips(bench.Metric):
    """Learned perceptual image patch similarity, version 0.1 (Zhang 2018)."""

    title = "LPIPS"
    libraries = ("lpips", "torchvision")
    decimals = 4
    pretrained = {"alexnet": "net=alex", "vgg16": "net=vgg", "squeezenet1_1": "net=squeeze"}
    needs = ("hr",)
    by_face = True
    paper = "Zhang et al.: The unreasonable effectiveness of deep features as a perceptual metric, CVPR 2018"

    @dataclass(frozen=True)
    class Params:
        net: Literal["alex", "vgg", "squeeze"] = "alex"  # backbone; the papers use alex for evaluation

    def protocol(self, outputs: bench.Outputs) -> str:
        name = BACKBONES[self.params.net]
        return f"LPIPS 0.1, {name} (sha256 {weights.file_hash(name)}), RGB in [-1, 1], no resize, by lpips"

    def score(self, outputs: bench.Outputs) -> bench.Score:
        assert outputs.hr is not None
        net = self.params.net
        model = outputs.keep(("lpips", net), lambda: lpips(net).to(outputs.device))
        return bench.per_face(
            lambda sr, hr: model(sr, hr, normalize=True),
            outputs.sr, outputs.hr, device=outputs.device, least=LEAST, why=WHY,
        )  # fmt: skip


class Dists(bench.Metric):
    """Deep image structure and texture similarity (Ding 2020), a distance: 0 for equal images."""

    title = "DISTS"
    libraries = ("pyiqa", "torchvision")
    decimals = 4
    pretrained = {"dists": "", "vgg16": ""}
    needs = ("hr",)
    by_face = True
    default = False
    paper = "Ding et al.: Image quality assessment: unifying structure and texture similarity, TPAMI 2020"

    def protocol(self, outputs: bench.Outputs) -> str:
        files = " and ".join(f"{name} (sha256 {weights.file_hash(name)})" for name in self.required_weights())
        return f"DISTS, {files}, RGB, no resize, by pyiqa"

    def score(self, outputs: bench.Outputs) -> bench.Score:
        assert outputs.hr is not None
        model = outputs.keep("dists", lambda: dists().to(outputs.device))
        return bench.per_face(model, outputs.sr, outputs.hr, size=32, device=outputs.device, least=LEAST, why=WHY)


def dists() -> torch.nn.Module:
    """pyiqa's DISTS on the local files: VGG16, and the weights alpha and beta of its feature maps."""
    from types import SimpleNamespace

    from pyiqa.archs import dists_arch

    maps, features = weights.load("dists"), backbone("vgg16")
    with standing_in(dists_arch.models, "vgg16", lambda **_: SimpleNamespace(features=features)):
        model = dists_arch.DISTS(pretrained=False)
    model.load_state_dict({**model.state_dict(), "alpha": maps["alpha"], "beta": maps["beta"]})
    return model.eval().requires_grad_(False)
