"""``bench run``: train, upscale, measure and report, the whole grid."""

from __future__ import annotations

from typing import Any

from bench.grid.run import Run
from bench.grid.settings import Settings


def command(line: str, resume: bool, **options: Any) -> int:
    """The exit code of the contract. ``resume`` is the default and needs no work."""
    return Run(Settings(**options), line).go()
