"""Face sets: read once into packed uint8 arrays, memory-mapped, with a fingerprint."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from .errors import UsageError
from .image import SUFFIXES, UnreadableImage, read_image
from .progress import Progress
from .store import write_atomically

TEST_SHARE = 0.15  # of a folder that has no train/ and test/
MIN_LR = 4  # px: the smallest LR side that any network here can read


class FaceSet:
    """Faces in a fixed order: one (n, 3, H, W) uint8 tensor for each size that occurs.

    ``names[i]`` is the face at ``rows[i]`` of the bucket ``sizes[i]``.
    """

    def __init__(
        self, buckets: dict[tuple[int, int], Tensor], names: dict[tuple[int, int], list[str]], source: str = ""
    ):
        self.buckets, self.source = buckets, source
        self._places = sorted((name, size, row) for size in buckets for row, name in enumerate(names[size]))
        self.names = [name for name, _, _ in self._places]

    @classmethod
    def of(cls, images: list[np.ndarray], names: list[str], source: str = "") -> FaceSet:
        """Pack (3, H, W) uint8 arrays."""
        groups: dict[tuple[int, int], list[int]] = {}
        for index, image in enumerate(images):
            groups.setdefault((image.shape[1], image.shape[2]), []).append(index)
        buckets = {size: torch.from_numpy(np.stack([images[i] for i in rows])) for size, rows in sorted(groups.items())}
        return cls(buckets, {size: [names[i] for i in rows] for size, rows in groups.items()}, source)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def uniform(self) -> bool:
        return len(self.buckets) == 1

    @property
    def size(self) -> int:
        """The side of the largest square that fits into every face, in pixels."""
        return min(min(size) for size in self.buckets)

    @property
    def extent(self) -> str:
        """``64x64``, or the range of sizes."""
        sizes = sorted(self.buckets)
        return "x".join(map(str, sizes[0])) if self.uniform else f"{self.size}-{max(map(max, sizes))} px"

    @property
    def fingerprint(self) -> str:
        """16 hex digits of the SHA-256 over names, sizes and pixels, in order. Computed once."""
        if not hasattr(self, "_fingerprint"):
            digest = hashlib.sha256()
            for name, size, row in self._places:
                digest.update(f"{name}\0{size}\0".encode())
                digest.update(self.buckets[size][row].numpy().tobytes())
            self._fingerprint = digest.hexdigest()[:16]
        return self._fingerprint

    def images(self) -> list[np.ndarray]:
        """The faces as (3, H, W) uint8 arrays, in the order of ``names``."""
        return [self.buckets[size][row].numpy() for _, size, row in self._places]

    def subset(self, count: int) -> FaceSet:
        """``count`` faces spread evenly over the names (all of them where there are fewer)."""
        if count >= len(self):
            return self
        keep = [self._places[i * len(self) // count] for i in range(count)]
        images = [self.buckets[size][row].numpy() for _, size, row in keep]
        return FaceSet.of(images, [name for name, _, _ in keep], self.source)


@dataclass
class Data:
    """The face sets of a run. ``truth``: HR aligned with ``lr_test`` (the embedded set only)."""

    hr_train: FaceSet
    hr_test: FaceSet
    lr_train: FaceSet | None = None
    lr_test: FaceSet | None = None
    truth: FaceSet | None = None
    skipped: list[str] = field(default_factory=list)

    @property
    def train_fingerprint(self) -> str:
        return "+".join(s.fingerprint if s else "none" for s in (self.hr_train, self.lr_train))


# ---------------------------------------------------------------- reading


def load(hr: str | None, lr: str | None, *, multiple: int = 4, strict: bool = False, cache: Path | None = None) -> Data:
    """The face sets that ``--hr`` and ``--lr`` name; the embedded set where neither is given.

    ``multiple``: HR faces are cropped (centre) to sides that it divides. Raises UsageError where nothing usable is left.
    """
    if hr is None and lr is None:
        return embedded(cache)
    if hr is None:
        raise UsageError("--lr needs --hr: training and reference faces in high resolution")
    skipped: list[str] = []
    hr_train, hr_test = _read(hr, "HR", multiple, MIN_LR * multiple, strict, cache, skipped)
    lr_train, lr_test = _read(lr, "LR", 1, MIN_LR, strict, cache, skipped) if lr else (None, None)
    return Data(hr_train, hr_test, lr_train, lr_test, skipped=skipped)


def _read(
    source: str, what: str, multiple: int, least: int, strict: bool, cache: Path | None, skipped: list[str]
) -> tuple[FaceSet, FaceSet]:
    path = Path(source)
    if not path.exists():
        raise UsageError(f"--{what.lower()} {source}: no such file or folder")
    if path.suffix == ".safetensors":
        sets = unpack(path)
        sizes = [(name, size) for s in sets for name, size, _ in s._places]
        unfit = [n for n, size in sizes if min(size) < least or size[0] % multiple or size[1] % multiple]
        if unfit:
            raise UsageError(
                f"{source}: {len(unfit)} faces do not fit scale {multiple}, {unfit[0]} for one; make it again from images"
            )
        return sets
    splits = list_files(path, what)
    listing = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for s in splits for f in s if f.exists()]
    key = hashlib.sha256(json.dumps([what, multiple, [len(s) for s in splits], listing]).encode()).hexdigest()[:16]
    packed = cache / f"{key}.safetensors" if cache else None
    bad: list[str] = []
    if packed and packed.exists():
        sets = unpack(packed, source, skipped=bad)
        if bad and strict:
            raise UsageError(f"{bad[0]} (--strict)")
    else:
        root = path if path.is_dir() else path.parent
        sets = tuple(
            _pack(files, root, multiple, least, strict, bad, f"{what} {split}")
            for split, files in zip(("train", "test"), splits, strict=True)
        )
        for split, faces in zip(("train", "test"), sets, strict=True):
            if not len(faces):
                raise UsageError(f"--{what.lower()} {source}: no usable {split} image{f'; {bad[0]}' if bad else ''}")
            faces.source = source
        if packed:
            pack(packed, sets[0], sets[1], skipped=bad)
    if bad:
        print(f"{what}: {len(bad)} files skipped, the first: {bad[0]}", file=sys.stderr)
    skipped += bad
    return sets[0], sets[1]


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
        train, test = (_images_under(path / s) for s in ("train", "test"))
        for name, files in (("train", train), ("test", test)):
            if not files:
                raise UsageError(f"{path / name}: no image files in this folder")
        return train, test
    files = _images_under(path)
    if not files:
        raise UsageError(f"{path}: no image files in this folder")
    return split_files(files, path)


def _images_under(folder: Path) -> list[Path]:
    return sorted(f for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES and f.is_file())


def read_list(path: Path) -> list[Path]:
    """Paths from the first column of a CSV file (or the one headed ``path``), relative to the file's folder."""
    column, files = 0, []
    try:
        with open(path, newline="", encoding="utf-8") as lines:
            reader = csv.reader(lines, strict=True)
            for row in reader:
                if reader.line_num == 1 and row and Path(row[-1]).suffix.lower() not in SUFFIXES:
                    heads = [cell.strip().lower() for cell in row]
                    column = next(
                        (i for i, h in enumerate(heads) if h in ("path", "file", "filename", "image")), len(row) - 1
                    )
                    continue
                if not any(cell.strip() for cell in row):
                    continue
                if len(row) <= column or Path(row[column].strip()).suffix.lower() not in SUFFIXES:
                    raise UsageError(f"{path}, line {reader.line_num}: no path of an image in {','.join(row)[:80]!r}")
                files.append(path.parent / row[column].strip())
    except (csv.Error, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a readable CSV list ({error})") from None
    if not files:
        raise UsageError(f"{path}: an empty list")
    return files


def split_files(files: list[Path], source: Path) -> tuple[list[Path], list[Path]]:
    """A deterministic split by the hash of the file's name: adding a file moves no other."""
    if len(files) < 2:
        raise UsageError(f"{source}: one image cannot be split into train and test")
    order = {f: int(hashlib.sha256(f.name.encode()).hexdigest()[:8], 16) / 2**32 for f in files}
    test = [f for f in files if order[f] < TEST_SHARE]
    if not test or len(test) == len(files):
        test = sorted(files, key=order.__getitem__)[: max(1, round(TEST_SHARE * len(files)))]
    chosen = set(test)
    return [f for f in files if f not in chosen], [f for f in files if f in chosen]


def _pack(
    files: list[Path], root: Path, multiple: int, least: int, strict: bool, skipped: list[str], label: str
) -> FaceSet:
    images, names = [], []
    bar = Progress(f"read {label}", len(files), unit="face")
    with ThreadPoolExecutor() as pool, contextlib.closing(bar):
        for done, (file, image) in enumerate(zip(files, pool.map(_decode, files), strict=True), 1):
            bar.advance(done)
            try:
                if isinstance(image, UnreadableImage):
                    raise image
                height, width = image.shape[1:]
                if min(height, width) < least:
                    raise UnreadableImage(f"{file}: {width}x{height} px is smaller than the {least} px that are needed")
            except UnreadableImage as error:
                if strict:
                    pool.shutdown(cancel_futures=True)
                    raise UsageError(f"{error} (--strict)") from None
                skipped.append(str(error))
                continue
            top, left = height % multiple // 2, width % multiple // 2
            height, width = height - height % multiple, width - width % multiple
            images.append(np.ascontiguousarray(image[:, top : top + height, left : left + width]))
            names.append(unique_name(file, root))
    return FaceSet.of(images, names)


def _decode(file: Path) -> np.ndarray | UnreadableImage:
    try:
        return read_image(file)
    except UnreadableImage as error:
        return error


def unique_name(file: Path, root: Path) -> str:
    """A face's name: its path below the set without suffix and without train/ or test/, slashes as underscores."""
    parts = file.relative_to(root).with_suffix("").parts if file.is_relative_to(root) else (file.stem,)
    return "_".join(parts[1:] if parts[0] in ("train", "test") and len(parts) > 1 else parts)


# ---------------------------------------------------------------- the packed form


def pack(path: Path, train: FaceSet, test: FaceSet, truth: FaceSet | None = None, skipped: Sequence[str] = ()) -> None:
    """Write train and test faces (and the test faces' ground truth) as one memory-mappable file.

    ``skipped``: why files are missing from it.
    """
    tensors, names = {}, {}
    for split, faces in (("train", train), ("test", test), ("truth", truth)):
        for size in faces.buckets if faces else ():
            key = f"{split}/{size[0]}x{size[1]}"
            tensors[key] = faces.buckets[size].contiguous()  # type: ignore[union-attr]
            names[key] = [n for n, s, _ in sorted(faces._places, key=lambda p: p[2]) if s == size]  # type: ignore[union-attr]
    meta = {"names": json.dumps(names), "source": train.source, "skipped": json.dumps(list(skipped))}
    meta |= {split: faces.fingerprint for split, faces in (("train", train), ("test", test), ("truth", truth)) if faces}
    write_atomically(path, lambda temporary: save_file(tensors, temporary, meta))


def unpack(
    path: Path, source: str = "", splits: tuple[str, ...] = ("train", "test"), skipped: list[str] | None = None
) -> tuple[Any, ...]:
    """Open a packed file; pixels stay memory-mapped until they are used. ``skipped`` gets why files are missing."""
    try:
        with safe_open(path, "pt") as file:
            meta = file.metadata() or {}
            names = json.loads(meta["names"])
            if skipped is not None:
                skipped += json.loads(meta.get("skipped", "[]"))
            sets = []
            for split in splits:
                keys = [k for k in file.keys() if k.startswith(f"{split}/")]  # noqa: SIM118 (not a dict)
                sizes = {k: _size_of(k) for k in keys}
                faces = FaceSet({sizes[k]: file.get_tensor(k) for k in keys}, {sizes[k]: names[k] for k in keys})
                faces.source, faces._fingerprint = source or str(path), meta.get(split, "")
                sets.append(faces)
    except (KeyError, ValueError, OSError, json.JSONDecodeError) as error:
        raise UsageError(f"{path}: not a packed face set ({error})") from None
    except Exception as error:  # safetensors' own error type
        raise UsageError(f"{path}: not a packed face set ({error})") from None
    return tuple(sets)


def _size_of(key: str) -> tuple[int, int]:
    """test/64x48 -> (64, 48)."""
    height, _, width = key.partition("/")[2].partition("x")
    return int(height), int(width)


# ---------------------------------------------------------------- the embedded set

IDENTITIES = {"train": 192, "wild": 96, "test": 64}  # disjoint people
PER_IDENTITY = {"train": 4, "wild": 4, "test": 1}


def embedded(cache: Path | None = None) -> Data:
    """Procedural faces: 768 HR and 384 unpaired wild LR to train on, 64 and 64 to test on, the latter with ground truth."""
    from . import synth

    files = [cache / f"embedded-{synth.VERSION}-{part}.safetensors" for part in ("hr", "lr")] if cache else []
    if files and all(f.exists() for f in files):
        hr_train, hr_test = unpack(files[0], "embedded")
        lr_train, lr_test, truth = unpack(files[1], "embedded wild", ("train", "test", "truth"))
        return Data(hr_train, hr_test, lr_train, lr_test, truth)
    sets = {}
    for seed, (split, count) in enumerate(
        [("train", "train"), ("test", "test"), ("wild", "wild"), ("wild_test", "test")]
    ):
        images, people = synth.faces(IDENTITIES[count], PER_IDENTITY[count], seed=seed)
        names = [f"{split}{person:03d}_{index % PER_IDENTITY[count]}" for index, person in enumerate(people)]
        sets[split] = FaceSet.of(list(images), names, "embedded")
        if split.startswith("wild"):
            sets[f"{split}_lr"] = FaceSet.of(list(synth.wild(images, 4, seed=seed)), names, "embedded wild")
    if files:
        pack(files[0], sets["train"], sets["test"])
        pack(files[1], sets["wild_lr"], sets["wild_test_lr"], sets["wild_test"])
    return Data(sets["train"], sets["test"], sets["wild_lr"], sets["wild_test_lr"], sets["wild_test"])
