"""The folder of pretrained files: where it is, what is in it, and whether a file is what it should be."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from bench.core.files import write_json
from bench.core.hashing import content_hash
from bench.core.spec import nearest
from bench.errors import MissingWeights, UsageError
from bench.weights import pyiqa
from bench.weights.manifest import MANIFEST, Weights


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
    import torch

    return torch.load(path(name), map_location="cpu", weights_only=True)


def file_hash(name: str) -> str:
    """The first 16 hex digits of the file's SHA-256, for protocols."""
    return content_hash(path(name))[:16]


def _recorded() -> dict[str, str]:
    """Hashes of first downloads, by file name."""
    try:
        return json.loads((store() / "recorded.json").read_text())
    except (OSError, ValueError):
        return {}


def check(wanted: Weights, file: Path) -> str:
    """How the file was checked. Raises UsageError where its hash or size is another than expected."""
    size = file.stat().st_size
    if wanted.bytes and size != wanted.bytes:
        raise UsageError(f"{file}: {size} bytes, not the {wanted.bytes} expected of {wanted.name}; refused")
    found = content_hash(file)
    recorded = "" if wanted.sha256 else _recorded().get(wanted.file, "")
    expected = wanted.sha256 or recorded
    if not found.startswith(expected):
        source = f"recorded in {store() / 'recorded.json'}" if recorded else "expected"
        raise UsageError(f"{file}: SHA-256 {found[:16]}… is not the {expected[:16]} {source} of {wanted.name}; refused")
    if recorded:
        return "SHA-256 as recorded at the first download"
    if expected:
        return f"SHA-256 matches {'all' if len(expected) == 64 else f'the {len(expected)} published'} digits"
    try:
        store().mkdir(parents=True, exist_ok=True)
        write_json(store() / "recorded.json", {**_recorded(), wanted.file: found})
    except OSError:
        return f"no published hash, and the store cannot be written to record {found[:16]}…"
    return f"no published hash; {found[:16]}… recorded now"
