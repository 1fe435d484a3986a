"""``bench compare``: what changed between two runs, and whether it is significant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from bench.commands.report import as_written, readable_runs
from bench.core import stats
from bench.core.results import read_table
from bench.errors import UsageError

SAME = ("method", "variant", "degradation", "condition", "metric")
SETTINGS = ("preset", "seed", "device", "precision", "budget", "git")


def command(runs: list[str], as_json: bool, all_values: bool, **_: object) -> int:
    """Print settings, data and values that differ; each value with Wilcoxon's p over the faces that both have."""
    if len(runs) != 2:
        raise UsageError("bench compare takes two runs")
    with as_written(runs):
        found = compare(*readable_runs(runs))
    print(json.dumps(found, indent=1) if as_json else in_words(found, all_values))
    return 0


def compare(first: Path, second: Path) -> dict[str, Any]:
    """What differs in settings and values; values that only one run has are counted."""
    tables = [read_table(folder) for folder in (first, second)]
    records = [_record(folder) for folder in (first, second)]
    settings = {k: [r.get(k) for r in records] for k in SETTINGS if records[0].get(k) != records[1].get(k)}
    prints = [{w: r.get("data", {}).get(w, {}).get("fingerprint") for w in ("hr", "lr")} for r in records]
    settings |= {f"{w} faces": [p[w] for p in prints] for w in ("hr", "lr") if prints[0][w] != prints[1][w]}
    versions = [r.get("versions", {}) for r in records]
    settings |= {name: [v.get(name) for v in versions] for name in sorted({*versions[0], *versions[1]})
                 if versions[0].get(name) != versions[1].get(name)}  # fmt: skip
    sets, faces = zip(*map(_split, tables), strict=True)
    changes = []
    for key in [k for k in sets[0] if k in sets[1]]:
        one, other = sets[0][key], sets[1][key]
        both = sorted(set(faces[0].get(key, {})) & set(faces[1].get(key, {})))
        pairs = np.array([[faces[0][key][f], faces[1][key][f]] for f in both], dtype=float).reshape(-1, 2)
        pairs = pairs[np.isfinite(pairs).all(1)]
        change = other["value"] - one["value"]
        changes.append(dict(zip(SAME, key, strict=True)) | {
            "first": one["value"], "second": other["value"], "change": change, "n": len(pairs),
            "better": change != 0 and (change > 0) == (one["direction"] == "higher"),
            "p": stats.wilcoxon(pairs[:, 0], pairs[:, 1]) if len(pairs) > 1 else None,
            "same_protocol": one["protocol"] == other["protocol"],
        })  # fmt: skip
    tested = [c for c in changes if c["p"] is not None]
    for one, p in zip(tested, stats.holm([c["p"] for c in tested]) if tested else [], strict=True):
        one["p"] = float(p)
    only = [[k for k in sets[i] if k not in sets[1 - i]] for i in (0, 1)]
    return {"runs": [str(first), str(second)], "settings": settings, "changes": changes,
            "only_first": [" ".join(filter(None, k)) for k in only[0]],
            "only_second": [" ".join(filter(None, k)) for k in only[1]]}  # fmt: skip


def _record(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / "run.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _split(table: Any) -> tuple[dict[tuple[str, ...], dict[str, Any]], dict[tuple[str, ...], dict[str, float]]]:
    """Rows of whole sets by what they are of; values of single faces by the same and the face (mean over seeds)."""
    kept = table[(table["status"] == "ok") & ~table["metric"].str.contains(".level", regex=False)]
    image = kept["image"].fillna("")
    single, whole = kept[image != ""], kept[image == ""]
    sets = {}
    for key, group in whole.groupby(list(SAME), sort=False):
        sets[tuple(map(str, key))] = {**group.iloc[0].to_dict(), "value": float(group["value"].mean())}
    faces: dict[tuple[str, ...], dict[str, float]] = {}
    for key, group in single.groupby(list(SAME), sort=False):
        means = group.groupby("image")["value"].mean()
        faces[tuple(map(str, key))] = dict(zip(means.index, means, strict=True))
    return sets, faces


def in_words(found: dict[str, Any], all_values: bool = False) -> str:
    """A comparison for a person: what differs in settings, then each value that changed."""
    lines = [f"{name}: {one} -> {other}" for name, (one, other) in found["settings"].items()]
    lines += ["", *(_line(c) for c in found["changes"] if c["change"] or all_values)]
    same = sum(not c["change"] for c in found["changes"])
    lines += ["", f"{same} of {len(found['changes'])} values are the same; p of Wilcoxon's signed-rank test over faces, "
              f"corrected for their number by Holm; - where there are no faces to test"]  # fmt: skip
    for run, only in zip(found["runs"], (found["only_first"], found["only_second"]), strict=True):
        if only:
            lines.append(f"only in {run}: {len(only)} values, {only[0]} for one")
    return "\n".join(lines).strip()


def _line(change: dict[str, Any]) -> str:
    what = change["method"] + (f" ({change['variant']})" if change["variant"] else "")
    what += f" on {change['degradation']}" if change["degradation"] else ""
    p = "-" if change["p"] is None else f"{change['p']:.3g}"
    word = "same" if not change["change"] else "better" if change["better"] else "worse"
    sure = change["p"] is not None and change["p"] <= stats.LEVEL
    note = "" if change["same_protocol"] else "  (other protocol: does not compare)"
    where = f"{change['condition'] or 'all'}: {what}: {change['metric']}"
    values = f"{change['first']:.6g} -> {change['second']:.6g} ({change['change']:+.4g})"
    return f"{where}  {values}  {word}{'*' if sure else ''}  p {p}{note}"
