"""``bench data``: make, crop or describe a face set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench import plugins
from bench.api.metric import Outputs
from bench.api.reference import read_reference
from bench.commands.images import convert, pairs
from bench.core.device import resolve_device
from bench.core.files import prepare_folder
from bench.core.image import resize
from bench.core.spec import override
from bench.errors import UsageError
from bench.faces.faceset import Data
from bench.faces.packed import unpack
from bench.faces.read import describe, load


def command(
    action: str,
    paths: list[str],
    hr: str | None,
    lr: str | None,
    size: int,
    strict: bool,
    dims: int,
    device: str,
    **_: object,
) -> int:
    """make OUT: pack --hr and --lr (or the embedded faces); crop IN OUT: centre squares; info PATH: what a set holds.

    stats SET FILE: mean and covariance of a set's Inception features, for --reference.
    """
    wanted = {"make": 1, "crop": 2, "info": 1, "stats": 2}[action]
    if len(paths) != wanted and not (action == "info" and not paths):
        raise UsageError(f"bench data {action} takes {wanted} path{'s' if wanted > 1 else ''}")
    if action == "make":
        return make(Path(paths[0]), hr, lr, strict)
    if action == "crop":
        return crop(paths[0], paths[1], size)
    if action == "stats":
        return statistics(paths[0], Path(paths[1]), dims, device)
    return info(paths[0] if paths else "", strict)


def info(path: str = "", strict: bool = False) -> int:
    """What a packed file, folder or list holds, or the embedded faces; pixels pass once and are kept nowhere."""
    skipped: list[str] = []
    rows: list[tuple[str, int, str, str, str]] = []
    if path and not Path(path).exists():
        raise UsageError(f"{path}: no such file or folder")
    if path and not path.endswith(".safetensors"):
        found, skipped = describe(path, strict)
        rows = [(f"HR {split}", *said, path) for split, said in found.items()]
    else:
        data = Data(*unpack(Path(path))) if path else load(None, None)
        sets = {"HR train": data.hr_train, "HR test": data.hr_test, "LR train": data.lr_train, "LR test": data.lr_test}
        rows = [(name, len(s), s.extent, s.fingerprint, s.source) for name, s in sets.items() if s is not None]
    for name, count, extent, fingerprint, source in rows:
        print(f"{name:<9} {count:>7} faces, {extent}, fingerprint {fingerprint}, from {source}")
    for reason in skipped:
        print(f"skipped: {reason}")
    return 0


def make(out: Path, hr: str | None, lr: str | None, strict: bool) -> int:
    """Pack the sets: OUT/hr.safetensors and OUT/lr.safetensors, to be given to --hr and --lr."""
    prepare_folder(out)
    found = load(hr, lr, strict=strict, out=out)
    print(f"{out / 'hr.safetensors'}: {len(found.hr_train)} train and {len(found.hr_test)} test faces")
    if found.lr_train is not None and found.lr_test is not None:
        print(f"{out / 'lr.safetensors'}: {len(found.lr_train)} train and {len(found.lr_test)} test faces")
    return 0


def crop(source: str, target: str, size: int) -> int:
    """Centre squares of every image, resized (antialiased bicubic) to size x size."""

    def square(image: torch.Tensor) -> torch.Tensor:
        height, width = image.shape[-2:]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return resize(image[..., top : top + side, left : left + side], size)

    return convert(pairs(source, target), square, torch.device("cpu"))


def statistics(source: str, target: Path, dims: int, device: str) -> int:
    """FID's mean and covariance of a set as a file: .npz as pytorch-fid has it, .pth as BasicSR; it says of what it is."""
    reference = read_reference(source)
    if target.suffix not in (".npz", ".pth"):
        raise UsageError(f"{target}: call it FILE.npz (pytorch-fid's form) or FILE.pth (BasicSR's)")
    prepare_folder(target.parent)
    fid = plugins.load("metrics", "fid")
    fid = fid(override(fid.Params(), {"dims": dims}, "fid"))
    mean, covariance = fid.moments(Outputs(sr=[], names=[], device=resolve_device(device)), reference)
    about: dict[str, Any] = {
        "n": len(reference),
        "size": reference.extent,
        "name": reference.name,
        "fingerprint": reference.fingerprint,
    }
    if target.suffix == ".npz":
        with open(target, "wb") as file:
            np.savez(file, mu=mean, sigma=covariance, **about)
    else:
        torch.save({"mean": torch.from_numpy(mean), "cov": torch.from_numpy(covariance), **about}, target)
    print(f"{target}: {dims} features of {reference}")
    return 0
