"""Why something is computed again: what its key covers, beside what the run's folder remembers of it."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

from bench.core.files import write_json


class Reasons:
    """What each piece of work depended on in the run before, and what was computed again for which reason."""

    def __init__(self, file: Path | None, *, fresh: bool = False) -> None:
        self.file, self.fresh = file, fresh
        self.before: dict[str, dict[str, Any]] = {}
        self.now: dict[str, dict[str, Any]] = {}
        self.see: dict[str, dict[str, str]] = {}  # part of a piece of work -> the piece that it comes from
        self.again: Counter[tuple[str, str]] = Counter()
        if file:
            with contextlib.suppress(OSError, ValueError):
                found = json.loads(file.read_text(encoding="utf-8"))
                self.before = {k: v for k, v in found.items() if isinstance(v, dict)}

    def depends(self, name: str, on: dict[str, Any], see: dict[str, str] | None = None) -> None:
        """Remember what a piece of work depends on; ``see``: which parts of it are pieces of work themselves."""
        self.now[name], self.see[name] = json.loads(json.dumps(on, default=str)), see or {}

    def why(self, name: str) -> str:
        """Why it is computed again; empty where it is the first time."""
        old, new = self.before.get(name), self.now.get(name)
        if old is None or new is None:
            return ""
        if self.fresh:
            return "--fresh"
        changed = [self.change(name, k, old.get(k), new.get(k)) for k in {**old, **new} if old.get(k) != new.get(k)]
        if not changed:
            return "it is not in the store any more"
        return ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")

    def change(self, name: str, part: str, old: Any, new: Any) -> str:
        """A part that differs, in words."""
        source = self.see[name].get(part, "")
        if source in self.before and self.before[source] != self.now.get(source):
            return self.why(source)
        if part.startswith("code in "):
            return f"its file changed ({part.removeprefix('code in ')})"
        short = all(v is None or (not isinstance(v, list | dict) and len(str(v)) < 16) for v in (old, new))
        return f"its {part} changed" + (f" from {old} to {new}" if short and "files" not in part else "")

    def note(self, what: str, name: str) -> None:
        """Something is computed; where it was before, the reason counts."""
        if reason := self.why(name):
            self.again[what, reason] += 1

    def lines(self) -> list[str]:
        """What was computed again and why, a line for each."""
        return [f"{what}: {reason}" for what, reason in self.again]

    def save(self) -> None:
        """For the next run; what this one did not ask for is kept."""
        if self.file and {**self.before, **self.now} != self.before:
            write_json(self.file, {**self.before, **self.now})
