"""``bench info``: paper, parameters, variants and size of a plugin."""

from __future__ import annotations

import dataclasses
import inspect
import json
import typing
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench import plugins
from bench.api.model import Model
from bench.commands.models import find
from bench.core.spec import describe as type_in_words
from bench.core.spec import parse
from bench.errors import BenchError
from bench.grid import resolve


def command(name: str, preset: str, as_json: bool, **_: object) -> int:
    """Print what is known about a plugin."""
    found = facts(name, preset)
    print(json.dumps(found, indent=1, default=str) if as_json else in_words(found))
    return 0


def facts(text: str, preset: str) -> dict[str, Any]:
    """What is known about a plugin: name first, then kind, summary, paper, parameters, variants and size."""
    spec = parse(text)
    kind, cls = find(spec.name)
    params = resolve.parameters(cls, spec, preset)
    found: dict[str, Any] = {
        "name": spec.name,
        "kind": kind[:-1],
        "summary": plugins.entry(kind, spec.name).summary,
        "paper": cls.paper,
        "doc": inspect.getdoc(cls) or "",
        "parameters": described(params),
        "variants": cls.variants,
        "quick": cls.quick,
    }
    if kind == "metrics":
        metric = cls(params)
        return {
            **found,
            "direction": metric.direction,
            "needs": list(metric.needs),
            **weights_of(metric),
        }
    scale = resolve.scale_of(cls, spec)
    found |= {
        "scale": scale,
        "scales": list(cls.scales_for(params)),
        "trains": cls.trains(),
        "parameter_count": None,
        "multiply_adds": None,
    }
    try:
        model = resolve.untrained(cls, spec, preset).eval()
        if kind == "methods" and "parameters" not in cls.offers:
            return {**found, "note": "what it costs is not known: the network is not in the harness's hands"}
        found["parameter_count"] = model.parameter_count()
        found["multiply_adds"] = multiply_adds(model, kind)
    except BenchError as error:  # needs a file that was not given
        found["note"] = str(error)
    return found


def weights_of(metric: Any) -> dict[str, Any]:
    """The files that it needs; where they are not known before they are here, the command that gets them."""
    try:
        return {"weights": list(metric.required_weights())}
    except BenchError as error:
        return {"weights": [], "note": str(error)}


def described(params: Any, prefix: str = "") -> list[dict[str, Any]]:
    """Name, default and type of each parameter; those of a nested group with dotted names, as they are overridden."""
    hints, found = typing.get_type_hints(type(params)), []
    for field in dataclasses.fields(params):
        value, name = getattr(params, field.name), prefix + field.name
        if dataclasses.is_dataclass(value):
            found += described(value, f"{name}.")
        else:
            found.append({"name": name, "default": value, "type": type_in_words(hints[field.name])})
    return found


def multiply_adds(model: Model, kind: str) -> int:
    """Multiply-adds of one 64x64 face (from or to 64 px), counted by torch."""
    side = 64 if kind == "degradations" else 64 // model.scale
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model.infer(torch.rand(1, 3, side, side))
    return counter.get_total_flops() // 2


def in_words(found: dict[str, Any]) -> str:
    """``info`` for a person."""
    lines = [f"{found['name']} ({found['kind']}): {found['summary']}"]
    if found["paper"]:
        lines.append(found["paper"])
    if found["doc"]:
        lines += ["", found["doc"]]
    if found.get("multiply_adds") is not None:
        lines += ["", f"parameter_count  {found['parameter_count']:,} ({found['parameter_count'] / 1e6:.2f} M)"]
        lines.append(f"multiply_adds    {found['multiply_adds']:,} for a 64x64 face at x{found['scale']}")
    if "scales" in found:
        lines.append(f"scale            {found['scale']} of {', '.join(map(str, found['scales']))}")
    if "note" in found:
        lines.append(f"note             {found['note']}")
    if found.get("weights"):
        lines.append(f"weights          {', '.join(found['weights'])}")
    if found["parameters"]:
        lines += ["", "parameters:"]
        width = max(len(p["name"]) for p in found["parameters"])
        lines += [f"  {p['name']:<{width}}  {p['default']!s:<12} {p['type']}" for p in found["parameters"]]
    for title in ("variants", "quick"):
        if found[title]:
            lines += ["", f"{title}:" if title == "variants" else "quick preset:"]
            rows = found[title].items() if title == "variants" else [("", found[title])]
            lines += [
                f"  {name + '  ' if name else ''}{', '.join(f'{k}={v}' for k, v in o.items())}" for name, o in rows
            ]
    return "\n".join(lines)
