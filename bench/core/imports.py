"""Local plugin files as modules: they may import the files beside them, under names that never clash.

The files of a folder get a package, ``bench_plugin_HASH``, whose root is that folder (of a package: the folder that the
outermost package lies in). Absolute imports of what lies there become imports from that package.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

PREFIX = "bench_plugin_"
BENCH = Path(__file__).parents[1]
loaded: dict[Path, frozenset[Path]] = {}  # plugin file -> the files that importing it brought in


def import_file(path: Path) -> ModuleType:
    """Import a file under a name of its own. Raises what its code raises."""
    _install()
    root = root_of(path)
    name = ".".join([_package(root), *path.relative_to(root).with_suffix("").parts])
    if name in sys.modules:
        return sys.modules[name]
    before = set(sys.modules)
    importlib.invalidate_caches()
    module = importlib.import_module(name)
    new = (sys.modules.get(n) for n in set(sys.modules) - before)
    files = {Path(f) for m in new if (f := getattr(m, "__file__", None)) and os.path.isabs(f)}
    loaded[path] = frozenset(f for f in files if f.is_file() and BENCH.parent not in f.parents and not third_party(f))
    return module


def root_of(path: Path) -> Path:
    """The folder that absolute imports of a plugin file start from, deep enough for its relative ones."""
    folder = path.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    for level in _levels(path, path.stat().st_mtime_ns):
        above = path.parents[min(level, len(path.parents)) - 1]
        folder = above if above in folder.parents else folder
    return folder


@cache
def _levels(path: Path, changed: int) -> list[int]:
    """How far up the relative imports of a file reach, where they leave its folder."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return []  # the import says what is wrong
    return [node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level > 1]


def _package(root: Path) -> str:
    name = PREFIX + hashlib.sha256(str(root).encode()).hexdigest()[:12]
    if name not in sys.modules:
        package = ModuleType(name)
        package.__path__ = [str(root)]
        sys.modules[name] = package
    return name


def beside(top: str, file: Path, root: Path) -> Path | None:
    """The folder in which an absolute import's first part is found: the file's own, or one above it up to the root."""
    if top in sys.stdlib_module_names or top == "bench":
        return None
    for folder in (file.parent, *file.parent.parents):
        for found in (folder / f"{top}.py", folder / top):
            if found != file and (found.is_file() or (found.is_dir() and any(found.glob("*.py")))):
                return folder
        if folder == root:
            return None
    return None


class _Rewrite(ast.NodeTransformer):
    """Absolute imports of what lies beside the file become imports from its package."""

    def __init__(self, file: Path, root: Path, package: str) -> None:
        self.file, self.root, self.package = file, root, package

    def inside(self, module: str) -> str | None:
        folder = beside(module.partition(".")[0], self.file, self.root)
        return ".".join([self.package, *folder.relative_to(self.root).parts, module]) if folder else None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if node.level == 0 and node.module and (name := self.inside(node.module)):
            return ast.copy_location(ast.ImportFrom(name, node.names, 0), node)
        return node

    def visit_Import(self, node: ast.Import) -> Any:
        made: list[ast.stmt] = []
        for alias in node.names:
            name = self.inside(alias.name)
            if name is None:
                made.append(ast.Import([alias]))
            elif alias.asname or "." not in alias.name:
                made.append(ast.Import([ast.alias(name, alias.asname or alias.name)]))
            else:  # `import a.b` imports a.b and binds a
                top = alias.name.partition(".")[0]
                made += [ast.Import([ast.alias(name, "_")]), ast.Import([ast.alias(self.inside(top) or top, top)])]
        return [ast.copy_location(statement, node) for statement in made]


class _Loader(importlib.abc.Loader):
    def __init__(self, file: Path) -> None:
        self.file = file

    def exec_module(self, module: ModuleType) -> None:
        package = module.__name__.partition(".")[0]
        root = Path(sys.modules[package].__path__[0])
        tree = _Rewrite(self.file, root, package).visit(ast.parse(self.file.read_bytes(), str(self.file)))
        exec(compile(ast.fix_missing_locations(tree), str(self.file), "exec"), vars(module))

    def get_source(self, name: str) -> str:
        return self.file.read_text(encoding="utf-8")  # for tracebacks and inspect


class _Finder(importlib.abc.MetaPathFinder):
    """Modules of the packages of plugin files."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> Any:
        if not name.startswith(PREFIX) or path is None:
            return None
        found = importlib.machinery.PathFinder.find_spec(name, path)
        if found and found.origin and found.origin.endswith(".py"):
            file, places = Path(found.origin), found.submodule_search_locations
            return importlib.util.spec_from_file_location(
                name, file, loader=_Loader(file), submodule_search_locations=places
            )
        return found


def _install() -> None:
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


@cache
def _places() -> tuple[Path, ...]:
    return tuple(Path(sysconfig.get_paths()[name]).resolve() for name in ("stdlib", "platstdlib"))


@cache
def third_party(file: Path) -> bool:
    """Whether a module's file belongs to Python or to an installed package."""
    whole = file.resolve()
    return bool({"site-packages", "dist-packages"} & set(whole.parts)) or any(p in whole.parents for p in _places())
