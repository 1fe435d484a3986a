"""The packed form of face sets: one file that can be memory-mapped."""

from __future__ import annotations

import json
from collections.abc import Sequence
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
    tensors, names = {}, {}
    for split, faces in (("train", train), ("test", test), ("truth", truth)):
        for size in faces.buckets if faces else ():
            key = f"{split}/{size[0]}x{size[1]}"
            tensors[key] = faces.buckets[size].contiguous()  # type: ignore[union-attr]
            names[key] = [n for n, s, _ in sorted(faces.places, key=lambda p: p[2]) if s == size]  # type: ignore[union-attr]
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
                pixels = {sizes[k]: file.get_tensor(k) for k in keys}
                called = {sizes[k]: names[k] for k in keys}
                sets.append(FaceSet(pixels, called, source or str(path), meta.get(split, "")))
    except (KeyError, ValueError, OSError, json.JSONDecodeError) as error:
        raise UsageError(f"{path}: not a packed face set ({error})") from None
    except Exception as error:  # safetensors' own error type
        raise UsageError(f"{path}: not a packed face set ({error})") from None
    return tuple(sets)


def _size_of(key: str) -> tuple[int, int]:
    """test/64x48 -> (64, 48)."""
    height, _, width = key.partition("/")[2].partition("x")
    return int(height), int(width)
