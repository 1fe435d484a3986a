"""Quality without a reference: NIMA by pyiqa, on a local file."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

import bench
from bench import weights

FILES = {"ava": ("nima-ava", 10), "koniq": ("nima-koniq", 1), "spaq": ("nima-spaq", 1)}


class Nima(bench.Metric):
    """Neural image assessment: the mean of a predicted distribution of scores (Talebi 2018)."""

    direction = "higher"
    paper = "Talebi, Milanfar: NIMA: Neural image assessment, TIP 2018"

    @dataclass(frozen=True)
    class Params:
        data: Literal["ava", "koniq", "spaq"] = "ava"  # aesthetic (AVA) or technical (KonIQ, SPAQ) quality

    def required_weights(self) -> tuple[str, ...]:
        return (FILES[self.params.data][0],)

    def protocol(self, outputs: bench.Outputs) -> str:
        name = FILES[self.params.data][0]
        file = f"{name} (sha256 {weights.file_hash(name)})"
        return f"NIMA, Inception-ResNet-v2, {file}, short side to 299 px, centre crop, by pyiqa"

    def score(self, outputs: bench.Outputs) -> bench.Score:
        key = ("nima", self.params.data)
        if key not in outputs.cache:
            outputs.cache[key] = load(self.params.data).to(outputs.device)
        model, values = outputs.cache[key], np.empty(len(outputs.sr))
        for indices, sr in bench.batches(outputs.sr, size=16, device=outputs.device):
            values[indices] = model(sr).flatten().double().cpu().numpy()
        return bench.Score(float(values.mean()), per_image=values)


def load(data: str) -> torch.nn.Module:
    """pyiqa's NIMA from the local file alone: its backbone is built empty, since the file overwrites it."""
    from unittest.mock import patch

    from pyiqa.archs import nima_arch

    name, classes = FILES[data]
    create = nima_arch.timm.create_model

    def empty(model: str, **options: object) -> object:
        return create(model, **{**options, "pretrained": False})

    file = weights.path(name)
    with patch.object(nima_arch.timm, "create_model", empty):
        model = nima_arch.NIMA("inception_resnet_v2", num_classes=classes, pretrained=False)
    saved = torch.load(file, map_location="cpu", weights_only=True)
    model.load_state_dict(saved.get("params", saved))
    return model.eval().requires_grad_(False)
