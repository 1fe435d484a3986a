"""ArcFace embeddings, by facexlib's network on the local file."""

import torch
import torch.nn.functional as F
from torch import Tensor

from bench import weights
from bench.core.image import resize

SIDE = 112  # px: what ArcFace's network takes (Deng 2019)


def embed(model: torch.nn.Module, images: Tensor) -> Tensor:
    """(B, 3, H, W) in [0, 1] -> (B, 512) of length 1."""
    faces = resize(images, SIDE, "bilinear").clamp(0, 1).contiguous()  # facexlib flattens by a view
    return F.normalize(model(faces * 2 - 1), dim=1)


def arcface() -> torch.nn.Module:
    """facexlib's IR-SE-50 on the local file. Raises MissingWeights."""
    from facexlib.recognition.arcface_arch import Backbone

    saved = weights.load("arcface")
    with torch.device("meta"):
        model = Backbone(num_layers=50, drop_ratio=0.6, mode="ir_se")
    model.load_state_dict(saved, assign=True)
    return model.eval().requires_grad_(False)
