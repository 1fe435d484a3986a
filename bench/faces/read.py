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
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bench.core.files import write_json
from bench.core.hashing import key_of
from bench.core.image import SUFFIXES, UNREAD
from bench.core.store import Store
from bench.errors import UsageError, printable
from bench.faces.decode import usable
from bench.faces.embedded import embedded
from bench.faces.faceset import Data, FaceSet, survey
from bench.faces.packed import pack, unpack, write

PACKED, ABOUT = "faces.safetensors", "faces.json"  # the files of an entry of the store
READER = 3  # raise it with any change in what is read from a file, or how it is called
HEADS = ("path", "file", "filename", "image", "image_path", "img_path", "file_path", "filepath", "file_name")
TEST_SHARE = 0.15  # of a folder that has no train/ and test/


MIN_LR = 4  # px: the smallest LR side that any network here can read


@dataclass(frozen=True)
class Wanted:
    """Faces to read. ``what``: HR or LR; ``multiple``: HR is cropped to sides that it divides; ``least``: the smallest side."""

    source: str
    what: str
    multiple: int
    least: int
    strict: bool


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
    hr_train, hr_test = _read(Wanted(hr, "HR", multiple, MIN_LR * multiple, strict), store, out, skipped)
    lr_train, lr_test = _read(Wanted(lr, "LR", 1, MIN_LR, strict), store, out, skipped) if lr else (None, None)
    return Data(hr_train, hr_test, lr_train, lr_test, skipped=skipped)


def _read(wanted: Wanted, store: Store | None, out: Path | None, skipped: list[str]) -> tuple[FaceSet, FaceSet]:
    source, what, multiple = wanted.source, wanted.what, wanted.multiple
    path, own = Path(source), f"{what.lower()}.safetensors"
    if not path.exists():
        raise UsageError(f"--{what.lower()} {source}: no such file or folder")
    if path.suffix == ".safetensors":
        sets = unpack(path)
        for split, faces in zip(("train", "test"), sets, strict=True):
            if not len(faces):
                raise UsageError(f"--{what.lower()} {source}: no {split} faces in it")
        sizes = [(name, size) for s in sets for name, size, _ in s.places]
        unfit = [n for n, size in sizes if min(size) < wanted.least or size[0] % multiple or size[1] % multiple]
        if unfit:
            raise UsageError(
                f"{source}: {len(unfit)} faces do not fit scale {multiple}, {unfit[0]} for one; make it again from images"
            )
        if out:
            pack(out / own, *sets)
        return sets
    left: list[str] = []
    splits = list_files(path, what, left)
    if left and wanted.strict:
        raise UsageError(f"{left[0]} (--strict)")
    make = partial(_pack, splits, wanted)
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
    if bad and wanted.strict:
        raise UsageError(f"{bad[0]} (--strict)")
    bad = [*bad, *left]
    if bad:
        print(f"{what}: {len(bad)} files skipped, the first: {bad[0]}", file=sys.stderr)
    skipped += bad
    return sets


def _pack(splits: tuple[list[Path], list[Path]], wanted: Wanted, folder: Path, name: str = "") -> dict[str, Any]:
    """Pack the faces of these files; the sets' fingerprints, and why files were skipped. An entry of the store keeps that."""
    bad: list[str] = []
    sets = _streams(splits, wanted, bad)
    made = {"fingerprints": write(folder / (name or PACKED), sets, {"source": wanted.source}), "skipped": bad}
    if not name:
        write_json(folder / ABOUT, made)
    return made


def describe(source: str, strict: bool = False) -> tuple[dict[str, tuple[int, str, str]], list[str]]:
    """Count, extent and fingerprint of the train and test faces of a folder or list, of any size, and what is left out."""
    bad: list[str] = []
    left: list[str] = []
    splits = list_files(Path(source), "HR", left)
    if left and strict:
        raise UsageError(f"{left[0]} (--strict)")
    streams = _streams(splits, Wanted(source, "HR", 1, MIN_LR, strict), bad)
    return {split: survey(faces) for split, (_, faces) in streams.items()}, bad + left


