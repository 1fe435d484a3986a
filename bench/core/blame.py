"""An exception in one line, with the line of the plugin that it comes from."""

from __future__ import annotations

import traceback
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from bench.core.imports import BENCH, third_party

LONGEST = 300  # letters of an error's message


def in_one_line(error: BaseException) -> str:
    """``ValueError: no such thing``."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    words = " ".join(text.strip().partition("\n")[0].split())
    return f"{type(error).__name__}: {words[:LONGEST]}" if words else type(error).__name__


def place_of(error: BaseException, *, own: bool = False) -> str:
    """``wrong.py:12``: the last line that is a plugin's; where none is, the last of all, or none with ``own``."""
    if isinstance(error, SyntaxError):
        return f"{Path(error.filename).name}:{error.lineno}" if error.filename else ""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    mine = [frame for frame in frames if of_a_plugin(Path(frame.filename))]
    last = (mine or ([] if own else frames))[-1:]
    return f"{Path(last[0].filename).name}:{last[0].lineno}" if last else ""


def of_a_plugin(file: Path) -> bool:
    """Whether a line of code is neither the harness's, nor Python's, nor an installed package's that offers no plugins."""
    if BENCH in file.parents:
        return any(
            f"{BENCH.name}/{kind}/" in file.as_posix() for kind in ("methods", "degradations", "metrics", "reports")
        )
    return not third_party(file) or bool(packages() & set(file.parts))


@cache
def packages() -> frozenset[str]:
    """Installed packages that offer plugins."""
    return frozenset(point.value.partition(":")[0].partition(".")[0] for point in entry_points(group="bench")) - {
        "bench"
    }
