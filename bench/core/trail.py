"""What a process is about to do with code of others, told to one that watches it: if it dies or hangs there, the next leaves
that step out, and goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bench.errors import PluginFailed

_watcher: list[int] = []  # the pipe to it
_noted: list[Any] = []
_ruined: dict[str, str] = {}  # steps that ended an earlier process, and how
PASSED_ON = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")


@contextmanager
def step(what: str) -> Iterator[None]:
    """Code of others runs within. Raises PluginFailed where it ended an earlier process."""
    if what in _ruined:
        raise PluginFailed(f"{what}: {_ruined[what]}")
    _tell("begins", what)
    try:
        yield
    finally:
        _tell("ends", what)


def ruined() -> tuple[tuple[str, str], ...]:
    """What other processes of the same run have to leave out."""
    return tuple(_ruined.items())


def leave_out(steps: tuple[tuple[str, str], ...]) -> None:
    _ruined.update(steps)


def _tell(event: str, value: Any) -> None:
    for pipe in _watcher:
        os.write(pipe, json.dumps([event, value]).encode() + b"\n")


def note(value: Any) -> None:
    """Keep a finished piece of work for the process that takes over, as ``noted`` gives it."""
    _tell("note", value)


def noted() -> list[Any]:
    """What earlier processes of this command have noted."""
    return list(_noted)


def can_watch() -> bool:
    """Whether this process may be doubled: where there is fork, before threads and torch have begun."""
    return hasattr(os, "fork") and "torch" not in sys.modules and threading.active_count() == 1


def watched(work: Callable[[], int], limit: float | None = None) -> int:
    """``work()`` in a process of its own, and again without the step that ended it; its exit code.

    A step that lasts longer than ``limit`` seconds is ended. Where a process ends
    outside of every step: 1, or 128 and the signal.
    """
    while True:
        sys.stdout.flush()
        sys.stderr.flush()
        reading, writing = os.pipe()
        parent = os.getpid()
        child = os.fork()
        if not child:
            os.close(reading)
            die_with(parent)
            _watcher.append(writing)
            code = work()
            _tell("code", code)
            _watcher.clear()
            return code
        os.close(writing)
        with os.fdopen(reading, "rb", buffering=0) as pipe, _passing_on(child):
            answer, steps, status = _follow(child, pipe.fileno(), limit)
        if answer is not None:
            return answer
        how = f"did not end within {limit:g} s (--time-limit)" if status is None else died(status)
        if not steps:
            print(f"bench: {how} before the command was done; what was finished is kept", file=sys.stderr)
            return 1 if status is None or status >= 0 else 128 - status
        _ruined[steps[-1]] = how


def _follow(child: int, pipe: int, limit: float | None) -> tuple[int | None, list[str], int | None]:
    """What the child says until it ends: its exit code, the steps that it was in, how it ended (None: it was too slow)."""
    code: int | None = None
    steps: list[str] = []
    status: int | None = None
    rest, since, slow = b"", time.monotonic(), False
    while True:
        ended = status is not None
        while select.select([pipe], [], [], 0 if ended else 0.2)[0]:
            data = os.read(pipe, 1 << 16)
            if not data:
                ended = True
                break
            *lines, rest = (rest + data).split(b"\n")
            for event, value in map(json.loads, lines):
                since = time.monotonic()
                if event == "begins":
                    steps.append(value)
                elif event == "ends":
                    steps.remove(value)
                elif event == "note":
                    _noted.append(value)
                else:
                    code = value
        if status is not None:
            return code, steps, None if slow else status
        if ended or os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        elif limit is not None and steps and time.monotonic() - since > limit:
            slow = True
            os.kill(child, signal.SIGKILL)


def died(code: int | None) -> str:
    """How a process ended that should not have."""
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-code).name
            return f"its process was killed by {name}{' (too little memory?)' if name == 'SIGKILL' else ''}"
    return f"it ended its process (exit code {code})"


@contextmanager
def _passing_on(child: int) -> Iterator[None]:
    """Signals go to the child; what a terminal sends, the child has got from it."""

    def send(number: int, _: Any) -> None:
        if number != signal.SIGINT or not sys.stdin or not sys.stdin.isatty():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)

    old = {number: signal.signal(number, send) for number in (getattr(signal, name) for name in PASSED_ON)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def die_with(parent: int) -> None:
    """Where the system can, end when the watching process is killed."""
    for name in PASSED_ON:
        signal.signal(getattr(signal, name), signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL)
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)
