"""run.json: everything that a number of a run depends on."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from bench import __version__, plugins
from bench.core.files import folder_name
from bench.core.hashing import content_hash, key_of, version
from bench.faces.faceset import Data, FaceSet
from bench.grid import reproductions
from bench.grid.recipe import Plan, Recipe
from bench.grid.settings import Settings

PACKAGES = (  # what makes numbers, beside what plugins name
    "torch", "torchvision", "lightning-fabric", "pyiqa", "lpips", "pytorch-fid", "geomloss", "facexlib", "spandrel", "scipy",
    "numpy", "pillow", "pandas", "safetensors",
)  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """What a run knows of itself, at its end or by now."""

    command: str
    started: str
    begin: float  # time.monotonic() at the start
    settings: Settings
    store: Path
    device: torch.device
    plan: Plan
    data: Data
    tested: dict[str, FaceSet | None]  # hr, lr: the test faces that were used
    training: dict[str, dict[str, Any]]  # recipe key -> training.json
    measured: dict[str, dict[str, Any]]  # method's folder -> metric -> what no other run repeats
    failed: dict[str, str]  # cell -> reason
    unavailable: dict[str, str]  # metric -> reason
    notes: list[str]  # of single cells
    rows: list[dict[str, Any]]  # of results
    entries: dict[str, list[str]]  # of the store, that its numbers come from: kind -> keys
    pictures: dict[str, str]  # folders of pictures in the run's own -> digests
    pending: list[str]  # what is still to come

    @property
    def failures(self) -> list[dict[str, str]]:
        return [{"cell": cell, "reason": reason} for cell, reason in self.failed.items()]


def identity(facts: Facts) -> dict[str, Any]:
    """What the report shows of the settings, in sorted form: another spelling of the same command is the same."""
    names = {"methods": [m.unique for m in facts.plan.methods], "conditions": facts.plan.conditions}
    return {
        **command_settings(facts),
        **names,
        "degradations": "",
        "metrics": [m.label for m in facts.plan.measures],
    }


def command_settings(facts: Facts) -> dict[str, Any]:
    skip = ("out", "store", "fresh", "quiet", "checkpoint_every")
    return {k: v for k, v in dataclasses.asdict(facts.settings).items() if k not in skip}


def data_of(settings: Settings, data: Data, tested: dict[str, FaceSet | None]) -> dict[str, Any]:
    """The faces of a run: where from, how many, and the fingerprints of their pixels."""
    found: dict[str, Any] = {"name": "embedded procedural faces" if settings.hr is None else Path(settings.hr).name}
    for what, train in (("hr", data.hr_train), ("lr", data.lr_train)):
        test = tested[what]
        if train is not None and test is not None:
            found[what] = {
                "source": train.source, "train": len(train), "test": len(test), "size": train.extent,
                "fingerprint": f"{train.fingerprint}+{test.fingerprint}",
            }  # fmt: skip
    if data.truth is not None and settings.pairs:
        found["pairs"] = {
            "lr": settings.pairs[0], "hr": settings.pairs[1], "test": len(data.truth),
            "size": data.truth.extent, "fingerprint": data.truth.fingerprint,
        }  # fmt: skip
    return {**found, "skipped": data.skipped}


def record(facts: Facts, key: str) -> dict[str, Any]:
    """run.json: everything that a number of this run depends on."""
    return {
        "key": key,
        "command": facts.command,
        "preset": facts.settings.preset,
        "budget": f"{facts.settings.budget:g} s" if facts.settings.budget else None,
        "seed": facts.settings.seeds[0],
        "seeds": list(facts.settings.seeds),
        **environment(facts.device),
        "precision": facts.settings.precision,
        "settings": command_settings(facts),
        "reproduction": reproduction(facts.settings),
        "folder": os.getcwd(),  # that relative paths start from
        "store": str(facts.store.absolute()),
        "plugins": [str(file) for file in plugins.local_files()],
        "started": facts.started,
        "seconds": round(time.monotonic() - facts.begin, 1),
        "data": data_of(facts.settings, facts.data, facts.tested),
        "methods": [*(describe(facts, m) for m in facts.plan.methods), *stubs(facts)],
        "degradations": [describe(facts, r) for r in facts.plan.trained if r.kind == "degradations"],
        "conditions": list(facts.plan.conditions),
        "metrics": [m.label for m in facts.plan.measures],
        "metric_facts": metric_facts({m.label.partition("[")[0] for m in facts.plan.measures}),
        "failed": facts.failures,
        "pending": facts.pending,
        "unavailable": facts.unavailable,
        "weightless": sorted(facts.unavailable),
        "entries": facts.entries,
        "pictures": facts.pictures,
        "notes": [*plugins.catalogue().problems, *training_notes(facts), *facts.notes],
    }


TITLES = ("title", "decimals", "direction", "table", "prefix", "parts", "part_decimals", "headlines", "guard", "paper")


def metric_facts(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What metrics say of how they are shown, for reports that are made where their plugins are not loaded."""
    return {name: {k: v for k, v in plugins.facts("metrics", name).items() if k in TITLES} for name in sorted(names)}


