"""What models and conditions are called in tables and folders."""

from __future__ import annotations

import dataclasses
import re

from bench.grid.recipe import Plan, Recipe


def readable(grid: Plan) -> Plan:
    """The same plan, its labels short: of a path only the last parts, as many as tell all labels apart."""
    known = [r for m in grid.methods for r in (m, m.degradation)] + list(grid.degraded.values()) + list(grid.versions)
    texts = {*grid.conditions, *(r.label for r in known if r)}
    parts = next((n for n in range(1, 20) if len({_short(t, n) for t in texts}) == len(texts)), 0)

    def short(r: Recipe) -> Recipe:
        label, variant = _short(r.label, parts), _short(r.variant, parts)
        return dataclasses.replace(r, label=label, variant=variant, degradation=r.degradation and short(r.degradation))

    return dataclasses.replace(
        grid,
        methods=tuple(map(short, grid.methods)),
        conditions=tuple(_short(c, parts) for c in grid.conditions),
        degraded={(_short(c, parts), scale): r and short(r) for (c, scale), r in grid.degraded.items()},
        versions=tuple(map(short, grid.versions)),
    )


def _short(text: str, parts: int) -> str:
    """``m[weights=/a/b/c.pth]`` is ``m[weights=c]`` with one part, ``m[weights=b/c]`` with two; with 0 as it was."""
    if not parts:
        return text

    def tail(match: re.Match[str]) -> str:
        return re.sub(r"\.[A-Za-z]\w*$", "", "/".join(re.split(r"[\\/]", match[0])[-parts:]))

    return re.sub(r"(?<==)[^][,=+]*[\\/][^][,=+]*", tail, text)
