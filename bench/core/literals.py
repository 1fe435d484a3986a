"""Class attributes that are plain values, read from the source: no import, so no torch."""

from __future__ import annotations

import ast
import importlib.util
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any


@cache
def literals(module: str, name: str) -> dict[str, Any]:
    """What ``name = value`` in the body of a class says, those of its bases first.

    Bases are found in the same file, or where the file imports them from (``from .x import Base``, ``bench.Base``).
    """
    tree = _tree(module)
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    if name not in classes:
        return {}
    found: dict[str, Any] = {}
    for base in reversed(classes[name].bases):
        if isinstance(base, ast.Name) and base.id in classes:
            found |= literals(module, base.id)
        elif origin := _origin(tree, module, base):
            found |= literals(*origin)
    for node in classes[name].body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and isinstance(value, ast.expr):
            try:
                found[target.id] = ast.literal_eval(value)
            except ValueError:
                found.pop(target.id, None)  # computed: not known without an import
    return found


@cache
def _tree(module: str) -> ast.Module:
    file = source_of(module)
    return ast.parse(file.read_text(encoding="utf-8") if file else "")


def source_of(module: str) -> Path | None:
    """The file of a module, found without importing the packages that it lies in; None where there is none."""
    top, *parts = module.split(".")
    found = importlib.util.find_spec(top)
    for part in parts:
        if found is None or found.submodule_search_locations is None:
            return None
        found = PathFinder.find_spec(f"{found.name}.{part}", found.submodule_search_locations)
    return Path(found.origin) if found and found.origin else None


def _origin(tree: ast.Module, module: str, base: ast.expr) -> tuple[str, str] | None:
    """Module and name of a base class that another file defines."""
    if isinstance(base, ast.Attribute) and isinstance(base.value, ast.Name) and base.value.id == "bench":
        return ("bench.api.metric" if base.attr == "Metric" else "bench.api.model"), base.attr
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and isinstance(base, ast.Name):
            for alias in node.names:
                if (alias.asname or alias.name) == base.id:
                    path = f"{module.rpartition('.')[0]}.{node.module}" if node.level == 1 else str(node.module)
                    return path, alias.name
    return None
