"""Models by name, for commands that need no run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench import plugins
from bench.api.model import Model
from bench.core.spec import nearest, parse
from bench.core.tensors import load_tensors
from bench.errors import UsageError
from bench.grid import resolve
from bench.grid.files import load_weights


def find(name: str) -> tuple[str, Any]:
    """The kind and class of a method, degradation or metric."""
    kinds = ("methods", "degradations", "metrics")
    for kind in kinds:
        if name in plugins.names(kind):
            return kind, plugins.load(kind, name)
    raise UsageError(f"no plugin {name!r}{nearest(name, [n for kind in kinds for n in plugins.names(kind)])}")


def ready(kind: str, text: str, weights: str | None) -> Model:
    """A model for inference from its name and a file of weights, on the CPU."""
    spec = parse(text)
    cls = plugins.load(kind, spec.name)
    if weights is None:
        if cls.trains():
            raise UsageError(
                f"{spec.name} is trained: give its weights with --weights CKPT (made by `bench train` or `bench run`)"
            )
        return resolve.untrained(cls, spec, "paper")
    if not Path(weights).is_file():
        raise UsageError(f"--weights {weights}: no such file")
    try:
        saved = load_tensors(weights)
        made_for = saved["kind"], saved["name"]
    except UsageError as error:
        reason = str(error).removeprefix(f"{weights}: ")
        raise UsageError(f"--weights {weights}: not weights of bench ({reason})") from None
    except (TypeError, KeyError, IndexError, AttributeError):
        raise UsageError(f"--weights {weights}: not weights of bench (of no model)") from None
    if made_for != (kind, spec.name):
        raise UsageError(f"--weights {weights}: weights of {made_for[1]}, not of {spec.name}")
    model = resolve.from_saved(cls, spec, saved)
    load_weights(model, Path(weights))
    return model
