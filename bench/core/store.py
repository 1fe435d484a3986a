"""Content-addressed artefacts, shared by runs: only successes are kept, under a hash of what they depend on.

``KIND/KEY/N/`` holds an entry: its files, and ``entry.json`` with their hashes. Entries are written once: they appear whole, are
checked when they are read, dropped where they are damaged, and never replaced: ``--fresh`` adds another N.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.files import alive, clear, gone, left_behind, write_json
from bench.core.hashing import content_hash, key_of
from bench.core.locks import held, taken
from bench.errors import StoreError

MANIFEST = "entry.json"
OWN = ("locks", "tmp", "partial")  # folders of a store that hold no entries
TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# Made by bench: a store of trained models, images and scores.\n"


def root_of(given: str | None = None) -> Path:
    """The store's folder: as given, else $BENCH_STORE, else .bench in the current folder."""
    return Path(given or os.environ.get("BENCH_STORE") or ".bench").expanduser()


@dataclass(frozen=True)
class Entry:
    """An entry on disk. ``used``: when a run last asked for it, seconds since the epoch."""

    kind: str
    key: str
    folder: Path
    size: int
    used: float
    latest: bool


class Store:
    """A folder of entries. ``fresh``: only entries made from this moment on (seconds since the epoch) are found."""

    def __init__(self, root: Path, fresh: float | None = None) -> None:
        self.root, self.fresh = root, fresh
        self.used: set[tuple[str, str]] = set()

    # ------------------------------------------------------------ reading

    def find(self, kind: str, key: str) -> Path | None:
        """The folder of an entry that is whole and as it was written. A damaged one is dropped, which is said."""
        for number in sorted(self._numbers(kind, key), reverse=True):
            folder = self.root / kind / key / str(number)
            reason = damage(folder, kind, key)
            if reason:
                print(f"{folder}: damaged ({reason}); dropped", file=sys.stderr, flush=True)
                self.remove(folder)
            elif self.fresh is None or _manifest(folder).get("made", 0) >= self.fresh:
                if (kind, key) not in self.used:
                    self.used.add((kind, key))
                    with contextlib.suppress(OSError):  # when it was last used; a store may be read-only
                        os.utime(folder)
                return folder
        return None

    def has(self, kind: str, key: str) -> bool:
        return self.find(kind, key) is not None

    def path(self, kind: str, key: str) -> Path:
        """The folder of an entry that ``find`` found. Raises StoreError where it is not there any more."""
        folder = self.find(kind, key)
        if folder is None:
            raise StoreError(f"{self.root / kind / key}: not there any more; the same command makes it again")
        return folder

    def _numbers(self, kind: str, key: str) -> list[int]:
        try:
            return [int(name) for name in os.listdir(self.root / kind / key) if name.isdecimal()]
        except (FileNotFoundError, NotADirectoryError):
            return []

    # ------------------------------------------------------------ writing

    def obtain(
        self, kind: str, key: str, fill: Callable[[Path], Any], what: str = "", about: dict[str, Any] | None = None
    ) -> Path:
        """The folder of an entry; where it is not there, ``fill(folder)`` makes it. Processes that ask for one entry
        make it once: the others wait. ``about``: what is kept of it beside its files."""
        found = self.find(kind, key)
        if found is None:
            with self.lock(f"{kind}-{key}", what or f"{kind} {key}"):
                found = self.find(kind, key) or self.put(kind, key, fill, about)
        return found

    def put(self, kind: str, key: str, fill: Callable[[Path], Any], about: dict[str, Any] | None = None) -> Path:
        """Fill a temporary folder, then rename it into place. A failure leaves nothing; a finished entry stays."""
        home = self.root / kind / key
        temporary = self.root / "tmp" / f"{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}"
        try:
            self.create()
            temporary.mkdir(parents=True)
        except OSError as error:
            raise StoreError(f"{self.root}: cannot be written ({error.strerror}); choose another --store") from error
        try:
            fill(temporary)
            names = _files(temporary)
            content = {name: [(temporary / name).stat().st_size, content_hash(temporary / name)] for name in names}
            body = {"kind": kind, "key": key, "made": time.time(), "files": content, "about": about or {}}
            write_json(temporary / MANIFEST, {**body, "seal": key_of(body)})
            clear(self.root, home)
            home.mkdir(parents=True, exist_ok=True)
            final = home / str(max(self._numbers(kind, key), default=-1) + 1)
            try:
                os.rename(temporary, final)
            except FileExistsError:
                pass  # another process was quicker: its entry is as good
            except OSError as error:
                if not final.is_dir():
                    raise error from None
        except OSError as error:
            raise StoreError(
                f"{home}: cannot be written ({error.strerror or error}); free space or choose another --store"
            ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        self.used.add((kind, key))
        return final

    def create(self) -> None:
        """Make the store's folder, marked as a cache that backups and git leave out."""
        for name in OWN:
            clear(self.root, self.root / name)
        if not (self.root / "CACHEDIR.TAG").is_file():
            self.root.mkdir(parents=True, exist_ok=True)
            for name, text in ((".gitignore", "*\n"), ("CACHEDIR.TAG", TAG)):
                gone(self.root / name)
                (self.root / name).write_text(text)

    def drop(self, kind: str, key: str) -> None:
        self.used.discard((kind, key))
        for number in self._numbers(kind, key):
            self.remove(self.root / kind / key / str(number))

    def remove(self, folder: Path) -> None:
        """Out of the way at once, then gone: no process sees half of it."""
        aside = self.root / "tmp" / f"{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}"
        with contextlib.suppress(OSError):
            aside.parent.mkdir(parents=True, exist_ok=True)
            os.rename(folder, aside)
            with contextlib.suppress(OSError):
                folder.parent.rmdir()
        gone(aside)

    @contextmanager
    def lock(self, name: str, what: str = "") -> Iterator[None]:
        """Hold one of the store's locks; where another process has it, say what is waited for and wait."""
        self.create_or_fail()
        with held(self.root / "locks" / f"{name}.lock", what):
            yield

    def create_or_fail(self) -> None:
        try:
            self.create()
        except OSError as error:
            raise StoreError(f"{self.root}: cannot be written ({error.strerror}); choose another --store") from error

    # ------------------------------------------------------------ keeping house

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Say that a run is at work: what it uses from now on is not collected."""
        self.create_or_fail()
        self.sweep()
        name = f"run-{int(time.time())}-{secrets.token_hex(4)}.lock"
        with held(self.root / "locks" / name):
            yield

    def working_since(self) -> float:
        """When the oldest run that is at work on this store began; infinity where there is none."""
        runs = [p for p in self.root.glob("locks/run-*.lock") if taken(p)]
        return min((float(p.name.split("-")[1]) for p in runs), default=float("inf"))

    def sweep(self) -> None:
        """Remove what killed processes of this machine left behind."""
        with contextlib.suppress(OSError):
            for folder in os.scandir(self.root / "tmp"):
                host, _, rest = folder.name.rpartition(".")[0].rpartition(".")
                if host == socket.gethostname() and rest.isdecimal() and not alive(int(rest)):
                    shutil.rmtree(folder.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            for file in os.scandir(self.root / "partial"):
                if left_behind(file.name) or (file.name != "metrics" and file.is_dir()):
                    gone(Path(file.path))

    def entries(self) -> Iterator[Entry]:
        """Every entry on disk."""
        for home in sorted(self.root.glob("*/*/")):
            kind, key = home.parent.name, home.name
            if kind in OWN:
                continue
            numbers = sorted(self._numbers(kind, key))
            for number in numbers:
                folder = home / str(number)
                size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
                yield Entry(kind, key, folder, size, folder.stat().st_mtime, number == numbers[-1])


# ---------------------------------------------------------------- an entry's files


def _files(folder: Path) -> list[str]:
    """Every file below a folder, without its manifest."""
    found = []
    for place, _, names in os.walk(folder):
        found += [os.path.relpath(os.path.join(place, name), folder) for name in names]
    return sorted(name for name in found if name != MANIFEST)


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError, RecursionError):
        return {}


def about(folder: Path) -> dict[str, Any]:
    """What was kept of an entry beside its files."""
    return dict(_manifest(folder).get("about", {}))


def damage(folder: Path, kind: str, key: str) -> str:
    """Why an entry is not what was written under this kind and key; empty where it is.

    Files are hashed once a process, and again where their size or times change.
    """
    manifest = _manifest(folder)
    seal = manifest.pop("seal", None)
    if not manifest or seal != key_of(manifest):
        return f"{MANIFEST} is not what was written"
    if (manifest["kind"], manifest["key"]) != (kind, key):
        return f"of another key, {manifest['kind']} {manifest['key']}"
    listed = manifest["files"]
    try:
        found = _files(folder)
        if odd := sorted(set(found) ^ set(listed)):
            return f"{odd[0]} is {'missing' if odd[0] in listed else 'not of it'}"
        for name, (size, digest) in listed.items():
            file = folder / name
            if file.is_symlink() or file.stat().st_size != size or content_hash(file) != digest:
                return f"{name} is not what was written"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return ""
