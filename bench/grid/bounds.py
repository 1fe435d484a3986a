"""The least and the most that options may be: by what their names mean everywhere, and by what a plugin's class says."""

from __future__ import annotations

import re
from typing import Any

from bench.errors import UsageError

Bound = tuple[float | None, float | None]  # least, most; None: no bound
# Names that mean the same in every plugin.
NAMES: dict[str, Bound] = {
    r"batch|widths?|\w+_width|growth|tile|patch|critic_updates|decay_every|versions|faces|per_image|directions|smallest": (
        1,
        None,
    ),
    r"(\w+_)?(steps|lr|warm)|blocks|overlap|border|penalty|adversarial|pixel|feature|cycle|identity|timeout": (0, None),
    r"(\w+_)?halve|falls?|fade": (0, 1),
    r"augment\.(zoom|jitter)": (0, 0.99),
    r"augment\.rotate": (0, 180),
}


def check(cls: Any, params: Any, owner: str) -> None:
    """Raises UsageError for a number outside its bounds, also one in a tuple or in a dataclass (``a.b``).

    Numbers of bench's own plugins are 0 or more where nothing else is said.
    """
    usual: Bound = (0 if cls.__module__.startswith("bench.") else None, None)
    for name, value in _numbers(params):
        low, high = cls.bounds.get(name) or next((b for p, b in NAMES.items() if re.fullmatch(p, name)), usual)
        if (low is not None and value < low) or (high is not None and value > high):
            span = f"{low} or more" if high is None else f"{high} or less" if low is None else f"from {low} to {high}"
            raise UsageError(f"{owner}: {name}={value} is not {span}")


def _numbers(params: Any, before: str = "") -> list[tuple[str, float]]:
    """Every number among options, with its name."""
    found: list[tuple[str, float]] = []
    for name, value in vars(params).items():
        if isinstance(value, tuple):
            found += [(before + name, v) for v in value if isinstance(v, int | float)]
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append((before + name, value))
        elif hasattr(value, "__dataclass_fields__"):
            found += _numbers(value, f"{before}{name}.")
    return found
