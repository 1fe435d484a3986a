"""Which kind a plugin class is, and what it must define itself."""

from __future__ import annotations

from typing import Any

from bench.api.metric import Metric
from bench.api.model import Degradation, Method, Model

BASES: dict[str, type] = {"methods": Method, "degradations": Degradation, "metrics": Metric}
MEMBERS = {"methods": ("infer",), "degradations": ("infer",), "metrics": ("score", "protocol")}


def kind_of(cls: type) -> str:
    """methods, degradations or metrics; empty for another class, or a base class itself."""
    return next((kind for kind, base in BASES.items() if issubclass(cls, base) and cls is not base), "")


def lacking(kind: str, target: Any) -> str:
    """The base class or the required member that a plugin class does not have; empty where it is complete."""
    base = BASES[kind]
    given = {id(getattr(c, member, None)) for c in (base, Model) for member in MEMBERS[kind]}
    for member in MEMBERS[kind]:
        defined = getattr(target, member, None)
        if not callable(defined) or id(defined) in given:
            return f"{member}()"
    if not (isinstance(target, type) and issubclass(target, base)):
        return f"the base class bench.{base.__name__}"
    return ""
