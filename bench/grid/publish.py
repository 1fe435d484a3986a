"""Results in a run's folder: of what is done while it works, and all of them with the reports at its end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from bench import __version__, plugins
from bench.core.files import write_json
from bench.core.hashing import content_hash, key_of
from bench.core.results import write_table
from bench.grid.artefacts import Artefacts
from bench.grid.pictures import leave_only, own_folder
from bench.grid.record import Facts, identity, record, sealed, up_to_date
from bench.grid.reports import default_place, rendered

RENDERED = ("html", "latex")  # formats of the report that every run has
SPARING = 20  # results of a run at work are written again after as many times the time that this took


class Meanwhile:
    """Results of a run at work, for `bench report` at any time and after a kill. A finished run's stay until one is computed."""

    def __init__(self, out: Path, artefacts: Artefacts, facts: Callable[[], Facts]) -> None:
        self.out, self.artefacts, self.facts = out, artefacts, facts
        self.finished, self.stale, self.due = _finished(out / "run.json"), False, 0.0

    def note(self) -> None:
        """A task is done; what it gave is written soon."""
        self.stale = True
        self.write()

    def write(self, now: bool = False) -> None:
        """Results of the tasks that are done, where there are new ones and it is time."""
        if not self.stale or (self.finished and not self.artefacts.computed):
            return
        if now or time.monotonic() >= self.due:
            begin, facts = time.monotonic(), self.facts()
            if not facts.rows:
                return
            file = self.out / "run.json"
            if self.finished:
                file.unlink(missing_ok=True)
            write_table(self.out, facts.rows)
            write_json(file, record(facts, ""))
            self.finished = self.stale = False
            self.due = time.monotonic() + SPARING * (time.monotonic() - begin)


def _finished(file: Path) -> bool:
    """Whether run.json is that of a run that came to its end."""
    try:
        return "seal" in json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False


def publish(out: Path, facts: Facts, computed: bool) -> str:
    """The results table, run.json and the reports; nothing is rendered again where nothing changed. What to say of it."""
    leave_only(facts.pictures, out)
    key = key_of(facts.rows, facts.failures, __version__, _report_code(), identity(facts), facts.pictures)
    file, report = out / "run.json", out / "report.html"
    if not computed and up_to_date(file, key):
        return f"nothing to compute; {report} is up to date"
    file.unlink(missing_ok=True)  # complete only once the reports are there
    write_table(out, facts.rows)
    values = record(facts, key)
    write_json(file, {**values, "key": ""})
    own_folder(out / "tables", out)
    for old in (report, *(out / "tables").iterdir()):
        if old.is_symlink():  # it could lead out of the folder
            old.unlink()
    written = [out / name for name in ("results.csv", "results.parquet")]
    for form in RENDERED:
        written += rendered(plugins.load("reports", form), [out], default_place(out, form))
    for table in set((out / "tables").glob("*.tex")) - set(written):
        table.unlink()
    write_json(file, sealed(values, out, written))
    stale = [form for form in plugins.names("reports") if form not in RENDERED and default_place(out, form).exists()]
    again = "; ".join(
        f"{default_place(out, form)} is of earlier results, see bench report --format {form}" for form in stale
    )
    return f"report: {report}" + (f"; {again}" if again else "")


def _report_code() -> str:
    """A hash of the code and the templates of the reports."""
    file = plugins.source_file("reports", "html")
    files = sorted(f for f in file.parent.rglob("*") if f.suffix in (".py", ".j2")) if file else []
    return key_of([content_hash(f) for f in files])
