"""The metrics against the reference code. One run, side by side, both sides in turn; Inception with random weights.

    python benchmarks/metrics.py [--threads 2] [--images 96] [--rounds 3] [--faces 1000] [--compile] [PART ...]

packages  psnr, ssim, ms-ssim, nlpd and piqe of the same files by the harness's metrics and by pyiqa's.
networks  lpips, dists, niqe, brisque, musiq and topiq-face of few faces in memory by both, with the same random weights.
commands  `bench score` against pyiqa's commands, start-up and all, and their memory.
features  images/s of FID's features from PNG files: the package's loader and network, and the harness's, on the same files;
          and the harness's network alone, on images in memory that are 299 px already: the bound.
distance  the Frechet distance of two sets of 2,048 features: scipy's matrix root as pytorch-fid uses it, and ours.
scoring   psnr, ssim, swd, fid and kid of 5 methods' folders: the share of time in reading, in the network, in the rest.
"""

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from unittest.mock import patch

os.environ.setdefault("TQDM_DISABLE", "1")

import measures
import numpy as np
import torch
from bench.metrics import inception
from bench.metrics.distribution import Fid, Kid
from bench.metrics.fidelity import Psnr, Ssim
from bench.metrics.patches import Swd

from bench.api.metric import Outputs
from bench.commands.score import folder_of_images
from bench.core.image import write_image
from bench.faces.images import ImageFiles
from bench.faces.procedural import portrait
from bench.grid import scores
from bench.weights.add import add


def random_inception(folder: Path) -> Path:
    """A file of random weights in the shape of FID's network, as the store of this benchmark."""
    from pytorch_fid import inception as package

    torch.manual_seed(0)
    with patch.object(package, "load_state_dict_from_url", lambda *_, **__: {}), \
         patch.object(package.torchvision.models.Inception3, "load_state_dict", lambda *_, **__: None):  # fmt: skip
        state = package.fid_inception_v3().state_dict()
    file = folder / "inception.pth"
    torch.save(state, file)
    row = {"name": "inception-fid", "file": file.name, "purpose": "random weights", "url": "", "sha256": "", "bytes": None,
           "licence": "", "opens": []}  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps([row]))
    os.environ |= {"BENCH_WEIGHTS": str(folder / "weights"), "BENCH_MANIFEST": str(folder / "manifest.json")}
    add([str(file)])
    return file


