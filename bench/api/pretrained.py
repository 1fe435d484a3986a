"""Which pretrained files a plugin needs with its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def needed(pretrained: Mapping[str, str], params: Any) -> tuple[str, ...]:
    """The files of ``pretrained`` (name -> "option=value", or "" for always) that these parameters ask for."""

    def asked(option: str) -> bool:
        key, _, value = option.partition("=")
        return not option or str(getattr(params, key)) == value

    return tuple(name for name, option in pretrained.items() if asked(option))
