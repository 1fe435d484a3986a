"""Exponential moving averages of networks: what ``Stage.ema`` asks for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bench.api.model import Model


class Averages:
    """Exponential moving averages of child modules' parameters."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.values: dict[str, dict[str, Tensor]] = {}

    def update(self, decays: Any) -> None:
        for child, decay in decays.items():
            now = dict(self.model.get_submodule(child).named_parameters())
            kept = self.values.setdefault(child, {})
            for name, value in now.items():
                if name not in kept:
                    kept[name] = value.detach().clone()
            torch._foreach_lerp_([kept[n] for n in now], [p.detach() for p in now.values()], 1 - decay)

    def apply(self) -> None:
        for child, kept in self.values.items():
            parameters = dict(self.model.get_submodule(child).named_parameters())
            with torch.no_grad():
                for name, value in kept.items():
                    parameters[name].copy_(value)
