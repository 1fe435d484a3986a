"""`bench infer` against a plain spandrel loop: the same checkpoint, the same folder of LR faces, in one run.

    python benchmarks/infer.py CHECKPOINT FOLDER [--threads 2] [--repeats 3]

Both read files, restore and write files. Times are the best of the repeats, wall and CPU; on a shared machine the CPU's
are the ones to read.
"""

import argparse
import contextlib
import io
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from spandrel import ModelLoader

from bench.cli import main


def plain(checkpoint: str, folder: Path, out: Path) -> None:
    """What spandrel's own page shows: one image after the other."""
    model = ModelLoader().load_from_file(checkpoint).eval()
    for file in sorted(folder.glob("*.png")):
        image = torch.from_numpy(np.array(Image.open(file).convert("RGB"))).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            restored = model(image)[0].clamp(0, 1).mul(255).round().byte()
        Image.fromarray(restored.permute(1, 2, 0).numpy()).save(out / file.name)


def ours(checkpoint: str, folder: Path, out: Path, *more: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert (
            main(["infer", f"pretrained[weights={checkpoint}]", str(folder), str(out), "--device", "cpu", *more]) == 0
        )


def farthest(a: Path, b: Path) -> tuple[int, float]:
    """The largest and the mean difference of two folders' pixels, in grey levels."""
    pairs = [
        (np.asarray(Image.open(f)).astype(int), np.asarray(Image.open(b / f.name)).astype(int)) for f in a.glob("*.png")
    ]
    return max(abs(x - y).max() for x, y in pairs), float(np.mean([abs(x - y).mean() for x, y in pairs]))


def measure() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("checkpoint")
    options.add_argument("folder", type=Path)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--repeats", type=int, default=3)
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    count = len(list(given.folder.glob("*.png")))
    ways = {"spandrel, a plain loop": plain, "bench infer": ours, "bench infer, bf16": ours_bf16}
    with tempfile.TemporaryDirectory() as root:
        outs = {name: Path(root) / str(i) for i, name in enumerate(ways)}
        best = dict.fromkeys(ways, (1e9, 1e9))
        for _ in range(given.repeats):
            for name, way in ways.items():
                outs[name].mkdir(exist_ok=True)
                wall, cpu = time.perf_counter(), time.process_time()
                way(given.checkpoint, given.folder, outs[name])
                spent = time.perf_counter() - wall, time.process_time() - cpu
                best[name] = (min(best[name][0], spent[0]), min(best[name][1], spent[1]))
        first = next(iter(ways))
        for name, (wall, cpu) in best.items():
            most, mean = farthest(outs[first], outs[name])
            print(f"{name:<24} {count / wall:6.1f} faces/s  {count / cpu:6.1f} faces per CPU second  "
                  f"differs from the loop by {most} grey levels at most, {mean:.3f} in the mean")  # fmt: skip
    print(f"peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def ours_bf16(checkpoint: str, folder: Path, out: Path) -> None:
    ours(checkpoint, folder, out, "--precision", "bf16")


if __name__ == "__main__":
    measure()
