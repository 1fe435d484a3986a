"""``bench list``: names and one line each. No torch here."""

from __future__ import annotations

import json

from bench import plugins
from bench.grid import reproductions
from bench.grid.settings import PRESETS

KINDS = ("methods", "degradations", "conditions", "metrics", "data", "presets", "reproductions", "clusters")


def command(what: str | None, as_json: bool, **_: object) -> int:
    """Print one list, or all of them."""
    found = {kind: rows(kind) for kind in ([what] if what else KINDS)}
    if as_json:
        flat = [row if what else {**row, "kind": kind} for kind, entries in found.items() for row in entries]
        print(json.dumps(flat, indent=1))
        return 0
    for kind, entries in found.items():
        if not what:
            print(f"{kind}:")
        width = max((len(row["name"]) for row in entries), default=0)
        for row in entries:
            print(f"{'' if what else '  '}{row['name']:<{width}}  {row['summary']}")
    return 0


def rows(kind: str) -> list[dict[str, str]]:
    """``name`` and ``summary`` of each; of plugins their ``source`` too. Metrics that run by default are marked with *."""
    if kind == "presets":
        return [{"name": name, "summary": text} for name, text in PRESETS.items()]
    if kind == "reproductions":
        return [{"name": one.name, "summary": one.summary} for one in reproductions.ALL]
    if kind == "data":
        embedded = "procedural faces with known identity, and an unpaired wild LR set (the default)"
        path = "--hr and --lr: a folder, a CSV list of paths, or a packed file of `bench data make`"
        return [{"name": "embedded", "summary": embedded}, {"name": "PATH", "summary": path}]
    found = plugins.catalogue().entries["degradations" if kind == "conditions" else kind].values()
    listed = [{"name": e.name, "summary": e.summary, "source": e.source} for e in found]
    if kind == "metrics":
        for row in listed:
            mark = "* " if plugins.facts("metrics", row["name"]).get("default") else ""
            row["summary"] = mark + row["summary"]
    if kind == "conditions":
        listed.append({"name": "real", "summary": "the real LR faces as they are", "source": "bench"})
    return listed
