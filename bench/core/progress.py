"""What a person sees of a long job, and how she stops it: a bar or plain lines, and signals."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

listener: Callable[[str], Any] | None = None  # takes progress in place of the terminal, where a process has none
_asked: list[int] = []  # to stop, of the whole process: where the signals are another's (a cluster's worker)


def stop_all() -> None:
    """Ask every long job of this process to stop."""
    _asked.append(1)


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Whether a signal asked to stop: the loop finishes its step and writes a checkpoint first."""
    asked: list[int] = []
    old = {}
    with contextlib.suppress(ValueError):  # signals are for the main thread only
        for number in (signal.SIGINT, signal.SIGTERM):
            old[number] = signal.signal(number, lambda n, _: asked.append(n))
    try:
        yield lambda: bool(asked or _asked)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


class Progress:
    """A bar on a terminal, a plain line every ten seconds elsewhere; both with rate and time left."""

    def __init__(self, label: str, total: int, done: int = 0, quiet: bool = False, unit: str = "step") -> None:
        self.label, self.total, self.first, self.unit, self.quiet = label, total, done, unit, quiet
        self.begin = self.last = time.monotonic()
        terminal = sys.stderr.isatty() and not quiet
        self.bar = tqdm(total=total, initial=done, desc=label, unit=unit, leave=False) if terminal else None

    def advance(self, done: int, fraction: float | None = None) -> None:
        """``done`` units are done; ``fraction`` of the whole, where units are not what ends it."""
        if self.bar is not None:
            self.bar.update(done - self.bar.n)
            return
        now = time.monotonic()
        if (self.quiet and not listener) or now - self.last < (2 if listener else 10):
            return
        self.last = now
        fraction = done / self.total if fraction is None else fraction
        spent, start = now - self.begin, self.first / self.total if self.total else 0
        left = f", {spent / (fraction - start) * (1 - fraction):.0f} s left" if fraction > start else ""
        rate = (done - self.first) / spent
        speed = f"{rate:.1f} {self.unit}s/s" if rate >= 1 else f"{1 / rate if rate else spent:.1f} s/{self.unit}"
        text = f"{self.label}: {self.unit} {done}/{self.total}, {speed}{left}"
        if listener:
            listener(text)
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
