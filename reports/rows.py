"""What runs say, as rows: read, told apart, and a method's seeds as one row."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from bench.api.results import read_table
from bench.core.files import folder_name

COMPETITOR = ("run", "faces", "method", "variant", "degradation")  # the columns that tell a table's rows apart
RECORD: dict[str, Any] = {
    "command": "", "preset": "", "budget": None, "seed": None, "device": "", "precision": "", "versions": {},
    "git": None, "started": "", "seconds": None, "data": {}, "methods": [], "degradations": [], "conditions": [],
    "failed": [], "pending": [], "notes": [],
}  # fmt: skip
MODEL: dict[str, Any] = {"label": "", "degradation": "", "parameters": None, "key": "", "params": {}, "training": None}


def competitor(row: Any) -> tuple[str, ...]:
    """What a row of a table is about: run, faces, method, options, what it was trained on."""
    return tuple(str(row[k]) for k in COMPETITOR)


def read(runs: list[Path]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Set-level rows of all runs as dictionaries, and their run.json records, both with the run's name as ``run``.

    Rows on the same faces at the same scale have the same ``faces``. A method's rows from several seeds are one row: their
    mean, with ``seeds`` and their standard deviation ``sd``. What a record lacks is filled in, so that old records and
    folders without one render too.
    """
    records = []
    for folder in runs:
        file = folder / "run.json"
        record = {**RECORD, **(json.loads(file.read_text(encoding="utf-8")) if file.exists() else {})}
        for kind in ("methods", "degradations"):
            record[kind] = [{**MODEL, "images": m.get("label", ""), **m} for m in record[kind]]
            for model in record[kind]:  # a place inside the run's folder, whatever the file says
                place = str(model["images"])
                model["images"] = place if Path(place).name == place else folder_name(place)
        records.append(record)
    for record, name in zip(records, names(runs, records), strict=True):
        record["run"] = name
        prints = [record["data"].get(what, {}).get("fingerprint") for what in ("hr", "lr")]
        record["faces"] = str(prints) if any(prints) else name
    table = labelled(runs, records)
    table = table[table["image"].fillna("") == ""]
    return averaged(table.to_dict("records")), records


def labelled(runs: list[Path], records: list[dict[str, Any]]) -> Any:
    """All rows of all runs as one data frame with the columns ``run``, ``faces``, ``scale``.

    ``run`` is the same, and empty where nothing needs telling apart, for a method's runs that differ in their seed alone.
    """
    import pandas as pd

    frames: list[Any] = []
    replicates: dict[Any, Any] = {}
    for folder, record in zip(runs, records, strict=True):
        table = read_table(folder)
        if "seed" not in table:
            table["seed"] = record["seed"] or 0
        heads = table[["method", "variant", "degradation", "condition", "seed"]].fillna("").astype(str)
        known: dict[tuple[str, ...], tuple[str, str, str]] = {}
        for head in heads.drop_duplicates().itertuples(index=False, name=None):
            method, variant, degradation, condition, seed = head
            model = model_of(record, method, variant, degradation)
            scale = str(model.get("scale") or "")
            faces = f"{faces_of(record, condition)}{f' x{scale}' if scale else ''}"
            known[head] = (faces, scale, setup(record, model))
            replicates.setdefault((*head[:4], *known[head]), []).append((record["run"], seed))
        found = [known[head] for head in heads.itertuples(index=False, name=None)]
        table["faces"], table["scale"], table["setup"] = zip(*found, strict=True) if found else ([], [], [])
        frames.append(table.assign(run=record["run"]))
    table = pd.concat(frames)
    names = {}
    for key, places in replicates.items():
        seeds = [seed for _, seed in places]
        together = len(set(seeds)) == len(seeds) > 1
        everywhere = len({run for run, _ in places}) == len(runs)
        for run, _ in places:
            alone = len(runs) == 1
            names[run, key] = (
                "" if alone or (together and everywhere) else ", ".join(r for r, _ in places) if together else run
            )
    keys = table[["method", "variant", "degradation", "condition", "faces", "scale", "setup"]].fillna("").astype(str)
    pairs = zip(table["run"], keys.itertuples(index=False, name=None), strict=True)
    return table.assign(run=[names[run, key] for run, key in pairs])


def model_of(record: dict[str, Any], method: str, variant: str, degradation: str) -> dict[str, Any]:
    """What a record says of the model of a row; nothing where it does not know it."""
    for model in record["methods"]:
        label = model["label"]
        named = method in (model.get("name"), label) and variant == model.get("variant", variant)
        if named and degradation in ("", model.get("degradation") or degradation):
            return dict(model)
    return {}


def faces_of(record: dict[str, Any], condition: str) -> str:
    """What tells the faces of a condition from others': a fingerprint of the test faces, their names, else the run."""
    data = record["data"]
    order = ("lr", "hr") if condition == "real" else ("hr", "lr", "sr")
    for what in order:
        about = data.get(what) or {}
        if what == "sr" and about.get("names"):  # without ground truth and inputs all that is known are the names
            return str(hash_of(about["names"]))
        if about.get("fingerprint"):
            return str(about["fingerprint"]).rpartition("+")[2]
    return str(record["run"])


def setup(record: dict[str, Any], model: dict[str, Any]) -> str:
    """What two trainings must share to be replicates of each other: all but the seed."""
    trained = [str((record["data"].get(what) or {}).get("fingerprint", "")).partition("+")[0] for what in ("hr", "lr")]
    return hash_of(
        [record["preset"], record["budget"], record["precision"], trained, model.get("params"), model.get("scale")]
    )


def hash_of(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def averaged(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of one method that differ in their seed as one, in the order of the first."""
    groups: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((competitor(row), row["condition"], row["metric"]), []).append(row)
    found = []
    for group in groups.values():
        ok = [r for r in group if r["status"] == "ok"]
        if len(group) == 1 or not ok:
            found.append(group[0])
            continue
        values = [float(r["value"]) for r in ok]
        mean = sum(values) / len(values)
        spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1)) if len(values) > 1 else math.nan
        more = {} if len(values) == 1 else {"ci_low": math.nan, "ci_high": math.nan}
        found.append({**ok[0], "value": mean, "seeds": len(values), "sd": spread, **more})
    return found


def names(runs: list[Path], records: list[dict[str, Any]]) -> list[str]:
    """A name for each run: its folder's, with the parents that tell runs apart, and the seed where seeds differ."""
    paths = [folder.resolve() for folder in runs]
    found, depth = [path.name for path in paths], 1
    while len(set(found)) < len(set(paths)):
        depth += 1
        found = ["/".join(path.parts[-depth:]) for path in paths]
    seeds = [record["seed"] for record in records]
    several = len({str(seed) for seed in seeds}) > 1
    return [
        f"{name}, seed {seed}" if several and seed is not None else name
        for name, seed in zip(found, seeds, strict=True)
    ]
