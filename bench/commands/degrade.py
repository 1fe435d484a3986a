"""``bench degrade``: degrade images, or show what a degradation has learnt."""

from __future__ import annotations

import torch

from bench.api.model import Degradation, Model
from bench.commands.images import convert, pairs, shown
from bench.commands.models import ready
from bench.core.device import resolve_device
from bench.core.image import write_image
from bench.errors import UsageError
from bench.grid.inference import degrade


def command(
    name: str,
    weights: str | None,
    show: str | None,
    seed: int,
    input: str | None,
    output: str | None,
    device: str,
    **_: object,
) -> int:
    target = resolve_device(device)
    model = ready("degradations", name, weights).to(target).eval()
    assert isinstance(model, Degradation)
    if show and input is not None and type(model).figure is not Model.figure:
        shown(model, input, show, target)
    elif show:
        picture = model.picture()
        if picture is None:
            raise UsageError(f"{name} has no picture to show without images")
        write_image(show, picture)
        print(f"{show}: picture of {name}")
    if input is None or output is None:
        if not show:
            raise UsageError("give IN and OUT, or --show PNG")
        return 0
    counter = iter(range(seed, 2**62))

    def one(image: torch.Tensor) -> torch.Tensor:
        height, width = (side - side % model.scale for side in image.shape[-2:])
        if not height or not width:
            raise UsageError(f"an image of {image.shape[-1]}x{image.shape[-2]} px is too small for scale {model.scale}")
        return degrade(model, image[..., :height, :width], next(counter))

    return convert(pairs(input, output), one, target)
