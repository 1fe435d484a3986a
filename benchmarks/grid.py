"""What a grid costs beside its computing: scheduling, planning, repeating, and what a second process gives.

    python benchmarks/grid.py [--tasks 2000] [--seeds 4] [--only starting,scheduling,planning,repeating,two_processes]

Prints one line a figure, and the machine's load before each: with other work a time means little, and its CPU time more.
CPU only; trainings have one thread each, so that N processes have N cores.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

os.environ["OMP_NUM_THREADS"] = "1"

from bench.cluster.engines import Local
from bench.cluster.pool import connected
from bench.cluster.worker import place_here
from bench.faces.faceset import Data, FaceSet
from bench.grid import plan
from bench.grid.settings import Settings

TRAINING = "edsr[steps=2000]"  # about 50 s on one thread


def nothing(index: int) -> int:
    return index


def starting() -> None:
    """A process until it has done its first task, and until the second, which a replaced one begins at once."""
    begin = time.perf_counter()
    with connected(Local(Local.Params(jobs=1))) as client:
        client.submit(place_here, "cpu", "fp32", pure=False).result()
        first = time.perf_counter() - begin
        (pid,) = client.run(os.getpid).values()
        os.kill(pid, signal.SIGKILL)
        begin = time.perf_counter()
        client.submit(place_here, "cpu", "fp32", pure=False).result()
        print(
            f"starting: cluster and process {first:.1f} s; one in place of a killed one {time.perf_counter() - begin:.1f} s"
        )


def scheduling(tasks: int) -> None:
    """Empty tasks on two processes: what the scheduler, the client and the messages cost."""
    with connected(Local(Local.Params(jobs=2))) as client:
        client.gather(client.map(nothing, range(10), pure=False))  # both are awake
        begin, cpu = time.perf_counter(), time.process_time()
        client.gather([client.submit(nothing, index, pure=False) for index in range(tasks)])
        spent = time.perf_counter() - begin
        cpu = time.process_time() - cpu
    print(f"scheduling: {tasks} empty tasks in {spent:.1f} s, {1000 * spent / tasks:.2f} ms a task ({cpu:.1f} s CPU)")


def planning(count: int = 100) -> None:
    """100 methods on 10 degradations with 5 seeds under 10 conditions."""
    methods = ",".join(f"edsr[lr={1e-4 + i * 1e-6:.6f}]" for i in range(count))
    blurs = ",".join(f"blur[sigma={1 + i / 10}]" for i in range(10))
    noises = ",".join(f"noise[sigma={5 + i}]" for i in range(10))
    settings = Settings(methods=methods, degradations=blurs, conditions=noises, seeds=tuple(range(5)), metrics="psnr,ssim",
                        device="cpu", precision="fp32")  # fmt: skip
    faces = FaceSet.of([np.full((3, 64, 64), i, np.uint8) for i in range(8)], [str(i) for i in range(8)])
    data = Data(faces, faces)
    begin, cpu = time.perf_counter(), time.process_time()
    found = plan.make(settings, data)
    cpu = time.process_time() - cpu
    spent = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    grid = f"{len(found.methods)} trainings, {len(found.cells)} cells"
    print(f"planning: {grid} in {spent:.1f} s ({cpu:.1f} s CPU), peak {peak:.0f} MB with imports")


def command(folder: Path, out: str, methods: str, conditions: str, *more: str) -> list[str]:
    return [sys.executable, "-m", "bench", "run", "--methods", methods, "--conditions", conditions, "--metrics", "psnr",
            "--device", "cpu", "--quiet", "--out", str(folder / out), "--store", str(folder / f"{out}.store"), *more]  # fmt: skip


def timed(arguments: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(arguments, check=True)
    return time.perf_counter() - begin


def two_processes(folder: Path, seeds: int) -> None:
    """The same trainings in one process and in two: of a method whose trainings share no fit, long enough to outlast starts.

    The embedded faces are drawn before: a store does that once.
    """
    more = ["--seeds", f"0..{seeds - 1}"]
    for name in ("one", "two"):
        timed(command(folder, name, "bicubic", "bicubic"))
    one = timed(command(folder, "one", TRAINING, "bicubic", *more))
    two = timed(command(folder, "two", TRAINING, "bicubic", *more, "--jobs", "2"))
    print(f"--jobs 2: {seeds} trainings in {two:.1f} s, in one process {one:.1f} s: {one / two:.2f} times as fast")


def repeating(folder: Path) -> None:
    """A finished grid of 500 cells again."""
    methods = ",".join(f"bicubic-{i}=bicubic" for i in range(50))
    conditions = ",".join(f"noise[sigma={5 + i}]" for i in range(10))
    first = timed(command(folder, "cells", methods, conditions))
    again = timed(command(folder, "cells", methods, conditions))
    print(f"repeat: 500 cells again in {again:.1f} s, the first time {first:.1f} s")
    for what, place in (("a restored cell", "sr"), ("a score", "score"), ("the LR of a condition", "lr")):
        entries = list((folder / "cells.store" / place).iterdir())
        size = sum(file.stat().st_size for entry in entries for file in entry.rglob("*") if file.is_file())
        print(f"store: {what} {size / len(entries) / 1e3:.0f} kB")
    shown = [file for file in (folder / "cells" / "images").rglob("*") if file.is_file()]
    print(
        f"folder: {len(shown) / 500:.0f} files a cell, {sum(file.stat().st_size for file in shown) / 500 / 1e3:.0f} kB"
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tasks", type=int, default=2000)
    arguments.add_argument("--seeds", type=int, default=4)
    arguments.add_argument("--only", default="starting,scheduling,planning,repeating,two_processes")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        parts: dict[str, Callable[[], None]] = {
            "starting": starting,
            "scheduling": lambda: scheduling(options.tasks),
            "planning": planning,
            "repeating": lambda: repeating(Path(folder)),
            "two_processes": lambda: two_processes(Path(folder), options.seeds),
        }
        for name in options.only.split(","):
            print(f"load {os.getloadavg()[0]:.1f}: ", end="", flush=True)
            parts[name]()


if __name__ == "__main__":
    main()
