"""The files of a plugin, parsed: what each defines and imports, and which file an import means."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bench.core import imports
from bench.core.literals import source_of

# Rooms of the harness whose part in a number is covered by the versions in bench.grid.versions.
HARNESS = (
    "bench.errors", "bench.hookspecs", "bench.plugins", "bench.faces", "bench.weights", "bench.training", "bench.grid",
    "bench.cli", "bench.options", "bench.api.model", "bench.api.metric", "bench.api.training", "bench.core.results",
    "bench.api.interface", "bench.api.pretrained", "bench.core.progress", "bench.core.device", "bench.core.store",
    "bench.core.files", "bench.core.locks", "bench.core.hashing", "bench.core.literals", "bench.core.spec",
    "bench.core.imports", "bench.core.source", "bench.core.handed", "bench.core.modules", "bench.core.pictures",
)  # fmt: skip


@dataclass(frozen=True)
class Module:
    file: Path
    definitions: dict[str, list[ast.stmt]]
    imported: dict[str, tuple[Path | None, str]]  # local name -> file and the name in it, "" for the module itself
    stars: tuple[Path, ...]
    effects: tuple[ast.stmt, ...]  # statements that run at import beside definitions


def located(module: str, file: Path, level: int, start: Path) -> Path | None:
    """The file of a module that a file imports; None for the harness's own and for installed packages."""
    if level:
        folder = file.parents[level - 1] if level <= len(file.parents) else file.parent
        return _file(folder, module)
    top = module.partition(".")[0]
    if top == "bench":
        if module == "bench":
            module = "bench.api"
        return None if module.startswith(HARNESS) else source_of(module)
    folder_beside = imports.beside(top, file, imports.root_of(start))
    if folder_beside:
        return _file(folder_beside, module)
    try:
        found = source_of(module)
    except (ImportError, ValueError, AttributeError):
        return None
    if found is None or found.suffix != ".py" or not found.is_file():
        return None
    own = _outermost(start)
    return found if not imports.third_party(found) or (own and own in found.parents) else None


def _outermost(file: Path) -> Path | None:
    """The package that an installed plugin belongs to."""
    folder = None
    for parent in file.parents:
        if not (parent / "__init__.py").is_file():
            break
        folder = parent
    return folder


def _file(folder: Path, module: str) -> Path | None:
    base = folder.joinpath(*module.split(".")) if module else folder
    return next((p for p in (base.with_name(f"{base.name}.py"), base / "__init__.py") if p.is_file()), None)


@cache
def parsed(file: Path, start: Path, changed: int, size: int) -> Module:
    definitions: dict[str, list[ast.stmt]] = {}
    imported: dict[str, tuple[Path | None, str]] = {}
    stars: list[Path] = []
    effects: list[ast.stmt] = []

    def locate(module: str, where: Path, level: int) -> Path | None:
        return located(module, where, level, start)

    def statement(node: ast.stmt) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name, place in imported_names(node, file, locate).items():
                if name == "*":
                    stars.extend([place[0]] if place[0] else [])
                else:
                    imported[name] = place
            if isinstance(node, ast.Import) and any("." in a.name and not a.asname for a in node.names):
                effects.append(node)  # binds the outermost package: all of the module counts
        elif names := targets(node):
            for name in names:
                definitions.setdefault(name, []).append(node)
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.For | ast.While):
            inner = [n for n in ast.walk(node) if isinstance(n, ast.stmt) and n is not node]
            for one in inner:
                if isinstance(one, ast.Import | ast.ImportFrom):
                    statement(one)
                for name in targets(one):
                    definitions.setdefault(name, []).append(node)
            if "TYPE_CHECKING" not in ast.dump(getattr(node, "test", ast.Constant(0))):
                effects.append(node)
        elif not is_text(node):
            effects.append(node)

    for node in ast.parse(file.read_bytes()).body:
        statement(node)
    return Module(file, definitions, imported, tuple(stars), tuple(effects))


def imported_names(node: ast.stmt, file: Path, locate: Any) -> dict[str, tuple[Path | None, str]]:
    """Local name -> (file, name in it)."""
    found: dict[str, tuple[Path | None, str]] = {}
    if isinstance(node, ast.ImportFrom):
        module = node.module or ""
        origin = locate(module, file, node.level)
        for alias in node.names:
            sub = locate(f"{module}.{alias.name}" if module else alias.name, file, node.level)
            place = (sub, "") if sub and (origin is None or sub != origin) and _is_module(sub, alias.name) else None
            defined = origin is not None and origin.is_file() and _defines(origin, alias.name)
            found[alias.asname or alias.name] = place if place and not defined else (origin, alias.name)
    elif isinstance(node, ast.Import):
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            found[name] = (locate(alias.name, file, 0), "")
    return found


def _is_module(file: Path, name: str) -> bool:
    return file.stem == name or (file.name == "__init__.py" and file.parent.name == name)


def _defines(file: Path, name: str) -> bool:
    return name in _defined(file, file.stat().st_mtime_ns)


@cache
def _defined(file: Path, changed: int) -> frozenset[str]:
    return frozenset(name for node in ast.parse(file.read_bytes()).body for name in targets(node))


def targets(node: ast.stmt) -> list[str]:
    """The names that a statement defines, and nothing else."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.AnnAssign):
        return [node.target.id] if isinstance(node.target, ast.Name) else []
    if isinstance(node, ast.Assign):
        names = [n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)]
        return names if all(isinstance(t, ast.Name | ast.Tuple) for t in node.targets) else []
    return []


def is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
