"""The code that a class depends on, as fine as is safe: its definitions and those they reach, over all files, layout left out.

A definition reaches what its names stand for, in its file or in files that this imports, but for installed packages. Of the class
itself only those members count that the wanted ones reach by name. What cannot be told counts.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from bench.core import imports
from bench.core.hashing import key_of
from bench.core.literals import source_of

# Rooms of the harness whose part in a number is covered by the versions in bench.grid.versions.
HARNESS = (
    "bench.errors", "bench.hookspecs", "bench.plugins", "bench.faces", "bench.weights", "bench.training", "bench.grid",
    "bench.cli", "bench.api.model", "bench.api.metric", "bench.api.training", "bench.api.results", "bench.api.interface",
    "bench.api.pretrained", "bench.core.progress", "bench.core.device", "bench.core.store", "bench.core.files",
    "bench.core.locks", "bench.core.hashing", "bench.core.literals", "bench.core.spec", "bench.core.imports",
    "bench.core.source",
)  # fmt: skip
SHOWN = frozenset(  # class attributes that no number depends on: words, or values that enter a key by themselves
    ("paper", "variants", "quick", "Params", "title", "decimals", "direction", "default", "table", "prefix", "parts",
     "part_decimals", "headlines", "pretrained", "in_all", "libraries", "bounds")
)  # fmt: skip
BENCH = Path(__file__).parents[1]
WHOLE = {"asdict", "astuple", "vars", "fields", "replace"}  # calls that read every field of their argument


@dataclass
class Source:
    """What was reached: definitions by file, the names of attributes read in them, whether parameters are read whole."""

    parts: dict[str, set[str]] = field(default_factory=dict)  # file's name -> digests
    attributes: set[str] = field(default_factory=set)
    whole: bool = False

    def hashes(self) -> dict[str, str]:
        """A hash for each file."""
        return {name: key_of(sorted(parts)) for name, parts in sorted(self.parts.items())}


@dataclass(frozen=True)
class _Module:
    file: Path
    definitions: dict[str, list[ast.stmt]]
    imported: dict[str, tuple[Path | None, str]]  # local name -> file and the name in it, "" for the module itself
    stars: tuple[Path, ...]
    effects: tuple[ast.stmt, ...]  # statements that run at import beside definitions


def reach(file: Path, name: str, wanted: Iterable[str] | None = None) -> Source:
    """What the class ``name`` of a file depends on; ``wanted``: of its members only these and what they reach."""
    return _Walk(file).of_class(name, None if wanted is None else frozenset(wanted))


class _Walk:
    def __init__(self, file: Path) -> None:
        self.start, self.found = file, Source()
        self.seen: set[tuple[Path, str]] = set()
        self.touched: set[Path] = set()
        self.pending: list[tuple[Path, str]] = []
        self.any_member = False  # whether a member may be read by a computed name

    def of_class(self, name: str, wanted: frozenset[str] | None) -> Source:
        classes = self.line(self.start, name)
        if not classes:
            self.everything(self.start)
        for file, node in classes:
            self.seen.add((file, node.name))
            self.touch(file)
            for part in (*node.bases, *node.keywords, *node.decorator_list):
                self.take(file, part)
        waiting = [(file, node, member) for file, node in classes for member in node.body]
        while True:
            self.drain()
            ready = [w for w in waiting if self.counts(w[2], wanted)]
            if not ready:
                break
            waiting = [w for w in waiting if w not in ready]
            for file, node, member in ready:
                self.take(file, member, node.name)
        for extra in imports.loaded.get(self.start, ()):  # what no import statement that we understand names
            if extra not in self.touched and extra != self.start:
                self.found.parts.setdefault(extra.name, set()).add(_digest(extra.read_bytes()))
        return self.found

    def counts(self, member: ast.stmt, wanted: frozenset[str] | None) -> bool:
        names = set(_targets(member))
        if isinstance(member, ast.ClassDef) and member.name == "Params":
            return any(isinstance(m, ast.FunctionDef) for m in member.body)
        if not names:
            return not _is_text(member)
        if wanted is None or self.any_member:
            return not names <= SHOWN
        return bool(names & (wanted | self.found.attributes)) or any(n.startswith("__") for n in names)

    def line(self, file: Path, name: str) -> list[tuple[Path, ast.ClassDef]]:
        """The class and its bases, as far as they are not of the harness or of installed packages."""
        place = self.resolve(file, name)
        node = next((n for n in (place and self.module(place[0]).definitions.get(place[1])) or ()), None)
        if not place or not isinstance(node, ast.ClassDef):
            return []
        found = [(place[0], node)]
        for base in node.bases:
            if isinstance(base, ast.Name):
                found += self.line(place[0], base.id)
            elif isinstance(base, ast.Attribute) and isinstance(base.value, ast.Name):
                origin = self.module(place[0]).imported.get(base.value.id)
                found += self.line(origin[0], base.attr) if origin and origin[0] and not origin[1] else []
        return found

    def resolve(self, file: Path, name: str) -> tuple[Path, str] | None:
        """Where a name of a file is defined: through imports, re-exports and stars."""
        for _ in range(20):
            module = self.module(file)
            self.touch(file)
            if name in module.definitions:
                return file, name
            if name in module.imported:
                origin, inner = module.imported[name]
                if origin is None:
                    return None
                if not inner:
                    return origin, ""
                file, name = origin, inner
                continue
            for star in module.stars:
                if found := self.resolve(star, name):
                    return found
            sub = next(
                (p for p in (file.parent / f"{name}.py", file.parent / name / "__init__.py") if p.is_file()), None
            )
            return (sub, "") if file.name == "__init__.py" and sub else None
        return None

    def drain(self) -> None:
        while self.pending:
            file, name = self.pending.pop()
            if (file, name) in self.seen:
                continue
            self.seen.add((file, name))
            for node in self.module(file).definitions.get(name, ()):
                self.take(file, node)

    def take(self, file: Path, node: ast.AST, owner: str = "") -> None:
        """A piece of code, and what it reaches."""
        self.found.parts.setdefault(file.name, set()).add(_digest(f"{owner}:{_dump(node)}".encode()))
        params = {t.id for n in ast.walk(node) if isinstance(n, ast.Assign) and _is_params(n.value, set())
                  for t in n.targets if isinstance(t, ast.Name)}  # fmt: skip
        inner: set[ast.AST] = set()  # names whose attribute is read: looked up with it
        for part in _walk(node):
            if isinstance(part, ast.Attribute):
                self.found.attributes.add(part.attr)
                if isinstance(part.value, ast.Name):
                    inner.add(part.value)
                    self.name(file, part.value.id, part.attr)
            elif isinstance(part, ast.Name) and part not in inner:
                self.name(file, part.id, "")
            elif isinstance(part, ast.Constant) and isinstance(part.value, str):
                self.found.attributes.add(part.value)
            elif isinstance(part, ast.Call):
                given = [*part.args, *(k.value for k in part.keywords)]
                called = part.func.attr if isinstance(part.func, ast.Attribute) else getattr(part.func, "id", "")
                known = called in ("getattr", "setattr") or (
                    isinstance(part.func, ast.Name) and self.resolve(file, called)
                )
                if any(_is_params(g, params) for g in given) and (called in WHOLE or not known):
                    self.found.whole = True
                computed = (
                    called in ("getattr", "setattr") and len(given) > 1 and not isinstance(given[1], ast.Constant)
                )
                if computed and BENCH not in file.parents:
                    self.found.whole |= _is_params(given[0], params)
                    self.any_member |= not _is_params(given[0], params)
                if called in ("import_module", "__import__") and given and isinstance(given[0], ast.Constant):
                    self.everything(self.located(str(given[0].value), file, 0))
            elif isinstance(part, ast.Import | ast.ImportFrom):  # inside a function
                for place, name in _imports(part, file, self.located).values():
                    self.follow(place, name) if name else self.everything(place)

    def name(self, file: Path, name: str, attribute: str) -> None:
        """A name that is used, with the attribute that is read of it."""
        place = self.resolve(file, name)
        if place is None:
            return
        if place[1]:
            self.pending.append(place)
        elif attribute:  # of a module
            self.follow(place[0], attribute)
        else:
            self.everything(place[0])

    def follow(self, file: Path | None, name: str) -> None:
        place = file and self.resolve(file, name)
        if place and place[1]:
            self.pending.append(place)
        elif place:
            self.everything(place[0])

    def everything(self, file: Path | None) -> None:
        if file and (file, "*") not in self.seen:
            self.seen.add((file, "*"))
            self.touch(file)
            self.pending += [(file, name) for name in self.module(file).definitions]

    def touch(self, file: Path) -> None:
        """What runs when a file is imported counts: its statements, and those of the files that it imports."""
        if file in self.touched or BENCH in file.parents:
            return
        self.touched.add(file)
        module, package = self.module(file), file.parent / "__init__.py"
        for node in module.effects:
            self.take(file, node)
        for other in (*module.stars, *(origin for origin, _ in module.imported.values()), package):
            if other and other.is_file():
                self.touch(other)

    # ------------------------------------------------------------ files

    def module(self, file: Path) -> _Module:
        status = file.stat()
        return _parsed(file, self.start, status.st_mtime_ns, status.st_size)

    def located(self, module: str, file: Path, level: int) -> Path | None:
        return located(module, file, level, self.start)


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
def _parsed(file: Path, start: Path, changed: int, size: int) -> _Module:
    definitions: dict[str, list[ast.stmt]] = {}
    imported: dict[str, tuple[Path | None, str]] = {}
    stars: list[Path] = []
    effects: list[ast.stmt] = []

    def locate(module: str, where: Path, level: int) -> Path | None:
        return located(module, where, level, start)

    def statement(node: ast.stmt) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name, place in _imports(node, file, locate).items():
                if name == "*":
                    stars.extend([place[0]] if place[0] else [])
                else:
                    imported[name] = place
            if isinstance(node, ast.Import) and any("." in a.name and not a.asname for a in node.names):
                effects.append(node)  # binds the outermost package: all of the module counts
        elif names := _targets(node):
            for name in names:
                definitions.setdefault(name, []).append(node)
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.For | ast.While):
            inner = [n for n in ast.walk(node) if isinstance(n, ast.stmt) and n is not node]
            for one in inner:
                if isinstance(one, ast.Import | ast.ImportFrom):
                    statement(one)
                for name in _targets(one):
                    definitions.setdefault(name, []).append(node)
            if "TYPE_CHECKING" not in ast.dump(getattr(node, "test", ast.Constant(0))):
                effects.append(node)
        elif not _is_text(node):
            effects.append(node)

    for node in ast.parse(file.read_bytes()).body:
        statement(node)
    return _Module(file, definitions, imported, tuple(stars), tuple(effects))


def _imports(node: ast.stmt, file: Path, locate: Any) -> dict[str, tuple[Path | None, str]]:
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
    return frozenset(name for node in ast.parse(file.read_bytes()).body for name in _targets(node))


def _targets(node: ast.stmt) -> list[str]:
    """The names that a statement defines, and nothing else."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.AnnAssign):
        return [node.target.id] if isinstance(node.target, ast.Name) else []
    if isinstance(node, ast.Assign):
        names = [n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)]
        return names if all(isinstance(t, ast.Name | ast.Tuple) for t in node.targets) else []
    return []


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _is_params(node: ast.expr, aliases: set[str]) -> bool:
    """``self.params``, or a name for it."""
    return (isinstance(node, ast.Attribute) and node.attr == "params") or (
        isinstance(node, ast.Name) and node.id in aliases
    )


def _body(node: ast.AST) -> list[ast.stmt]:
    return [n for n in getattr(node, "body", []) if not _is_text(n)]


def _walk(node: ast.AST) -> Iterable[ast.AST]:
    """As ast.walk, without docstrings and annotations."""
    pending = [node]
    while pending:
        one = pending.pop()
        yield one
        for name, value in ast.iter_fields(one):
            if name in ("annotation", "returns"):
                continue
            if isinstance(value, list):
                pending += [
                    v for v in value if isinstance(v, ast.AST) and not (isinstance(v, ast.stmt) and _is_text(v))
                ]
            elif isinstance(value, ast.AST):
                pending.append(value)


def _dump(node: ast.AST) -> str:
    """Code as text without layout, comments, docstrings, annotations."""
    if isinstance(node, list):
        return f"[{','.join(_dump(n) for n in node if not (isinstance(n, ast.stmt) and _is_text(n)))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = ((name, value) for name, value in ast.iter_fields(node) if name not in ("returns", "type_comment", "kind"))
    inner = ",".join(f"{name}={_dump(value)}" for name, value in fields
                     if not (name == "annotation" and isinstance(node, ast.arg)))  # fmt: skip
    return f"{type(node).__name__}({inner})"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
