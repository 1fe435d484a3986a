"""Names with options in brackets: ``selfsr[degradation=jpeg-kernel[jpeg=none],scale=8]``. No torch here."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UsageError


class File(str):
    """The type of a parameter that names a file: its path, empty for none. What is in the file enters every key."""


@dataclass(frozen=True)
class Spec:
    """A plugin's name and its options, sorted: two spellings of one thing are equal. ``label``: what a row is called."""

    name: str
    options: tuple[tuple[str, str], ...] = ()
    label: str = ""

    def __str__(self) -> str:
        return self.name + (f"[{','.join(f'{k}={v}' for k, v in self.options)}]" if self.options else "")

    def without(self, *keys: str) -> Spec:
        return Spec(self.name, tuple((k, v) for k, v in self.options if k not in keys), self.label)

    def adding(self, **options: str) -> Spec:
        return Spec(self.name, tuple(sorted({**dict(self.options), **options}.items())), self.label)

    def get(self, key: str, default: str = "") -> str:
        return dict(self.options).get(key, default)


def split(text: str, mark: str = ",") -> list[str]:
    """Split at the commas (or another mark) outside brackets and double quotes."""
    parts, depth, start, quoted, escaped = [], 0, 0, False, False
    for index, char in enumerate(text):
        if quoted:
            quoted, escaped = escaped or char != '"', char == "\\" and not escaped
            continue
        quoted = char == '"' and text[max(index - 1, 0) : index] in ("", *"=,+[")
        depth += (char == "[") - (char == "]")
        if depth < 0:
            break
        if char == mark and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    if depth:
        raise UsageError(f"brackets do not match in {text!r}")
    if quoted:
        raise UsageError(f"quotes do not match in {text!r}")
    return [part.strip() for part in [*parts, text[start:]] if part.strip()]


def quote(value: str) -> str:
    """A value as one piece: in double quotes where it holds what has a meaning outside them."""
    if not set(value) & set(',[]="+') and value == value.strip() and value:
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def speakable(name: object) -> bool:
    """Whether a plugin's name can be written in a list of specs and means itself."""
    return (
        isinstance(name, str)
        and bool(name)
        and not set(name) & set(',[]="')
        and name == name.strip()
        and name.isprintable()
    )


def unquote(value: str) -> str:
    """The text of a value in double quotes; another value as it is."""
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    return re.sub(r"\\(.)", r"\1", value[1:-1])


def parse(text: str) -> Spec:
    """``NAME``, ``NAME[key=value,...]``, or either after ``LABEL=``. Values that are specs are put into sorted form too.

    A value in double quotes is taken as it is, commas and brackets included.
    """
    text = text.strip()
    head, bracket, rest = text.partition("[")
    label, equals, name = (part.strip() for part in head.rpartition("="))
    if (equals and not label) or not name:
        raise UsageError(f"{text!r}: write NAME[option=value,...], with LABEL= before it for a name of your own")
    if not bracket:
        return Spec(name, label=label)
    if not rest.endswith("]"):
        raise UsageError(f"{text!r}: write NAME[option=value,...]")
    options: dict[str, str] = {}
    for item in split(rest[:-1]):
        key, equals, value = item.partition("=")
        key, value = key.strip(), value.strip()
        if not equals or not key or not value:
            raise UsageError(f"{text!r}: {item!r} is not option=value")
        if key in options:
            raise UsageError(f"{text!r}: {key!r} is given twice")
        options[key] = _sorted_value(value)
    return Spec(name, tuple(sorted(options.items())), label)


def _sorted_value(value: str) -> str:
    """A value in its one spelling: quotes only where they are needed, specs inside sorted."""
    if value.startswith('"'):
        return "+".join(quote(unquote(part)) for part in split(value, "+"))
    if "[" not in value:
        return value
    return "+".join(
        str(parse(p)) if p.endswith("]") else p for p in split(value, "+")
    )  # a path may have brackets inside


def parse_list(text: str, *, named: bool = False) -> list[Spec]:
    """A comma-separated list of specs, repeated ones once. ``named``: whether they may have labels."""
    specs = list(dict.fromkeys(parse(part) for part in split(text)))
    if not named and (odd := next((s for s in specs if s.label), None)):
        raise UsageError(f"{odd.label}={odd}: only --methods gives names to its rows; write {odd}")
    return specs


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` or a list of what is known."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, 1, 0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known) or 'none'}"


def override(params: Any, options: Mapping[str, Any], owner: str) -> Any:
    """A copy of the frozen dataclass with these options, converted to each field's type.

    Dotted names reach into nested dataclasses. Raises UsageError for an unknown name or a value of the wrong type.
    """
    hints = typing.get_type_hints(type(params))
    changes: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for key, value in options.items():
        head, dot, tail = key.partition(".")
        if head not in hints:
            raise UsageError(f"{owner}: no parameter {key!r}{nearest(head, hints)}")
        if dot and dataclasses.is_dataclass(getattr(params, head)):
            nested.setdefault(head, {})[tail] = value
        else:
            changes[head] = convert(value, hints[head], f"{owner}: {key}")
    for head, inner in nested.items():
        changes[head] = override(getattr(params, head), inner, f"{owner}: {head}")
    return dataclasses.replace(params, **changes)


def convert(value: Any, hint: Any, where: str) -> Any:
    """A string from the command line, or a value from a plugin, as the type that the field declares."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    value = unquote(value) if isinstance(value, str) and origin is not tuple else value
    wrong = UsageError(f"{where}={value} is not {describe(hint)}")
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return hint(**value)  # type: ignore[operator]
    if hint is Any or dataclasses.is_dataclass(hint):
        return value
    if origin is typing.Literal:
        for choice in arguments:
            if value == choice or str(value) == str(choice):
                return choice
        raise UsageError(f"{where}={value} is not one of {', '.join(map(str, arguments))}")
    if origin in (typing.Union, types.UnionType):
        if value is None or (isinstance(value, str) and value.lower() == "none" and type(None) in arguments):
            return None
        for choice in sorted((a for a in arguments if a is not type(None)), key=lambda a: a is str):
            try:
                return convert(value, choice, where)
            except UsageError:
                continue
        raise wrong
    if origin is tuple:
        items = split(value, "+") if isinstance(value, str) else list(value)
        inner = [arguments[0]] * len(items) if arguments[-1:] == (...,) else list(arguments)
        if len(inner) != len(items):
            raise wrong
        return tuple(convert(item, kind, where) for item, kind in zip(items, inner, strict=True))
    if hint is bool:
        if isinstance(value, bool):
            return value
        words = {
            "true": True,
            "yes": True,
            "1": True,
            "on": True,
            "false": False,
            "no": False,
            "0": False,
            "off": False,
        }
        if str(value).lower() not in words:
            raise wrong
        return words[str(value).lower()]
    try:
        number = hint(str(value).replace("_", "")) if hint in (int, float) else hint(value)
        if hint is float and not math.isfinite(number):
            raise wrong
        return number
    except (TypeError, ValueError):
        if hint is int:  # 2e3 is a whole number too
            try:
                if float(value) == int(float(value)):
                    return int(float(value))
            except (TypeError, ValueError):
                pass
        raise wrong from None


def describe(hint: Any) -> str:
    """A type in words, for messages and ``bench info``."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return " | ".join(map(str, arguments))
    if origin in (typing.Union, types.UnionType):
        return " | ".join("none" if a is type(None) else describe(a) for a in arguments)
    if origin is tuple:
        return "values joined by +"
    return {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "text",
        File: "a path",
        Path: "a path",
    }.get(hint, str(hint))
