"""Extension of griffe: an attribute without a docstring has the comment on its line, where there is one, in the reference."""

from __future__ import annotations

import ast
from typing import Any

import griffe


class Comments(griffe.Extension):
    def on_attribute_instance(self, *, node: ast.AST | griffe.ObjectNode, attr: griffe.Attribute, **_: Any) -> None:
        if attr.docstring or attr.lineno is None or not isinstance(node, ast.AST):
            return
        lines = attr.lines_collection[attr.filepath][attr.lineno - 1 : attr.endlineno]
        said = [line.partition("  # ")[2] for line in lines]
        text = " ".join(filter(None, said)).removesuffix("fmt: skip").strip()
        if text:
            attr.docstring = griffe.Docstring(text[0].upper() + text[1:] + ".", lineno=attr.lineno, parent=attr)
