"""``bench score``: measure images that any program made."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from bench import plugins
from bench.api.metric import Outputs
from bench.api.results import write_table
from bench.core.device import resolve_device
from bench.core.files import folder_name, prepare_folder
from bench.core.image import read_image
from bench.core.spec import nearest
from bench.errors import UnreadableImage, UsageError
from bench.faces.faceset import FaceSet
from bench.faces.read import images_under
from bench.grid.reopen import add, opened
from bench.grid.resolve import measures
from bench.grid.run import Run
from bench.grid.scores import measured_rows


def command(
    sr: str,
    hr: str | None,
    lr: str | None,
    metrics: str,
    out: str | None,
    device: str,
    run: str | None = None,
    condition: str | None = None,
    method: str | None = None,
    **_: object,
) -> int:
    """Print the means; exit code 1 where a metric failed, or one named with --metrics was unavailable.

    With ``run``, the outputs become a row of that run instead, named ``method``, under ``condition``.
    """
    if run is not None:
        if not condition or not method:
            raise UsageError("--run takes --condition (what the LR was made by) and --method (the row's name) too")
        if hr or lr or metrics or out:
            raise UsageError("--run has its faces and metrics; leave out --hr, --lr, --metrics and --out")
        return add_row(Path(sr), Path(run), condition, method)
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


def add_row(sr: Path, out: Path, condition: str, method: str) -> int:
    """Outputs of any program as a row of a finished run: its faces, references and metrics; the report is made anew."""
    found = opened(out)
    plugins.use(*found.plugins)
    run = Run(found.settings, found.command)
    if condition not in run.plan.conditions:
        raise UsageError(
            f"--condition {condition}: the run has none of this name{nearest(condition, run.plan.conditions)}"
        )
    if method in [m.label for m in run.plan.methods if not m.only]:
        raise UsageError(f"--method {method}: a row of the run has this name; take another")
    files = {f.stem: f for f in images_under(sr)} if sr.is_dir() else {}
    scale = fitting(run, condition, files, sr)
    target = out / "added" / folder_name(method) / folder_name(condition)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in files:
        shutil.copyfile(files[name], target / files[name].name)
    add(out, method, condition, scale)
    return Run(found.settings, found.command).go()


def fitting(run: Run, condition: str, files: dict[str, Path], sr: Path) -> int:
    """The scale of the run at which the outputs are as large as they should be."""
    sets = {s: run.artefacts.lr_of(run.plan.degraded[condition, s]) for c, s in run.plan.degraded if c == condition}
    names = next(iter(sets.values())).names
    known = next(((name, files[folder_name(name)]) for name in names if folder_name(name) in files), None)
    if known is None:
        raise UsageError(f"{sr}: no output of any of the run's {len(names)} faces ({names[0]}, ...)")
    size = read_image(known[1]).shape[1:]
    for scale, faces in sets.items():
        lr = faces.only([known[0]]).images()[0]
        if size == (lr.shape[1] * scale, lr.shape[2] * scale):
            return scale
    wanted = " or ".join(f"x{s}" for s in sets)
    raise UsageError(f"{known[1]}: {size[1]}x{size[0]} px is not {wanted} of its LR")


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
