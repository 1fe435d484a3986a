"""The packed form of face sets: one file of safetensors, written face by face and read by memory map.

A tensor ``SPLIT/HxW`` for each size that occurs, (n, 3, H, W) uint8, its faces in the order of their names; the names are
in the file's metadata.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from safetensors import safe_open

from bench.core.files import part_of, write_atomically
from bench.errors import UsageError, printable
from bench.faces.faceset import FaceSet

Size = tuple[int, int]
Faces = Iterable[tuple[str, np.ndarray]]  # names, in their order, and (3, H, W) uint8 pixels
CHUNK = 64 << 20  # bytes of a set that pass through memory at a time
LARGEST = (99_999, 99_999)  # a size that takes as much room in the file's head as any


# ---------------------------------------------------------------- writing


def pack(path: Path, train: FaceSet, test: FaceSet, truth: FaceSet | None = None) -> None:
    """Write train and test faces (and the test faces' ground truth) as one memory-mappable file."""
    sets = {"train": train, "test": test, **({"truth": truth} if truth else {})}
    write(path, {split: (faces.names, faces.each()) for split, faces in sets.items()}, {"source": train.source})


def write(
    path: Path, sets: Mapping[str, tuple[Sequence[str], Faces]], about: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Write face sets as they come; no more than one face of each is in memory. The fingerprint of each.

    ``sets``: for each the names that may come, in order, and the faces that do. A set of one size is written once; where
    sizes differ, faces of one size are put together in a second pass over the file. Raises StoreError.
    """
    found: dict[str, str] = {}
    write_atomically(path, lambda temporary: _write(temporary, sets, about or {}, found))
    return found


def _write(
    file: Path, sets: Mapping[str, tuple[Sequence[str], Faces]], about: Mapping[str, str], found: dict[str, str]
) -> None:
    most = {split: {LARGEST: [(name, 0) for name in names]} for split, (names, _) in sets.items()}
    room = len(_head(most, about))
    places: dict[str, dict[Size, list[tuple[str, int]]]] = {split: {} for split in sets}
    with open(file, "wb") as stream:
        stream.seek(room)
        for split, (_, faces) in sets.items():
            digest = hashlib.sha256()
            for name, image in faces:
                if image.dtype != np.uint8 or image.ndim != 3 or len(image) != 3:
                    raise ValueError(f"{name}: {image.shape} {image.dtype}, not (3, H, W) uint8")
                places[split].setdefault((image.shape[1], image.shape[2]), []).append((name, stream.tell()))
                stream.write(np.ascontiguousarray(image).data)
                FaceSet.enter(digest, name, image)
            found[split] = digest.hexdigest()[:16]
        if all(len(sizes) < 2 for sizes in places.values()):
            stream.seek(0)
            stream.write(_head(places, about, room))
            return
    _gather(file, places, about)


def _gather(file: Path, places: Mapping[str, Mapping[Size, list[tuple[str, int]]]], about: Mapping[str, str]) -> None:
    """Write the file anew with the faces of one size together."""
    other = part_of(file)
    try:
        with open(file, "rb") as source, open(other, "wb") as stream:
            stream.write(_head(places, about))
            for sizes in places.values():
                for (height, width), faces in sorted(sizes.items()):
                    for _, place in faces:
                        source.seek(place)
                        stream.write(source.read(3 * height * width))
        os.replace(other, file)
    finally:
        other.unlink(missing_ok=True)


def _head(places: Mapping[str, Mapping[Size, list[tuple[str, int]]]], about: Mapping[str, str], room: int = 0) -> bytes:
    """What stands before the pixels, filled up with blanks to ``room`` bytes, or to a multiple of 8."""
    tensors: dict[str, Any] = {}
    names, end = {}, 0
    for split, sizes in places.items():
        for (height, width), faces in sorted(sizes.items()):
            key, begin = f"{split}/{height}x{width}", end
            end += len(faces) * 3 * height * width
            tensors[key] = {"dtype": "U8", "shape": [len(faces), 3, height, width], "data_offsets": [begin, end]}
            names[key] = [name for name, _ in faces]
    said = {key: printable(value) for key, value in about.items()}
    text = json.dumps({"__metadata__": {**said, "names": json.dumps(names)}, **tensors}).encode()
    text = text.ljust(room - 8 if room else -(-len(text) // 8) * 8)
    return len(text).to_bytes(8, "little") + text


# ---------------------------------------------------------------- reading


def unpack(path: Path, source: str = "", splits: tuple[str, ...] = ("train", "test")) -> tuple[Any, ...]:
    """Open a packed file; pixels stay in it until they are used.

    Raises UsageError where it is not one: cut short, of other tensors, or with names that are no distinct texts.
    """
    try:
        with safe_open(path, "pt") as file:  # which checks that offsets, shapes and length agree
            names = json.loads((file.metadata() or {})["names"])
        with open(path, "rb") as stream:
            tensors, begin = _tensors(stream)
            mapping = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
        sets = []
        for split in splits:
            keys = [key for key in tensors if key.startswith(f"{split}/") and tensors[key]["shape"][0]]
            pixels = {_size_of(key): _mapped(mapping, tensors[key], begin) for key in keys}
            called = {_size_of(key): names[key] for key in keys}
            _check(pixels, called)
            reopen = partial(_reopened, Path(path).absolute(), source or str(path), split)
            sets.append(FaceSet(pixels, called, source or str(path), mapping, reopen))
    except Exception as error:  # safetensors' own error type among them
        raise UsageError(f"{path}: not a packed face set ({str(error).partition(chr(10))[0]})") from None
    return tuple(sets)


def _reopened(path: Path, source: str, split: str) -> FaceSet:
    faces: FaceSet = unpack(path, source, (split,))[0]
    return faces


def _tensors(stream: IO[bytes]) -> tuple[dict[str, Any], int]:
    """What the file's head says of each tensor, and where the pixels begin."""
    length = int.from_bytes(stream.read(8), "little")
    tensors = json.loads(stream.read(length))
    tensors.pop("__metadata__", None)
    return tensors, 8 + length


def _mapped(mapping: mmap.mmap, tensor: Mapping[str, Any], begin: int) -> torch.Tensor:
    if tensor["dtype"] != "U8":
        raise ValueError(f"{tensor['dtype']} where images of uint8 belong")
    first, end = tensor["data_offsets"]
    return torch.from_numpy(np.frombuffer(mapping, np.uint8, end - first, begin + first).reshape(tensor["shape"]))


def _check(pixels: Mapping[Size, torch.Tensor], names: Mapping[Size, Any]) -> None:
    """Raises ValueError where pixels are not images of the size that they are called by, each with its own name."""
    for size, images in pixels.items():
        if not isinstance(names[size], list):
            raise ValueError("names that are no list")
        if tuple(images.shape) != (len(names[size]), 3, *size):
            raise ValueError(f"{tuple(images.shape)} where {len(names[size])} RGB images of {size} belong")
    every = [name for called in names.values() for name in called]
    if not all(isinstance(name, str) and name for name in every) or len(set(every)) != len(every):
        raise ValueError("names that are no texts, empty or given twice")


def _size_of(key: str) -> Size:
    """test/64x48 -> (64, 48)."""
    height, _, width = key.partition("/")[2].partition("x")
    return int(height), int(width)
