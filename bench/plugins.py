"""The plugin manager: built-ins, entry points, local files; classes looked up by name and imported when used."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from bench import hookspecs
from bench.core.literals import COMPUTED, literals, source_of
from bench.core.spec import nearest, speakable
from bench.core.trail import step
from bench.errors import PluginFailed, UsageError

if TYPE_CHECKING:
    from bench.core.source import Source

HERE = Path(__file__).parent
KINDS = ("methods", "degradations", "metrics", "reports")
HOOKS = (*KINDS, "clusters")  # clusters are where the others run
LISTED = (  # what lists and reports ask a plugin's class
    "title", "decimals", "direction", "default", "pretrained", "table", "prefix", "parts", "part_decimals", "headlines",
    "guard", "paper",
)  # fmt: skip
BUILT_IN = (*(f"bench.{kind}" for kind in KINDS), "bench.cluster")


@dataclass(frozen=True)
class Entry:
    """A plugin's place in a catalogue. ``target``: a class, or "module:Class" that is imported by ``load``."""

    name: str
    summary: str
    target: Any
    source: str  # the plugin module that named it


class Catalogue:
    """Everything that hooks offer, and the problems met on the way (one line each)."""

    def __init__(self) -> None:
        self.entries: dict[str, dict[str, Entry]] = {kind: {} for kind in HOOKS}
        self.problems: list[str] = []
        self.broken: dict[str, str] = {}  # of them, by the file's name: files of which nothing is known
        self.sources: dict[Any, Source] = {}  # by kind, name and members: read once a command

    def problem(self, what: str, error: BaseException) -> None:
        self.problems.append(str(error) if isinstance(error, PluginFailed) else f"{what}: {_one_line(error)}")

    def collect(self, module: Any, source: str) -> None:
        """Ask one module for its plugins; what fails is a problem, and the others still work."""
        manager = pluggy.PluginManager("bench")
        manager.add_hookspecs(hookspecs)
        try:
            manager.register(module, source)
            found = {kind: getattr(manager.hook, f"bench_{kind}")() for kind in HOOKS}
        except (Exception, SystemExit) as error:
            self.problem(f"plugin {source}", error)
            return
        for kind, results in found.items():
            if odd := next((r for r in results if not isinstance(r, dict)), None):
                self.problem(
                    f"plugin {source}", TypeError(f"bench_{kind} gives a {type(odd).__name__}, not {{name: plugin}}")
                )
                continue
            for name, target in (item for result in results for item in result.items()):
                self.add(kind, name, target, source)

    def add(self, kind: str, name: str, target: Any, source: str) -> None:
        taken = self.entries[kind].get(name)
        if taken:
            self.problems.append(f"plugin {source}: {kind[:-1]} {name!r} is already defined by {taken.source}; skipped")
            return
        if not speakable(name) or name == "all" or (kind == "degradations" and name == "real"):
            self.problems.append(
                f"plugin {source}: {kind[:-1]} {name!r} has a name that has a meaning in commands; skipped"
            )
            return
        target, summary = target if isinstance(target, tuple) else (target, _summary(target))
        if not isinstance(target, str):
            lacking = _lacking(kind, target)
            if lacking:
                self.problems.append(f"plugin {source}: {kind[:-1]} {name!r} lacks {lacking}; skipped")
                return
        self.entries[kind][name] = Entry(name, summary, target, source)


def _summary(target: Any) -> str:
    return (inspect.getdoc(target) or "").partition("\n")[0]


def _one_line(error: BaseException) -> str:
    if isinstance(error, PluginFailed):
        return str(error)
    from bench.core.blame import in_one_line, place_of  # `bench list` starts without what only failures need

    place = place_of(error, own=True)
    return in_one_line(error) + (f" ({place})" if place else "")


def _lacking(kind: str, target: Any) -> str:
    """The base class or the required member that a plugin class lacks; a report is any function."""
    if kind == "reports":
        return "" if callable(target) else "a call"
    if kind == "clusters":
        return ", ".join(member for member in ("Params", "start", "accepts") if not hasattr(target, member))
    from bench.api.interface import lacking  # torch comes with a plugin's class, never before

    return lacking(kind, target)


_local: list[Path] = []


def use(*files: str | Path) -> None:
    """Add local plugin files (``--plugin FILE.py``). Raises UsageError for one that does not exist."""
    for file in files:
        path = Path(file).resolve()
        if not path.is_file():
            raise UsageError(f"--plugin {file}: no such file")
        if path not in _local:
            _local.append(path)
    catalogue.cache_clear()


def only(*files: str | Path) -> None:
    """These local plugin files and no others, in a process that works for one run after the other."""
    _local.clear()
    use(*files)


def local_files() -> list[str]:
    return [str(path) for path in _local]


