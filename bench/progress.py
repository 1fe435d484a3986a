"""What a person sees of a long job, and how she stops it: a bar or plain lines, and signals."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Whether a signal asked to stop: the loop finishes its step and writes a checkpoint first."""
    asked: list[int] = []
    old = {}
    with contextlib.suppress(ValueError):  # signals are for the main thread only
        for number in (signal.SIGINT, signal.SIGTERM):
            old[number] = signal.signal(number, lambda n, _: asked.append(n))
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


class Progress:
    """A bar on a terminal, a plain line every ten seconds elsewhere; both with rate and time left."""

    def __init__(self, label: str, total: int, done: int, quiet: bool) -> None:
        self.label, self.total, self.first, self.begin = label, total, done, time.monotonic()
        self.last = self.begin
        terminal = sys.stderr.isatty() and not quiet
        self.bar = tqdm(total=total, initial=done, desc=label, unit="step", leave=False) if terminal else None
        self.quiet = quiet

    def advance(self, done: int, fraction: float) -> None:
        if self.bar is not None:
            self.bar.update(1)
            return
        now = time.monotonic()
        if self.quiet or now - self.last < 10:
            return
        self.last = now
        spent, start = now - self.begin, self.first / self.total if self.total else 0
        left = spent / max(fraction - start, 1e-9) * (1 - fraction)
        rate = (done - self.first) / spent
        print(
            f"{self.label}: step {done}/{self.total}, {rate:.1f} steps/s, {left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
