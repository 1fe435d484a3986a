"""``bench score``: measure images that any program made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.api.metric import Outputs
from bench.api.results import write_table
from bench.core.device import resolve_device
from bench.core.files import prepare_folder
from bench.core.image import read_image
from bench.errors import UnreadableImage, UsageError
from bench.faces.faceset import FaceSet
from bench.faces.read import images_under
from bench.grid.resolve import measures
from bench.grid.scores import measured_rows


def command(sr: str, hr: str | None, lr: str | None, metrics: str, out: str | None, device: str, **_: object) -> int:
    """Print the means; exit code 1 where a metric failed, or one named with --metrics was unavailable."""
    restored = folder_of_images(sr)
    names = restored.names
    truth, inputs = (aligned(folder_of_images(f), names, f) if f else None for f in (hr, lr))
    scale = restored.images()[0].shape[1] // inputs[0].shape[1] if inputs else 4
    outputs = Outputs(
        sr=restored.images(), names=names, hr=truth, lr=inputs, reference_hr=truth, scale=scale,
        device=resolve_device(device),
    )  # fmt: skip
    condition = Path(lr).name if lr else ""
    head = {"method": Path(sr).name, "variant": "", "degradation": "", "condition": condition, "seed": 0}
    rows: list[dict[str, Any]] = []
    code = 0
    for measure in measures(metrics, "paper"):
        found = measured_rows(measure, {**head}, lambda: outputs)
        rows += found
        code |= found[0]["status"] == "failed" or (found[0]["status"] == "unavailable" and measure.asked)
    for row in rows:
        if not row.get("image"):
            shown = f"{row['status']}: {row.get('reason')}"
            if row["status"] == "ok":
                shown = f"{row['value']:.4f} (n = {row['n']})"
            print(f"{row['metric']:<28} {shown}")
    if out:
        prepare_folder(Path(out))
        write_table(Path(out), rows)
    return int(code)


def folder_of_images(folder: str) -> FaceSet:
    if not Path(folder).is_dir():
        raise UsageError(f"{folder}: no such folder")
    files = images_under(Path(folder))
    if not files:
        raise UsageError(f"{folder}: no image files in this folder")
    try:
        images = [read_image(f) for f in files]
    except UnreadableImage as error:
        raise UsageError(str(error)) from None
    return FaceSet.of(images, [str(f.relative_to(folder).with_suffix("")) for f in files], folder)


def aligned(faces: FaceSet, names: list[str], folder: str) -> list[Any]:
    """Images of another folder in the order of these names."""
    known = dict(zip(faces.names, faces.images(), strict=True))
    lacking = [n for n in names if n not in known]
    if lacking:
        raise UsageError(f"{folder}: {len(lacking)} images lack a counterpart, {lacking[0]} for one")
    return [known[n] for n in names]
