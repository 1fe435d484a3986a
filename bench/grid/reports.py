"""Report formats as plugins offer them, called in one way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.errors import UsageError


def default_place(run: Path, form: str) -> Path:
    """Where `bench report RUN --format FORM` writes if it is not told."""
    return run / {"latex": "tables", "figures": "paper"}.get(form, f"report.{form}")


def rendered(render: Callable[[list[Path], Path], Any], runs: list[Path], out: Path) -> list[Path]:
    """The files that a format wrote. It returns a path or several; UsageError where it returns anything else."""
    out.parent.mkdir(parents=True, exist_ok=True)
    found = render(runs, out)
    files = [found] if isinstance(found, (str, Path)) else list(found or ())
    if not files or not all(isinstance(file, (str, Path)) for file in files):
        raise UsageError(f"the report format returned {type(found).__name__}; it returns the path of what it wrote")
    if absent := next((file for file in files if not Path(file).exists()), None):
        raise UsageError(f"the report format returned {absent}, and wrote no such file")
    return [Path(file) for file in files]
