"""Pretrained features for losses and metrics: VGG by torchvision, LPIPS by its authors' package, on local files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench import weights
from bench.kit.offline import standing_in

BACKBONES = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"}  # of LPIPS, by their names in the manifest
EPSILON = 1e-10  # lpips adds it to a feature's length before dividing
VGG19 = {"relu2_2": 9, "conv5_4": 35, "relu5_4": 36}  # torchvision's layers up to these, which losses are named after


class FeatureLoss:
    """A distance between the VGG features of two images in [0, 1], after the first ``layers`` layers; nothing here trains.

    ``net``: vgg16 or vgg19, torchvision's ImageNet weights; ``distance``: L1 unless given. Raises MissingWeights.
    """

    def __init__(
        self, net: str, layers: int, device: torch.device, distance: Callable[[Tensor, Tensor], Tensor] = F.l1_loss
    ) -> None:
        self.layers, self.distance = backbone(net)[:layers].to(device), distance
        self.mean = torch.tensor([0.485, 0.456, 0.406], device=device).view(3, 1, 1)  # of ImageNet (torchvision)
        self.std = torch.tensor([0.229, 0.224, 0.225], device=device).view(3, 1, 1)

    def features(self, images: Tensor) -> Tensor:
        return self.layers((images - self.mean) / self.std)

    def __call__(self, fake: Tensor, real: Tensor) -> Tensor:
        with torch.no_grad():
            target = self.features(real)
        return self.distance(self.features(fake), target)


class LpipsLoss:
    """LPIPS 0.1 of two images in [0, 1], the mean over the batch: the package's number, safe to differentiate.

    The package divides by the length of each position's features, whose gradient is NaN where all of them are zero.
    Raises MissingWeights.
    """

    def __init__(self, net: str, device: torch.device) -> None:
        self.model: Any = lpips(net).to(device)

    def features(self, images: Tensor) -> list[Tensor]:
        found = self.model.net(self.model.scaling_layer(images * 2 - 1))
        return [x / (x.square().sum(1, keepdim=True).clamp(min=EPSILON**2).sqrt() + EPSILON) for x in found]

    def __call__(self, fake: Tensor, real: Tensor) -> Tensor:
        with torch.no_grad():
            target = self.features(real)
        pairs = zip(self.model.lins, self.features(fake), target, strict=True)
        return torch.stack([head((a - b).square()).mean() for head, a, b in pairs]).sum()


def backbone(name: str) -> torch.nn.Sequential:
    """The feature layers of torchvision's network of this name, from the local file. Raises MissingWeights."""
    import torchvision

    saved = weights.load(name)
    with torch.device("meta"):
        features = getattr(torchvision.models, name)().features
    features.load_state_dict({key: saved[f"features.{key}"] for key in features.state_dict()}, assign=True)
    return features.eval().requires_grad_(False)


def lpips(net: str) -> torch.nn.Module:
    """The package's LPIPS with its own linear heads, its backbone filled from the local file. Raises MissingWeights."""
    from types import SimpleNamespace

    import lpips
    import torchvision

    name = BACKBONES[net]
    features = backbone(name)
    with standing_in(torchvision.models, name, lambda **_: SimpleNamespace(features=features)):
        return lpips.LPIPS(net=net, pretrained=True, pnet_rand=True, verbose=False).eval().requires_grad_(False)
