"""bench: a benchmark harness for real-world face super-resolution. The public API, imported lazily (no torch here)."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .hookspecs import hookimpl

if TYPE_CHECKING:
    from .metric import Metric, Outputs, Score, Unavailable, batches, per_face
    from .model import Augment, Batch, Degradation, Method, Model, Stage

__version__ = "0.1.0"
__all__ = [
    "Augment",
    "Batch",
    "Degradation",
    "Method",
    "Metric",
    "Model",
    "Outputs",
    "Score",
    "Stage",
    "Unavailable",
    "batches",
    "hookimpl",
    "per_face",
]

_HOME = {
    **dict.fromkeys(("Augment", "Batch", "Degradation", "Method", "Model", "Stage"), "model"),
    **dict.fromkeys(("Metric", "Outputs", "Score", "Unavailable", "batches", "per_face"), "metric"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'bench' has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


# In a checkout the plugin folders lie beside bench/, not inside it; this lets `python -m bench` run there uninstalled.
_checkout = Path(__file__).parent.parent
if (_checkout / "pyproject.toml").is_file() and (_checkout / "methods").is_dir():
    __path__.append(str(_checkout))
