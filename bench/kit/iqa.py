"""Any of pyiqa's metrics by name, as ``pyiqa.create_metric`` builds it, on files of the local store and without a network.

pyiqa's networks ask for their files in five ways, while they are built: its own download, torch's hub (torchvision and timm too),
CLIP's, facexlib's and Hugging Face's. Each is answered from the store, so which files a metric needs is what it asks for.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import logging
import os
import socket
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

import torch
from torch import nn

from bench import weights
from bench.core.files import write_json
from bench.core.hashing import version
from bench.errors import BenchError, MissingWeights, StoreError, Unavailable, Unreachable, UsageError
from bench.kit.offline import standing_in
from bench.weights.download import asked
from bench.weights.manifest import Weights
from bench.weights.pyiqa import PREFIX, configuration

HUB = "hub"  # folder of the store in the layout of Hugging Face's cache, for models of many files


def create(name: str, device: torch.device | str = "cpu", get: Callable[[Weights], Any] | None = None) -> nn.Module:
    """``pyiqa.create_metric(name)``: (B, 3, H, W) in [0, 1], and the ground truth where it takes one, -> (B,) or (B, 1).

    ``get`` fetches a file that the store lacks; without it nothing is fetched. Raises MissingWeights, UsageError.
    """
    configuration(name)
    from pyiqa.models.inference_model import InferenceModel

    backbones = online = (
        False  # most checkpoints hold the backbone too, which timm would fetch beside; most need no hub
    )
    while True:
        try:
            asked = asked_for(name, get, backbones, online)
            with pkg_resources(), asked as files, contextlib.redirect_stdout(io.StringIO()):
                model = InferenceModel(name, device=torch.device(device))
        except MissingModel:
            if get is None or online:
                raise
            reach_hub()
            online = True
            continue
        if backbones or not any(t.is_floating_point() and t.isnan().any() for t in model.state_dict().values()):
            break
        backbones = True
    remember(name, files)
    return model.eval().requires_grad_(False)


def files_of(name: str) -> tuple[str, ...]:
    """The files that a metric asks for, as ``bench.weights`` names them. Raises MissingWeights where one is not here."""
    if name not in remembered():
        create(name)
    return tuple(PREFIX + file for file in remembered()[name])


_built: dict[Path, dict[str, list[str]]] = {}  # by file of ``remembered``


def remembered() -> dict[str, list[str]]:
    """Metric -> its files below the store, of metrics that were built before; kept there, by pyiqa's version."""
    file = weights.store() / f"pyiqa-{version('pyiqa')}.json"
    if file not in _built:
        _built[file] = {}
        with contextlib.suppress(OSError, ValueError):
            _built[file] = json.loads(file.read_text(encoding="utf-8"))
    return _built[file]


def remember(name: str, files: list[str]) -> None:
    known, found = remembered(), sorted(set(files))
    if known.get(name) != found:
        known[name] = found
        with contextlib.suppress(OSError, StoreError):  # a store that cannot be written
            weights.store().mkdir(parents=True, exist_ok=True)
            write_json(weights.store() / f"pyiqa-{version('pyiqa')}.json", known)


