"""run.json: everything that a number of a run depends on."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from . import __version__, plugins
from .plan import Recipe
from .store import version

if TYPE_CHECKING:
    from .run import Bench

HERE = Path(__file__).parent


def identity(bench: Bench) -> dict[str, Any]:
    """What the report shows of the settings, in sorted form: another spelling of the same command is the same."""
    names = {"methods": [m.label for m in bench.plan.methods], "conditions": bench.plan.conditions}
    return {
        **command_settings(bench),
        **names,
        "degradations": "",
        "metrics": [m.label for m in bench.plan.measures],
    }


def command_settings(bench: Bench) -> dict[str, Any]:
    skip = ("out", "fresh", "quiet", "checkpoint_every")
    return {k: v for k, v in dataclasses.asdict(bench.settings).items() if k not in skip}


def record(bench: Bench, key: str, failures: list[dict[str, str]]) -> dict[str, Any]:
    """run.json: everything that a number of this run depends on."""
    packages = (
        "torch",
        "torchvision",
        "lightning-fabric",
        "pyiqa",
        "lpips",
        "pytorch-fid",
        "geomloss",
        "numpy",
        "pandas",
    )
    data = {"name": "embedded procedural faces" if bench.settings.hr is None else Path(bench.settings.hr).name}
    tested = {"hr": bench.artefacts.hr_test, "lr": bench.artefacts.lr_test}
    for what, train in (("hr", bench.data.hr_train), ("lr", bench.data.lr_train)):
        test = tested[what]
        if train is not None and test is not None:
            data[what] = {  # type: ignore[assignment]
                "source": train.source, "train": len(train), "test": len(test), "size": train.extent,
                "fingerprint": f"{train.fingerprint}+{test.fingerprint}",
            }  # fmt: skip
    data["skipped"] = bench.data.skipped  # type: ignore[assignment]
    return {
        "key": key,
        "command": bench.command,
        "preset": bench.settings.preset,
        "budget": f"{bench.settings.budget:g} s" if bench.settings.budget else None,
        "seed": bench.settings.seed,
        "device": device_name(bench.device),
        "precision": bench.settings.precision,
        "settings": command_settings(bench),
        "versions": {
            "face-sr-bench": __version__,
            "python": sys.version.split()[0],
            **{p: version(p) for p in packages},
        },
        "git": git_commit(),
        "started": bench.started,
        "seconds": round(time.monotonic() - bench.begin, 1),
        "data": data,
        "methods": [describe(bench, m) for m in bench.plan.methods],
        "degradations": [describe(bench, r) for r in bench.plan.trained if r.kind == "degradations"],
        "conditions": list(bench.plan.conditions),
        "metrics": [m.label for m in bench.plan.measures],
        "failed": failures,
        "unavailable": bench.unavailable,
        "notes": [*plugins.catalogue().problems, *training_notes(bench)],
    }


def training_notes(bench: Bench) -> list[str]:
    """What trainings had to say, by the model's label."""
    trained = ((r.label, bench.training.get(r.key) or {}) for r in bench.plan.trained)
    return [f"{label}: {note}" for label, training in trained for note in training.get("notes", [])]


def describe(bench: Bench, recipe: Recipe) -> dict[str, Any]:
    training = bench.training.get(recipe.key)
    return {
        "label": recipe.label,
        "name": recipe.name,
        "variant": recipe.variant,
        "degradation": recipe.degradation.label if recipe.degradation else "",
        "scale": recipe.scale,
        "parameters": training["parameters"] if training else None,
        "images": recipe.folder,
        "checkpoint": f"checkpoints/{recipe.folder}.pt" if training else None,
        "key": recipe.key,
        "params": dataclasses.asdict(recipe.params),
        "training": training,
        "measured": bench.measured.get(recipe.folder, {}),
    }


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"


def git_commit() -> str | None:
    """The commit of the harness's own checkout, with + where it has changes; None for an installed package."""
    try:
        root = ["git", "-C", str(HERE.parent)]
        inside = subprocess.run([*root, "ls-files", "--error-unmatch", "bench/run.py"], capture_output=True, timeout=5)
        if inside.returncode:
            return None
        commit = subprocess.run([*root, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, timeout=5)
        dirty = subprocess.run([*root, "status", "--porcelain", "-uno"], capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return commit.stdout.strip() + ("+" if dirty.stdout.strip() else "") or None
