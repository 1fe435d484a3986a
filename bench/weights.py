"""Pretrained files that metrics and losses need: a folder, fetch, add and verify. Nothing downloads unasked."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .download import Unreachable, receive
from .errors import BenchError, MissingWeights, UsageError
from .manifest import MANIFEST, Weights
from .spec import nearest
from .store import write_json


def manifest() -> dict[str, Weights]:
    """The files by name; $BENCH_MANIFEST, a JSON list of the same fields, adds to them and replaces them."""
    found = {w.name: w for w in MANIFEST}
    extra = os.environ.get("BENCH_MANIFEST")
    if extra:
        try:
            rows = json.loads(Path(extra).read_text())
            found |= {r["name"]: Weights(**{**r, "opens": tuple(r["opens"])}) for r in rows}
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UsageError(f"BENCH_MANIFEST={extra}: not a manifest ({error})") from None
    return found


def store() -> Path:
    """The folder of the files: $BENCH_WEIGHTS, or the user's cache."""
    if os.environ.get("BENCH_WEIGHTS"):
        return Path(os.environ["BENCH_WEIGHTS"]).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "face-sr-bench" / "weights"


def find(name: str) -> Weights:
    known = manifest()
    if name not in known:
        raise UsageError(f"no weights {name!r}{nearest(name, known)}")
    return known[name]


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
    file = path(name)
    return _sha256(file, file.stat().st_mtime_ns)[:16]


@cache
def _sha256(file: Path, changed: int) -> str:
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


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
    found = _sha256(file, file.stat().st_mtime_ns)
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


# ---------------------------------------------------------------- fetch


def fetch(name: str) -> str:
    """Download one file, going on where an earlier try stopped; checked before it takes its name."""
    wanted = find(name)
    target = store() / wanted.file
    if target.is_file():
        return f"{name}: already here, {check(wanted, target)}"
    return f"{name}: {target}, {download(wanted, wanted.url)}"


def download(wanted: Weights, url: str) -> str:
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


# ---------------------------------------------------------------- add


def add(sources: list[str]) -> list[str]:
    """Take files, or whatever of a folder or a mirror's address the manifest knows by its file name; wrong hashes are refused."""
    by_file = {w.file: w for w in manifest().values()}
    lines = []
    for source in sources:
        if "://" in source:
            lines += _from_mirror(source, by_file)
            continue
        origin = Path(source)
        if not origin.exists():
            raise UsageError(f"{source}: no such file or folder")
        files = sorted(f for f in origin.rglob("*") if f.name in by_file) if origin.is_dir() else [origin]
        if not files or files[0].name not in by_file:
            raise UsageError(f"{source}: no file of the manifest in it; names: {', '.join(sorted(by_file))}")
        for file in files:
            wanted, target = by_file[file.name], store() / file.name
            how = check(wanted, file)
            if not (target.exists() and target.samefile(file)):
                part = target.with_name(f"{file.name}.part")
                writable(part)
                shutil.copyfile(file, part)
                os.replace(part, target)
            lines.append(f"{wanted.name}: {target}, {how}")
    return lines


def _from_mirror(source: str, by_file: dict[str, Weights]) -> list[str]:
    """One file's address, or that of a folder that holds files of the manifest under their names."""
    last = urlsplit(source).path.rpartition("/")[2]
    if last in by_file:
        return [f"{by_file[last].name}: {store() / last}, {download(by_file[last], source)}"]
    lines = []
    for file, wanted in by_file.items():
        if not (store() / file).is_file():
            try:
                how = download(wanted, f"{source.rstrip('/')}/{file}")
                lines.append(f"{wanted.name}: {store() / file}, {how}")
            except UsageError as error:
                (store() / f"{file}.part").unlink(missing_ok=True)
                if isinstance(error, Unreachable) or ": HTTP 40" not in str(error):
                    raise
    if not lines:
        raise UsageError(f"{source}: nothing there that the store lacks")
    return lines


# ---------------------------------------------------------------- the command


def rows() -> list[dict[str, Any]]:
    """The manifest, with what is here."""
    found = []
    for w in manifest().values():
        file = store() / w.file
        present = file.is_file()
        size = file.stat().st_size if present else w.bytes
        found.append({**asdict(w), "bytes": size, "present": present, "path": str(file)})
    return found


def command(action: str, names: list[str], as_json: bool = False) -> int:
    """``bench weights``: list, fetch, add, verify."""
    if action == "list":
        found = rows()
        print(json.dumps(found, indent=1) if as_json else _table(found))
        return 0
    if action == "add":
        if not names:
            raise UsageError("bench weights add FILE, FOLDER or ADDRESS")
        print("\n".join(add(names)))
        return 0
    for name in names:
        find(name)  # a wrong name is a usage error, before any work
    wanted = names or [w for w in manifest() if action == "fetch" or (store() / find(w).file).is_file()]
    return _fetch_all(wanted) if action == "fetch" else _verify(wanted)


def _fetch_all(names: list[str]) -> int:
    """An unreachable host costs one try: its other files are left out, and all of them where nothing was reached before."""
    failed, lost, reached = 0, set[str](), False
    for name in names:
        host = urlsplit(find(name).url).netloc
        if host in lost and not (store() / find(name).file).is_file():
            print(f"bench: {name}: left out, {host} cannot be reached", file=sys.stderr)
            continue
        try:
            print(fetch(name), flush=True)
            reached = True
        except Unreachable as error:
            print(f"bench: {error}", file=sys.stderr)
            failed += 1
            lost.add(host)
            if not reached:
                break
        except UsageError as error:
            print(f"bench: {error}", file=sys.stderr)
            failed += 1
            reached = True
    return int(failed > 0)


def _verify(names: list[str]) -> int:
    if not names:
        print(f"nothing to verify in {store()}; bench weights fetch gets the files")
    code = 0
    for name in names:
        try:
            print(f"{name}: {check(find(name), path(name))}")
        except BenchError as error:
            print(f"bench: {error}", file=sys.stderr)
            code = 1
    return code


def _table(found: list[dict[str, Any]]) -> str:
    here = sum(row["present"] for row in found)
    lines = [f"{store()} (BENCH_WEIGHTS moves it): {here} of {len(found)} files are here (*)"]
    lines.append(f"  {'name':<14} {'file of':<41} {'size':>7}  {'SHA-256':<12}  licence")
    for row in found:
        size = f"{row['bytes'] / 1e6:.0f} MB" if row["bytes"] else ""
        digits = len(row["sha256"])
        known = "whole hash" if digits == 64 else f"{digits} digits" if digits else "at first use"
        lines.append(
            f"{'*' if row['present'] else ' '} {row['name']:<14} {row['purpose']:<41} {size:>7}  {known:<12}  "
            f"{row['licence']:<26}  opens {', '.join(row['opens'])}"
        )
    return "\n".join(lines)
