"""Face sets from folders, lists and packed files."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bench.core.files import write_json
from bench.core.hashing import key_of
from bench.core.image import SUFFIXES, UNREAD
from bench.core.store import Store
from bench.errors import UsageError
from bench.faces.decode import usable
from bench.faces.embedded import embedded
from bench.faces.faceset import Data, FaceSet
from bench.faces.packed import pack, unpack, write

PACKED, ABOUT = "faces.safetensors", "faces.json"  # the files of an entry of the store
READER = 3  # raise it with any change in what is read from a file, or how it is called
TEST_SHARE = 0.15  # of a folder that has no train/ and test/


MIN_LR = 4  # px: the smallest LR side that any network here can read


def load(
    hr: str | None,
    lr: str | None,
    *,
    multiple: int = 4,
    strict: bool = False,
    store: Store | None = None,
    out: Path | None = None,
) -> Data:
    """The face sets that ``--hr`` and ``--lr`` name; the embedded set where neither is given.

    ``multiple``: HR faces are cropped (centre) to sides that it divides. Pixels lie in a packed file and are read as they
    are used: in ``store``, or as hr.safetensors and lr.safetensors in ``out``, or in a temporary file. Raises UsageError
    where nothing usable is left.
    """
    if hr == "" or lr == "":
        raise UsageError("--hr and --lr take a path, not an empty text")
    if hr is None and lr is not None:
        raise UsageError("--lr needs --hr: training and reference faces in high resolution")
    if hr is None:
        found = embedded(store)
        if out:
            pack(out / "hr.safetensors", found.hr_train, found.hr_test)
            assert found.lr_train and found.lr_test
            pack(out / "lr.safetensors", found.lr_train, found.lr_test, found.truth)
        return found
    skipped: list[str] = []
    hr_train, hr_test = _read(hr, "HR", multiple, MIN_LR * multiple, strict, store, out, skipped)
    lr_train, lr_test = _read(lr, "LR", 1, MIN_LR, strict, store, out, skipped) if lr else (None, None)
    return Data(hr_train, hr_test, lr_train, lr_test, skipped=skipped)


def _read(
    source: str,
    what: str,
    multiple: int,
    least: int,
    strict: bool,
    store: Store | None,
    out: Path | None,
    skipped: list[str],
) -> tuple[FaceSet, FaceSet]:
    path, own = Path(source), f"{what.lower()}.safetensors"
    if not path.exists():
        raise UsageError(f"--{what.lower()} {source}: no such file or folder")
    if path.suffix == ".safetensors":
        sets = unpack(path)
        sizes = [(name, size) for s in sets for name, size, _ in s.places]
        unfit = [n for n, size in sizes if min(size) < least or size[0] % multiple or size[1] % multiple]
        if unfit:
            raise UsageError(
                f"{source}: {len(unfit)} faces do not fit scale {multiple}, {unfit[0]} for one; make it again from images"
            )
        if out:
            pack(out / own, *sets)
        return sets
    splits = list_files(path, what)
    left = left_out(path)
    if left and strict:
        raise UsageError(f"{left[0]} (--strict)")
    make = partial(_pack, splits, source, what, multiple, least, strict)
    if store:
        listing = [[[str(f), *_signature(f)] for f in files] for files in splits]
        folder = store.obtain("faces", key_of(what, multiple, READER, listing), make, f"the {what} faces of {source}")
        sets, bad = _opened(folder, PACKED, source)
    else:
        with contextlib.ExitStack() as stack:
            folder = out or Path(stack.enter_context(TemporaryDirectory(prefix="bench-faces-")))
            made = make(folder, own)
            sets, bad = _opened(folder, own, source, made)
            if not out:
                sets[0].reopen = sets[1].reopen = None  # the file goes; what is mapped stays
    if bad and strict:
        raise UsageError(f"{bad[0]} (--strict)")
    bad = [*bad, *left]
    if bad:
        print(f"{what}: {len(bad)} files skipped, the first: {bad[0]}", file=sys.stderr)
    skipped += bad
    return sets


def _pack(
    splits: tuple[list[Path], list[Path]],
    source: str,
    what: str,
    multiple: int,
    least: int,
    strict: bool,
    folder: Path,
    name: str = "",
) -> dict[str, Any]:
    """Pack the faces of these files; the sets' fingerprints, and why files were skipped. An entry of the store keeps that."""
    root = Path(source) if Path(source).is_dir() else Path(source).parent
    bad: list[str] = []
    sets = {}

    def some(split: str, faces: Iterator[tuple[str, np.ndarray]]) -> Iterator[tuple[str, np.ndarray]]:
        first = next(faces, None)
        if first is None:
            raise UsageError(f"--{what.lower()} {source}: no usable {split} image{f'; {bad[0]}' if bad else ''}")
        yield first
        yield from faces

    for split, files in zip(("train", "test"), splits, strict=True):
        called = sorted((called, file) for file, called in unique_names(files, root).items())
        faces = usable(called, multiple, least, strict, bad, f"{what} {split}")
        sets[split] = ([name for name, _ in called], some(split, faces))
    made = {"fingerprints": write(folder / (name or PACKED), sets, {"source": source}), "skipped": bad}
    if not name:
        write_json(folder / ABOUT, made)
    return made


