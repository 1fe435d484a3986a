"""``bench train``: one method, and the degradation that it needs."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.grid.files import show_weights
from bench.grid.run import Run
from bench.grid.settings import Settings


def command(method: str, out: str, line: str, **options: Any) -> int:
    """Train; the weights go to ``out``, logs and checkpoints beside it."""
    settings = Settings(methods=method, out=f"{out}.run", conditions="bicubic", metrics="", **options)
    whole = Run(settings, line)
    whole.check_weights()
    if whole.failed:  # without the method, what it is trained on is of no use
        raise UsageError(next(iter(whole.failed.values())))
    whole.remember()
    for recipe in whole.plan.trained:
        whole.attempt(f"train {recipe.unique}", partial(whole.train, recipe))
    wanted = whole.plan.methods[0]
    if not wanted.trains:
        raise UsageError(f"{wanted.label} is not trained")
    for cell, reason in whole.failed.items():
        print(f"failed: {cell}: {reason}", file=sys.stderr)
    if whole.failed:
        return 1
    show_weights(whole.store.path("train", wanted.weights), wanted, Path(out))
    print(f"{out}: weights of {wanted.label}")
    return 0
