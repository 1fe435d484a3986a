"""What plugins say of themselves; of metrics whose plugin is not loaded here, what the runs' records kept of it."""

from __future__ import annotations

from typing import Any

from bench import plugins

_kept: dict[str, dict[str, Any]] = {}


def keep(records: list[dict[str, Any]]) -> None:
    """Know, from now on, the metrics of these runs."""
    _kept.clear()
    for record in records:
        found = record.get("metric_facts")
        _kept.update({k: v for k, v in found.items() if isinstance(v, dict)} if isinstance(found, dict) else {})


def facts(kind: str, name: str) -> dict[str, Any]:
    """The class attributes of a plugin; nothing for a name that neither a plugin nor a record knows."""
    return plugins.facts(kind, name) or (_kept.get(name, {}) if kind == "metrics" else {})