def _opened(
    folder: Path, name: str, source: str, made: dict[str, Any] | None = None
) -> tuple[tuple[FaceSet, FaceSet], list[str]]:
    """The faces that ``_pack`` has packed; their fingerprints are known, from the same pixels."""
    made = made or json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    train, test = unpack(folder / name, source)
    train.known, test.known = made["fingerprints"]["train"], made["fingerprints"]["test"]
    return (train, test), made["skipped"]


def _signature(file: Path) -> tuple[int, ...]:
    """What changes with a file's content."""
    try:
        status = file.stat()
    except OSError:
        return ()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def list_files(path: Path, what: str) -> tuple[list[Path], list[Path]]:
    """Train and test files of a folder, a folder with train/ and test/, or CSV lists."""
    if path.is_file():
        if path.suffix.lower() != ".csv":
            raise UsageError(f"{path}: a folder, a .csv list or a packed .safetensors file is expected")
        other = path.with_name(path.name.replace("train", "test"))
        if "train" in path.name and other.is_file():
            return read_list(path), read_list(other)
        return split_files(read_list(path), path)
    lists = [path / f"{what}_{split}.csv" for split in ("train", "test")]
    if all(f.is_file() for f in lists):
        return read_list(lists[0]), read_list(lists[1])
    if (path / "train").is_dir() and (path / "test").is_dir():
        train, test = (images_under(path / s) for s in ("train", "test"))
        for name, files in (("train", train), ("test", test)):
            if not files:
                raise UsageError(f"{path / name}: no image files in this folder")
        return train, test
    files = images_under(path)
    if not files:
        raise UsageError(f"{path}: no image files in this folder")
    return split_files(files, path)


def images_under(folder: Path) -> list[Path]:
    return sorted(f for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES and f.is_file())


def left_out(folder: Path) -> list[str]:
    """What a folder holds that is not read though it looks like faces: images of other formats, linked folders."""
    if not folder.is_dir():
        return []
    odd = sorted(f for f in folder.rglob("*") if f.suffix.lower() in UNREAD or (f.is_symlink() and f.is_dir()))
    return [
        f"{f}: {'a linked folder is not followed' if f.is_dir() else f'{f.suffix} images are not read'}" for f in odd
    ]


def read_list(path: Path) -> list[Path]:
    """Paths from the first column of a CSV file (or the one headed ``path``), relative to the file's folder."""
    column, files = -1, []

    def image(cell: str) -> bool:
        return Path(cell.strip()).suffix.lower() in SUFFIXES

    try:
        with open(path, newline="", encoding="utf-8-sig") as lines:
            reader = csv.reader(lines, strict=True)
            for row in reader:
                if not any(cell.strip() for cell in row):
                    continue
                if column < 0:
                    heads = [cell.strip().lower() for cell in row]
                    named = next((i for i, h in enumerate(heads) if h in ("path", "file", "filename", "image")), -1)
                    column = named if named >= 0 else next((i for i, cell in enumerate(row) if image(cell)), -1)
                    if named >= 0 or (column < 0 and reader.line_num == 1):
                        continue
                if column < 0 or len(row) <= column or not image(row[column]):
                    raise UsageError(f"{path}, line {reader.line_num}: no path of an image in {','.join(row)[:80]!r}")
                files.append(path.parent / row[column].strip())
    except (csv.Error, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a readable CSV list ({error})") from None
    if not files:
        raise UsageError(f"{path}: an empty list")
    return list(dict.fromkeys(files))


def split_files(files: list[Path], source: Path) -> tuple[list[Path], list[Path]]:
    """A deterministic split by the hash of the file's name: adding a file moves no other."""
    if len(files) < 2:
        raise UsageError(f"{source}: one image cannot be split into train and test")
    order = {f: int(hashlib.sha256(os.fsencode(f.name)).hexdigest()[:8], 16) / 2**32 for f in files}
    test = [f for f in files if order[f] < TEST_SHARE]
    if not test or len(test) == len(files):
        test = sorted(files, key=order.__getitem__)[: max(1, round(TEST_SHARE * len(files)))]
    chosen = set(test)
    return [f for f in files if f not in chosen], [f for f in files if f in chosen]


def unique_names(files: list[Path], root: Path) -> dict[Path, str]:
    """What faces are called: their paths below the set without suffix and without train/ or test/, slashes as underscores.

    Names that would coincide end in a hash of their path; bytes that are no text are written out.
    """
    plain = {}
    for file in files:
        parts = file.relative_to(root).with_suffix("").parts if file.is_relative_to(root) else (file.stem,)
        name = "_".join(parts[1:] if parts[0] in ("train", "test") and len(parts) > 1 else parts)
        plain[file] = name.encode("utf-8", "backslashreplace").decode()
    count = Counter(name.casefold() for name in plain.values())
    twice = {file for file, name in plain.items() if count[name.casefold()] > 1 or "~" in name}
    return {file: f"{name}~{_short(file)}" if file in twice else name for file, name in plain.items()}


def _short(file: Path) -> str:
    return hashlib.sha256(os.fsencode(file)).hexdigest()[:8]
