"""Get a pretrained file from the network, checked before it takes its name."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bench.core.files import part_of
from bench.core.hashing import content_hash
from bench.core.locks import held
from bench.errors import Unreachable, UsageError
from bench.weights.download import discard, receive
from bench.weights.files import UNVERIFIED, check, find, record, store
from bench.weights.manifest import Weights


def fetch(name: str) -> str:
    """Download one file, going on where an earlier try stopped; one that is here and as it should be stays."""
    wanted = find(name)
    if here := already(wanted):
        return f"{name}: {here}"
    return f"{name}: {obtain(wanted, wanted.url)}"


def already(wanted: Weights, quiet: bool = False) -> str:
    """How the file that is here was checked; empty where there is none. One that is wrong is named, and counts as none."""
    target = store() / wanted.file
    if target.is_file():
        try:
            return f"already here, {check(wanted, target) or UNVERIFIED}"
        except UsageError as error:
            if not quiet:
                print(f"bench: {error}; fetched again", file=sys.stderr, flush=True)
    return ""


def obtain(wanted: Weights, url: str) -> str:
    """From ``url`` into the store; where it is and how it was checked. Processes that ask for one file download it once.

    Raises Unreachable, another UsageError, StoreError or Interrupted, each with the reason.
    """
    target = store() / wanted.file
    part = target.with_name(f"{wanted.file}.part")
    writable()
    with held(target.with_name(f"{wanted.file}.lock"), f"the download of {wanted.file}"):
        if here := already(wanted, quiet=True):
            return here
        begun = part.exists()
        try:
            return _obtain(wanted, url, part, target)
        except Refused:
            if not begun:
                raise
        return _obtain(wanted, url, part, target)  # what was here before was of another file


class Refused(UsageError):
    """What came is not what was wanted."""


def _obtain(wanted: Weights, url: str, part: Path, target: Path) -> str:
    try:
        digest = receive(url, part, wanted.name, wanted.bytes, bool(wanted.sha256))
    except Unreachable as error:
        raise Unreachable(
            f"{error}; on a machine with internet download it, then: bench weights add {wanted.file}"
        ) from None
    try:
        how = check(wanted, part)
        if content_hash(part) != digest:
            raise UsageError(f"{part}: not on the disk as it came; refused")
    except UsageError as error:
        discard(part)
        raise Refused(str(error)) from None
    os.replace(part, target)
    discard(part)
    return f"{target}, {record(wanted, digest) or how}"


def writable() -> None:
    """Raises UsageError where the store cannot be written, before anything is asked of the network."""
    folder = store()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = part_of(folder / "probe")
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot be written ({error.strerror}); set BENCH_WEIGHTS to another folder"
        ) from None
