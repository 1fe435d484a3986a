"""Build a library's network without its download: the one place where a library's own name is exchanged for a while.

pyiqa, lpips, pytorch-fid and torchvision fetch weights while they construct a network, with no option to leave that out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


@contextmanager
def standing_in(module: ModuleType, name: str, value: Any) -> Iterator[None]:
    """``module.name`` is ``value`` inside the context, for one thread at a time."""
    kept = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, kept)
