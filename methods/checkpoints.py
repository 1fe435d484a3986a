"""Checkpoints of other programs: read without running any code in them, recognised by spandrel."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from bench import weights
from bench.core import hashing
from bench.core.tensors import load_tensors
from bench.errors import MissingWeights, UsageError


def read(path: Path) -> dict[str, Any]:
    """The tensors of a .safetensors file, or of a pickled one that holds nothing but tensors and plain values.

    Raises UsageError for a file that is absent, is no checkpoint, or asks for anything else to be called.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    try:
        state: Any = load_file(path) if path.suffix == ".safetensors" else load_tensors(path)
    except (SafetensorError, OSError) as error:
        raise UsageError(f"{path}: not a checkpoint of safetensors ({_line(error)})") from None
    if not isinstance(state, dict):
        raise UsageError(f"{path}: holds no named tensors")
    return state


def unwrapped(state: dict[str, Any]) -> dict[str, Any]:
    """The named tensors inside what training programs save."""
    for wrapper in ("params_ema", "params", "state_dict", "model"):
        state = state[wrapper] if isinstance(state.get(wrapper), dict) else state
    return state


def recognise(path: Path) -> Any:
    """spandrel's descriptor of the model in a file: the network with its weights, scale, channels and size needs.

    Raises UsageError where spandrel knows no such architecture, or the weights do not fit it.
    """
    from spandrel import ModelLoader, UnsupportedModelError, canonicalize_state_dict

    state = canonicalize_state_dict(read(path))
    try:
        with suppress(UnsupportedModelError):
            return ModelLoader().load_from_state_dict(state)
        more_architectures()
        return ModelLoader().load_from_state_dict(state)
    except UnsupportedModelError:
        raise UsageError(
            f"{path}: of no architecture that spandrel knows; builder=FILE.py:NAME makes another, and the extra "
            "`extra-arches` knows more (CodeFormer, SRFormer, Restormer)"
        ) from None
    except Exception as error:
        raise UsageError(f"{path}: spandrel cannot load it ({_line(error)})") from None


def more_architectures() -> None:
    """Have spandrel know those of spandrel_extra_arches, an extra of this package since its licences are others."""
    with suppress(ImportError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import spandrel_extra_arches

        spandrel_extra_arches.install(ignore_duplicates=True)


def starting_point(init: str) -> Path:
    """The file that ``init`` names. Raises MissingWeights, or UsageError where it names nothing."""
    if init in weights.manifest():
        return weights.path(init)
    path = Path(init)
    if not path.is_file():
        raise UsageError(f"init={init}: neither none, nor a name of `bench weights list`, nor a file")
    return path


def starting_hash(init: str, fits: Callable[[Path], Any]) -> str:
    """The hash of the starting weights that ``init`` names, "" for none and for a file of the manifest that is not here.

    ``fits`` raises UsageError for a file that does not fit: it is refused before any work.
    """
    if init == "none":
        return ""
    try:
        path = starting_point(init)
    except MissingWeights:
        return ""  # named by required_weights
    fits(path)
    return content_hash(path)


def in_order(path: Path, net: nn.Module, enlarging: tuple[str, ...] = ("up", "last")) -> dict[str, Tensor]:
    """The weights in a checkpoint of ``net``'s architecture, under the names of ``net``; ``net`` may be on meta.

    Programs name the same layers differently, but list them from LR to HR: tensors are matched in order, and their shapes
    have to agree. Shifts by the data set's mean, which are no weights, are left out. From a network of another scale come
    all weights but those of the children ``enlarging`` (Lim 2017, section 4.2). Raises UsageError where shapes differ.
    """
    state = unwrapped(read(path))
    theirs = [
        v for k, v in state.items() if isinstance(v, Tensor) and not re.search(r"(^|\.)(sub_mean|add_mean|mean$)", k)
    ]
    ours = net.state_dict()
    wanted, given = ([tuple(v.shape) for v in tensors] for tensors in (ours.values(), theirs))
    shared = sum(k.partition(".")[0] not in enlarging for k in ours)  # they come first
    if given != wanted and not _of_another_scale(given, wanted, shared, sum(k.startswith(enlarging[-1]) for k in ours)):
        pairs = zip(ours, wanted, given, strict=False)
        other = next((f"; {k} is {list(a)} here, {list(b)} there" for k, a, b in pairs if a != b), "")
        raise UsageError(f"{path}: {len(theirs)} tensors that do not fit the {len(ours)} of this network{other}")
    names = list(ours) if given == wanted else list(ours)[:shared]
    found = dict(zip(names, theirs, strict=False))
    if odd := next((k for k, v in found.items() if v.is_floating_point() != ours[k].is_floating_point()), ""):
        raise UsageError(f"{path}: {odd} is of {found[odd].dtype}, which no weight is")
    return found


def _of_another_scale(given: list[tuple[int, ...]], wanted: list[tuple[int, ...]], shared: int, last: int) -> bool:
    """Whether shapes agree in the first ``shared`` and the ``last`` tensors, with nothing but enlarging ones between.

    A convolution enlarges that has more outputs than inputs; without that, a network of more blocks would fit one of fewer.
    """
    between = [shape for shape in given[shared:-last] if len(shape) == 4]
    ends = given[:shared] == wanted[:shared] and given[-last:] == wanted[-last:]
    return ends and bool(between) and all(outputs > inputs for outputs, inputs, *_ in between)


def finite(path: Path, found: dict[str, Tensor]) -> dict[str, Tensor]:
    """``found``. Raises UsageError where values are not finite."""
    if odd := next((k for k, v in found.items() if not v.isfinite().all()), ""):
        raise UsageError(f"{path}: {odd} holds values that are not finite")
    return found


def content_hash(path: Path) -> str:
    """16 hex digits of the SHA-256 of a file's content. Raises UsageError where there is no such file."""
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    return hashing.content_hash(path)[:16]


def _line(error: Exception) -> str:
    """The first two lines of an error's message in one, at most 150 characters."""
    return " ".join(" ".join(str(error).strip().splitlines()[:2]).split())[:150] or type(error).__name__
