"""``bench score``: measure images that any program made."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bench.api.metric import Outputs
from bench.api.reference import read_reference
from bench.cluster import isolated
from bench.core.device import resolve_device
from bench.core.files import folder_name, prepare_folder, write_json
from bench.core.image import read_image
from bench.core.locks import held
from bench.core.results import frame, together, write_table
from bench.core.spec import nearest
from bench.errors import UsageError
from bench.faces.images import ImageFiles, extent, fingerprint, shapes
from bench.faces.read import images_under
from bench.grid.again import again
from bench.grid.record import environment
from bench.grid.reopen import add
from bench.grid.resolve import measures
from bench.grid.run import Run
from bench.grid.scores import measured_rows
from bench.grid.shards import Spool


def command(
    sr: str,
    hr: str | None,
    lr: str | None,
    reference: str | None,
    scale: int | None,
    metrics: str,
    out: str | None,
    device: str,
    run: str | None = None,
    condition: str | None = None,
    method: str | None = None,
    line: str = "bench score",
    **_: object,
) -> int:
    """Print the means; exit code 1 where a metric failed, or one named with --metrics was unavailable.

    With ``out``: results.csv, results.parquet and run.json, which say of what and how, as those of a run.
    With ``run``, the outputs become a row of that run instead, named ``method``, under ``condition``.
    """
    if run is not None:
        if not condition or not method:
            raise UsageError("--run takes --condition (what the LR was made by) and --method (the row's name) too")
        if hr or lr or reference or metrics or out:
            raise UsageError("--run has its faces and metrics; leave out --hr, --lr, --reference, --metrics and --out")
        return add_row(Path(sr), Path(run), condition, method)
    begin, started = time.monotonic(), datetime.now(timezone.utc).isoformat(timespec="seconds")
    chosen = measures(metrics, "paper")
    compared = read_reference(reference) if reference else None
    restored, names = folder_of_images(sr)
    notes: list[str] = []
    truth, inputs = (aligned(folder, names, sr, notes) if folder else None for folder in (hr, lr))
    scale = scale_of(restored, names, truth, inputs, scale, hr, lr)
    for note in notes:
        print(f"warning: {note}", file=sys.stderr)
    outputs = Outputs(
        sr=restored, names=names, hr=truth, lr=inputs, reference_hr=compared, held_out_hr=truth, scale=scale,
        device=resolve_device(device),
    )  # fmt: skip
    name, condition = Path(sr).resolve().name, Path(lr).resolve().name if lr else ""
    head = {"method": name, "variant": "", "degradation": "", "condition": condition, "seed": 0}
    tables: list[Any] = []  # as frames, which take a fraction of the rows' memory
    failed: list[dict[str, str]] = []
    unavailable: dict[str, str] = {}
    code = 0
    if out:
        prepare_folder(Path(out))
    spool = Spool(chosen, outputs)
    for measure in chosen:
        found = measured_rows(measure, {**head}, outputs, spool.of)
        status, reason = found[0]["status"], found[0].get("reason", "")
        if status == "failed":
            failed.append({"cell": measure.label, "reason": reason})
        elif status == "unavailable":
            unavailable[measure.label] = reason
        code |= status == "failed" or (status == "unavailable" and measure.asked)
        show(found)
        if out:
            tables.append(frame(found))
    if out:
        write_table(Path(out), together(tables))
        data: dict[str, Any] = {"name": name, "skipped": [], "reference": str(compared) if compared else ""}
        for what, images, source in (("sr", restored, sr), ("hr", truth, hr), ("lr", inputs, lr)):
            if images is not None:
                data[what] = {"source": source, "test": len(images), "size": extent(images), "names": names,
                              "fingerprint": fingerprint(names, images)}  # fmt: skip
        write_json(
            Path(out) / "run.json",
            {
                "command": line, "kind": "score", "started": started, "seconds": round(time.monotonic() - begin, 1),
                "data": data, "conditions": [condition], "metrics": [m.label for m in chosen], "failed": failed,
                "unavailable": unavailable, "notes": notes, **environment(outputs.device),
                "methods": [{"label": name, "name": name, "variant": "", "degradation": "", "scale": scale, "images": name}],
            },
        )  # fmt: skip
    return int(code)


def show(rows: list[dict[str, Any]]) -> None:
    """The values of a set on the terminal."""
    for row in rows:
        if not row.get("image"):
            shown = f"{row['status']}: {row.get('reason')}"
            if row["status"] == "ok":
                low, high = row.get("ci_low"), row.get("ci_high")
                shown = f"{row['value']:.4f} ({f'{low:.4f} to {high:.4f}, ' if low is not None else ''}n = {row['n']})"
            print(f"{row['metric']:<28} {shown}")


def add_row(sr: Path, out: Path, condition: str, method: str) -> int:
    """Outputs of any program as a row of a finished run: its faces, references and metrics; the report is made anew."""
    sr, out = Path(os.path.abspath(sr)), Path(os.path.abspath(out))
    with again(out) as planned:
        return added_to(planned, sr, out, condition, method)


def added_to(planned: Callable[[], Run], sr: Path, out: Path, condition: str, method: str) -> int:
    """The row in the run that ``planned`` plans."""
    run = planned()
    if condition not in run.plan.conditions:
        raise UsageError(
            f"--condition {condition}: the run has none of this name{nearest(condition, run.plan.conditions)}"
        )
    if method in [m.label for m in run.plan.methods if not m.only]:
        raise UsageError(f"--method {method}: a row of the run has this name; take another")
    files: dict[str, Path] = {}
    for file in images_under(sr) if sr.is_dir() else []:
        if (other := files.setdefault(file.stem, file)) != file:
            raise UsageError(
                f"{sr}: {other.relative_to(sr)} and {file.relative_to(sr)} are outputs of one face; keep one"
            )
    scale = fitting(run, condition, files, sr)
    target = out / "added" / folder_name(method) / folder_name(condition)
    target.parent.mkdir(parents=True, exist_ok=True)
    with held(out / ".lock", f"a run in {out}"), tempfile.TemporaryDirectory(dir=target.parent) as place:
        for file in files.values():
            shutil.copyfile(file, Path(place) / file.name)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(place, target)
        add(out, method, condition, scale)
    return planned().go(isolated.executor("auto", None))


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


def folder_of_images(folder: str) -> tuple[ImageFiles, list[str]]:
    """The images below a folder, read as they are needed, and their names: paths without suffix."""
    if not Path(folder).is_dir():
        raise UsageError(f"{folder}: no such folder")
    files = images_under(Path(folder))
    if not files:
        raise UsageError(f"{folder}: no image files in this folder")
    names = [str(f.relative_to(folder).with_suffix("")) for f in files]
    if twice := next((n for n in names if names.count(n) > 1), "") if len(set(names)) < len(names) else "":
        raise UsageError(f"{folder}: several images are called {twice}; keep one of them")
    return ImageFiles(files), names


def aligned(folder: str, names: list[str], sr: str, notes: list[str]) -> ImageFiles:
    """Images of another folder in the order of these names; ``notes`` says what has no counterpart among the outputs."""
    images, known = folder_of_images(folder)
    places = {name: file for name, file in zip(known, images.files, strict=True)}
    lacking = [n for n in names if n not in places]
    left = sorted(set(known) - set(names))
    said = f"{folder}: {len(left)} of {len(known)} images lack a counterpart in {sr}, {left[0]} for one" if left else ""
    if lacking:
        more = f"; and {said}" if left else ""
        raise UsageError(
            f"{sr}: {len(lacking)} of {len(names)} images lack a counterpart in {folder}, {lacking[0]} for one{more}"
        )
    notes += [f"{said}: not measured"] if left else []
    return ImageFiles([places[n] for n in names])


def scale_of(
    restored: ImageFiles, names: list[str], truth: Any, inputs: Any, wanted: int | None, hr: str | None, lr: str | None
) -> int:
    """How much larger the images are than their inputs. Raises UsageError where the folders' sizes do not fit."""
    sizes = shapes(restored)
    if truth is not None:
        for name, mine, other in zip(names, sizes, shapes(truth), strict=True):
            if mine != other:
                raise UsageError(
                    f"--hr {hr}: {name} is {other[2]}x{other[1]}, the image to be measured {mine[2]}x{mine[1]}; sizes must agree"
                )
    if inputs is None:
        return wanted or 4
    found = sizes[0][1] // inputs.shape(0)[1]
    for name, mine, small in zip(names, sizes, shapes(inputs), strict=True):
        if (small[1] * found, small[2] * found) != mine[1:]:
            raise UsageError(
                f"--lr {lr}: {name} is {small[2]}x{small[1]}, not 1/{found} of the image, {mine[2]}x{mine[1]}"
            )
    if wanted and wanted != found:
        raise UsageError(f"--scale {wanted}: the images are {found} times as large as those of --lr")
    return found