@contextlib.contextmanager
def asked_for(name: str, get: Callable[[Weights], Any] | None, backbones: bool, online: bool) -> Iterator[list[str]]:
    """What libraries ask for inside comes from the store, or through ``get``; the list grows by each file's name there."""
    import clip.clip
    import huggingface_hub.constants
    import huggingface_hub.file_download as hub
    import timm.models._builder as builder
    import transformers.utils.hub
    from facexlib.utils import misc
    from pyiqa.archs import afineclip_model, clip_model
    from pyiqa.utils import download_util

    files: list[str] = []
    lacking: list[str] = []  # models of many files that the store has not

    def file_at(url: str) -> Path:
        wanted = weights.by_address(unquote(os.path.basename(urlsplit(url).path)), url)
        place = weights.store() / wanted.file
        if not place.is_file():
            if get is None:
                raise MissingWeights(
                    f"{wanted.file} of pyiqa's {name} is not here; get it with: bench weights fetch {PREFIX}{name}"
                )
            get(wanted)
        weights.check(wanted, place)
        files.append(wanted.file)
        return place

    def download(url: str, target: str, *_: Any, **__: Any) -> None:
        os.symlink(file_at(url).resolve(), target)

    to_cache = hub._hf_hub_download_to_cache_dir

    def from_hub(**given: Any) -> Any:
        try:
            found = to_cache(**given)
        except Exception:
            lacking.append(given["repo_id"])
            raise
        files.append(str(Path(str(found)).relative_to(weights.store())))
        return found

    in_cache = transformers.utils.hub.try_to_load_from_cache

    def from_cache(*given: Any, **options: Any) -> Any:
        found = in_cache(*given, **options)
        if isinstance(found, str):
            files.append(str(Path(found).relative_to(weights.store())))
        return found

    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory() as cache:
        exchanges: list[tuple[Any, str, Any]] = [
            (torch.hub, "_hub_dir", cache), (torch.hub, "download_url_to_file", download),
            (download_util, "DEFAULT_CACHE_DIR", cache), (download_util, "download_url_to_file", download),
            (misc, "ROOT_DIR", cache), (misc, "download_url_to_file", download),
            *((clips, "_download", lambda url, *_: str(file_at(url))) for clips in (clip_model, afineclip_model, clip.clip)),
            (huggingface_hub.constants, "HF_HUB_CACHE", str(weights.store() / HUB)),
            (hub, "_hf_hub_download_to_cache_dir", from_hub), (transformers.utils.hub, "try_to_load_from_cache", from_cache),
        ]  # fmt: skip
        if not backbones:
            exchanges.append((builder, "load_pretrained", mark))
        if not online:
            exchanges.append((huggingface_hub.constants, "HF_HUB_OFFLINE", True))
            stack.enter_context(no_network())
        for module, attribute, value in exchanges:
            stack.enter_context(standing_in(module, attribute, value))
        stack.enter_context(quiet("transformers", "timm", "huggingface_hub"))
        try:
            yield files
        except BenchError:
            raise
        except ModuleNotFoundError as error:
            raise Unavailable(f"pyiqa's {name} needs a package that is not here: pip install {error.name}") from error
        except Exception as error:
            if not lacking:
                raise
            what = f"{lacking[0]} (Hugging Face) of pyiqa's {name}"
            if online:
                raise UsageError(f"{what} cannot be fetched: {str(error).strip().partition(chr(10))[0]}") from error
            raise MissingModel(
                f"{what} is not here; get it with: bench weights fetch {PREFIX}{name}; or where it was fetched before: "
                f"bench weights add models--{lacking[0].replace('/', '--')} (its folder in Hugging Face's cache)"
            ) from error


class MissingModel(MissingWeights):
    """A model of many files, of Hugging Face's hub, is absent."""


def reach_hub() -> None:
    """One quick try: the hub's own client tries for half a minute. Raises Unreachable."""
    from huggingface_hub.constants import ENDPOINT

    try:
        asked(urllib.request.Request(ENDPOINT, method="HEAD")).close()
    except urllib.error.HTTPError:
        return  # it answers
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise Unreachable(f"{ENDPOINT}: cannot be reached ({reason}); fetch it on a machine with internet, then take "
                          "its folder of Hugging Face's cache, models--...: bench weights add FOLDER") from None  # fmt: skip


@contextlib.contextmanager
def pkg_resources() -> Iterator[None]:
    """CLIP's package imports ``packaging`` from a module that setuptools has no more (from 81 on): here that alone."""
    name = "pkg_resources"
    if name in sys.modules or importlib.util.find_spec(name) is not None:
        yield
        return
    import packaging.version

    module = sys.modules[name] = ModuleType(name)
    module.packaging = packaging  # type: ignore[attr-defined]
    try:
        yield
    finally:
        del sys.modules[name]  # others would take it for the whole


def mark(model: nn.Module, *_: Any, **__: Any) -> None:
    """In place of a backbone's own weights: NaN, which a checkpoint that holds the backbone replaces."""
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.fill_(float("nan"))


@contextlib.contextmanager
def no_network() -> Iterator[None]:
    """Connections that this thread asks for are refused at once."""
    mine, look_up = threading.get_ident(), socket.getaddrinfo

    def refuse(*given: Any, **options: Any) -> Any:
        if threading.get_ident() == mine:
            raise OSError("no network here: nothing downloads unasked")
        return look_up(*given, **options)

    with standing_in(socket, "getaddrinfo", refuse):
        yield


@contextlib.contextmanager
def quiet(*names: str) -> Iterator[None]:
    """These loggers say errors alone."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