def sealed(values: dict[str, Any], out: Path, written: list[Path]) -> dict[str, Any]:
    """run.json with the hashes of the tables and reports beside it, and one of itself."""
    values = {**values, "files": {str(f.relative_to(out)): content_hash(f) for f in written if f.is_relative_to(out)}}
    values = json.loads(json.dumps(values, default=str))
    return {**values, "seal": key_of(values)}


def up_to_date(file: Path, key: str) -> bool:
    """Whether run.json is of these results, and everything beside it as it was written."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        seal = found.pop("seal")
        files = {file.parent / name: digest for name, digest in found["files"].items()}
        whole = seal == key_of(found) and found["key"] == key
        whole = whole and {*(file.parent / "tables").glob("*.tex")} <= files.keys()
        return bool(whole and all(f.is_file() and content_hash(f) == digest for f, digest in files.items()))
    except (OSError, ValueError, KeyError, AttributeError, RecursionError):
        return False


def reproduction(settings: Settings) -> dict[str, Any] | None:
    """The paper's table that the run follows: its published values, and what of it is missing here."""
    if not settings.reproduce:
        return None
    table = reproductions.named(settings.reproduce)
    published = [{"row": name, **values} for name, values in table.published]
    about = {"name": table.name, "paper": table.paper, "table": table.table, "faces": table.faces}
    return {**about, "published": published, "missing": list(settings.missing)}


def environment(device: torch.device) -> dict[str, Any]:
    """Where numbers were made: device, versions of the packages that make them, the harness's commit."""
    versions = {"face-sr-bench": __version__, "python": sys.version.split()[0], **{p: version(p) for p in PACKAGES}}
    return {"device": device_name(device), "versions": versions, "git": git_commit()}


def training_notes(facts: Facts) -> list[str]:
    """What trainings had to say, by the model's label."""
    trained = ((r.unique, facts.training.get(r.key) or {}) for r in facts.plan.trained)
    return [f"{label}: {note}" for label, training in trained for note in training.get("notes", [])]


def describe(facts: Facts, recipe: Recipe) -> dict[str, Any]:
    training = facts.training.get(recipe.key)
    return {
        "label": recipe.label,
        "seed": recipe.seed,
        "name": recipe.title,
        "plugin": recipe.name,
        "variant": recipe.variant,
        "degradation": recipe.degradation.label if recipe.degradation else "",
        "scale": recipe.scale,
        "parameters": training["parameters"] if training else None,
        "images": recipe.folder,
        "checkpoint": f"checkpoints/{recipe.folder}.pt" if training else None,
        "key": recipe.key,
        "params": dataclasses.asdict(recipe.params),
        "training": training,
        "measured": facts.measured.get(recipe.folder, {}),
    }


def stubs(facts: Facts) -> list[dict[str, Any]]:
    """What stands for methods whose plugin failed before they had a recipe."""
    return [
        {
            "label": str(lost.spec), "seed": facts.settings.seeds[0], "name": lost.title, "plugin": lost.spec.name,
            "variant": lost.variant, "degradation": "", "scale": facts.plan.methods[0].scale, "parameters": None,
            "images": folder_name(str(lost.spec)), "checkpoint": None, "key": "", "params": {}, "training": None,
            "measured": {},
        }
        for lost in facts.plan.lost if lost.kind == "methods"
    ]  # fmt: skip


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' * (threads > 1)}"


@cache
def git_commit() -> str | None:
    """The commit of the harness's own checkout, with + where it has changes; None for an installed package."""
    try:
        root = ["git", "-C", str(plugins.HERE.parent)]
        inside = subprocess.run(
            [*root, "ls-files", "--error-unmatch", "bench/plugins.py"], capture_output=True, timeout=5
        )
        if inside.returncode:
            return None
        commit = subprocess.run([*root, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, timeout=5)
        dirty = subprocess.run([*root, "status", "--porcelain", "-uno"], capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return commit.stdout.strip() + ("+" if dirty.stdout.strip() else "") or None
