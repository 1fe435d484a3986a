"""A finished run, planned again as it was made, from wherever the command is given."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import plugins
from bench.errors import UsageError
from bench.grid.record import data_of
from bench.grid.reopen import Opened, opened
from bench.grid.run import Run


@contextlib.contextmanager
def again(folder: Path) -> Iterator[Callable[[], Run]]:
    """What plans the run in ``folder``: with its plugins, on its store, from the folder that its relative paths start from.

    Raises UsageError where ``folder`` holds no run, and where the faces that are found are not those it was measured on.
    """
    found, here = opened(folder), os.getcwd()
    plugins.use(*found.plugins)

    def planned() -> Run:
        run = Run(found.settings, found.command)
        same_faces(found, run)
        return run

    os.chdir(found.folder)
    try:
        yield planned
    finally:
        os.chdir(here)


def same_faces(found: Opened, run: Run) -> None:
    """Raises UsageError where a run has other faces than the record says."""
    mine = data_of(run.settings, run.data, {"hr": run.artefacts.hr_test, "lr": run.artefacts.lr_test})
    for what, source in {"hr": run.settings.hr, "lr": run.settings.lr, "pairs": run.settings.pairs}.items():
        before, now = (data.get(what, {}).get("fingerprint") for data in (found.data, mine))
        if before != now:
            place = source if isinstance(source, str) else " ".join(source or ["the embedded faces"])
            raise UsageError(
                f"{found.settings.out}: the run was measured on other {what} faces than those of {place} in {found.folder}; "
                "give the run's own command again first, or put its faces back"
            )
