"""How long a finished run takes when its command is given again: 1,000 faces, 20 methods, and nothing to compute.

    python benchmarks/warm.py [--faces 1000] [--methods 20] [--conditions noise,jpeg] [--profile]

The methods are plugins of one line that enlarge by interpolation, so the first run is short and the second does the same work
as after any training: it reads the store, checks what lies in the run's folder, and says that there is nothing to do.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

PLUGIN = """
import torch.nn.functional as F
import bench
"""
CLASS = """

class Method{n}(bench.Method):
    def infer(self, lr):
        return (F.interpolate(lr, scale_factor=self.scale, mode="bicubic") * {factor}).clamp(0, 1)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--faces", type=int, default=1000)
    parser.add_argument("--methods", type=int, default=20)
    parser.add_argument("--conditions", default="noise,jpeg")
    parser.add_argument("--metrics", default="psnr,ssim")
    parser.add_argument("--profile", action="store_true", help="print where the second run spends its time")
    parser.add_argument("--dir", help="keep the run here, and use what is there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(options.dir or folder)
        command = prepare(place, options)
        for name in ("first", "again", "again", "again"):
            begin, used = time.monotonic(), os.times()
            subprocess.run([sys.executable, "-m", "bench", *command], check=True)
            now = os.times()
            cpu = now.children_user + now.children_system - used.children_user - used.children_system
            print(f"{name}: {time.monotonic() - begin:.2f} s, {cpu:.2f} s of CPU", flush=True)
        if options.profile:
            subprocess.run([sys.executable, "-m", "cProfile", "-s", "cumtime", "-m", "bench", *command], check=True)


def prepare(place: Path, options: argparse.Namespace) -> list[str]:
    """Faces and a plugin in a folder; the arguments of the run."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 64), ("test", options.faces)):
        (place / "hr" / split).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            file = place / "hr" / split / f"{split}{index:05d}.png"
            if not file.is_file():
                small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
                small.resize((64, 64), Image.Resampling.BICUBIC).save(file)
    classes = [CLASS.format(n=n, factor=1 - n / 1000) for n in range(options.methods)]
    (place / "mine.py").write_text(PLUGIN + "".join(classes), encoding="utf-8")
    names = ",".join(f"method{n}" for n in range(options.methods))
    return ["run", "--plugin", str(place / "mine.py"), "--methods", names, "--hr", str(place / "hr"), "--conditions",
            options.conditions, "--metrics", options.metrics, "--preset", "paper", "--device", "cpu", "--out",
            str(place / "out"), "--store", str(place / "store"), "--quiet"]  # fmt: skip


if __name__ == "__main__":
    main()
