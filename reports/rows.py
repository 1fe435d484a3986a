"""What runs say, as rows: read, told apart, and a method's seeds as one row."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.files import folder_name
from bench.core.results import read_table

from . import told

COMPETITOR = ("run", "faces", "method", "variant", "degradation")  # the columns that tell a table's rows apart
RECORD: dict[str, Any] = {
    "command": "", "preset": "", "budget": None, "seed": None, "device": "", "precision": "", "versions": {},
    "git": None, "started": "", "seconds": None, "data": {}, "methods": [], "degradations": [], "conditions": [],
    "failed": [], "pending": [], "notes": [], "weightless": [],
}  # fmt: skip
MODEL: dict[str, Any] = {"label": "", "degradation": "", "parameters": None, "key": "", "params": {}, "training": None}


def competitor(row: Any) -> tuple[str, ...]:
    """What a row of a table is about: run, faces, method, options, what it was trained on."""
    return tuple(str(row[k]) for k in COMPETITOR)


@dataclass(frozen=True)
class Single:
    """Values of single faces by one metric under one condition: (faces, competitors), NaN where one has none. A face's
    value is the mean over a competitor's seeds: they are replicates, not faces.
    """

    faces: str
    condition: str
    metric: str
    direction: str
    protocols: tuple[str, ...]
    keys: list[tuple[str, ...]]  # see competitor
    runs: list[set[str]]  # of each competitor: the runs that its values come from
    names: list[str]  # of the faces
    values: np.ndarray


@dataclass(frozen=True)
class Loaded:
    """What runs say. ``rows``: of whole sets, a method's seeds as one; ``sets``: the same with each seed's row."""

    records: list[dict[str, Any]]  # run.json, filled in, with the run's name as ``run``
    rows: list[dict[str, Any]]
    sets: list[dict[str, Any]]
    singles: list[Single]
    keys: dict[tuple[str, ...], tuple[str, ...]]  # run, condition, method, variant, degradation -> its competitor


def read(runs: list[Path]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of whole sets and records, see Loaded."""
    found = load(runs, lambda _: False)
    return found.rows, found.records


def load(runs: list[Path], keep: Callable[[str], bool]) -> Loaded:
    """Read all runs; of single faces the values of the metrics that ``keep`` wants.

    Rows on the same faces at the same scale have the same ``faces``. A method's rows from several seeds are one row: their
    mean, with ``seeds`` and their standard deviation ``sd``. ``run`` is the same, and empty where nothing needs telling
    apart, for a method's runs that differ in their seed alone.
    """
    import pandas as pd

    records = read_records(runs)
    tables = [read_table(folder) for folder in runs]
    numbered = [heads(table, record) for table, record in zip(tables, records, strict=True)]
    labels = told_apart([known for _, known in numbered], records)
    sets: list[Any] = []
    keys: dict[tuple[str, ...], tuple[str, ...]] = {}
    for table, (codes, known), label, record in zip(tables, numbered, labels, records, strict=True):
        whole = (table["image"].fillna("") == "").to_numpy()
        run, faces, scale = (np.array([one[i] for one in label], dtype=object)[codes[whole]] for i in range(3))
        weightless = table["metric"][whole].isin(record["weightless"])
        sets.append(table[whole].assign(run=run, faces=faces, scale=scale, weightless=weightless))
        for (method, variant, degradation, condition, _), (own, on, _) in zip(known, label, strict=True):
            keys[record["run"], condition, method, variant, degradation] = (own, on, method, variant, degradation)
    rows: list[Any] = pd.concat(sets).to_dict("records")
    return Loaded(records, averaged(rows), rows, singles(tables, numbered, labels, records, keep), keys)


def read_records(runs: list[Path]) -> list[dict[str, Any]]:
    """Every run.json. What one lacks is filled in, so that old records and folders without one render too."""
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
    told.keep(records)
    return records


Head = tuple[str, str, str, str, str]  # method, variant, degradation, condition, seed


def heads(table: Any, record: dict[str, Any]) -> tuple[np.ndarray, list[Head]]:
    """The number of each row's head, and the heads."""
    if "seed" not in table:
        table["seed"] = record["seed"] or 0
    columns = ["method", "variant", "degradation", "condition", "seed"]
    codes = table[columns].groupby(columns, sort=False, dropna=False).ngroup().to_numpy()
    firsts = table[columns].iloc[np.unique(codes, return_index=True)[1]].fillna("").astype(str)
    return codes, list(firsts.itertuples(index=False, name=None))


