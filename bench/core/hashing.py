"""Hashes of what enters a key: values, files, versions of packages. What enters which key: docs/keys.md."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
from functools import cache
from pathlib import Path
from typing import Any


def key_of(*parts: Any) -> str:
    """16 hex digits that depend on the content of ``parts``, not on the order of dictionary keys."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@cache
def version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def content_hash(file: Path) -> str:
    """The SHA-256 of a file, 64 hex digits; read again only where its size, times or place on the disk are others."""
    status = file.stat()
    return _sha256(file, status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)


@cache
def _sha256(file: Path, *signature: int) -> str:
    with open(file, "rb") as stream:
        digest = hashlib.sha256()
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def tree_hash(folder: Path) -> str:
    """A hash of the names and contents of all files below a folder."""
    files = sorted(f for f in folder.rglob("*") if f.is_file())
    return key_of([[str(f.relative_to(folder)), content_hash(f)] for f in files])


def values(params: Any) -> dict[str, Any]:
    """The fields of a dataclass as plain values; of a file that one names (``Path``, ``bench.File``) its content.

    A text that is the path of a file stands for its content too, and that of a folder where it has a slash or its option is
    called so (``dir``, ``folder``, ``path``).
    """
    return {f.name: _value(getattr(params, f.name), f.name) for f in dataclasses.fields(params)}


def _value(value: Any, name: str = "") -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return values(value)
    if isinstance(value, tuple | list):
        return [_value(v, name) for v in value]
    if isinstance(value, Path) or (isinstance(value, str) and value):
        path = Path(value)
        try:
            if path.is_file():
                return f"{path.suffix} {content_hash(path)[:16]}"
            called = isinstance(value, Path) or "/" in value or any(word in name for word in ("dir", "folder", "path"))
            if called and path.is_dir() and path != Path("."):
                return tree_hash(path)
        except OSError:
            pass
        return str(value)
    return value
