"""Download a file, going on where an earlier try stopped. What is kept is surely of one and the same file, and whole.

``part`` holds what came, ``part``.json of what: address, ETag, time of change, length. The rest is asked for as of that
very file (If-Range); where the host has another one by now, or cannot say, it comes from its start.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from bench.errors import Interrupted, NotServed, StoreError, Unreachable, UsageError
from bench.weights.files import no_weights

TIMEOUT = 8  # seconds that an unreachable host may cost
TRIES = 3  # connections that a broken download may cost, each going on where the last one stopped
CHUNK = 1 << 16  # bytes
PAGES = ("text/html", "application/xhtml+xml")  # what hosts send in place of a file: logins, warnings, errors
LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Offer:
    """What a host says of the file at an address. ``total``: bytes, None where it does not say."""

    url: str
    etag: str = ""
    modified: str = ""
    total: int | None = None

    @property
    def validator(self) -> str:
        """What If-Range takes: a strong ETag, or the time of the last change."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified


class Changed(Exception):
    """What is here is not of the file that the host has now."""


class Broken(Exception):
    """The connection ended before the file did; the message says how much is here."""


def receive(url: str, part: Path, label: str, expected: int | None = None, hashed: bool = False) -> str:
    """Complete ``part`` (which may be there or not) from ``url``; the SHA-256 of what came, 64 hex digits.

    ``expected``: bytes, where they are known; ``hashed``: the caller knows the file's hash, so that a host needs neither
    validators nor a length. Raises Unreachable, NotServed, UsageError, StoreError (disk full) or Interrupted: one line each.
    """
    if not url:
        raise Unreachable(f"{label}: no address is known")
    permitted(url)
    stopped = ""
    try:
        for _ in range(TRIES):
            try:
                return _receive(url, part, label, expected, hashed)
            except Changed:
                discard(part)
            except Broken as error:
                stopped = str(error)
            except urllib.error.HTTPError as error:
                error.close()
                if error.code != 416 or not _size(part):
                    raise _status(url, error) from None
                discard(part)  # nothing after what is here: it is of another file
            except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
                reason = getattr(error, "reason", error)
                raise Unreachable(f"{url}: cannot be reached{_proxy(url)} ({_line(reason)})") from None
    except KeyboardInterrupt:
        raise Interrupted(
            f"{label}: stopped with {_size(part)} bytes here; the same command goes on from there"
        ) from None
    finally:
        if not _size(part):
            discard(part)
    if not stopped:
        raise UsageError(f"{url}: the file changed each time that it was asked for; try again later")
    raise UsageError(f"{url}: broke off, {stopped}; the same command goes on from there")


def discard(part: Path) -> None:
    for file in (part, _about(part)):
        file.unlink(missing_ok=True)


def permitted(url: str, before: str = "") -> None:
    """Raises UsageError for what is no web address, or where ``before`` sends on to one that is less safe than itself."""
    try:
        to, came = urlsplit(url), urlsplit(before)
    except ValueError as error:
        raise UsageError(f"{url}: no address ({error})") from None
    if to.scheme == "https" or (to.scheme == "http" and not before):
        return
    if to.scheme == "http" and came.scheme == "http" and to.hostname in (came.hostname, *LOCAL):
        return
    if before:
        raise UsageError(f"{before}: sends on to {url}, which is not https; refused")
    raise UsageError(f"{url}: not an https address; give a file or folder by its path")


# ---------------------------------------------------------------- one connection