def write_faces(folder: Path, count: int, size: int, shift: int = 0) -> Path:
    """PNG files of embedded faces, rolled to make more of them; another ``shift`` makes other pictures."""
    folder.mkdir(parents=True)
    images, _ = portrait.faces(min(count, 64), 1, size=size)
    for index in range(count):
        image = np.roll(images[index % len(images)], (shift, index // len(images)), axis=(1, 2))
        write_image(folder / f"{index:05d}.png", image)
    return folder


def timed(work):
    begin = time.perf_counter()
    value = work()
    return time.perf_counter() - begin, value


def features(folder: Path, options: argparse.Namespace) -> None:
    """pytorch-fid's calculate_activation_statistics against ours, both from PNG files to mean and covariance."""
    from pytorch_fid import fid_score
    from pytorch_fid import inception as package

    state = torch.load(random_inception(folder), weights_only=True)
    faces = write_faces(folder / "faces", options.images, 64)
    files = sorted(faces.glob("*.png"))
    with patch.object(package, "load_state_dict_from_url", lambda *_, **__: state):
        theirs = package.InceptionV3([3]).eval()

    def reference():
        with contextlib.redirect_stderr(io.StringIO()):
            return fid_score.calculate_activation_statistics(files, theirs, 50, 2048, "cpu", 0)

    sides = {"pytorch-fid": reference}
    for name, compiled in (("bench", False), *([("bench, compiled", True)] if options.compile else [])):
        cache: dict = {}

        def ours(compiled=compiled, cache=cache):
            given = Outputs(sr=folder_of_images(str(faces))[0], names=[f.name for f in files], cache=cache)
            for key in [k for k in cache if k[0] == "inception sr"]:
                del cache[key]
            return inception.of_outputs(given, compiled=compiled)

        sides[name] = ours
    network, ready = inception.network(), torch.rand(16, 3, 299, 299)

    def bound():
        return [network(ready[: min(16, len(files) - start)]) for start in range(0, len(files), 16)]

    sides["bench's network alone"] = bound
    rates: dict[str, list[float]] = {name: [] for name in sides}
    values = {}
    for name, work in sides.items():
        values[name] = work()  # warm: compilation, allocation
    for _ in range(options.rounds):
        for name, work in sides.items():
            rates[name].append(len(files) / timed(work)[0])
    mean, covariance = values.pop("pytorch-fid")
    del values["bench's network alone"]
    for name, rate in rates.items():
        pairs = [a / b for a, b in zip(rate, rates["pytorch-fid"], strict=True)]
        print(
            f"features, {name}: {median(rate):.1f} images/s, {median(pairs):.2f}x ({min(pairs):.2f}-{max(pairs):.2f})"
        )
    for name, found in values.items():
        scale = np.abs(covariance).max()
        error = np.abs(found.mean - mean).max() / np.abs(mean).max()
        spread = np.abs(found.covariance - covariance).max() / scale
        print(f"features, {name}: mean within {error:.1e}, covariance within {spread:.1e} of the largest entry")


def distance(options: argparse.Namespace) -> None:
    """pytorch-fid's calculate_frechet_distance against ours, on the same mean and covariance of 2,048 features."""
    from pytorch_fid.fid_score import calculate_frechet_distance

    rng, d = np.random.default_rng(0), 2048
    mix = rng.normal(size=(d, d)) * np.linspace(1, 0.05, d)[:, None] / np.sqrt(d)
    sets = [np.maximum(0, rng.normal(size=(3000, d)) @ mix + shift) for shift in (0.3, 0.35)]
    ours = [inception.of_features(x) for x in sets]
    theirs = [value for s in ours for value in (s.mean, s.covariance)]
    times: list[list[float]] = [[], []]
    values = [0.0, 0.0]
    for _ in range(options.rounds):
        for side, work in enumerate(
            (lambda: calculate_frechet_distance(*theirs), lambda: inception.frechet_distance(*ours))
        ):
            spent, values[side] = timed(work)
            times[side].append(spent)
    pairs = [a / b for a, b in zip(*times, strict=True)]
    print(
        f"distance: scipy {median(times[0]):.2f} s, ours {median(times[1]):.2f} s: {median(pairs):.1f}x "
        f"({min(pairs):.1f}-{max(pairs):.1f}); values {values[0]:.9g} and {values[1]:.9g}, "
        f"relative difference {abs(values[1] / values[0] - 1):.1e}"
    )


def scoring(folder: Path, options: argparse.Namespace) -> None:
    """5 methods x N faces as `evaluate` measures them: where does the time go?

    The network sees ``--images`` faces; its time for the others is that of these (the features of the others are random).
    """
    if not (folder / "manifest.json").exists():
        random_inception(folder)
    hr, *methods = (write_faces(folder / f"set{i}", options.faces, 64, shift=i) for i in range(6))
    parts = ("waiting for files", "copying", "network", "psnr, ssim", "swd", "rest of fid, kid")
    spent = dict.fromkeys(parts, 0.0)
    seen = {"images": 0, "all": 0}
    network, take, own = inception.network, ImageFiles.take, scores.own

    def timed_network(*arguments):
        model = network(*arguments)

        def forward(images):
            seen["all"] += len(images)
            if seen["images"] >= options.images:
                return torch.rand(len(images), 2048)
            seconds, found = timed(lambda: model(images))
            spent["network"] += seconds
            seen["images"] += len(images)
            return found

        return forward

    def timed_take(self, indices):
        images = take(self, indices)
        while True:
            begin = time.perf_counter()
            image = next(images, None)
            spent["waiting for files"] += time.perf_counter() - begin
            if image is None:
                return
            yield image

    def timed_own(outputs):
        seconds, found = timed(lambda: own(outputs))
        spent["copying"] += seconds
        return found

    cache: dict = {}
    patches = patch.object(inception, "network", timed_network), patch.object(ImageFiles, "take", timed_take)
    with patches[0], patches[1], patch.object(scores, "own", timed_own):
        truth = folder_of_images(str(hr))[0]
        for method in methods:
            faces, names = folder_of_images(str(method))
            given = Outputs(sr=faces, names=names, hr=truth, reference_hr=truth, cache=cache)
            for metric in (Psnr(), Ssim(), Swd(), Fid(), Kid()):
                before = sum(spent[part] for part in parts[:3])
                seconds, _ = timed(lambda m=metric, g=given: scores.evaluate(m, "", g))
                part = {Psnr: "psnr, ssim", Ssim: "psnr, ssim", Swd: "swd"}.get(type(metric), "rest of fid, kid")
                spent[part] += seconds - (sum(spent[p] for p in parts[:3]) - before)
    spent["network"] *= seen["all"] / seen["images"]
    total = sum(spent.values())
    shares = "; ".join(f"{name} {seconds:.1f} s ({100 * seconds / total:.1f} %)" for name, seconds in spent.items())
    print(
        f"scoring 5 methods x {options.faces} faces with psnr, ssim, swd, fid, kid: {total:.0f} s, the network's from "
        f"{seen['images']} of {seen['all']} faces: {shares}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "parts", nargs="*", default=["packages", "networks", "commands", "features", "distance", "scoring"]
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--networks", type=int, default=24, help="faces of the part of this name")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--faces", type=int, default=1000)
    parser.add_argument("--compile", action="store_true", help="torch.compile of the network, as a third side")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    load = os.getloadavg()[0]
    print(
        f"torch {torch.__version__}, CPU, {options.threads} threads, load before {load:.1f}; Inception with random weights"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, part in (("packages", measures.packages), ("commands", measures.commands)):
            if name in options.parts:
                (Path(folder) / name).mkdir()
                part(Path(folder) / name, options)
        if "networks" in options.parts:
            measures.networks(options)
        if "features" in options.parts:
            features(Path(folder), options)
        if "distance" in options.parts:
            distance(options)
        if "scoring" in options.parts:
            scoring(Path(folder), options)


if __name__ == "__main__":
    sys.exit(main())
