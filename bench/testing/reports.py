"""Checks of report formats, on a small made-up run with awkward names."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

from bench.core.files import write_json
from bench.core.results import write_table
from bench.grid.reports import rendered
from bench.testing.findings import Broken

METHODS = ("bicubic", "<b>&_mine%", "=cmd()")


def a_run(folder: Path) -> Path:
    """Results of three methods on two faces, one cell failed, one metric unavailable."""
    rows: list[dict[str, Any]] = []
    for number, method in enumerate(METHODS):
        head = {"method": method, "variant": "", "degradation": "", "condition": "bicubic", "seed": 0}
        base = {**head, "metric": "psnr", "direction": "higher"}
        if number == 2:
            rows.append({**base, "status": "failed", "reason": "ValueError: $x_1 & <i>"})
            continue
        values = [24.0 + number, 25.0 + number]
        more = {"status": "ok", "protocol": "made up", "seconds": 0.1}
        rows.append(
            {**base, **more, "image": "", "value": sum(values) / 2, "n": 2, "ci_low": values[0], "ci_high": values[1]}
        )
        rows += [{**base, **more, "image": f"{i}", "value": v, "n": 1} for i, v in enumerate(values)]
        rows.append({**base, "metric": "lpips", "direction": "lower", "status": "unavailable", "reason": "no weights"})
    folder.mkdir(parents=True)
    write_table(folder, rows)
    methods = [
        {"label": m, "name": m, "variant": "", "degradation": "", "images": f"m{i}"} for i, m in enumerate(METHODS)
    ]
    write_json(folder / "run.json", {"methods": methods, "conditions": ["bicubic"], "preset": "quick", "seed": 0,
                                     "failed": [], "unavailable": {}})  # fmt: skip
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {
        str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.rglob("*") if f.is_file()
    }


def renders(target: Any) -> str:
    """Files at the place it was told, none beside, the run as it was."""
    with tempfile.TemporaryDirectory() as root:
        run = a_run(Path(root) / "run")
        before = contents(run)
        out = Path(root) / "out" / f"report.{target.spec.name}"
        files = rendered(target.plugin, [run], out)
        if not files:
            raise Broken("the path of the file that it wrote, or a list of such", repr(files), "")
        for file in files:
            if not isinstance(file, Path) or not file.exists():
                raise Broken("paths of files that exist", str(file), "")
            if file != out and out not in file.parents and file.parent != out.parent:
                raise Broken(f"files at {out.name} or below", str(file), "")
        if contents(run) != before:
            raise Broken("the run's folder as it was", "files in it that changed", "")
        return f"{len(files)} files"


def the_same_twice(target: Any) -> None:
    with tempfile.TemporaryDirectory() as root:
        run = a_run(Path(root) / "run")
        made = []
        for name in ("a", "b"):
            rendered(target.plugin, [run], Path(root) / name / "report")
            made.append(contents(Path(root) / name))
        if made[0] != made[1]:
            raise Broken("the same report of the same run", "another", "")


def several_runs(target: Any) -> None:
    with tempfile.TemporaryDirectory() as root:
        runs = [a_run(Path(root) / name) for name in ("first", "second")]
        rendered(target.plugin, runs, Path(root) / "out" / "report")


CHECKS = (
    ("renders a run with awkward names", renders, "a-report"),
    ("gives the same twice", the_same_twice, "a-report"),
    ("renders several runs", several_runs, "a-report"),
)
