"""Whether code reads options one by one, ``self.params.width``, or takes all of them together.

Options are followed where they go: into names, attributes, and the parameters of functions whose code is known. Wherever else
they go (into a library, a list, a text, ``asdict``), all of them count as read.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
Find = Callable[[Path, ast.expr], list[tuple[Function, int]] | None]


def whole(taken: Iterable[tuple[Path, ast.AST]], find: Find) -> bool:
    """Whether some piece of code, of the file that it stands in, takes the options whole.

    ``find(file, called)``: the functions that a call may reach, each with the number of parameters that it fills by itself
    (``self``); None where it may be any.
    """
    return _Flow(list(taken), find).whole()


class _Flow:
    def __init__(self, taken: list[tuple[Path, ast.AST]], find: Find) -> None:
        self.taken, self.find = taken, find
        self.attributes = {"params"}  # of whatever: attributes that hold the options
        self.names: dict[ast.AST, set[str]] = {}  # scope -> its names that hold them
        self.changed = True

    def whole(self) -> bool:
        while self.changed:
            self.changed = False
            for file, node in self.taken:
                if not self.scan(file, node, node, frozenset()):
                    return True
        return False

    def hold(self, scope: ast.AST, name: str) -> None:
        known = self.names.setdefault(scope, set())
        self.changed |= name not in known
        known.add(name)

    def scan(self, file: Path, node: ast.AST, scope: ast.AST, outer: frozenset[str], inside: str = "") -> bool:
        """Whether the options are read one by one in ``node``; ``outer``: names around ``scope`` that hold them."""
        if isinstance(node, SCOPES):
            own = node.args
            given = [*own.posonlyargs, *own.args, *own.kwonlyargs, *(a for a in (own.vararg, own.kwarg) if a)]
            if node is not scope:
                outer = outer | frozenset(self.names.get(scope, ()))
            outer, scope = outer - {a.arg for a in given}, node
            first = given[0].arg if given else ""
            for name in {first} if inside == "Params" else {a.arg for a in given} & {"params"}:
                if name == first or first in ("self", "cls"):
                    self.hold(node, name)
        inside = node.name if isinstance(node, ast.ClassDef) else "" if isinstance(node, SCOPES) else inside
        held = outer | self.names.get(scope, set())
        if isinstance(node, ast.Call):
            handed = [value for value in _arguments(node) if self.is_options(value, held)]
            rest: list[ast.AST] = [node.func, *(value for value in _arguments(node) if value not in handed)]
            if not all([self.goes_into(file, node, value) for value in handed]):
                return False
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value:
            every = list(pairs(node))
            moved = [(target, value) for target, value in every if self.is_options(value, held)]
            rest = [part for pair in every for part in pair if pair not in moved]
            if not all([self.goes_to(target, scope) for target, _ in moved]):
                return False
        else:
            rest = list(_children(node))
            if isinstance(node, ast.Attribute | ast.Expr):
                rest = [part for part in rest if not self.is_options(part, held)]
        return all(not self.is_options(part, held) and self.scan(file, part, scope, outer, inside) for part in rest)

    def is_options(self, node: ast.AST, held: set[str] | frozenset[str]) -> bool:
        if isinstance(node, ast.Attribute):
            return node.attr in self.attributes and isinstance(node.ctx, ast.Load)
        return isinstance(node, ast.Name) and node.id in held and isinstance(node.ctx, ast.Load)

    def goes_to(self, target: ast.expr, scope: ast.AST) -> bool:
        if isinstance(target, ast.Name):
            self.hold(scope, target.id)
        elif isinstance(target, ast.Attribute):
            self.changed |= target.attr not in self.attributes
            self.attributes.add(target.attr)
        return isinstance(target, ast.Name | ast.Attribute)

    def goes_into(self, file: Path, call: ast.Call, node: ast.AST) -> bool:
        """Options as an argument: they go on as a parameter of the functions that are called."""
        if isinstance(call.func, ast.Name) and call.func.id in ("getattr", "hasattr", "setattr"):
            return node is call.args[0] and len(call.args) > 1 and isinstance(call.args[1], ast.Constant)
        functions = self.find(file, call.func)
        if not functions or any(isinstance(a, ast.Starred) for a in call.args):
            return False
        keyword = next((k.arg for k in call.keywords if k.value is node), None)
        place = next((i for i, a in enumerate(call.args) if a is node), -1)
        for function, filled in functions:
            own = function.args
            names = [a.arg for a in (*own.posonlyargs, *own.args)][filled:]
            if place >= 0:
                name = names[place] if place < len(names) else None
            else:
                name = keyword if keyword in (*names, *(a.arg for a in own.kwonlyargs)) else None
            if name is None:
                return False
            self.hold(function, name)
        return True


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def pairs(node: ast.Assign | ast.AnnAssign | ast.NamedExpr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Targets with their values, those of ``a, b = x, y`` one by one."""
    assert node.value
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            parts = [*target.elts, *node.value.elts]
            if len(target.elts) == len(node.value.elts) and not any(isinstance(p, ast.Starred) for p in parts):
                yield from zip(target.elts, node.value.elts, strict=True)
                continue
        yield target, node.value


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a node, without annotations."""
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns"):
            yield from (v for v in (value if isinstance(value, list) else [value]) if isinstance(v, ast.AST))
