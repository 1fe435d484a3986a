"""The packed form of face sets: one file that can be memory-mapped."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file

from bench.core.files import write_atomically
from bench.errors import UsageError
from bench.faces.faceset import FaceSet


def pack(path: Path, train: FaceSet, test: FaceSet, truth: FaceSet | None = None, skipped: Sequence[str] = ()) -> None:
    """Write train and test faces (and the test faces' ground truth) as one memory-mappable file.

    ``skipped``: why files are missing from it.
    """
    sets = {"train": train, "test": test, **({"truth": truth} if truth else {})}
    pack_sets(path, sets, {"source": train.source, "skipped": json.dumps(list(skipped))})


def pack_sets(path: Path, sets: Mapping[str, FaceSet], about: Mapping[str, str] | None = None) -> None:
    """Write face sets under their names."""
    tensors, names = {}, {}
    for split, faces in sets.items():
        rows: dict[tuple[int, int], list[tuple[int, str]]] = {}
        for name, size, row in faces.places:
            rows.setdefault(size, []).append((row, name))
        for size, found in rows.items():
            key = f"{split}/{size[0]}x{size[1]}"
            tensors[key], names[key] = faces.buckets[size].contiguous(), [name for _, name in sorted(found)]
    meta = {**(about or {}), "names": json.dumps(names)}
    write_atomically(path, lambda temporary: save_file(tensors, temporary, meta))


def unpack(
    path: Path, source: str = "", splits: tuple[str, ...] = ("train", "test"), skipped: list[str] | None = None
) -> tuple[Any, ...]:
    """Open a packed file; pixels stay memory-mapped until they are used. ``skipped`` gets why files are missing.

    Raises UsageError where it is not one: cut short, of other tensors, or with names that are no distinct texts.
    """
    try:
        with safe_open(path, "pt") as file:
            meta = file.metadata() or {}
            names = json.loads(meta["names"])
            if skipped is not None:
                skipped += map(str, json.loads(meta.get("skipped", "[]")))
            sets = []
            for split in splits:
                keys = [k for k in file.keys() if k.startswith(f"{split}/")]  # noqa: SIM118 (not a dict)
                sizes = {k: _size_of(k) for k in keys}
                pixels = {sizes[k]: file.get_tensor(k) for k in keys}
                called = {sizes[k]: names[k] for k in keys}
                _check(pixels, called)
                sets.append(FaceSet(pixels, called, source or str(path)))
    except Exception as error:  # safetensors' own error type among them
        raise UsageError(f"{path}: not a packed face set ({str(error).partition(chr(10))[0]})") from None
    return tuple(sets)


def _check(pixels: Mapping[tuple[int, int], Any], names: Mapping[tuple[int, int], Any]) -> None:
    """Raises ValueError where pixels are not uint8 images of the size that they are called by, each with its own name."""
    for size, images in pixels.items():
        if str(images.dtype) != "torch.uint8" or tuple(images.shape) != (len(names[size]), 3, *size):
            raise ValueError(
                f"{tuple(images.shape)} {images.dtype} where {len(names[size])} RGB images of {size} belong"
            )
    every = [name for called in names.values() for name in called]
    if not all(isinstance(name, str) and name for name in every) or len(set(every)) != len(every):
        raise ValueError("names that are no texts, empty or given twice")


def _size_of(key: str) -> tuple[int, int]:
    """test/64x48 -> (64, 48)."""
    height, _, width = key.partition("/")[2].partition("x")
    return int(height), int(width)
