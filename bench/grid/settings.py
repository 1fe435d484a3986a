"""Settings of a run: presets, defaults, budgets. No torch here."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bench.errors import UsageError

PRESETS = {
    "quick": "small networks, short training, at most 64 test faces: minutes on two cores; not the papers' numbers",
    "paper": "the papers' sizes and steps, all test faces: GPU days",
}
TEST_FACES = {"quick": 64, "paper": 1_000_000}
CHECKPOINT_EVERY = {"quick": 50, "paper": 1000}  # steps
CONDITIONS = ("bicubic", "blur", "noise", "jpeg", "real")  # tested on where --conditions is not given


@dataclass(frozen=True)
class Settings:
    """What ``bench run`` was asked for; names are as typed."""

    methods: str = "all"
    degradations: str = ""  # empty: each method's own
    conditions: str = ",".join(CONDITIONS)
    metrics: str = ""  # empty: the default ones
    hr: str | None = None
    lr: str | None = None
    reference: str | None = None  # what sets are compared with; none: the HR training faces
    preset: str = "quick"
    budget: float | None = None  # seconds of training, all models together
    seed: int = 0  # of training
    condition_seed: int = 0  # of test conditions and metrics: runs of several training seeds see the same LR
    device: str = "auto"
    devices: int = 1
    precision: str = "auto"
    compile: bool = False
    out: str = "bench-run"
    store: str | None = None  # of trained models, images and scores, shared by runs; $BENCH_STORE, else .bench
    fresh: bool = False
    strict: bool = False
    checkpoint_every: int = 0  # steps; 0: the preset's
    quiet: bool = False


def duration(text: str) -> float:
    """``90s``, ``3m``, ``1.5h`` or a bare number of seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    seconds = float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]] if match else 0
    if not seconds:
        raise UsageError(f"{text!r} is not a length of time; write 90s, 3m or 1h")
    return seconds
