"""The pictures of a run's folder: always those of the entries that its numbers come from, and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.files import copy, folder_name, left_behind, write_atomically, write_json
from bench.core.hashing import content_hash
from bench.core.image import write_image
from bench.faces.faceset import FaceSet

LISTING = ".pictures.json"  # what is in a folder: of which faces, and each file's size, times and hash


def show_faces(faces: FaceSet, target: Path, root: Path) -> None:
    """Write a face set as PNG files to ``target``, a folder inside ``root``; what is there already stays, other files go."""
    own_folder(target, root)
    names = {f"{folder_name(name)}.png": index for index, name in enumerate(faces.names)}
    known, found = _listing(target), _found(target)
    same = known.get("of") == faces.fingerprint
    kept: dict[str, Any] = {}
    for file in sorted(set(found) - set(names) - {LISTING}):
        _remove(target / file)
    images: list[np.ndarray] = []
    for file, index in names.items():
        entry = known.get("files", {}).get(file)
        if same and entry and file in found and _unchanged(target / file, entry, found[file]):
            kept[file] = [*found[file], entry[-1]]
            continue
        images = images or faces.images()
        write_atomically(target / file, partial(_write, images[index]))
        kept[file] = [*_signature((target / file).stat()), content_hash(target / file)]
    if {"of": faces.fingerprint, "files": kept} != known:
        write_json(target / LISTING, {"of": faces.fingerprint, "files": kept})


def _write(image: np.ndarray, file: Path) -> None:
    write_image(file, image, "PNG")


def show_files(source: Path, target: Path, root: Path) -> None:
    """Copies of all files of a folder in ``target``, a folder inside ``root``, and nothing else there."""
    files = sorted(source.glob("*"))
    if not files:
        return
    own_folder(target, root)
    for other in set(os.listdir(target)) - {f.name for f in files}:
        _remove(target / other)
    for file in files:
        copy(file, target / file.name)


def own_folder(target: Path, root: Path) -> None:
    """Make a folder inside ``root``; a link on the way, which could lead elsewhere, makes place for it."""
    place = root
    for part in target.relative_to(root).parts:
        place = place / part
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            place.unlink()
        place.mkdir(exist_ok=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _signature(status: os.stat_result) -> list[int]:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _found(folder: Path) -> dict[str, list[int]]:
    """The files of a folder with what tells a changed one; links count as changed."""
    found = {}
    for file in os.scandir(folder):
        found[file.name] = _signature(file.stat(follow_symlinks=False)) if file.is_file(follow_symlinks=False) else []
    return found


def _unchanged(file: Path, entry: list[Any], now: list[int]) -> bool:
    return bool(now) and (entry[:-1] == now or (entry[0] == now[0] and content_hash(file) == entry[-1]))


def _listing(folder: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        found = json.loads((folder / LISTING).read_text(encoding="utf-8"))
        if isinstance(found, dict) and isinstance(found.get("files"), dict):
            return found
    return {}


def sweep(root: Path) -> None:
    """Remove what killed processes left behind in a run's folder."""
    for folder, _, names in os.walk(root):
        for name in names:
            if name.startswith(".") and left_behind(name):
                Path(folder, name).unlink(missing_ok=True)
