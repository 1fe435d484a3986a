"""Image files in, image files out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from bench.api.model import Model
from bench.core.image import read_image, to_float, to_uint8, write_image
from bench.errors import UnreadableImage, UsageError
from bench.faces.read import images_under

FIGURE = 6  # images of a figure


def pairs(source: str, target: str) -> list[tuple[Path, Path]]:
    """Input and output files: a file, or all images below a folder. Outputs are PNG."""
    path, out = Path(source), Path(target)
    if path.is_file():
        return [(path, out if out.suffix else out / f"{path.stem}.png")]
    if not path.is_dir():
        raise UsageError(f"{source}: no such file or folder")
    files = images_under(path)
    if not files:
        raise UsageError(f"{source}: no image files in this folder")
    return [(f, out / f.relative_to(path).with_suffix(".png")) for f in files]


def shown(model: Model, source: str, target: str, device: torch.device) -> None:
    """Write what ``model.figure`` makes of the first images of a folder, those of the first one's size. UsageError for none."""
    images = [to_float(torch.from_numpy(read_image(file).copy())).to(device) for file, _ in pairs(source, ".")[:FIGURE]]
    with torch.inference_mode():
        found = model.figure(torch.stack([image for image in images if image.shape == images[0].shape]))
    if found is None:
        raise UsageError(f"{type(model).__name__} has no figure to show")
    write_image(target, found)
    print(f"{target}: figure of {len(images)} images")


def convert(files: list[tuple[Path, Path]], function: Any, device: torch.device) -> int:
    """Read, change, write; a file that cannot be read is named, the others are done. Exit code 1 if there was one."""
    bad = 0
    for source, target in files:
        try:
            image = to_float(torch.from_numpy(read_image(source))[None].to(device))
        except UnreadableImage as error:
            print(f"bench: {error}; skipped", file=sys.stderr)
            bad += 1
            continue
        with torch.inference_mode():
            result = to_uint8(function(image))[0].cpu()
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_image(target, result)
        except (OSError, ValueError) as error:
            raise UsageError(f"{target}: cannot be written ({error})") from None
    print(f"{len(files) - bad} images written, {bad} skipped")
    if bad == len(files):
        raise UsageError("none of the images could be read")
    return 1 if bad else 0
