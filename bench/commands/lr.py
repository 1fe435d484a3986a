"""``bench lr``: the very LR faces that a run tests on, as files for another program."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from bench.core.files import folder_name, prepare_folder, write_json
from bench.core.image import write_image
from bench.errors import UsageError
from bench.grid.again import again
from bench.grid.run import Run
from bench.grid.settings import Settings


def command(
    source: str,
    output: str,
    lr: str | None,
    conditions: str,
    scale: int,
    seed: int,
    preset: str,
    device: str,
    line: str,
    **_: object,
) -> int:
    """Write OUT/CONDITION/FACE.png for a finished run, or for a run that is to come; exit code 1 where a condition failed."""
    out = Path(output).absolute()
    prepare_folder(out)
    if (Path(source) / "run.json").is_file():
        with again(Path(source)) as planned:
            return write(planned(), out)
    else:
        if source != "embedded" and not Path(source).exists():
            raise UsageError(f"{source}: no such run or data; `embedded` are the embedded faces")
        hr = None if source == "embedded" else source
        run = Run(Settings(methods=f"bicubic[scale={scale}]", conditions=conditions, hr=hr, lr=lr, seeds=(seed,),
                           preset=preset, device=device, metrics="psnr", out=str(out)), line)  # fmt: skip
    return write(run, out)


def write(run: Run, out: Path) -> int:
    """The LR faces of every condition of a run; below a folder of their scale where methods have several."""
    needed = [r for r in run.plan.degraded.values() if r is not None and r.trains]
    for recipe in dict.fromkeys(run.plan.trained):
        if recipe in needed:
            run.attempt(f"train {recipe.unique}", partial(run.train, recipe))
    scales = sorted({m.scale for m in run.plan.methods})
    for (condition, scale), degradation in run.plan.degraded.items():
        place = folder_name(condition) if len(scales) == 1 else f"x{scale}/{folder_name(condition)}"
        faces = run.attempt(f"LR of {condition}", partial(run.artefacts.lr_of, degradation))
        if faces is None:
            continue
        (out / place).mkdir(parents=True, exist_ok=True)
        for name, image in zip(faces.names, faces.images(), strict=True):
            write_image(out / place / f"{folder_name(name)}.png", image)
        write_json(out / place / "about.json", {"condition": condition, "scale": scale, "seed": run.settings.condition_seed,
                                                "faces": len(faces), "fingerprint": faces.fingerprint})  # fmt: skip
        print(f"{out / place}: {len(faces)} faces, {faces.extent}")
    for cell, reason in run.failed.items():
        print(f"failed: {cell}: {reason}", file=sys.stderr)
    return int(bool(run.failed))
