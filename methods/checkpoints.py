"""Checkpoints of other programs: read without running any code in them, recognised by spandrel."""

from __future__ import annotations

import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from bench.core import hashing
from bench.errors import UsageError


def read(path: Path) -> dict[str, Any]:
    """The tensors of a .safetensors file, or of a pickled one that holds nothing but tensors and plain values.

    Raises UsageError for a file that is absent, is no checkpoint, or asks for anything else to be called.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    try:
        if path.suffix == ".safetensors":
            state: Any = load_file(path)
        else:
            with warnings.catch_warnings():  # of torch's about unusual pickles, which the error below says in a line
                warnings.simplefilter("ignore")
                state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        called = re.search(r"(?:GLOBAL|[Cc]lass|[Ff]unction) ([\w.]+\.[\w.]+)", str(error))
        if called:
            raise UsageError(
                f"{path}: asks to call {called[1]}; refused, only tensors and plain values are read"
            ) from None
        raise UsageError(f"{path}: not a checkpoint of PyTorch") from None
    except (RuntimeError, ValueError, EOFError, KeyError, OSError, SafetensorError) as error:
        if "TorchScript" in str(error):
            raise UsageError(f"{path}: a TorchScript program; refused, only tensors are read") from None
        raise UsageError(f"{path}: not a checkpoint of PyTorch or safetensors ({_line(error)})") from None
    if not isinstance(state, dict):
        raise UsageError(f"{path}: holds no named tensors")
    return state


def recognise(path: Path) -> Any:
    """spandrel's descriptor of the model in a file: the network with its weights, scale, channels and size needs.

    Raises UsageError where spandrel knows no such architecture, or the weights do not fit it.
    """
    from spandrel import ModelLoader, UnsupportedModelError, canonicalize_state_dict

    state = read(path)
    try:
        return ModelLoader().load_from_state_dict(canonicalize_state_dict(state))
    except UnsupportedModelError:
        raise UsageError(f"{path}: of no architecture that spandrel knows") from None
    except Exception as error:
        raise UsageError(f"{path}: spandrel cannot load it ({_line(error)})") from None


def content_hash(path: Path) -> str:
    """16 hex digits of the SHA-256 of a file's content. Raises UsageError where there is no such file."""
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    return hashing.content_hash(path)[:16]


def _line(error: Exception) -> str:
    """The first two lines of an error's message in one, at most 150 characters."""
    return " ".join(" ".join(str(error).strip().splitlines()[:2]).split())[:150] or type(error).__name__
