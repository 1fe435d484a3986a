"""Embeddings of faces on local files: ArcFace by facexlib's network, AdaFace in its authors' layout."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import weights
from bench.core.image import resize
from bench.core.tensors import load_checkpoint

SIDE = 112  # px: what the networks take (Deng 2019)


def embed(model: nn.Module, images: Tensor) -> Tensor:
    """(B, 3, H, W) in [0, 1] -> (B, 512) of length 1."""
    faces = resize(images, SIDE, "bilinear").clamp(0, 1).contiguous()  # facexlib flattens by a view
    return F.normalize(model(faces * 2 - 1), dim=1)


def arcface() -> nn.Module:
    """facexlib's IR-SE-50 on the local file. Raises MissingWeights."""
    from facexlib.recognition.arcface_arch import Backbone

    saved = weights.load("arcface")
    with torch.device("meta"):
        model = Backbone(num_layers=50, drop_ratio=0.6, mode="ir_se")
    model.load_state_dict(saved, assign=True)
    return model.eval().requires_grad_(False)


class Unit(nn.Module):
    """A residual block of AdaFace's IR networks (Kim 2022): batch norm, 3x3, batch norm, PReLU, 3x3, batch norm."""

    def __init__(self, inputs: int, depth: int, stride: int) -> None:
        super().__init__()
        self.shortcut_layer: nn.Module = nn.MaxPool2d(1, stride)
        if inputs != depth:
            self.shortcut_layer = nn.Sequential(nn.Conv2d(inputs, depth, 1, stride, bias=False), nn.BatchNorm2d(depth))
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, depth, 3, 1, 1, bias=False), nn.BatchNorm2d(depth), nn.PReLU(depth),
            nn.Conv2d(depth, depth, 3, stride, 1, bias=False), nn.BatchNorm2d(depth),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.res_layer(x) + self.shortcut_layer(x)


class AdaFace(nn.Module):
    """An IR network of AdaFace's release, of the widths and depth that its weights have; it takes BGR in [-1, 1].

    A stage begins where the width changes, and with the first block, which halve the picture.
    """

    def __init__(self, saved: Mapping[str, Tensor]) -> None:
        super().__init__()
        sizes: list[tuple[int, int]] = []
        while (weight := saved.get(f"body.{len(sizes)}.res_layer.1.weight")) is not None:
            sizes.append((weight.shape[1], weight.shape[0]))
        first, last = sizes[0][0], sizes[-1][1]
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, first, 3, 1, 1, bias=False), nn.BatchNorm2d(first), nn.PReLU(first)
        )
        self.body = nn.Sequential(*(Unit(i, d, 2 if not n or i != d else 1) for n, (i, d) in enumerate(sizes)))
        features, inputs = saved["output_layer.3.weight"].shape
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(last), nn.Dropout(0.4), nn.Flatten(), nn.Linear(inputs, features),
            nn.BatchNorm1d(features, affine=False),
        )  # fmt: skip
        self.load_state_dict(saved, assign=True)

    def forward(self, rgb: Tensor) -> Tensor:
        """(B, 3, 112, 112) RGB in [-1, 1] -> (B, 512), not normalised."""
        return self.output_layer(self.body(self.input_layer(rgb.flip(1))))


def adaface(name: str) -> nn.Module:
    """AdaFace on its local file, a checkpoint of its training or the weights alone. Raises MissingWeights."""
    saved = load_checkpoint(weights.path(name))
    saved = saved.get("state_dict", saved)
    parts = {k.removeprefix("model."): v for k, v in saved.items() if not k.startswith("head.")}
    return AdaFace(parts).eval().requires_grad_(False)
