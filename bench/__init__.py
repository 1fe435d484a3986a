"""bench: a benchmark harness for real-world face super-resolution. The public API, imported lazily (no torch here)."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.hookspecs import hookimpl

if TYPE_CHECKING:
    from bench.api import (
        Augment,
        Batch,
        Data,
        Degradation,
        FaceSet,
        File,
        Inputs,
        Method,
        Metric,
        Model,
        Outputs,
        Partner,
        Picture,
        Reference,
        Score,
        Stage,
        Step,
        Unavailable,
        View,
        batches,
        per_face,
    )
    from bench.session import Results, load, run, score

__version__ = "0.2.0.dev0"
__all__ = [
    "Augment",
    "Batch",
    "Data",
    "Degradation",
    "FaceSet",
    "File",
    "Inputs",
    "Method",
    "Metric",
    "Model",
    "Outputs",
    "Partner",
    "Picture",
    "Reference",
    "Results",
    "Score",
    "Stage",
    "Step",
    "Unavailable",
    "View",
    "batches",
    "hookimpl",
    "load",
    "per_face",
    "run",
    "score",
]
SESSION = ("Results", "load", "run", "score")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'bench' has no attribute {name!r}")
    return getattr(import_module("bench.session" if name in SESSION else "bench.api"), name)


# In a checkout the plugin folders lie beside bench/, not inside it; this lets `python -m bench` run there uninstalled.
_checkout = Path(__file__).parent.parent
if (_checkout / "pyproject.toml").is_file() and (_checkout / "methods").is_dir():
    __path__.append(str(_checkout))
