"""Get a pretrained file from the network, checked before it takes its name."""

from __future__ import annotations

import os
from pathlib import Path

from bench.errors import Unreachable, UsageError
from bench.weights.download import receive
from bench.weights.files import check, find, store
from bench.weights.manifest import Weights


def fetch(name: str) -> str:
    """Download one file, going on where an earlier try stopped; checked before it takes its name."""
    wanted = find(name)
    target = store() / wanted.file
    if target.is_file():
        return f"{name}: already here, {check(wanted, target)}"
    return f"{name}: {target}, {obtain(wanted, wanted.url)}"


def obtain(wanted: Weights, url: str) -> str:
    """From ``url`` into the store; how it was checked. Raises Unreachable, or UsageError with the reason."""
    target = store() / wanted.file
    part = target.with_name(f"{wanted.file}.part")
    writable(part)
    try:
        receive(url, part, wanted.name)
    except Unreachable as error:
        raise Unreachable(
            f"{error}; on a machine with internet download it, then: bench weights add {wanted.file}"
        ) from None
    try:
        how = check(wanted, part)
    except UsageError:
        part.unlink()
        raise
    os.replace(part, target)
    return how


def writable(part: Path) -> None:
    """Raises UsageError where the store cannot be written, before anything is asked of the network."""
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.open("ab").close()
    except OSError as error:
        raise UsageError(
            f"{part.parent}: cannot be written ({error.strerror}); set BENCH_WEIGHTS to another folder"
        ) from None