def told_apart(known: list[list[Head]], records: list[dict[str, Any]]) -> list[list[tuple[str, str, str]]]:
    """For each run's heads: what to call its run, which faces it is of, and the scale."""
    replicates: dict[Any, list[tuple[str, str]]] = {}
    about: list[list[tuple[Any, str, str]]] = []
    for mine, record in zip(known, records, strict=True):
        about.append([])
        for method, variant, degradation, condition, seed in mine:
            model = model_of(record, method, variant, degradation)
            scale = str(model.get("scale") or "")
            faces = f"{faces_of(record, condition)}{f' x{scale}' if scale else ''}"
            same = (method, variant, degradation, condition, faces, scale, setup(record, model))
            about[-1].append((same, faces, scale))
            replicates.setdefault(same, []).append((record["run"], seed))
    names = {}
    for same, places in replicates.items():
        seeds = [seed for _, seed in places]
        together = len(set(seeds)) == len(seeds) > 1
        everywhere = len({run for run, _ in places}) == len(records)
        for run, _ in places:
            alone = len(records) == 1
            names[run, same] = (
                "" if alone or (together and everywhere) else ", ".join(r for r, _ in places) if together else run
            )
    return [
        [(names[record["run"], same], faces, scale) for same, faces, scale in mine]
        for mine, record in zip(about, records, strict=True)
    ]


def singles(
    tables: list[Any], numbered: list[tuple[np.ndarray, list[Head]]], labels: list[list[tuple[str, str, str]]],
    records: list[dict[str, Any]], keep: Callable[[str], bool],
) -> list[Single]:  # fmt: skip
    """The values of single faces of all runs, those on the same faces under one condition by one metric together."""
    import pandas as pd

    who: dict[tuple[str, ...], int] = {}
    where: dict[tuple[str, str], int] = {}
    frames = []
    for run, (table, (codes, known), label) in enumerate(zip(tables, numbered, labels, strict=True)):
        wanted = table["metric"].isin([m for m in table["metric"].unique() if keep(m)]) & (table["method"] != "")
        kept = wanted & (table["image"].fillna("") != "") & (table["status"] == "ok") & table["value"].notna()
        numbers = [(who.setdefault((own, faces, *head[:3]), len(who)), where.setdefault((faces, head[3]), len(where)))
                   for head, (own, faces, _) in zip(known, label, strict=True)]  # fmt: skip
        columns = np.array(numbers, dtype=int).reshape(-1, 2)[codes[kept.to_numpy()]]
        frame = table.loc[kept, ["metric", "image", "value", "direction", "protocol"]]
        frames.append(frame.assign(who=columns[:, 0], where=columns[:, 1], run=run))
    frame = pd.concat(frames)
    if not len(frame):
        return []
    keys, places, runs = list(who), list(where), frame["run"].to_numpy()
    metrics, metric_names = pd.factorize(frame["metric"])
    images, image_names = pd.factorize(frame["image"])
    protocols, protocol_names = pd.factorize(frame["protocol"].fillna(""))
    groups = pd.factorize(metrics + len(metric_names) * frame["where"].to_numpy())[0]
    order = np.argsort(groups, kind="stable")
    found = []
    for group in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        mine, competitors = pd.factorize(frame["who"].to_numpy()[group])
        face, faces = pd.factorize(images[group])
        cell, size = face * len(competitors) + mine, len(faces) * len(competitors)
        sums = np.bincount(cell, frame["value"].to_numpy(float)[group], size)
        with np.errstate(invalid="ignore"):
            means = (sums / np.bincount(cell, minlength=size)).reshape(len(faces), -1)
        on, condition = places[frame["where"].to_numpy()[group[0]]]
        found.append(Single(
            on, condition, str(metric_names[metrics[group[0]]]), str(frame["direction"].iloc[group[0]]),
            tuple(str(protocol_names[i]) for i in dict.fromkeys(protocols[group].tolist())),
            [keys[i] for i in competitors],
            [{records[i]["run"] for i in np.unique(runs[group][mine == number])} for number in range(len(competitors))],
            [str(image_names[i]) for i in faces], means,
        ))  # fmt: skip
    return found


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
