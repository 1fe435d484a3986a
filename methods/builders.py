"""Networks that a user's own file makes: ``builder=net.py:Net``, with the state dict of a checkpoint."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from bench.core import imports
from bench.core.hashing import content_hash, key_of
from bench.errors import UsageError

from .checkpoints import read, unwrapped


def built(params: Any) -> nn.Module:
    """The network with its weights, in eval mode. Raises UsageError where the builder fails or the weights do not fit."""
    file, name = found(params.builder)
    arguments = dict(argument(text) for text in params.arguments)
    try:
        net = getattr(imports.import_file(file), name)(**arguments)
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"builder={params.builder}: {type(error).__name__}: {' '.join(str(error).split())[:150]}"
        ) from None
    if not isinstance(net, nn.Module):
        raise UsageError(f"builder={params.builder}: gives a {type(net).__name__}, not a torch.nn.Module")
    state = {
        k.removeprefix("module."): v for k, v in unwrapped(read(Path(params.weights))).items() if isinstance(v, Tensor)
    }
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        text = " ".join(str(error).split())[:300]
        raise UsageError(f"{params.weights}: does not fit {params.builder} ({text})") from None
    return net.eval()


def found(builder: str) -> tuple[Path, str]:
    """Its file and name."""
    file, _, name = builder.rpartition(":")
    if not name.isidentifier() or not file.endswith(".py"):
        raise UsageError(f"builder={builder}: write FILE.py:NAME")
    if not Path(file).is_file():
        raise UsageError(f"builder={builder}: {file}: no such file")
    return Path(file).resolve(), name


def argument(text: str) -> tuple[str, Any]:
    """``n_feats=64`` as a name and a Python value; what is no literal is text."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise UsageError(f"arguments={text}: write KEY=VALUE, joined by +")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def code_of(builder: str) -> str:
    """A hash of the builder's file and of those beside it that it imports."""
    file, _ = found(builder)
    imports.import_file(file)
    return key_of(sorted(content_hash(each) for each in imports.loaded[file] | {file}))
