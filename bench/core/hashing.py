"""What enters a key: content, the source of plugins, versions of packages."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any


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
    home = Path(__file__).parent.parent
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


def content_hash(file: Path) -> str:
    """The SHA-256 of a file, 64 hex digits; read again only where its size or time of change is another."""
    status = file.stat()
    return _sha256(file, status.st_mtime_ns, status.st_size)


@cache
def _sha256(file: Path, changed: int, size: int) -> str:
    with open(file, "rb") as stream:
        digest = hashlib.sha256()
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
