"""Settings of a run: presets, defaults, budgets. No torch here."""

from __future__ import annotations

import re
from collections.abc import Sequence
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

    reproduce: str = ""  # the table that names what is not named otherwise (bench.grid.reproductions)
    missing: tuple[str, ...] = ()  # its rows and columns that this run does not make, and why
    methods: str = "all"
    degradations: str = ""  # empty: each method's own
    conditions: str = ",".join(CONDITIONS)
    metrics: str = ""  # empty: the default ones
    hr: str | None = None
    lr: str | None = None
    pairs: Sequence[str] | None = None  # real LR faces to test on, and their ground truth
    reference: str | None = None  # what sets are compared with; none: the HR training faces
    preset: str = "quick"
    budget: float | None = None  # seconds of training, all models together
    seeds: tuple[int, ...] = (0,)  # of training: all that trains is trained with each
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


MOST_SEEDS = 10_000  # of one run


def seeds(text: str) -> tuple[int, ...]:
    """``0``, ``0,1,2`` or ``0..4``, which is 0,1,2,3,4."""
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", part.strip())
        if not match or (match[2] and int(match[2]) < int(match[1])):
            raise UsageError(f"--seeds {text}: write whole numbers from 0 on, as in 0,1,2 or 0..4")
        if int(match[2] or match[1]) - int(match[1]) >= MOST_SEEDS:
            raise UsageError(f"--seeds {text}: more than {MOST_SEEDS} seeds")
        found += range(int(match[1]), int(match[2] or match[1]) + 1)
    return tuple(dict.fromkeys(found))


def duration(text: str) -> float:
    """``90s``, ``3m``, ``1.5h`` or a bare number of seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    seconds = float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]] if match else 0
    if not seconds:
        raise UsageError(f"{text!r} is not a length of time; write 90s, 3m or 1h")
    return seconds
