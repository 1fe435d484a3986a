"""The pictures beside a run's results: which of them belong to its numbers."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from bench.core.hashing import content_hash, key_of

LISTING = ".pictures.json"  # what is in a folder: of which faces, and each file's size, times and hash


def listing(folder: Path) -> dict[str, Any]:
    """What was written to a folder: {"of": ..., "files": {name: [*signature, hash]}}; empty where nothing says so."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        found = json.loads((folder / LISTING).read_text(encoding="utf-8"))
        if isinstance(found, dict) and isinstance(found.get("files"), dict):
            return found
    return {"files": {}}


def digest(files: dict[str, list[Any]]) -> str:
    """A hash of the names and contents that a listing has."""
    return key_of({name: entry[-1] for name, entry in files.items()})


def signature(status: os.stat_result) -> list[int]:
    """What tells a changed file without reading it."""
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def unchanged(file: Path, entry: list[Any], now: list[int]) -> bool:
    """Whether a file of the signature ``now`` (empty for a link) is what its entry in the listing says."""
    return bool(now) and (entry[:-1] == now or (entry[0] == now[0] and content_hash(file) == entry[-1]))


def of_run(root: Path, record: dict[str, Any]) -> Callable[[Path], bool]:
    """Whether a picture in a run's folder belongs to the numbers of its run.json.

    Not where another run has put its own there since, where it was changed, or where a link leads elsewhere. Of a record that
    lists no pictures (of `bench score`, of another program) all files belong.
    """
    said = record.get("pictures")

    @cache
    def known(folder: Path) -> dict[str, list[Any]] | None:
        if not folder.is_relative_to(root):
            return {}
        within = folder.relative_to(root)
        if ".." in within.parts or any((root / place).is_symlink() for place in (within, *within.parents[:-1])):
            return {}
        if said is None:
            return None
        files: dict[str, list[Any]] = listing(folder)["files"]
        return files if isinstance(said, dict) and said.get(within.as_posix()) == digest(files) else {}

    def belongs(file: Path) -> bool:
        if file.is_symlink() or not file.is_file():
            return False
        files = known(file.parent)
        if files is None:
            return True
        entry = files.get(file.name)
        return entry is not None and unchanged(file, entry, signature(file.stat()))

    return belongs
