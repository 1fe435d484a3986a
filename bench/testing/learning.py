"""Checks of what training does."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.api.model import Model
from bench.errors import Interrupted
from bench.testing.findings import Broken, Skipped
from bench.testing.subject import Subject, train

QUICK = 1200.0  # seconds of training that a quick preset may take on a slow CPU


def trains_at_all(subject: Subject) -> str:
    trainable(subject)
    result = subject.training()
    return f"{result['steps']} steps in {result['took']:.1f} s"


def quick_is_quick(subject: Subject) -> str:
    """What the quick preset's training takes on this CPU, from the few steps on small batches that were made."""
    trainable(subject)
    result = trained(subject)
    if not result["stages"]:
        raise Skipped("it has no stages")
    seconds = result["spent"] / max(result["steps"], 1) * result["asked"]
    text = f"about {seconds:.0f} s for {result['asked']} steps"
    if seconds > QUICK:
        raise Broken(f"a quick preset that trains in at most {QUICK:.0f} s", text, "quick")
    return text


def trainable(subject: Subject) -> None:
    """Raises Skipped where there is nothing to train, or a pretrained file that training needs is not here."""
    from bench import weights

    if not subject.cls.trains():
        raise Skipped("it is not trained")
    for name in subject.new().required_weights():
        weights.path(name)


def trained(subject: Subject) -> dict[str, Any]:
    """The few steps of training; Skipped where they fail, which a check of its own says."""
    try:
        return subject.training()
    except Exception:
        raise Skipped("it does not train") from None


def parameters_move(subject: Subject) -> None:
    """Every parameter that an optimizer holds, and no other."""
    trainable(subject)
    result = trained(subject)
    if not result["stages"]:
        raise Skipped("it has no stages")
    model: Model = result["network"]
    held = {id(p) for s in result["stages"] for o in s.optimizers.values() for g in o.param_groups for p in g["params"]}
    for name, p in model.named_parameters():
        moved = not torch.equal(result["before"][name], p.detach())
        if id(p) in held and not moved and p.dim() > 1:  # a bias may stand where it has no effect
            raise Broken("every parameter of an optimizer to get a gradient", f"none for {name}", "stages")
        averaged = any(name.startswith(f"{child}.") for s in result["stages"] for child in s.ema)
        if id(p) not in held and moved and not averaged and not name.startswith("degradation."):
            raise Broken("only parameters of optimizers to move", f"{name} moved", "stages")


def resumes(subject: Subject) -> None:
    """Interrupted and gone on with, it ends where it would have without, bit for bit."""
    trainable(subject)
    whole = trained(subject)
    if whole["steps"] < 2:
        raise Skipped("it has fewer than two steps")
    with tempfile.TemporaryDirectory() as folder:
        with suppress(Interrupted):
            train(subject, stop_at=max(1, whole["steps"] // 2), folder=Path(folder))
        resumed = train(subject, folder=Path(folder))
    for name, value in whole["model"].items():
        if isinstance(value, Tensor) and not torch.equal(value, resumed["model"][name]):
            raise Broken("the weights of an uninterrupted training after a resume", f"another {name}", "stages")
