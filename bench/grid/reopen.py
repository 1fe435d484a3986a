"""Settings from files: a run's run.json, which repeats it, or a configuration that a person wrote; rows added to a run."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from bench.core.files import folder_name, write_json
from bench.core.spec import nearest, quote
from bench.errors import UsageError
from bench.grid.settings import Settings, duration, seeds

LISTS = ("methods", "degradations", "conditions", "metrics")
PLACES = ("hr", "lr", "pairs", "reference")
TYPES = {**get_type_hints(Settings), "budget": float | int | None}
PLAIN = [n for n, kind in TYPES.items() if kind in (str, str | None, bool, int, float | int | None)]
FACES = ("hr", "lr", "pairs")
FIELDS = {f.name for f in dataclasses.fields(Settings)}


def options(file: Path) -> dict[str, Any]:
    """The options of ``bench run`` that a .toml or .json file holds, by the names of Settings, and ``plugin`` files.

    Lists of names may be lists; ``methods`` may be a table of names and specs, too. The settings of a run.json are
    what it ran with, from the folder where it did. Raises UsageError for a file that is not one, and for an unknown option.
    """
    found = _parsed(file)
    start = base(found)
    given = _options(file, found)
    return {k: _from(v, start) if k in PLACES and of_run(found) else v for k, v in given.items()}


def _options(file: Path, found: Mapping[str, Any]) -> dict[str, Any]:
    if of_run(found):
        found = {
            **{k: v for k, v in found["settings"].items() if k in FIELDS | {"seed"}},
            "plugin": found.get("plugins", []),
        }
    given: dict[str, Any] = {}
    for key, value in found.items():
        name = "seeds" if key == "seed" else key.replace("-", "_")
        if name not in FIELDS | {"plugin"}:
            raise UsageError(f"{file}: no option {key!r}{nearest(name, FIELDS)}")
        if name in LISTS:
            value = _listed(value)
        elif name == "plugin":
            value = [value] if isinstance(value, str) else value
            if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
                raise UsageError(f"{file}: plugin is a path or a list of paths")
        elif name == "seeds":
            value = tuple(value) if isinstance(value, list) else seeds(str(value))
        elif name == "pairs" and value is not None:
            if not isinstance(value, list) or [type(place) for place in value] != [str, str]:
                raise UsageError(f"{file}: pairs are two paths, of LR and of HR")
        elif name == "budget" and isinstance(value, str):
            value = duration(value)
        if name in PLAIN and (
            not isinstance(value, TYPES[name]) or (isinstance(value, bool) and TYPES[name] is not bool)
        ):
            wanted = getattr(TYPES[name], "__name__", str(TYPES[name]).partition(" |")[0])
            raise UsageError(f"{file}: {key} = {json.dumps(value, default=str)} is not of type {wanted}")
        given[name] = value
    return given


def of_run(found: Mapping[str, Any]) -> bool:
    """Whether this is the run.json of a run of the grid."""
    return isinstance(found.get("settings"), dict) and isinstance(found.get("versions"), dict)


def base(found: Mapping[str, Any]) -> Path:
    """The folder that a run's relative paths start from; this one, where that is not here."""
    folder = Path(str(found.get("folder", "")))
    return folder if folder.is_absolute() and folder.is_dir() else Path.cwd()


def _from(place: Any, folder: Path) -> Any:
    """A path, or several, that starts in ``folder`` where it is there."""
    if isinstance(place, list):
        return [_from(each, folder) for each in place]
    return str(folder / place) if isinstance(place, str) and place and (folder / place).exists() else place


def _parsed(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})") from None
    try:
        if file.suffix == ".json":
            found = json.loads(text)
        elif sys.version_info >= (3, 11):
            import tomllib

            found = tomllib.loads(text)
        else:
            import tomli

            found = tomli.loads(text)
    except ValueError as error:
        raise UsageError(f"{file}: {error}") from None
    if not isinstance(found, dict):
        raise UsageError(f"{file}: options by name are expected, not a {type(found).__name__}")
    return found


def _listed(value: Any) -> Any:
    """A list of names, or a table of a row's name and its spec, as the command line has it; what is neither stays."""
    if isinstance(value, Mapping):
        return ",".join(f"{name}={spec}" for name, spec in value.items())
    return ",".join(value) if isinstance(value, list) and all(isinstance(each, str) for each in value) else value


# ---------------------------------------------------------------- a finished run


@dataclass(frozen=True)
class Opened:
    """A run's folder, opened again."""

    settings: Settings
    plugins: list[str]
    command: str
    folder: Path  # that its relative paths start from
    data: dict[str, Any]  # its faces


def opened(folder: Path) -> Opened:
    """A run that has been made, as it was made. Raises UsageError where the folder holds none."""
    file = folder / "run.json"
    if not file.is_file():
        raise UsageError(f"{folder}: no run in this folder (run.json is missing)")
    found = _parsed(file)
    data = found.get("data")
    if not of_run(found) or not isinstance(data, dict) or not all(isinstance(data.get(w, {}), dict) for w in FACES):
        raise UsageError(f"{file}: not the record of a `bench run`; a folder that it wrote is expected")
    given = _options(file, found)
    plugins = given.pop("plugin", [])
    store = None if os.environ.get("BENCH_STORE") else found.get("store")
    place = {"out": os.path.abspath(folder), "store": store if store and Path(store).is_dir() else None}
    settings = Settings(**{**given, **place})
    return Opened(settings, plugins, str(found.get("command", "bench run")), base(found), data)


@dataclass(frozen=True)
class Added:
    """A row of outputs that was added to a run: its name, and the conditions that it has outputs for."""

    label: str
    conditions: tuple[str, ...]
    scale: int
    dir: Path  # holds a folder for each condition

    @property
    def text(self) -> str:
        """As --methods would have it."""
        return f"images[dir={quote(str(self.dir / '{condition}'))},scale={self.scale}]"


def added(out: Path) -> list[Added]:
    """The rows that ``bench score --run`` added to this run."""
    file = out / "added" / "rows.json"
    try:
        rows = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
        found = [Added(str(r["label"]), tuple(map(str, r["conditions"])), int(r["scale"]),
                       out / "added" / folder_name(str(r["label"]))) for r in rows]  # fmt: skip
        return [row for row in found if row.dir.is_dir()]
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        print(
            f"{file}: damaged; rows that were added are left out: add them again with bench score --run",
            file=sys.stderr,
        )
        return []


def add(out: Path, label: str, condition: str, scale: int) -> None:
    """Note that ``label`` has outputs for ``condition``."""
    rows = {row.label: row for row in added(out)}
    old = rows.get(label)
    conditions = tuple(dict.fromkeys([*(old.conditions if old else ()), condition]))
    rows[label] = Added(label, conditions, scale, out)
    listed = [{"label": r.label, "conditions": r.conditions, "scale": r.scale} for r in rows.values()]
    write_json(out / "added" / "rows.json", listed)
