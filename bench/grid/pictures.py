"""The pictures of a run's folder: always those of the entries that its numbers come from, and nothing else."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.files import clear, copy, folder_name, gone, left_behind, write_atomically, write_json
from bench.core.hashing import content_hash
from bench.core.image import write_image
from bench.core.pictures import LISTING, digest, listing, signature, unchanged
from bench.faces.faceset import FaceSet


def show_faces(faces: FaceSet, target: Path, root: Path) -> str:
    """Write a face set as PNG files to ``target``, a folder inside ``root``; what is there already stays, other files go.

    Returns the digest of what is there.
    """
    own_folder(target, root)
    names = {f"{folder_name(name)}.png": index for index, name in enumerate(faces.names)}
    known, found = listing(target), _found(target)
    same = known.get("of") == faces.fingerprint
    kept: dict[str, Any] = {}
    for file in sorted(set(found) - set(names) - {LISTING}):
        gone(target / file)
    images: list[np.ndarray] = []
    for file, index in names.items():
        entry = known["files"].get(file)
        if same and entry and file in found and unchanged(target / file, entry, found[file]):
            kept[file] = [*found[file], entry[-1]]
            continue
        images = images or faces.images()
        if file in found and not found[file]:
            gone(target / file)  # a link or a folder
        write_atomically(target / file, partial(_write, images[index]))
        kept[file] = _entry(target / file)
    return _list(target, {"of": faces.fingerprint, "files": kept}, known)


def _entry(file: Path) -> list[Any]:
    return [*signature(file.stat()), content_hash(file)]


def _list(folder: Path, files: dict[str, Any], known: dict[str, Any]) -> str:
    if files != known:
        write_json(folder / LISTING, files)
    return digest(files["files"])


def _write(image: np.ndarray, file: Path) -> None:
    write_image(file, image, "PNG")


def show_files(source: Path, target: Path, root: Path) -> str:
    """Copies of all files of a folder in ``target``, a folder inside ``root``, and nothing else there; their digest.

    Empty, and no folder, where there are none.
    """
    files = sorted(source.glob("*"))
    if not files:
        return ""
    own_folder(target, root)
    for other in set(os.listdir(target)) - {f.name for f in files} - {LISTING}:
        gone(target / other)
    for file in files:
        if (target / file.name).is_dir():
            gone(target / file.name)
        copy(file, target / file.name)
    return _list(target, {"of": "", "files": {f.name: _entry(target / f.name) for f in files}}, listing(target))


def leave_only(shown: dict[str, str], root: Path) -> None:
    """Remove the folders of pictures of earlier runs in ``root`` that are not ``shown`` (folders inside it) now."""
    for home in ("images", "figures"):
        for place, folders, files in os.walk(root / home, topdown=False):
            if LISTING in files and Path(place).relative_to(root).as_posix() not in shown:
                gone(Path(place))
            elif not files and folders:
                with contextlib.suppress(OSError):
                    os.rmdir(place)  # where all below it went


def own_folder(target: Path, root: Path) -> None:
    """Make a folder inside ``root``; a link on the way, which could lead elsewhere, makes place for it."""
    place = root
    for part in target.relative_to(root).parts:
        place = place / part
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            place.unlink()
        place.mkdir(exist_ok=True)


def _found(folder: Path) -> dict[str, list[int]]:
    """The files of a folder with what tells a changed one; links count as changed."""
    found = {}
    for file in os.scandir(folder):
        found[file.name] = signature(file.stat(follow_symlinks=False)) if file.is_file(follow_symlinks=False) else []
    return found


def leave_checkpoints(folder: Path, names: set[str]) -> None:
    """Of the files that runs have put into ``folder`` only ``names`` stay; files of others are left alone."""
    if not folder.is_dir():
        return
    known = listing(folder)
    for old in set(known["files"]) - names:
        if old.endswith(".pt") and "/" not in old:
            gone(folder / old)
    if set(known["files"]) != names:
        write_json(folder / LISTING, {"of": "", "files": {name: [] for name in sorted(names)}})


OURS = ("run.json", "results.parquet", "results.csv", "report.html", "status.json", "log/depends.json", "log/errors.txt",
        "tables/*.tex", "tables/*.bib", "checkpoints/*.pt", "added/rows.json",
        f"images/**/{LISTING}", f"figures/**/{LISTING}")  # fmt: skip


def sweep(root: Path) -> None:
    """Remove what killed processes left behind in a run's folder, and folders where files of its own belong."""
    for name in ("log", "tables", "images", "figures", "checkpoints", "added"):
        clear(root, root / name)
    for pattern in OURS:
        for place in list(root.glob(pattern)):
            if place.is_dir():
                gone(place)
    for folder, _, names in os.walk(root):
        for name in names:
            if name.startswith(".") and left_behind(name):
                Path(folder, name).unlink(missing_ok=True)
