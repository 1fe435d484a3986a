"""``bench weights``: list, fetch, add and verify the pretrained files that metrics and losses need."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from bench import plugins
from bench.errors import BenchError, Unreachable, UsageError
from bench.weights import pyiqa
from bench.weights.add import taken
from bench.weights.fetch import fetch, obtain, writable
from bench.weights.files import UNVERIFIED, check, find, manifest, path, store


def opens() -> dict[str, list[str]]:
    """File -> the plugins, with their option, that cannot run without it, as their classes say."""
    found: dict[str, list[str]] = {}
    for kind in ("metrics", "methods", "degradations"):
        for plugin in plugins.names(kind):
            for name, option in plugins.facts(kind, plugin).get("pretrained", {}).items():
                found.setdefault(name, []).append(f"{plugin}[{option}]" if option else plugin)
    return found


def rows() -> list[dict[str, Any]]:
    """The manifest, with what is here and what each file is for."""
    found, known = [], opens()
    for w in manifest().values():
        file = store() / w.file
        present = file.is_file()
        size = file.stat().st_size if present else w.bytes
        used = [*w.opens, *known.get(w.name, [])]
        found.append({**asdict(w), "opens": used, "bytes": size, "present": present, "path": str(file)})
    return found


def command(action: str, names: list[str], as_json: bool = False, **_: object) -> int:
    """``bench weights``: list, fetch, add, verify."""
    if action == "list":
        found = rows()
        print(json.dumps(found, indent=1) if as_json else _table(found))
        return 0
    if action == "add":
        if not names:
            raise UsageError("bench weights add FILE, FOLDER or ADDRESS")
        for said in taken(names):
            print(said, flush=True)
        return 0
    for name in names:
        if not metric_of(name):
            find(name)  # a wrong name is a usage error, before any work
    wanted = names or [w for w in manifest() if action == "fetch" or (store() / find(w).file).is_file()]
    return _fetch_all(wanted) if action == "fetch" else _verify(wanted)


def metric_of(name: str) -> str:
    """The metric of pyiqa's that ``pyiqa:NAME`` stands for, with all its files; empty for a file's name."""
    metric = name.removeprefix(pyiqa.PREFIX)
    return metric if metric != name and metric in pyiqa.configurations() else ""


def host_of(name: str) -> str:
    return urlsplit(pyiqa.PYIQA if metric_of(name) else find(name).url).netloc


def is_here(name: str) -> bool:
    return not metric_of(name) and (store() / find(name).file).is_file()


def fetched(name: str) -> str:
    """Fetch a file, or the files that a metric of pyiqa's asks for, one after the other; what was done, in lines."""
    metric = metric_of(name)
    if not metric:
        return fetch(name)
    from bench.kit.iqa import create, files_of  # brings torch

    create(
        metric,
        get=lambda wanted: print(f"{wanted.name}: {obtain(wanted, wanted.url)}", flush=True),
    )
    files = files_of(metric)
    return (
        f"{name}: {len(files)} files are here ({', '.join(f.removeprefix(pyiqa.PREFIX) for f in files)})"
        if files
        else (f"{name}: needs no file")
    )


def _fetch_all(names: list[str]) -> int:
    """An unreachable host costs one try: its other files are left out, and all of them where nothing was reached before."""
    failed, lost, reached = 0, set[str](), False
    if not all(metric_of(name) or is_here(name) for name in names):
        writable()
    for name in names:
        host = host_of(name)
        if host in lost and not is_here(name):
            print(f"bench: {name}: left out, {host} cannot be reached", file=sys.stderr)
            continue
        try:
            print(fetched(name), flush=True)
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


def files_in(name: str) -> tuple[str, ...]:
    if not metric_of(name):
        return (name,)
    from bench.kit.iqa import files_of  # brings torch

    return files_of(metric_of(name))


def _verify(names: list[str]) -> int:
    if not names:
        print(f"nothing to verify in {store()}; bench weights fetch gets the files")
    code = 0
    for name in names:
        try:
            for file in files_in(name) or print(f"{name}: needs no file") or ():
                how = check(find(file), path(file))
                if not how:
                    raise UsageError(f"{file}: {UNVERIFIED}; bench weights add {path(file)} takes it as it is")
                print(f"{file}: {how}")
        except BenchError as error:
            print(f"bench: {error}", file=sys.stderr)
            code = 1
    return code


def _table(found: list[dict[str, Any]]) -> str:
    here = sum(row["present"] for row in found)
    lines = [f"{store()} (BENCH_WEIGHTS moves it): {here} of {len(found)} files are here (*)"]
    width = max(len(row["name"]) for row in found)
    lines.append(f"  {'name':<{width}} {'file of':<41} {'size':>7}  {'SHA-256':<12}  licence")
    for row in found:
        size = f"{row['bytes'] / 1e6:.0f} MB" if row["bytes"] else ""
        digits = len(row["sha256"])
        known = "whole hash" if digits == 64 else f"{digits} digits" if digits else "at first use"
        lines.append(
            f"{'*' if row['present'] else ' '} {row['name']:<{width}} {row['purpose']:<41} {size:>7}  {known:<12}  "
            f"{row['licence']:<26}  opens {', '.join(row['opens'])}"
        )
    lines.append("  pyiqa:NAME     the files of any of pyiqa's metrics, such as pyiqa:maniqa, for pyiqa[metric=NAME]")
    return "\n".join(lines)
