"""The one ladder from an exception to what the results say of it: a status and a reason in one line."""

from __future__ import annotations

import traceback
from pathlib import Path

from bench.core.blame import in_one_line, place_of
from bench.errors import BenchError, Interrupted, MissingWeights, StoreError, Unavailable


def outcome(error: BaseException, cell: str, log: Path | None = None) -> tuple[str, str]:
    """(``failed`` or ``unavailable``, why). ``log``: where the traceback of an unexpected error goes, after ``cell``.

    What must stop the whole run is raised again: nothing can be written, or a signal came.
    """
    if isinstance(error, (StoreError, Interrupted)):
        raise error
    if isinstance(error, (MissingWeights, Unavailable)):
        return "unavailable", str(error)
    if isinstance(error, BenchError):
        return "failed", str(error)
    return "failed", _unexpected(error, cell, log)


def _unexpected(error: BaseException, cell: str, log: Path | None) -> str:
    place = place_of(error)
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{cell}\n{''.join(traceback.format_exception(error))}\n")
        place += f"; traceback in {log.parent.name}/{log.name}"
    return f"{in_one_line(error)} ({place})"
