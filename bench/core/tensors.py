"""What torch and numpy have saved, read as tensors and plain values alone: nothing in a file is ever called."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from bench.errors import UsageError

CALLED = re.compile(r"(?:GLOBAL|[Cc]lass|[Ff]unction) ([\w.]+\.[\w.]+)")  # what torch says that a pickle asks for


def load_tensors(path: str | Path, allowed: Sequence[Any] = ()) -> Any:
    """The value in a file of ``torch.save``, on the CPU. ``allowed``: types that it may hold besides.

    Raises UsageError, naming the file, where it is absent, no such file, or asks for anything else to be called.
    """
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(list(allowed)):
            warnings.simplefilter("ignore")  # torch's, about unusual pickles; the errors below say it in a line
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or _line(error)})") from None
    except pickle.UnpicklingError as error:
        called = CALLED.search(str(error))
        if called:
            reason = f"asks to call {called[1]}; refused, only tensors and plain values are read"
            raise UsageError(f"{path}: {reason}") from None
        raise UsageError(f"{path}: not a checkpoint of PyTorch") from None
    except Exception as error:
        if "TorchScript" in str(error):
            raise UsageError(f"{path}: a TorchScript program; refused, only tensors are read") from None
        raise UsageError(f"{path}: not a checkpoint of PyTorch{_reason(error)}") from None


def load_array(path: str | Path, only: Sequence[str] = ()) -> Any:
    """The array in a .npy file, or those in a .npz by name (``only`` these). Raises UsageError, naming the file."""
    try:
        saved = np.load(path, allow_pickle=False)
        if isinstance(saved, np.ndarray):
            return saved
        with saved:
            return {name: saved[name] for name in saved.files if name in only or not only}
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except Exception as error:
        if "pickle" in str(error):
            raise UsageError(
                f"{path}: cannot be read as plain arrays: it holds other objects, or is another file"
            ) from None
        raise UsageError(f"{path}: not an array of numpy{_reason(error)}") from None


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _reason(error: Exception) -> str:
    """A library's reason in a line, without its advice on how to read the file all the same."""
    said = _line(error)
    return f" ({said})" if said and "weights_only" not in str(error) and "pickle" not in said else ""


def load_checkpoint(path: str | Path) -> Any:
    """As ``load_tensors``, of a training's checkpoint: other objects in it, such as its settings, come as empty ones."""
    reader = SimpleNamespace(__name__="tensors alone", Unpickler=_TensorsAlone, load=pickle.load)
    try:
        return torch.load(path, map_location="cpu", weights_only=False, pickle_module=reader)
    except Exception as error:
        raise UsageError(f"{path}: not a checkpoint of PyTorch{_reason(error)}") from None


class _TensorsAlone(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module == "torch._utils" and name.startswith(("_rebuild_tensor", "_rebuild_parameter"))) or (
            (module, name) == ("collections", "OrderedDict") or (module == "torch" and name.endswith("Storage"))
        ):
            return super().find_class(module, name)
        return _Empty


class _Empty(dict[Any, Any]):
    """What stands for an object of any other class, or for what a function would make."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def __call__(self, *_: Any, **__: Any) -> Any:
        return self

    def __setstate__(self, _: Any) -> None:
        pass

    def append(self, _: Any) -> None:
        pass
