"""Content-addressed artefacts and atomic writes: only successes are kept, under a hash of what they depend on."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from .errors import BenchError


class StoreError(BenchError):
    """Nothing can be written: the disk is full, or the folder read-only."""


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


class Store:
    """A folder of artefacts: ``KIND/HASH/``, each complete or absent."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, kind: str, key: str) -> Path:
        return self.root / kind / key

    def has(self, kind: str, key: str) -> bool:
        return self.path(kind, key).is_dir()

    def put(self, kind: str, key: str, fill: Callable[[Path], Any]) -> Path:
        """Fill a temporary folder, then rename it into place. A failure leaves nothing behind."""
        final = self.path(kind, key)
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=f".{key}.", dir=final.parent))
        except OSError as error:
            raise StoreError(f"{final.parent}: cannot be written ({error.strerror}); choose another --out") from error
        try:
            fill(temporary)
            shutil.rmtree(final, ignore_errors=True)
            os.replace(temporary, final)
        except OSError as error:
            raise StoreError(
                f"{final}: cannot be written ({error.strerror or error}); free space or choose another --out"
            ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return final

    def drop(self, kind: str, key: str) -> None:
        shutil.rmtree(self.path(kind, key), ignore_errors=True)


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


def key_of(*parts: Any) -> str:
    """16 hex digits that depend on the content of ``parts``, not on the order of dictionary keys."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def source_hash(path: Path) -> str:
    """Hash of a plugin's source: its file and the project files that it imports, comments and layout left out."""
    seen: dict[Path, str] = {}
    pending = [path]
    while pending:
        file = pending.pop()
        if file not in seen and file.is_file():
            seen[file], imported = _parsed(file, file.stat().st_mtime_ns)
            pending += imported
    return key_of(sorted(seen.values()))


@cache
def _parsed(file: Path, changed: int) -> tuple[str, list[Path]]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), _imports(tree, file)


def _imports(tree: ast.AST, file: Path) -> list[Path]:
    """Files of ``from .x import y`` beside the plugin and of ``from bench.x import y``."""
    home = Path(__file__).parent
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names = [a.name for a in node.names]
            if node.level == 1:
                folder, module = file.parent, node.module
            elif node.level == 0 and node.module and node.module.split(".")[0] == "bench":
                folder, module = home, ".".join(node.module.split(".")[1:]) or None
            else:
                continue
            stems = [module.replace(".", "/")] if module else names
            found += [folder / f"{stem}.py" for stem in stems]
    return [f for f in found if f.is_file()]


@cache
def version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"
