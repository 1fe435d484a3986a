"""Take pretrained files that a user brings: from a folder, from a mirror, or a model of Hugging Face's cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bench.core.files import part_of
from bench.core.hashing import content_hash
from bench.errors import NotServed, StoreError, UsageError
from bench.weights.fetch import obtain, writable
from bench.weights.files import check, manifest, record, store
from bench.weights.manifest import Weights
from bench.weights.pyiqa import addresses, weights_of


def add(sources: list[str]) -> list[str]:
    """All that ``taken`` says."""
    return list(taken(sources))


def taken(sources: list[str]) -> Iterator[str]:
    """Take files, or whatever of a folder or a mirror's address is known by its file name: a line for each.

    Known are the files of the manifest and those that pyiqa's metrics ask for. Wrong hashes, sizes and web pages are refused
    (UsageError). Where no hash is published, that of the file is recorded.
    """
    by_file = {w.file: w for w in manifest().values()}
    known = {file: weights_of(file) for file in addresses()} | by_file
    for source in sources:
        if "://" in source:
            yield from _from_mirror(source, by_file, known)
            continue
        origin = Path(source)
        if not origin.exists():
            raise UsageError(f"{source}: no such file or folder")
        if origin.name.startswith("models--") and (origin / "snapshots").is_dir():
            writable()
            shutil.copytree(origin, store() / "hub" / origin.name, symlinks=True, dirs_exist_ok=True)
            yield f"{origin.name}: {store() / 'hub' / origin.name}"
            continue
        files = sorted(f for f in origin.rglob("*") if f.name in known) if origin.is_dir() else [origin]
        if not files or files[0].name not in known:
            raise UsageError(f"{source}: no file of the manifest in it; names: {', '.join(sorted(by_file))}")
        for file in files:
            wanted, target = known[file.name], store() / file.name
            how = check(wanted, file)
            writable()
            if not (target.exists() and target.samefile(file)):
                _copy(file, target)
            how = record(wanted, content_hash(target)) or how
            yield f"{wanted.name}: {target}, {how}"


def _copy(file: Path, target: Path) -> None:
    """Whole, or not at all."""
    part = part_of(target)
    try:
        shutil.copyfile(file, part)
        if content_hash(part) != content_hash(file):
            raise UsageError(f"{part}: not on the disk as it was read; refused")
        os.replace(part, target)
    except OSError as error:
        raise StoreError(
            f"{target}: cannot be written ({error.strerror or error}); free space or set BENCH_WEIGHTS to another folder"
        ) from None
    finally:
        part.unlink(missing_ok=True)


def _from_mirror(source: str, by_file: dict[str, Weights], known: dict[str, Weights]) -> Iterator[str]:
    """One file's address, or that of a folder that holds files of the manifest under their names."""
    last = unquote(urlsplit(source).path.rpartition("/")[2])
    if last in known:
        yield f"{known[last].name}: {obtain(known[last], source)}"
        return
    lacking = {file: wanted for file, wanted in by_file.items() if not (store() / file).is_file()}
    found = False
    for file, wanted in lacking.items():
        try:
            how = obtain(wanted, f"{source.rstrip('/')}/{file}")
        except NotServed:
            continue
        found = True
        yield f"{wanted.name}: {how}"
    if not found:
        raise UsageError(f"{source}: nothing there that the store lacks")