def _receive(url: str, part: Path, label: str, expected: int | None, hashed: bool) -> str:
    """One connection: append to ``part`` what it lacks, or write all of it."""
    known = _known(part, url)
    have = _size(part) if known.validator or hashed else 0
    if have and have == known.total:
        return _digest(part, have).hexdigest()  # whole: an earlier process did not live to use it
    headers = {"User-Agent": "face-sr-bench", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        headers |= {"If-Range": known.validator} if known.validator else {}
    with asked(urllib.request.Request(url, headers=headers)) as answer:
        first, offer = _offer(url, answer)
        if answer.status == 206 and (first != have or not have or not _same(known, offer)):
            raise Changed
        if answer.status not in (200, 206):
            raise UsageError(f"{url}: HTTP {answer.status} in place of a file")
        if answer.headers.get_content_type() in PAGES:
            raise UsageError(f"{url}: a web page, not the file; refused")
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise UsageError(f"{url}: sent compressed ({answer.headers['Content-Encoding']}), not as it is; refused")
        if expected and offer.total not in (None, expected):
            raise UsageError(f"{url}: {offer.total} bytes announced, not the {expected} expected; refused")
        resumed = answer.status == 206
        sizes = (offer.total, known.total if resumed else None, expected)
        total = next((size for size in sizes if size is not None), None)
        if total is None and not (hashed or answer.chunked):
            raise UsageError(
                f"{url}: the host does not say how long the file is, and no hash is published: it could be cut short "
                f"unseen; download it by other means, then: bench weights add FILE"
            )
        have = have if resumed else 0
        with _disk(part):
            file = open(part, "ab" if resumed else "wb", buffering=0)  # noqa: SIM115 (unbuffered: what is said to be there is)
        with file:
            with _disk(part):
                digest = _digest(part, have)
                if not resumed:
                    _about(part).write_text(json.dumps(asdict(offer)), encoding="utf-8")
            answer.length = None  # read on to the connection's end: more than was announced is another file
            done = _save(answer, file, part, digest, label, total, have)
    if not done and not total:
        raise UsageError(f"{url}: an empty file; refused")
    if done < (total or 0):
        raise Broken(f"{done} of {total} bytes are here")
    return digest.hexdigest()


def _save(answer: Any, file: IO[bytes], part: Path, digest: Any, label: str, total: int | None, done: int) -> int:
    """The body into the file, as far as it comes; how many bytes are there. Raises UsageError where it is no file of weights."""
    from tqdm import tqdm

    bar = tqdm(total=total, initial=done, unit="B", unit_scale=True, desc=label, disable=not sys.stderr.isatty())
    with bar:
        while True:
            try:
                chunk = answer.read1(CHUNK if total is None else min(CHUNK, total - done) or 1)
            except (http.client.HTTPException, OSError):  # what came is kept
                if done == total:
                    return done  # the host left the connection open
                raise Broken(f"{done} of {total or '?'} bytes are here") from None
            if not chunk:
                return done
            odd = no_weights(chunk) if not done else ""
            if total is not None and done + len(chunk) > total:
                odd = f"more than the {total} bytes announced"
            if odd:
                discard(part)
                raise UsageError(f"{answer.url}: {odd}, not the file; refused")
            with _disk(part):
                rest = memoryview(chunk)
                while rest:
                    rest = rest[file.write(rest) :]
            digest.update(chunk)
            done += len(chunk)
            bar.update(len(chunk))


@contextmanager
def _disk(part: Path) -> Iterator[None]:
    """Raises StoreError, in one line, for what the disk refuses."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{part}: cannot be written ({error.strerror}); free space or set BENCH_WEIGHTS to another folder, the same "
            "command goes on"
        ) from None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """To addresses that are as safe as the one before."""

    def redirect_request(self, request, answer, code, message, headers, url):  # type: ignore[no-untyped-def]
        permitted(url, request.full_url)
        return super().redirect_request(request, answer, code, message, headers, url)


def _ask(request: urllib.request.Request) -> Any:
    return urllib.request.build_opener(_Redirects).open(request, timeout=TIMEOUT)


def asked(request: urllib.request.Request) -> Any:
    """The answer, or TimeoutError: a resolver without a network can hang for longer than any socket's timeout."""
    outcome: list[Any] = []

    def ask() -> None:
        try:
            outcome.append(_ask(request))
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


# ---------------------------------------------------------------- what is known of a file


def _offer(url: str, answer: Any) -> tuple[int, Offer]:
    """Where the body begins, and of what it is: ``Content-Range: bytes 100-999/1000``, or the whole."""
    place, _, total = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
    first = place.partition("-")[0] if answer.status == 206 else "0"
    length = total if answer.status == 206 else "" if answer.chunked else answer.headers.get("Content-Length", "")
    offer = Offer(url, answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", ""), _number(length))
    return (-1 if (begin := _number(first)) is None else begin), offer


def _number(text: str) -> int | None:
    return int(text) if text.strip().isascii() and text.strip().isdecimal() else None


def _same(known: Offer, offer: Offer) -> bool:
    """Whether two answers may be of one file: nothing that both say differs."""
    pairs = [(known.etag.removeprefix("W/"), offer.etag.removeprefix("W/")), (known.total, offer.total)]
    pairs += [] if all(pairs[0]) else [(known.modified, offer.modified)]
    return all(a == b for a, b in pairs if a and b)


def _known(part: Path, url: str) -> Offer:
    """What was said of the file that ``part`` is the beginning of; nothing where it came from another address."""
    with suppress(OSError, ValueError, TypeError):
        offer = Offer(**json.loads(_about(part).read_text(encoding="utf-8")))
        if offer.url == url:
            return offer
    return Offer(url)


def _about(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _size(part: Path) -> int:
    with suppress(OSError):
        return part.stat().st_size
    return 0


def _digest(part: Path, count: int) -> Any:
    """The SHA-256 of the first ``count`` bytes, to go on with."""
    digest = hashlib.sha256()
    with open(part, "rb") as file:
        while count and (chunk := file.read(min(CHUNK, count))):
            digest.update(chunk)
            count -= len(chunk)
    return digest


# ---------------------------------------------------------------- what went wrong, in a line


def _status(url: str, error: urllib.error.HTTPError) -> UsageError:
    said = f"{url}: HTTP {error.code} {_line(error.reason)}{_proxy(url) if error.code == 407 else ''}"
    if error.code in (403, 404, 410):
        return NotServed(said)
    if error.code == 429 or error.code >= 500:
        wait = _number(error.headers.get("Retry-After", ""))
        return UsageError(f"{said}; try again {f'in {wait} s' if wait else 'later'}")
    return UsageError(said)


def _proxy(url: str) -> str:
    """`` by the proxy HOST:PORT`` where one is set for this address, without its password."""
    to = urlsplit(url)
    proxy = urllib.request.getproxies().get(to.scheme, "")
    if not proxy or urllib.request.proxy_bypass(to.netloc):
        return ""
    return f" by the proxy {proxy.rpartition('@')[2].rpartition('//')[2]}"


def _line(reason: object) -> str:
    """What a host or a library says, on one line and without control characters."""
    return "".join(c if c.isprintable() else " " for c in str(reason).partition("\n")[0])[:200]
