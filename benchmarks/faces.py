"""Packing and reading large face sets: time and peak memory above the imports, against an older commit in the same run.

    python benchmarks/faces.py [--count 200000] [--side 64] [--old COMMIT] [--steps pack open draw] [--folder DIR]

Makes COUNT PNG files (links to 256 different noisy ones), and lets a process of its own do each step: pack them into an
empty store (`load`, as `bench run` does), open them again, and draw a thousand batches of 64. ``--old`` does the same with
the code of that commit before it. Memory is the process's high-water mark (VmHWM), pages of the mapped file among it, less
what it was after the imports.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
DIFFERENT = 256
STEPS = ("pack", "open", "draw")


def memory(field: str) -> float:
    """MB of /proc/self/status."""
    text = Path("/proc/self/status").read_text()
    return int(text.split(f"{field}:")[1].split()[0]) / 1024


def make(folder: Path, count: int, side: int) -> None:
    """PNG files: smooth shapes with noise, which compress as photographs do."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    (folder / "first").mkdir(parents=True)
    for index in range(DIFFERENT):
        small = Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).resize(
            (side, side), Image.Resampling.BICUBIC
        )
        noisy = np.asarray(small) + rng.normal(0, 4, (side, side, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / "first" / f"{index}.png")
    for part in range(-(-count // 10_000)):
        (folder / "faces" / f"{part:03d}").mkdir(parents=True)
    for index in range(count):
        target = folder / "faces" / f"{index // 10_000:03d}" / f"{index:07d}.png"
        os.link(folder / "first" / f"{index % DIFFERENT}.png", target)


def step(name: str, faces: str, store: str) -> None:
    """One step, in this process; prints its figures."""
    import torch

    from bench.api.training import Augment, View
    from bench.core.store import Store
    from bench.faces.read import load
    from bench.training.sampler import Sampler

    before, begin, cpu = memory("VmHWM"), time.perf_counter(), time.process_time()
    data = load(faces, None, store=Store(Path(store)))
    prints = [data.hr_train.fingerprint, data.hr_test.fingerprint]
    if name == "draw":
        side = min(data.hr_train.size, 64)
        begin, cpu = time.perf_counter(), time.process_time()
        sampler, rng = Sampler(data.hr_train, View(side, whole=False), torch.device("cpu")), torch.Generator()
        for _ in range(1000):
            sampler.draw(64, Augment(), rng)
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - begin, "cpu": time.process_time() - cpu, "peak": memory("VmHWM") - before,
                "own": memory("RssAnon"), "faces": len(data.hr_train) + len(data.hr_test), "prints": prints,
            }
        )
    )  # fmt: skip


def code_of(commit: str, folder: Path) -> Path:
    """The project as it was at a commit."""
    folder.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "x", "-C", folder], input=archive, check=True)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--old", metavar="COMMIT")
    parser.add_argument(
        "--steps", nargs="+", default=STEPS, choices=STEPS, help="in this order; each opens what pack made"
    )
    parser.add_argument("--folder", help="where the files and the stores lie while it runs; it needs room for both")
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        return step(*options.step)
    here = Path(tempfile.mkdtemp(prefix="faces-", dir=options.folder))
    try:
        make(here, options.count, options.side)
        pixels = options.count * 3 * options.side**2 / 2**20
        print(f"{options.count} faces of {options.side} px, {pixels:.0f} MB of pixels")
        ways = {options.old: code_of(options.old, here / "old")} if options.old else {}
        found = {}
        for way, root in {**ways, "now": ROOT}.items():
            for name in options.steps:
                line = [sys.executable, __file__, "--step", name, str(here / "faces"), str(here / f"store of {way}")]
                done = subprocess.run(
                    line, env={**os.environ, "PYTHONPATH": str(root)}, stdout=subprocess.PIPE, text=True
                )
                if done.returncode:
                    print(f"{way}: {name} ended with {done.returncode}")
                    break
                f = found[way, name] = json.loads(done.stdout)
                ratio = ""
                if way == "now" and (options.old, name) in found:
                    old = found[options.old, name]
                    ratio = f"; of {options.old}'s: time {f['seconds'] / old['seconds']:.2f}, peak {f['peak'] / old['peak']:.2f}"
                    ratio += "" if sorted(f["prints"]) == sorted(old["prints"]) else "; OTHER FACES"
                print(
                    f"{way:<8} {name:<5} {f['seconds']:8.1f} s ({f['cpu']:.1f} s of CPU), peak {f['peak']:7.0f} MB above the "
                    f"imports{ratio}",
                    flush=True,
                )
            shutil.rmtree(here / f"store of {way}", ignore_errors=True)
    finally:
        shutil.rmtree(here)


if __name__ == "__main__":
    main()
