"""Locks between processes, on one machine or several: marker files with a heartbeat."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import SoftFileLease, Timeout

from bench.errors import StoreError

LEASE = 60.0  # seconds without a heartbeat after which another process may take a lock over
HEARTBEAT = 10.0  # seconds; the lock of a process of the same machine that has ended is free at once
UNWRITTEN = (
    3.0  # seconds after which a marker without its owner's name is of a process that was killed while it wrote it
)


def _lease(path: Path, timeout: float) -> SoftFileLease:
    return SoftFileLease(path, lease_duration=LEASE, heartbeat_interval=HEARTBEAT, timeout=timeout)


def _sweep(path: Path) -> None:
    """Take away a marker that its owner did not live to write; to the waiting it would be held for ever."""
    try:
        status = path.stat()
        if status.st_size == 0 and time.time() - status.st_mtime > UNWRITTEN:
            path.unlink()
    except FileNotFoundError:
        pass  # released in between


@contextmanager
def held(path: Path, what: str = "", *, quiet: bool = False) -> Iterator[None]:
    """Hold the lock at ``path``; where another process has it, say what is waited for and wait."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.rmtree(path)  # which no process holds
        lock = _lease(path, 0)
        try:
            lock.acquire()
        except Timeout:
            if not quiet:
                print(f"waiting for another process: {what or path}", file=sys.stderr, flush=True)
            while not lock.is_locked:
                _sweep(path)
                with suppress(Timeout):
                    lock.acquire(timeout=UNWRITTEN)
    except OSError as error:
        raise StoreError(f"{path}: cannot be locked ({error.strerror or error}); choose another --store") from error
    try:
        yield
    finally:
        lock.release()


def taken(path: Path) -> bool:
    """Whether a living process holds the lock at ``path``; one that was left behind goes away."""
    if not path.exists():
        return False
    _sweep(path)
    try:
        with _lease(path, 0):
            return False
    except Timeout:
        return True
