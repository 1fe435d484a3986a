"""``bench infer``: upscale images with a method."""

from __future__ import annotations

from bench.commands.images import convert, pairs, shown
from bench.commands.models import ready
from bench.core.device import resolve_device


def command(
    method: str, weights: str | None, show: str | None, input: str, output: str, device: str, **_: object
) -> int:
    """Exit code 1 where a file could not be read."""
    target = resolve_device(device)
    model = ready("methods", method, weights).to(target).eval()
    if show:
        shown(model, input, show, target)
    return convert(pairs(input, output), model.infer, target)
