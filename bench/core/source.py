"""The code that a class depends on, as fine as is safe: its definitions and those they reach, over all files, layout left out.

A definition reaches what its names stand for, in its file or in files that this imports, but for installed packages. Of the class
itself only those members count that the wanted ones reach by name. What cannot be told counts.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bench.core import handed, imports
from bench.core.hashing import content_hash, key_of
from bench.core.modules import Module, imported_names, is_text, located, parsed, targets

SHOWN = frozenset(  # class attributes that no number depends on: words, or values that enter a key by themselves
    ("paper", "variants", "quick", "Params", "title", "decimals", "direction", "default", "table", "prefix", "parts",
     "part_decimals", "headlines", "pretrained", "in_all", "libraries", "bounds")
)  # fmt: skip
BENCH = Path(__file__).parents[1]


@dataclass
class Source:
    """What was reached: definitions by file, the names of attributes read in them, whether parameters are read whole."""

    parts: dict[str, set[str]] = field(default_factory=dict)  # file's name -> digests
    attributes: set[str] = field(default_factory=set)
    whole: bool = False

    def hashes(self) -> dict[str, str]:
        """A hash for each file."""
        return {name: key_of(sorted(parts)) for name, parts in sorted(self.parts.items())}


def reach(file: Path, name: str, wanted: Iterable[str] | None = None) -> Source:
    """What the class ``name`` of a file depends on; ``wanted``: of its members only these and what they reach."""
    return _Walk(file).of_class(name, None if wanted is None else frozenset(wanted))


class _Walk:
    def __init__(self, file: Path) -> None:
        self.start, self.found = file, Source()
        self.seen: set[tuple[Path, str]] = set()
        self.touched: set[Path] = set()
        self.pending: list[tuple[Path, str]] = []
        self.taken: list[tuple[Path, ast.AST]] = []
        self.bodies: list[ast.ClassDef] = []  # of the class itself, its bases, and classes that it reaches
        self.any_member = False  # whether a member may be read by a computed name

    def of_class(self, name: str, wanted: frozenset[str] | None) -> Source:
        classes = self.line(self.start, name)
        if not classes:
            self.everything(self.start)
            self.found.whole = True
        self.bodies += [node for _, node in classes]
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
        self.found.whole |= handed.whole(self.taken, self.functions)
        return self.found

    def functions(self, file: Path, called: ast.expr) -> list[tuple[handed.Function, int]] | None:
        """The functions that a call may reach, with the number of parameters that it fills itself; None: who knows."""
        if isinstance(called, ast.Name):
            place = self.resolve(file, called.id)
            return self.defined(*place) if place and place[1] else None
        if not isinstance(called, ast.Attribute):
            return None
        if _is_self(called.value):
            return [found for body in self.bodies for found in _methods(body, called.attr, 1)] or None
        place = self.resolve(file, called.value.id) if isinstance(called.value, ast.Name) else None
        if place and not place[1]:  # of a module
            place = self.resolve(place[0], called.attr)
            return self.defined(*place) if place and place[1] else None
        classes = (
            [n for n in self.module(place[0]).definitions[place[1]] if isinstance(n, ast.ClassDef)] if place else []
        )
        return [found for body in classes for found in _methods(body, called.attr, 0)] or None

    def defined(self, file: Path, name: str) -> list[tuple[handed.Function, int]] | None:
        found: list[tuple[handed.Function, int]] = []
        for node in self.module(file).definitions.get(name, ()):
            made = _methods(node, "__init__", 1) if isinstance(node, ast.ClassDef) else []
            if isinstance(node, handed.Function):
                made = [(node, 0)]
            if not made or node.decorator_list:  # type: ignore[attr-defined]
                return None
            found += made
        return found or None

    def counts(self, member: ast.stmt, wanted: frozenset[str] | None) -> bool:
        names = set(targets(member))
        if isinstance(member, ast.ClassDef) and member.name == "Params":
            return any(isinstance(m, ast.FunctionDef) for m in member.body)
        if not names:
            return not is_text(member)
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
        self.taken.append((file, node))
        moved = (pair for n in ast.walk(node) if isinstance(n, ast.Assign) for pair in handed.pairs(n))
        aliases = {t.id for t, v in moved if isinstance(t, ast.Name) and _is_params(v, set())}
        if isinstance(node, ast.ClassDef):
            self.bodies.append(node)
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
                self.beside(file, part.value)
            elif isinstance(part, ast.Call):
                given = [*part.args, *(k.value for k in part.keywords)]
                called = part.func.attr if isinstance(part.func, ast.Attribute) else getattr(part.func, "id", "")
                read = called in ("getattr", "setattr") and len(given) > 1 and not isinstance(given[1], ast.Constant)
                if read and BENCH not in file.parents and not _is_params(given[0], aliases):
                    self.any_member = True
                if called in ("import_module", "__import__") and given and isinstance(given[0], ast.Constant):
                    self.everything(self.located(str(given[0].value), file, 0))
            elif isinstance(part, ast.Import | ast.ImportFrom):  # inside a function
                for place, name in imported_names(part, file, self.located).values():
                    self.follow(place, name) if name else self.everything(place)

    def beside(self, file: Path, text: str) -> None:
        """A file beside the code that a text names: run or read by its path."""
        if 0 < len(text) < 200 and text.isprintable() and BENCH not in file.parents and (file.parent / text).is_file():
            self.found.parts.setdefault(text, set()).add(content_hash(file.parent / text)[:16])

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

    def module(self, file: Path) -> Module:
        status = file.stat()
        return parsed(file, self.start, status.st_mtime_ns, status.st_size)

    def located(self, module: str, file: Path, level: int) -> Path | None:
        return located(module, file, level, self.start)


def _is_params(node: ast.expr, aliases: set[str]) -> bool:
    """``self.params``, or a name for it."""
    return (isinstance(node, ast.Attribute) and node.attr == "params") or (
        isinstance(node, ast.Name) and node.id in aliases
    )


def _is_self(node: ast.expr) -> bool:
    """``self``, ``cls``, ``super()``, ``type(self)``."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in ("super", "type")
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def _methods(body: ast.ClassDef, name: str, filled: int) -> list[tuple[handed.Function, int]]:
    """The methods of a name in a class; ``filled``: whether it is called on an instance."""
    found: list[tuple[handed.Function, int]] = []
    for node in body.body:
        if isinstance(node, handed.Function) and node.name == name:
            kinds = {d.id for d in node.decorator_list if isinstance(d, ast.Name)}
            found.append((node, 0 if "staticmethod" in kinds else 1 if "classmethod" in kinds else filled))
    return found


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
                pending += [v for v in value if isinstance(v, ast.AST) and not (isinstance(v, ast.stmt) and is_text(v))]
            elif isinstance(value, ast.AST):
                pending.append(value)


def _dump(node: ast.AST) -> str:
    """Code as text without layout, comments, docstrings, annotations."""
    if isinstance(node, list):
        return f"[{','.join(_dump(n) for n in node if not (isinstance(n, ast.stmt) and is_text(n)))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = ((name, value) for name, value in ast.iter_fields(node) if name not in ("returns", "type_comment", "kind"))
    inner = ",".join(f"{name}={_dump(value)}" for name, value in fields
                     if not (name == "annotation" and isinstance(node, ast.arg)))  # fmt: skip
    return f"{type(node).__name__}({inner})"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
