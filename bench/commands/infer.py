"""``bench infer``: upscale images with a method."""

from __future__ import annotations

import sys
from functools import partial

import torch
from torch import Tensor

from bench.api.model import Method
from bench.commands.images import convert, pairs, shown
from bench.commands.models import ready
from bench.core.device import has_bf16, resolve_device
from bench.grid.inference import batch_size, fast, halving


def command(
    method: str,
    weights: str | None,
    input: str,
    output: str,
    device: str,
    precision: str = "fp32",
    show: str | None = None,
    **_: object,
) -> int:
    """Exit code 1 where a file could not be read."""
    target = resolve_device(device)
    model = fast(ready("methods", method, weights).to(target)).eval()
    assert isinstance(model, Method)
    if show:
        shown(model, input, show, target)
    if precision == "bf16" and not has_bf16(target):
        print("bench: this processor has no bf16 instructions; computing in fp32", file=sys.stderr)
        precision = "fp32"
    function = partial(upscale, model, precision)
    return convert(pairs(input, output), partial(halving, function), target, partial(batch_size, device=target))


def upscale(model: Method, precision: str, lr: Tensor) -> Tensor:
    """(B, 3, h, w) -> (B, 3, h*scale, w*scale) float32, both in [0, 1]; ``precision``: fp32 or bf16."""
    with torch.autocast(lr.device.type, torch.bfloat16, enabled=precision == "bf16"):
        return model.infer(lr).float()
