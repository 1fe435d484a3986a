"""What a report of a large run costs: the page of 20 methods on 1,000 faces under 5 conditions, and of 8 on 200 faces of 128 px.

    python benchmarks/report.py [--methods 20] [--faces 1000] [--conditions 5] [--side 64] [--format html]

Makes a run's folder with values of single faces by six metrics and a picture of every face, and prints the seconds and the peak
memory of `bench report` as a process of its own, and the sizes of what it wrote. CPU only.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from bench.core.results import write_table
from bench.faces.procedural.portrait import faces

METRICS = {"psnr": "higher", "ssim": "higher", "nlpd": "lower", "lpips": "lower", "piqe": "lower", "lr-psnr": "higher"}


def make(run: Path, methods: list[str], conditions: list[str], count: int, side: int) -> None:
    """A run's folder as `bench run` leaves it. Pictures are of 200 people at most, noised anew for a few methods."""
    rng, rows = np.random.default_rng(0), []
    names = [f"face{i:04d}" for i in range(count)]
    base = {"variant": "", "degradation": "", "status": "ok", "seconds": 1.0, "seed": 0}
    for condition in conditions:
        for number, method in enumerate(methods):
            for metric, direction in METRICS.items():
                values = rng.normal(20 + 0.05 * number, 2, count)
                about = {**base, "method": method, "condition": condition, "metric": metric, "direction": direction,
                         "protocol": f"[Y, border 4] {metric} of {side}x{side} faces"}  # fmt: skip
                half = 2 * values.std() / count**0.5
                rows.append({**about, "value": values.mean(), "n": count, "ci_low": values.mean() - half,
                             "ci_high": values.mean() + half})  # fmt: skip
                rows += [{**about, "value": v, "n": 1, "image": name} for v, name in zip(values, names, strict=True)]
            rows.append({**about, "metric": "swd", "direction": "lower", "value": 300.0 - number, "n": count})
    write_table(run, rows)
    models = [{"label": m, "name": m, "variant": "", "images": m, "degradation": "", "scale": 4} for m in methods]
    about = {"train": 1000, "test": count, "size": f"{side}x{side}", "source": "hr", "fingerprint": "ab+cd"}
    record = {"methods": models, "conditions": conditions, "preset": "paper", "data": {"name": "faces", "hr": about}}
    (run / "run.json").write_text(json.dumps(record))
    pictures(run, methods, conditions, names, side)


def pictures(run: Path, methods: list[str], conditions: list[str], names: list[str], side: int) -> None:
    """Every face by every method under every condition; equal ones are one file under several names."""
    people, _ = faces(200, 1, seed=1)
    rng, made = np.random.default_rng(0), run / "made"
    made.mkdir()
    for kind in range(4):
        for index, image in enumerate(people):
            noisy = (image.transpose(1, 2, 0) + rng.normal(0, kind, (*image.shape[1:], 3))).clip(0, 255)
            size = (side // 4, side // 4) if kind == 3 else (side, side)
            Image.fromarray(noisy.astype(np.uint8)).resize(size).save(made / f"{kind}-{index}.png")
    folders = [(f"{m}/{c}", i % 3) for i, m in enumerate(methods) for c in conditions]
    for folder, kind in [*folders, *((f"lr/{c}", 3) for c in conditions), ("hr", 0)]:
        place = run / "images" / folder
        place.mkdir(parents=True)
        for index, name in enumerate(names):
            os.link(made / f"{kind}-{index % 200}.png", place / f"{name}.png")


def measure(run: Path, form: str, out: Path) -> str:
    """The seconds, the peak memory and the sizes of what one `bench report` wrote."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-m", "bench", "report", str(run), "--format", form, "--out", str(out)],
                   check=True, stdout=subprocess.DEVNULL)  # fmt: skip
    spent = time.perf_counter() - begin
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    files = [out] if out.is_file() else sorted(out.rglob("*"))
    size = sum(f.stat().st_size for f in files) / 1e6
    return (f"{form}: {spent:.1f} s ({usage.ru_utime + usage.ru_stime:.1f} s of processor time), "
            f"peak memory {usage.ru_maxrss / 1024:.0f} MB, {size:.1f} MB")  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--methods", type=int, default=20)
    options.add_argument("--faces", type=int, default=1000)
    options.add_argument("--conditions", type=int, default=5)
    options.add_argument("--side", type=int, default=64, help="of a face, in pixels")
    options.add_argument("--format", default="html")
    options.add_argument("--keep", type=Path, help="make the run in this folder and leave it there")
    given = options.parse_args()
    methods = [f"method-{i}" for i in range(given.methods)]
    conditions = ["bicubic", "real", "jpeg[quality=30]", "noise[sigma=8]", "blur[sigma=2]"][: given.conditions]
    with tempfile.TemporaryDirectory() as folder:
        run = given.keep or Path(folder) / "run"
        if not run.is_dir():
            run.mkdir()
            make(run, methods, conditions, given.faces, given.side)
        out = run / {"html": "report.html"}.get(given.format, f"report-{given.format}")
        print(f"{given.methods} methods x {given.faces:,} faces of {given.side} px x {given.conditions} conditions; "
              + measure(run, given.format, out))  # fmt: skip


if __name__ == "__main__":
    main()
