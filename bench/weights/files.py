"""The folder of pretrained files: where it is, what is in it, and whether a file is what it should be. Reading writes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from bench.core.files import write_json
from bench.core.hashing import content_hash
from bench.core.locks import held
from bench.core.spec import nearest
from bench.errors import MissingWeights, UsageError
from bench.weights import pyiqa
from bench.weights.manifest import MANIFEST, Weights

RECORD = "recorded.json"  # in the folder: hashes of first downloads, by file name
TEXTS = (".json", ".txt", ".md", ".yaml", ".yml")  # files of a model that are no weights
UNVERIFIED = "nothing to verify it against: no hash is published, and none was recorded when it came"


def manifest() -> dict[str, Weights]:
    """The files by name; $BENCH_MANIFEST, a JSON list of the same fields, adds to them and replaces them."""
    found = {w.name: w for w in MANIFEST}
    extra = os.environ.get("BENCH_MANIFEST")
    if extra:
        try:
            rows = json.loads(Path(extra).read_text())
            found |= {r["name"]: Weights(**{**r, "opens": tuple(r.get("opens", ()))}) for r in rows}
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UsageError(f"BENCH_MANIFEST={extra}: not a manifest ({error})") from None
    return found


def store() -> Path:
    """The folder of the files: $BENCH_WEIGHTS, or the user's cache."""
    if os.environ.get("BENCH_WEIGHTS"):
        return Path(os.environ["BENCH_WEIGHTS"]).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "face-sr-bench" / "weights"


def find(name: str) -> Weights:
    """The file of this name; ``pyiqa:FILE`` is any that pyiqa asks for. Raises UsageError for an unknown one."""
    known = manifest()
    if name.startswith(pyiqa.PREFIX):
        file = name.removeprefix(pyiqa.PREFIX)
        if file in pyiqa.addresses() or (store() / file).is_file():
            return by_address(file)
        pyiqa.configuration(file)  # an unknown name is answered with the nearest
        raise UsageError(f"{name} is a metric, of several files: bench weights fetch {name}")
    if name not in known:
        raise UsageError(f"no weights {name!r}{nearest(name, known)}")
    return known[name]


def by_address(file: str, url: str = "") -> Weights:
    """A file that pyiqa asks for: the manifest's, where that has one of its name."""
    return next((w for w in manifest().values() if w.file == file), None) or pyiqa.weights_of(file, url)


def path(name: str) -> Path:
    """The local file of these weights, checked. Raises MissingWeights, naming the command that gets it, or UsageError."""
    wanted = find(name)
    file = store() / wanted.file
    if not file.is_file():
        raise MissingWeights(f"{wanted.purpose} ({wanted.file}) is not here; get it with: bench weights fetch {name}")
    check(wanted, file)
    return file


def load(name: str) -> Any:
    """What these weights' file holds: tensors and plain values alone, on the CPU. Raises as ``path``."""
    from bench.core.tensors import load_tensors

    return load_tensors(path(name))


def file_hash(name: str) -> str:
    """The first 16 hex digits of the file's SHA-256, for protocols."""
    return content_hash(path(name))[:16]


def check(wanted: Weights, file: Path) -> str:
    """By what the file was verified; empty where there is nothing to verify it against.

    Raises UsageError where it cannot be read, is no such file at all, or has another hash or size than expected.
    """
    try:
        size = file.stat().st_size
        if wanted.bytes and size != wanted.bytes:
            raise UsageError(f"{file}: {size} bytes, not the {wanted.bytes} expected of {wanted.name}; refused")
        with open(file, "rb") as stream:
            if file.suffix not in TEXTS and (odd := no_weights(stream.read(512))):
                raise UsageError(f"{file}: {odd}, not {wanted.purpose}; refused")
        found = content_hash(file)
    except OSError as error:
        raise UsageError(f"{file}: cannot be read ({error.strerror})") from None
    recorded = "" if wanted.sha256 else recorded_hashes().get(wanted.file, "")
    if not (wanted.sha256 or recorded) and (known := _cached_as(file)):
        return known
    expected = wanted.sha256 or recorded
    if not found.startswith(expected):
        source = f"recorded in {store() / RECORD}" if recorded else "expected"
        raise UsageError(f"{file}: SHA-256 {found[:16]}… is not the {expected[:16]} {source} of {wanted.name}; refused")
    if recorded:
        return "SHA-256 as recorded at the first download"
    return (
        f"SHA-256 matches {'all' if len(expected) == 64 else f'the {len(expected)} published'} digits"
        if expected
        else ""
    )


def _cached_as(file: Path) -> str:
    """How a file of Hugging Face's cache was verified, which calls it by its SHA-256, or a small one by git's hash of it.

    Empty for other files. Raises UsageError where it is another than it is called.
    """
    digest = file.resolve().name if "hub" in file.parts else ""
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", digest):
        return ""
    if len(digest) == 64:
        found = content_hash(file)
    else:
        content = file.read_bytes()
        found = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    if found != digest:
        raise UsageError(f"{file}: its hash {found[:16]}… is not {digest[:16]}…, by which the cache calls it; refused")
    return f"{'SHA-256' if len(digest) == 64 else 'hash'} as the cache calls it"


def no_weights(head: bytes) -> str:
    """What a file that begins so is instead of weights; empty where it may hold some."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head:
        return "an empty file"
    if text.startswith(b"<"):
        return "a web page"
    if text.startswith(b"{"):
        return "a message of a server"
    return "a pointer of Git LFS" if text.startswith(b"version https://git-lfs") else ""


def recorded_hashes() -> dict[str, str]:
    """Hashes of first downloads, by file name. Raises UsageError where the record cannot be read."""
    record = store() / RECORD
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
        return {str(file): str(digest) for file, digest in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError):
        raise UsageError(
            f"{record}: no record of hashes; without it files that have none published are unverified"
        ) from None


def record(wanted: Weights, digest: str) -> str:
    """Keep the hash of what came, where none is published, for all later checks; what was done. What is recorded stays."""
    if wanted.sha256 or wanted.file in recorded_hashes():
        return ""
    with held(store() / f"{RECORD}.lock", f"the record in {store()}"):
        write_json(store() / RECORD, {wanted.file: digest, **recorded_hashes()})
    return f"no published hash; {digest[:16]}… recorded now"
