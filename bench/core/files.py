"""Files written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.errors import StoreError, UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Call ``write`` with a temporary name beside ``path``, then rename. Raises StoreError, naming the place."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written ({error.strerror or error}); free space or choose another --out"
        ) from error
    except Exception as error:
        if "No space left" in str(error) or "Read-only" in str(error) or "file write failed" in str(error):
            raise StoreError(f"{path}: cannot be written ({error}); free space or choose another --out") from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    write_atomically(path, lambda p: p.write_text(json.dumps(value, indent=1, sort_keys=True, default=str)))


def link(source: Path, target: Path) -> None:
    """Make ``target`` the same file as ``source``: a hard link where the disk allows, else a copy."""
    if target.exists() and target.samefile(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.part")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        shutil.copyfile(source, temporary)
    os.replace(temporary, target)


def prepare_folder(out: Path) -> None:
    """Make the run's folder and try to write there. Raises UsageError before any work where that fails."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".probe"
        probe.write_bytes(b"bench")
        probe.unlink()
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be written ({error.strerror}); choose another folder") from None


def folder_name(label: str) -> str:
    """A label of a method or condition as the name of one folder."""
    return label.replace("/", "_")


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file. Raises UsageError with its name and what is wrong."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{path}: not TOML ({error})") from None
