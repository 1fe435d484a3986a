"""Parts of `metrics.py`: each measure against pyiqa's of the same name, both from files, as packages and as commands."""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from bench import plugins
from bench.api.metric import Outputs
from bench.commands.score import folder_of_images
from bench.core.image import downsample, write_image
from bench.core.spec import override
from bench.faces.procedural import portrait

PEERS = {"psnr": "psnr", "ssim": "ssim", "ms-ssim": "ms_ssim", "nlpd": "nlpd", "piqe": "piqe"}  # ours: pyiqa's
SIZES = {"ms-ssim": 176}  # px: pyiqa's five scales do not fit 128
TOGETHER = "psnr,ssim,lr-psnr,swd,piqe,nlpd"


def sets(folder: Path, count: int, size: int = 128) -> dict[str, Path]:
    """PNG files of faces, of softened copies, of their LR and of other faces: hr, sr, lr, other."""
    images = portrait.faces(min(count, 64), 1, size=size)[0]
    found = {name: folder / f"{name}-{count}-{size}" for name in ("hr", "sr", "lr", "other")}
    if found["hr"].exists():
        return found
    for made in found.values():
        made.mkdir()
    for index in range(count):
        hr = np.roll(images[index % len(images)], index // len(images), 2)
        small = downsample(torch.from_numpy(hr)[None] / 255, 4).clamp(0, 1)
        soft = np.mean([np.roll(hr, step, axis) for step in (0, 1) for axis in (1, 2)], 0)
        for name, image in (
            ("hr", hr),
            ("sr", soft.astype(np.uint8)),
            ("lr", (small[0] * 255).round().byte().numpy()),
            ("other", np.roll(hr, 7, 1)),
        ):
            write_image(found[name] / f"{index:05d}.png", image)
    return found


def given(folders: dict[str, Path]) -> Outputs:
    """What `bench score` gives to a metric: images that are read when they are needed."""
    sr, names = folder_of_images(str(folders["sr"]))
    return Outputs(sr=sr, names=names, hr=folder_of_images(str(folders["hr"]))[0], scale=4)


def packages(folder: Path, options: argparse.Namespace) -> None:
    """Metric.score against pyiqa's metric on one pair after the other, as its command calls it; no start-up on either side.

    From files, and with all images in memory: the measure alone.
    """
    import pyiqa

    for name, theirs in PEERS.items():
        folders = sets(folder, options.faces, SIZES.get(name, 128))
        pairs: Any = [(str(folders["sr"] / f.name), str(f)) for f in sorted(folders["hr"].glob("*.png"))]
        held = given(folders)
        tensors = [
            [torch.from_numpy(i)[None].float() / 255 for i in pair] for pair in zip(held.sr, held.hr, strict=True)
        ]
        peer, kind = pyiqa.create_metric(theirs, device="cpu"), plugins.load("metrics", name)
        same = {"color": "rgb" if name == "psnr" else "y", "border": 0}  # as pyiqa
        metric = kind(override(kind.Params(), {k: v for k, v in same.items() if hasattr(kind.Params(), k)}, name))

        def other(pairs: Any, peer=peer) -> float:
            return float(np.mean([peer(*(pair if peer.metric_mode == "FR" else pair[:1])).item() for pair in pairs]))

        sides = {
            "files": (lambda f=folders, m=metric: m.score(given(f)).value, lambda p=pairs, o=other: o(p)),
            "memory": (lambda g=held, m=metric: m.score(g).value, lambda p=tensors, o=other: o(p)),
        }
        for where, (mine, its) in sides.items():
            compared(f"packages, {name} from {where}", mine, its, options.rounds)


def networks(options: argparse.Namespace) -> None:
    """What runs on weights, with random ones in both: Metric.score of faces of 128 px in memory against pyiqa one by one."""
    hr = [np.roll(i, 1, 2) for i in portrait.faces(options.networks, 1, size=128)[0]]
    sr = [((i.astype(int) + np.roll(i, 1, 2)) // 2).astype(np.uint8) for i in hr]
    singles = [[torch.from_numpy(i)[None].float() / 255 for i in pair] for pair in zip(sr, hr, strict=True)]
    for name, (key, own, peer) in random_networks().items():
        metric = plugins.load("metrics", name)()
        made = Outputs(sr=sr, names=[str(i) for i in range(len(sr))], hr=hr, cache={key(metric): own})

        def ours(metric=metric, made=made) -> float:
            return float(metric.score(made).value)

        def theirs(peer=peer, pairs="hr" in metric.needs) -> float:
            return float(np.mean([peer(*(one if pairs else one[:1])).item() for one in singles]))

        with torch.inference_mode():
            compared(f"networks, {name}", ours, theirs, options.rounds)


def random_networks() -> dict[str, tuple[Any, Any, Any]]:
    """By metric: the key under which it keeps what it loads, that with random weights, and pyiqa's measure on the same ones."""
    import lpips
    import torchvision
    from pyiqa.archs import brisque_arch, dists_arch, lpips_arch, musiq_arch, niqe_arch, topiq_arch
    from pyiqa.utils.color_util import to_y_channel

    torch.manual_seed(0)
    plain = {name: getattr(torchvision.models, name)(weights=None) for name in ("alexnet", "vgg16")}
    with patch.object(lpips_arch.models, "alexnet", lambda **_: plain["alexnet"]):
        alex = lpips_arch.LPIPS(pretrained=False, net="alex").eval()
    for head in alex.lins:
        head.model[-1].weight.data.abs_()
    package = lpips.LPIPS(net="alex", pretrained=False, pnet_rand=True, verbose=False).eval()
    package.load_state_dict(alex.state_dict(), strict=False)
    with patch.object(dists_arch.models, "vgg16", lambda **_: plain["vgg16"]):
        dists = dists_arch.DISTS(pretrained=False).eval()
    root = torch.randn(36, 36, dtype=torch.float64)
    natural = (torch.randn(36, dtype=torch.float64), root @ root.T / 36)
    vectors = (torch.randn(774, dtype=torch.float64), torch.randn(774, 36, dtype=torch.float64))
    musiq = musiq_arch.MUSIQ(num_class=1, pretrained=False).eval()
    options = {"use_ref": False, "num_class": 1, "pretrained": False, "test_img_size": 512}
    topiq = topiq_arch.CFANet("resnet50", backbone_pretrain=False, **options).eval()

    def niqe(image: torch.Tensor) -> torch.Tensor:
        return niqe_arch.niqe(to_y_channel(image, 255, "ycbcr").double(), natural[0][None], natural[1][None])

    def brisque(image: torch.Tensor) -> torch.Tensor:
        return brisque_arch.brisque(image, sv_coef=vectors[0], sv=vectors[1])

    return {
        "lpips": (lambda m: ("lpips", m.params.net), package, alex),
        "dists": (lambda m: "dists", dists, dists),
        "niqe": (lambda m: "niqe", natural, niqe),
        "brisque": (lambda m: "brisque", vectors, brisque),
        "musiq": (lambda m: (type(m), m.params), musiq, musiq),
        "topiq-face": (lambda m: (type(m), m.params), topiq, topiq),
    }


def compared(name: str, mine: Any, its: Any, rounds: int) -> None:
    """Both sides in turn: their times, wall and processor's, and their values."""
    values, times = [mine(), 0.0], ([], [])  # warm: what is imported and allocated once
    for _ in range(rounds):
        for side, work in enumerate((mine, its)):
            begin = time.perf_counter(), time.process_time()
            values[side] = work()
            times[side].append((time.perf_counter() - begin[0], time.process_time() - begin[1]))
    wall, cpu = ([median(t[k] for t in side) for side in times] for k in (0, 1))
    print(
        f"{name}: bench {wall[0]:.2f} s, pyiqa {wall[1]:.2f} s: {wall[1] / wall[0]:.1f}x; "
        f"CPU {cpu[0]:.2f} and {cpu[1]:.2f} s, {cpu[1] / cpu[0]:.1f}x; values {values[0]:.6g} and {values[1]:.6g}",
        flush=True,
    )


# A process begins with the peak of the one that it is forked from: one in between, which is small, starts the command.
BETWEEN = """
import json, os, sys
pid = os.posix_spawn(sys.executable, sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(json.dumps([usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]))
sys.exit(bool(status))
"""


def run(command: list[str]) -> tuple[float, float, float]:
    """Wall time, processor's time and peak memory (MB) of a command of this Python."""
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", BETWEEN, *command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr[-500:]}")
    cpu, peak = json.loads(done.stdout.splitlines()[-1])
    return time.perf_counter() - begin, cpu, peak


def commands(folder: Path, options: argparse.Namespace) -> None:
    """Whole commands, start-up and all: `bench score` with six metrics against the sum of pyiqa's four; memory of both."""
    few, many, more = (sets(folder, count) for count in (3, options.faces, 4 * options.faces))
    large = sets(folder, options.faces, SIZES["ms-ssim"])

    def score(folders: dict[str, Path], metrics: str) -> list[str]:
        places = [f"--{k}={folders[k]}" for k in ("hr", "lr")] + [f"--reference={folders['other']}"]
        return [sys.executable, "-m", "bench", "score", str(folders["sr"]), *places, "--metrics", metrics]

    def peer(name: str, folders: dict[str, Path] = many) -> list[str]:
        command = [sys.executable, "-c", "from pyiqa.pyiqa_cmd import main; main()", PEERS[name], "--device", "cpu"]
        return [*command, "-t", str(folders["sr"]), *([] if name == "piqe" else ["-r", str(folders["hr"])])]

    for name, folders in (("ssim", many), ("ms-ssim", large)):
        ours, theirs = run(score(folders, name)), run(peer(name, folders))
        print(
            f"commands, {name}: bench {ours[0]:.1f} s, {ours[2]:.0f} MB; pyiqa {theirs[0]:.1f} s, {theirs[2]:.0f} MB: "
            f"{theirs[0] / ours[0]:.1f}x, CPU {theirs[1] / ours[1]:.1f}x"
        )
    ours = run(score(many, TOGETHER))
    theirs = [run(peer(name)) for name in ("psnr", "ssim", "piqe", "nlpd")]
    wall, cpu = (sum(t[k] for t in theirs) for k in (0, 1))
    print(
        f"commands, {TOGETHER}: bench {ours[0]:.1f} s; pyiqa's psnr, ssim, piqe and nlpd {wall:.1f} s: "
        f"{wall / ours[0]:.1f}x, CPU {cpu / ours[1]:.1f}x"
    )
    start = run(score(few, TOGETHER))[2]
    peaks = [run(score(folders, TOGETHER))[2] - start for folders in (many, more)]
    print(
        f"commands, memory of {TOGETHER} above that for 3 faces ({start:.0f} MB): {peaks[0]:.0f} MB for {options.faces} "
        f"faces, {peaks[1]:.0f} MB for {4 * options.faces}"
    )
