"""The faces of a page: which there are, which are shown, their pictures and the values of every single one."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.files import copy, folder_name
from bench.core.pictures import of_run
from bench.core.results import split

from .pictures import SIDE, embedded, small_copy
from .rows import Loaded, Single
from .tabular import Column as TableColumn
from .told import facts

ROWS = 4  # faces of a condition shown without asking, evenly spread over the names
INLINE = 3_000_000  # bytes of pictures that the page keeps as they are, losslessly
BUDGET = 15_000_000  # bytes of all pictures in the page, before base64 adds a third
PICTURES = 6_000  # in the page at most; of more only the shown ones are, the others are read from the folder beside it
SAMPLE = 50  # pictures whose small copies tell the size of all
TRUTH = "HR, truth"  # the label of its column
FULL_REFERENCE = ("psnr", "ssim", "lpips", "dists")  # an `ok` value of these proves that a condition has ground truth
LEADS = ("lpips", "dists", "psnr", "ssim", "nima", "musiq", "topiq-face", "niqe", "lr-psnr")  # a face's first metric


@dataclass(eq=False)
class Column:
    """One column of a gallery: the pictures of the LR, of a method, or of the truth."""

    label: str
    kind: str  # lr, method, hr
    root: Path
    key: tuple[str, ...] = ()  # see rows.competitor
    there: frozenset[str] = frozenset()  # faces whose pictures belong to the run's numbers
    odd: bool = False  # whether others lie among them
    shots: dict[int, str] = field(default_factory=dict)  # face's number -> data URI


@dataclass(eq=False)
class Gallery:
    """The faces of one run under one condition."""

    condition: str
    run: str
    names: list[str]
    columns: list[Column]
    values: dict[str, dict[tuple[str, ...], np.ndarray]] = field(default_factory=dict)  # metric -> key -> (faces,)
    directions: dict[str, str] = field(default_factory=dict)
    rows: list[tuple[int, str]] = field(default_factory=list)  # faces shown, and why

    @property
    def lead(self) -> str:
        """The metric by which its best and worst faces are chosen; empty where none has values of single faces."""
        order = {name: i for i, name in enumerate(LEADS)}
        return min(self.values, key=lambda m: order.get(split(m)[0], len(order)), default="")

    @property
    def lead_title(self) -> str:
        """As the field writes it."""
        return TableColumn(self.lead, "").short

    def mean(self, metric: str) -> np.ndarray:
        """(faces,): the mean over methods."""
        return np.stack(list(self.values[metric].values())).mean(0)

    def disagreement(self, metric: str) -> np.ndarray:
        """(faces,): the standard deviation over methods."""
        with np.errstate(invalid="ignore"):  # of infinite values there is none
            return np.asarray(np.stack(list(self.values[metric].values())).std(0))


def galleries(runs: list[Path], loaded: Loaded) -> list[Gallery]:
    """Every condition of every run that has pictures or values of single faces."""
    found = []
    for folder, record in zip(runs, loaded.records, strict=True):
        mine = [one for one in loaded.singles if any(record["run"] in of for of in one.runs)]
        for condition in dict.fromkeys([*record["conditions"], *(one.condition for one in mine)]):
            gallery = _pictures(folder, record, condition, record["run"] if len(runs) > 1 else "", loaded)
            for one in mine:
                if one.condition == condition:
                    _add_values(gallery, one, record["run"])
            if gallery.columns or gallery.values:
                _choose(gallery)
                found.append(gallery)
    return found


def _pictures(folder: Path, record: dict[str, Any], condition: str, run: str, loaded: Loaded) -> Gallery:
    place = folder_name(condition)
    columns = [Column("LR", "lr", folder / "images" / "lr" / place)]
    labels = [model["label"] for model in record["methods"]]
    for model in record["methods"]:
        called = (model.get("name", model["label"]), model.get("variant", ""), model["degradation"])
        key = loaded.keys.get((record["run"], condition, *map(str, called)), ())
        several = labels.count(model["label"]) > 1 and "seed" in model
        label = f"{model['label']}, seed {model['seed']}" if several else model["label"]
        columns.append(Column(label, "method", folder / "images" / model["images"] / place, key))
    if truth_is_known(condition, record, loaded.rows):
        columns.append(Column(TRUTH, "hr", folder / "images" / "hr"))
    belongs = of_run(folder, record)
    for column in columns:
        files = list(column.root.glob("*.png"))
        column.there = frozenset(f.stem for f in files if belongs(f))
        column.odd = len(column.there) < len(files)
    names = sorted(columns[0].there)
    columns = [c for c in columns if not c.there.isdisjoint(names)]
    return Gallery(condition, run, names, columns if len(columns) > 1 else [])


def _add_values(gallery: Gallery, one: Single, run: str) -> None:
    if not gallery.names:
        gallery.names = one.names
    place = {name: i for i, name in enumerate(one.names)}
    taken = [place.get(name, -1) for name in gallery.names]
    if max(taken, default=-1) < 0:
        return
    values = np.where(np.array(taken)[:, None] >= 0, one.values[taken], np.nan)
    for number, key in enumerate(one.keys):
        if run in one.runs[number]:
            gallery.values.setdefault(one.metric, {})[key] = values[:, number]
            gallery.directions[one.metric] = one.direction


def _choose(one: Gallery) -> None:
    """The faces to show: spread over the names; by the leading metric the best, median and worst, and the most disputed."""
    count = len(one.names)
    chosen = {i * count // ROWS if count > ROWS else i: "" for i in range(min(ROWS, count))}
    if one.lead:
        mean = one.mean(one.lead)
        order = np.argsort(np.where(np.isfinite(mean), mean, np.nan))[: int(np.isfinite(mean).sum())]
        order = order[::-1] if one.directions[one.lead] == "higher" else order
        if len(order) > 2:
            chosen |= {int(order[0]): "best", int(order[len(order) // 2]): "median", int(order[-1]): "worst"}
        spread = one.disagreement(one.lead)
        if len(one.values[one.lead]) > 1 and np.isfinite(spread).any():
            chosen.setdefault(int(np.nanargmax(spread)), "methods disagree most")
    one.rows = list(chosen.items())


def truth_is_known(condition: str, record: dict[str, Any], rows: list[dict[str, Any]]) -> bool:
    """Real LR has ground truth only where a metric could use it; equal file names do not make a pair."""
    return condition != "real" or any(
        r["status"] == "ok"
        and r["condition"] == "real"
        and (not r["run"] or record["run"] in r["run"])
        and split(r["metric"])[0] in FULL_REFERENCE
        for r in rows
    )


def take_pictures(found: list[Gallery], out: Path) -> dict[str, Any]:
    """Fill the shots: the faces that are shown, and all the others in small copies where the page's limits allow.

    Returns what a reader must know: ``count`` in the page, whether they are ``lossless``, and whether the others are read
    from ``outside``, a folder beside the page, which is made where the run's own does not lie there.
    """
    shown = [(c, i, g.names[i]) for g in found for i, _ in g.rows for c in g.columns if g.names[i] in c.there]
    rest = [(c, i, name) for g in found for i, name in enumerate(g.names) if i not in dict(g.rows)
            for c in g.columns if name in c.there]  # fmt: skip
    shown, more = shown[:PICTURES], shown[PICTURES:]
    lossless = sum(_weight(c.root / f"{name}.png") for c, _, name in shown) <= INLINE
    _fill(shown, embedded if lossless else small_copy)
    used = sum(len(c.shots[i]) for c, i, _ in shown) * 3 // 4
    sample = rest[:: max(1, len(rest) // SAMPLE)]
    weight = sum(len(small_copy(c.root / f"{name}.png")) for c, _, name in sample) * 3 / 4 / max(1, len(sample))
    outside = bool(more) or len(shown) + len(rest) > PICTURES or used + weight * len(rest) > BUDGET
    if outside:
        _beside(found, out)
    else:
        _fill(rest, small_copy)
    return {
        "outside": outside,
        "lossless": lossless,
        "count": sum(len(c.shots) for g in found for c in g.columns),
        "side": SIDE,
    }


def _fill(wanted: list[tuple[Column, int, str]], copy_of: Callable[[Path], str]) -> None:
    with ThreadPoolExecutor() as pool:  # encoders leave the interpreter
        made = pool.map(copy_of, [column.root / f"{name}.png" for column, _, name in wanted], chunksize=32)
        for (column, index, _), shot in zip(wanted, made, strict=True):
            column.shots[index] = shot


def _weight(file: Path) -> int:
    return min(file.stat().st_size, SIDE * SIDE * 2)


def _beside(found: list[Gallery], out: Path) -> None:
    """Pictures of runs that do not lie beside the page are linked into a folder that does."""
    for number, one in enumerate(found):
        for column in one.columns:
            if not column.root.resolve().is_relative_to(out.parent.resolve()):
                target = out.parent / f"{out.stem}-faces" / str(number) / f"{column.kind}-{one.columns.index(column)}"
                for old in target.glob("*.png"):
                    if old.stem not in column.there:
                        old.unlink()
                for name in column.there.intersection(one.names):
                    copy(column.root / f"{name}.png", target / f"{name}.png")
                column.root = target


def as_data(found: list[Gallery], keys: dict[tuple[str, ...], int], out: Path, outside: bool) -> list[dict[str, Any]]:
    """The galleries for the page's script; methods by their numbers in ``keys``, values rounded, NaN as null.

    Pictures that the page already shows are not repeated: the script takes them from there.
    """
    made = []
    for one in found:
        shown = dict(one.rows)
        columns = []
        for column in one.columns:
            root = ""
            if outside and not column.odd and column.root.resolve().is_relative_to(out.parent.resolve()):
                root = column.root.resolve().relative_to(out.parent.resolve()).as_posix()
            shots = {i: uri for i, uri in column.shots.items() if i not in shown}
            key = keys.setdefault(column.key, len(keys)) if column.key else -1
            columns.append({"label": column.label, "kind": column.kind, "k": key, "root": root, "shots": shots})
        values = {m: {keys.setdefault(k, len(keys)): [_short(v) for v in column.tolist()] for k, column in by.items()}
                  for m, by in one.values.items()}  # fmt: skip
        made.append({"condition": one.condition, "run": one.run, "names": one.names, "columns": columns,
                     "values": values, "directions": one.directions, "lead": one.lead})  # fmt: skip
    return made


def _short(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None


def decimals(metric: str) -> int:
    """How many decimals the tables show of a metric."""
    name, _, part = split(metric)
    about = facts("metrics", name)
    return int(about.get("part_decimals", {}).get(part, about.get("decimals", 3)))
