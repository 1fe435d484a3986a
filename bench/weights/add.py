"""Take pretrained files that a user brings: from a folder, from a mirror, or a model of Hugging Face's cache."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bench.errors import Unreachable, UsageError
from bench.weights.fetch import obtain, writable
from bench.weights.files import check, manifest, store
from bench.weights.manifest import Weights
from bench.weights.pyiqa import addresses, weights_of


def add(sources: list[str]) -> list[str]:
    """Take files, or whatever of a folder or a mirror's address is known by its file name; wrong hashes are refused.

    Known are the files of the manifest and those that pyiqa's metrics ask for.
    """
    by_file = {w.file: w for w in manifest().values()}
    known = {file: weights_of(file) for file in addresses()} | by_file
    lines = []
    for source in sources:
        if "://" in source:
            lines += _from_mirror(source, by_file, known)
            continue
        origin = Path(source)
        if not origin.exists():
            raise UsageError(f"{source}: no such file or folder")
        if origin.name.startswith("models--") and (origin / "snapshots").is_dir():
            shutil.copytree(origin, store() / "hub" / origin.name, symlinks=True, dirs_exist_ok=True)
            lines.append(f"{origin.name}: {store() / 'hub' / origin.name}")
            continue
        files = sorted(f for f in origin.rglob("*") if f.name in known) if origin.is_dir() else [origin]
        if not files or files[0].name not in known:
            raise UsageError(f"{source}: no file of the manifest in it; names: {', '.join(sorted(by_file))}")
        for file in files:
            wanted, target = known[file.name], store() / file.name
            how = check(wanted, file)
            if not (target.exists() and target.samefile(file)):
                part = target.with_name(f"{file.name}.part")
                writable(part)
                shutil.copyfile(file, part)
                os.replace(part, target)
            lines.append(f"{wanted.name}: {target}, {how}")
    return lines


def _from_mirror(source: str, by_file: dict[str, Weights], known: dict[str, Weights]) -> list[str]:
    """One file's address, or that of a folder that holds files of the manifest under their names."""
    last = unquote(urlsplit(source).path.rpartition("/")[2])
    if last in known:
        return [f"{known[last].name}: {store() / last}, {obtain(known[last], source)}"]
    lines = []
    for file, wanted in by_file.items():
        if not (store() / file).is_file():
            try:
                how = obtain(wanted, f"{source.rstrip('/')}/{file}")
                lines.append(f"{wanted.name}: {store() / file}, {how}")
            except UsageError as error:
                (store() / f"{file}.part").unlink(missing_ok=True)
                if isinstance(error, Unreachable) or ": HTTP 40" not in str(error):
                    raise
    if not lines:
        raise UsageError(f"{source}: nothing there that the store lacks")
    return lines