def _streams(
    splits: tuple[list[Path], list[Path]], wanted: Wanted, bad: list[str]
) -> dict[str, tuple[list[str], Iterator[tuple[str, np.ndarray]]]]:
    """Names that may come and faces that do, of train and test files. ``bad``: gets why files are skipped."""
    place, what, sets = Path(wanted.source), wanted.what, {}
    root = place if place.is_dir() else place.parent

    def some(split: str, faces: Iterator[tuple[str, np.ndarray]]) -> Iterator[tuple[str, np.ndarray]]:
        first = next(faces, None)
        if first is None:
            raise UsageError(f"--{what.lower()} {wanted.source}: no usable {split} image{f'; {bad[0]}' if bad else ''}")
        yield first
        yield from faces

    for split, files in zip(("train", "test"), splits, strict=True):
        called = sorted((called, file) for file, called in unique_names(files, root).items())
        faces = usable(called, wanted.multiple, wanted.least, wanted.strict, bad, f"{what} {split}")
        sets[split] = ([name for name, _ in called], some(split, faces))
    return sets


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


def list_files(path: Path, what: str, left: list[str] | None = None) -> tuple[list[Path], list[Path]]:
    """Train and test files of a folder, a folder with train/ and test/, or CSV lists. ``left``: gets what is left out."""
    if path.is_file():
        if path.suffix.lower() != ".csv":
            raise UsageError(f"{path}: a folder, a .csv list or a packed .safetensors file is expected")
        other = path.with_name(path.name.replace("train", "test"))
        if "train" in path.name and other.is_file():
            return read_list(path, left), read_list(other, left)
        return split_files(read_list(path, left), path)
    lists = [path / f"{what}_{split}.csv" for split in ("train", "test")]
    if all(f.is_file() for f in lists):
        return read_list(lists[0], left), read_list(lists[1], left)
    if (path / "train").is_dir() and (path / "test").is_dir():
        train, test = (images_under(path / s, left) for s in ("train", "test"))
        for name, files in (("train", train), ("test", test)):
            if not files:
                raise UsageError(f"{path / name}: no image files in this folder")
        return train, test
    files = images_under(path, left)
    if not files:
        raise UsageError(f"{path}: no image files in this folder")
    return split_files(files, path)


def images_under(folder: Path, left: list[str] | None = None) -> list[Path]:
    """Image files below a folder, in order. ``left``: gets what looks like faces and is not read, with the reason.

    Hidden files and folders, and what other programs hide, are passed over; links to folders are not followed.
    """
    found, odd = [], []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _hidden(name))
        for name in folders:
            if os.path.islink(os.path.join(place, name)):
                odd.append((os.path.join(place, name), "a linked folder is not followed"))
        for name in names:
            suffix = os.path.splitext(name)[1].lower()
            if _hidden(name) or suffix not in SUFFIXES | UNREAD:
                continue
            file = os.path.join(place, name)
            if suffix in UNREAD:
                odd.append((file, f"{os.path.splitext(name)[1]} images are not read"))
            elif os.path.isfile(file):
                found.append(file)
            else:
                odd.append((file, "a link to nothing" if os.path.islink(file) else "not a file"))
    if left is not None:
        left += [printable(f"{file}: {why}") for file, why in sorted(odd)]
    return [Path(file) for file in sorted(found)]


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information")


def read_list(path: Path, left: list[str] | None = None) -> list[Path]:
    """Paths from the first column of a CSV file (or the one headed ``path``), relative to the file's folder.

    Cells are divided by commas, or by semicolons or tabs where the first line has none. A file counts once; ``left`` gets
    those that come again.
    """
    column, files = -1, []

    def image(cell: str) -> bool:
        return Path(cell.strip()).suffix.lower() in SUFFIXES

    try:
        with open(path, newline="", encoding="utf-8-sig") as lines:
            head = lines.readline().strip()
            lines.seek(0)
            divided = not image(head) and "," not in head and next((d for d in ";\t" if d in head), "")
            reader = csv.reader(lines, strict=True, delimiter=divided or ",")
            for row in reader:
                if not any(cell.strip() for cell in row):
                    continue
                if column < 0:
                    heads = [cell.strip().lower() for cell in row]
                    named = next((i for i, h in enumerate(heads) if h in HEADS), -1)
                    column = named if named >= 0 else next((i for i, cell in enumerate(row) if image(cell)), -1)
                    if named >= 0 or (column < 0 and reader.line_num == 1):
                        continue
                if column < 0 or len(row) <= column or not image(row[column]):
                    raise UsageError(f"{path}, line {reader.line_num}: no path of an image in {','.join(row)[:80]!r}")
                files.append(path.parent / row[column].strip())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a readable CSV list ({error})") from None
    if not files:
        raise UsageError(f"{path}: an empty list")
    once = dict.fromkeys(files)
    if left is not None and len(once) < len(files):
        again = next(file for file, count in Counter(files).items() if count > 1)
        left.append(printable(f"{path}: {len(files) - len(once)} lines name a file again, {again} for one"))
    return list(once)


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
