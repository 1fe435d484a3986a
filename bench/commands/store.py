"""``bench store``: what is in the store, whether it is as it was written, and what can go."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from bench.core.store import Entry, Store, damage, root_of
from bench.errors import UsageError

UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
DAY = 86400


def command(
    action: str,
    store: str | None,
    older_than: str | None = None,
    larger_than: str | None = None,
    not_used_by: list[str] | None = None,
    dry_run: bool = False,
    as_json: bool = False,
    **_: Any,
) -> int:
    """info: entries and bytes by kind; verify: check every file; gc: remove what all the given conditions name."""
    found = Store(root_of(store))
    if not found.root.is_dir():
        raise UsageError(f"{found.root}: no such store; --store DIR or BENCH_STORE name one")
    if action == "info":
        return info(found, as_json)
    if action == "verify":
        return verify(found)
    return collect(found, older_than, larger_than, not_used_by or [], dry_run)


def info(store: Store, as_json: bool) -> int:
    kinds: dict[str, list[Entry]] = {}
    for entry in store.entries():
        kinds.setdefault(entry.kind, []).append(entry)
    rows: list[dict[str, Any]] = [
        {"kind": k, "entries": len(e), "bytes": sum(x.size for x in e)} for k, e in sorted(kinds.items())
    ]
    if as_json:
        print(json.dumps({"name": str(store.root), "kinds": rows}, indent=1))
        return 0
    print(store.root)
    for row in rows:
        print(f"{row['kind']:<8} {row['entries']:>7} entries {_size(row['bytes']):>10}")
    return 0


def verify(store: Store) -> int:
    """Exit code 1 where an entry is damaged: it is dropped, and made again by the next run that needs it."""
    bad = count = 0
    for entry in store.entries():
        count += 1
        if reason := damage(entry.folder, entry.kind, entry.key):
            bad += 1
            print(f"{entry.folder}: damaged ({reason}); dropped", file=sys.stderr)
            store.remove(entry.folder)
    print(f"{count - bad} entries are as they were written, {bad} were damaged and are dropped")
    return 1 if bad else 0


def collect(store: Store, older: str | None, larger: str | None, runs: list[str], dry: bool) -> int:
    """Remove entries; what a run that is at work has used since it began stays."""
    if not (older or larger or runs):
        raise UsageError("bench store gc: say what goes: --older-than 30d, --larger-than 1G, --not-used-by RUN...")
    before = time.time() - (_days(older) * DAY if older else 0)
    least = _bytes(larger) if larger else 0
    used, busy = _used(runs), store.working_since()
    gone = [e for e in store.entries() if e.used <= before and e.size >= least and e.used < busy
            and not (e.latest and (e.kind, e.key) in used)]  # fmt: skip
    if not dry:
        for entry in gone:
            store.remove(entry.folder)
        store.sweep()
    print(f"{len(gone)} entries, {_size(sum(e.size for e in gone))} {'would go' if dry else 'removed'}")
    return 0


def _used(runs: list[str]) -> set[tuple[str, str]]:
    """The entries that finished runs name in their run.json."""
    found: set[tuple[str, str]] = set()
    for run in runs:
        try:
            entries = json.loads((Path(run) / "run.json").read_text(encoding="utf-8"))["entries"]
            found |= {(kind, key) for kind, keys in entries.items() for key in keys}
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            raise UsageError(f"{run}: no run.json that names its entries; run it again first") from None
    return found


def _days(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([hdw]?)", text.strip())
    if not match:
        raise UsageError(f"--older-than {text}: write 12h, 30d or 8w")
    return float(match[1]) * {"h": 1 / 24, "d": 1, "": 1, "w": 7}[match[2]]


def _bytes(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)b?", text.strip().lower())
    if not match:
        raise UsageError(f"--larger-than {text}: write 500M or 2G")
    return float(match[1]) * UNITS[match[2]]


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