@cache
def catalogue() -> Catalogue:
    """All plugins: built-in, installed (entry point group ``bench``), local files, in this order."""
    result = Catalogue()
    for name in BUILT_IN:
        result.collect(importlib.import_module(name), name)
    for point in sorted(entry_points(group="bench"), key=lambda p: p.name):
        try:
            with step(f"plugin {point.name} ({point.value})"):
                result.collect(point.load(), point.name)
        except (Exception, SystemExit) as error:
            result.problem(f"plugin {point.name} ({point.value})", error)
    for path in _local:
        try:
            with step(f"plugin {path}"):
                _collect_file(result, path)
        except (Exception, SystemExit) as error:
            result.problem(f"plugin {path}", error)
    for path in _local:
        told = [p for p in result.problems if p.startswith((f"plugin {path}:", f"plugin {path.name}:"))]
        if told and not any(e.source == path.name for kind in result.entries.values() for e in kind.values()):
            result.broken[kebab(path.stem)] = "; ".join(told)
    return result


def _collect_file(result: Catalogue, path: Path) -> None:
    """A file with hooks offers what they name; a file without offers its plugin classes, under their own names."""
    from bench.core.imports import import_file  # `bench list` starts without what only local files need

    module = import_file(path)
    if any(hasattr(module, f"bench_{kind}") for kind in HOOKS):
        result.collect(module, path.name)
        return
    from bench.api.interface import kind_of

    found = False
    for target in vars(module).values():
        if isinstance(target, type) and target.__module__ == module.__name__ and (kind := kind_of(target)):
            found = True
            result.add(kind, getattr(target, "name", "") or kebab(target.__name__), target, path.name)
    if not found:
        result.problems.append(f"plugin {path}: no hook and no subclass of bench.Method, Degradation or Metric in it")


def kebab(name: str) -> str:
    """EdgeNet, edge_net -> edge-net."""
    name = name.replace("_", "-")
    return "".join(
        f"-{c.lower()}" if c.isupper() and i and not name[i - 1].isupper() else c.lower() for i, c in enumerate(name)
    )


def names(kind: str) -> list[str]:
    return list(catalogue().entries[kind])


def entry(kind: str, name: str) -> Entry:
    """Raises UsageError for an unknown name, with the nearest known one; PluginFailed where a broken file may have it."""
    entries = catalogue().entries[kind]
    if name not in entries:
        if broken := catalogue().broken:
            why = f"no {kind[:-1]} {name!r}, and not all plugin files load: {'; '.join(broken.values())}"
            raise PluginFailed(broken.get(name) or why)
        raise UsageError(f"no {kind[:-1]} {name!r}{nearest(name, entries)}")
    return entries[name]


def load(kind: str, name: str) -> Any:
    """The class (or function) of that name. Raises PluginFailed where its module does not import or lacks a member."""
    found = entry(kind, name)
    if not isinstance(found.target, str):
        return found.target
    module, _, attribute = found.target.partition(":")
    try:
        with step(f"{kind[:-1]} {name!r} ({found.target})"):
            target = getattr(importlib.import_module(module), attribute)
    except PluginFailed:
        raise
    except (Exception, SystemExit) as error:
        raise PluginFailed(f"{kind[:-1]} {name!r} ({found.target}) cannot be imported: {_one_line(error)}") from error
    lacking = _lacking(kind, target)
    if lacking:
        raise PluginFailed(f"{kind[:-1]} {name!r} ({found.target}) lacks {lacking}")
    return target


def source_file(kind: str, name: str) -> Path | None:
    """The file that defines a plugin, found without importing it."""
    found = entry(kind, name)
    if isinstance(found.target, str):
        return source_of(found.target.partition(":")[0])
    try:
        return Path(inspect.getfile(found.target))
    except (TypeError, OSError):
        return None


def source(kind: str, name: str, wanted: Iterable[str] | None = None) -> Source:
    """The code that a plugin's class depends on; ``wanted``: by these of its members alone."""
    from bench.core.source import Source, reach  # `bench list` starts without it

    known, key = catalogue().sources, (kind, name, frozenset(wanted) if wanted is not None else None)
    if key not in known:  # a plan asks for the same plugin with many options
        file, target = source_file(kind, name), load(kind, name)
        known[key] = reach(file, target.__name__, wanted) if file else Source()
    return known[key]


def facts(kind: str, name: str) -> dict[str, Any]:
    """The class attributes of a plugin; nothing for an unknown name.

    Plain values are read from the source. Where one of LISTED is computed, the class is imported.
    """
    found = catalogue().entries[kind].get(name)
    if found is None:
        return {}
    target = found.target
    if isinstance(target, str):
        module, _, cls = target.partition(":")
        known = literals(module, cls)
        if all(known.get(key) is not COMPUTED for key in LISTED):
            return {key: value for key, value in known.items() if value is not COMPUTED}
        target = load(kind, name)
    return {key: value for c in reversed(target.__mro__) for key, value in vars(c).items()}
