"""Download a file to where it stopped and on from there: broken connections, servers without ranges, no network."""

from __future__ import annotations

import http.client
import sys
import threading
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.errors import Unreachable, UsageError

TIMEOUT = 8  # seconds that an unreachable host may cost
TRIES = 3  # connections that a broken download may cost, each going on where the last one stopped


def receive(url: str, part: Path, label: str) -> None:
    """Complete ``part`` (a file, empty or not) from ``url``. Raises Unreachable, or UsageError with the reason."""
    stopped = "nothing came"
    for _ in range(TRIES):
        try:
            stopped = _receive(url, part, label)
        except urllib.error.HTTPError as error:
            if error.code != 416 or not part.exists():
                raise UsageError(f"{url}: HTTP {error.code} {error.reason}") from None
            stopped = ""  # nothing after what is here: it is whole, or another file
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ValueError) as error:
            if not part.stat().st_size:
                part.unlink()
            raise Unreachable(f"{url}: cannot be reached ({getattr(error, 'reason', error)})") from None
        if not stopped:
            return
    raise UsageError(f"{url}: broke off, {stopped}; the same command goes on from there")


def _receive(url: str, part: Path, label: str) -> str:
    """Append to ``part`` what it lacks, or all of it where the server cannot do parts. Empty, or where it broke off."""
    have = part.stat().st_size
    headers = {"User-Agent": "face-sr-bench", **({"Range": f"bytes={have}-"} if have else {})}
    with asked(urllib.request.Request(url, headers=headers)) as answer:
        resumed = getattr(answer, "status", None) == 206 and _starts(answer.headers.get("Content-Range"), have)
        if not resumed:
            have = 0
        length = answer.headers.get("Content-Length")
        total = int(length) + have if length else 0
        with suppress(http.client.HTTPException, TimeoutError, ConnectionError):  # what came is kept
            _save(answer, part, "ab" if resumed else "wb", label, total, have)
    size = part.stat().st_size
    return f"{size} of {total} bytes are here" if size < total else ""


def asked(request: urllib.request.Request) -> Any:
    """The answer, or TimeoutError: a resolver without a network can hang for longer than any socket's timeout."""
    outcome: list[Any] = []

    def ask() -> None:
        try:
            outcome.append(urllib.request.urlopen(request, timeout=TIMEOUT))
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(2 * TIMEOUT)
    if not outcome:
        raise TimeoutError(f"no answer in {2 * TIMEOUT} s")
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def _starts(content_range: str | None, have: int) -> bool:
    """Does the answer begin where we stopped? (``bytes 100-999/1000``)"""
    return bool(content_range) and content_range.partition(" ")[2].startswith(f"{have}-")  # type: ignore[union-attr]


def _save(answer: Any, part: Path, mode: str, label: str, total: int, done: int) -> None:
    from tqdm import tqdm

    bar = tqdm(
        total=total or None, initial=done, unit="B", unit_scale=True, desc=label, disable=not sys.stderr.isatty()
    )
    with open(part, mode) as file, bar:
        while chunk := answer.read(1 << 18):
            file.write(chunk)
            bar.update(len(chunk))
