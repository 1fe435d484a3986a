"""Class attributes that are plain values, read from the source: no import, so no torch."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

COMPUTED: Any = object()  # the value of what only an import tells


@cache
def literals(module: str, name: str) -> dict[str, Any]:
    """What ``name = value`` in the body of a class says, those of its bases first; COMPUTED where that is no plain value.

    A value may be a constant of the file. Bases are found in the same file, or where the file imports them from
    (``from .x import Base``, ``bench.Base``, ``bench.api.Base``).
    """
    classes = {node.name: node for node in _tree(module).body if isinstance(node, ast.ClassDef)}
    if name not in classes:
        return {}
    constants, found = _constants(module), dict[str, Any]()
    for base in reversed(classes[name].bases):
        origin = (module, base.id) if isinstance(base, ast.Name) and base.id in classes else _origin(module, base)
        found |= literals(*origin) if origin else {}
    for target, value in _assignments(classes[name].body):
        found[target] = _value(value, constants)
    found |= {node.name: COMPUTED for node in classes[name].body if isinstance(node, ast.FunctionDef)}
    return found


@cache
def _constants(module: str) -> dict[str, Any]:
    """The names that a file gives plain values, once."""
    found: dict[str, Any] = {}
    for target, value in _assignments(_tree(module).body):
        found[target] = COMPUTED if target in found else _value(value, found)
    return found


def _assignments(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    """Names and the expressions that they stand for: ``a = 1``, ``a: int = 1``, ``a = b = 1`` and ``a, b = 1, 2``."""
    for node in body:
        value = getattr(node, "value", None)
        if isinstance(node, ast.AnnAssign | ast.Assign) and isinstance(value, ast.expr):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    yield target.id, value
                elif isinstance(target, ast.Tuple):
                    parts = value.elts if isinstance(value, ast.Tuple) else [value] * len(target.elts)
                    yield from ((t.id, v) for t, v in zip(target.elts, parts, strict=False) if isinstance(t, ast.Name))


def _value(node: ast.expr, constants: dict[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return constants.get(node.id, COMPUTED)
    try:
        return ast.literal_eval(node)
    except ValueError:
        return COMPUTED


@cache
def _tree(module: str) -> ast.Module:
    file = source_of(module)
    try:
        return ast.parse(file.read_bytes() if file else "")
    except (SyntaxError, ValueError):
        return ast.Module([], [])  # the import says what is wrong


def source_of(module: str) -> Path | None:
    """The file of a module, found without importing the packages that it lies in; None where there is none."""
    top, *parts = module.split(".")
    found = importlib.util.find_spec(top)
    for part in parts:
        if found is None or found.submodule_search_locations is None:
            return None
        found = PathFinder.find_spec(f"{found.name}.{part}", found.submodule_search_locations)
    return Path(found.origin) if found and found.origin else None


def _origin(module: str, base: ast.expr) -> tuple[str, str] | None:
    """Module and name of a base class that another file defines."""
    *path, name = ast.unparse(base).split(".")
    for node in _tree(module).body:
        if isinstance(node, ast.ImportFrom):
            package = module.rpartition(".")[0] if node.level else ""
            for _ in range(node.level - 1):
                package = package.rpartition(".")[0]
            whole = ".".join(filter(None, (package, node.module)))
            for alias in node.names:
                if (alias.asname or alias.name) == (path[0] if path else name):
                    return (
                        _public(".".join((whole, alias.name, *path[1:])), name) if path else _public(whole, alias.name)
                    )
        if isinstance(node, ast.Import) and path:
            for alias in node.names:
                if alias.asname == path[0]:
                    return _public(".".join((alias.name, *path[1:])), name)
                if alias.asname is None and alias.name.partition(".")[0] == path[0]:
                    return _public(".".join(path), name)
    return None


def _public(module: str, name: str) -> tuple[str, str]:
    """Where a public name of the harness is defined."""
    if module in ("bench", "bench.api"):
        module = "bench.api.metric" if name == "Metric" else "bench.api.model"
    return module, name
