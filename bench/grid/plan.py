"""From names to the whole grid: which models to train, on what to test them, what to measure."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from bench import plugins
from bench.api.model import Method
from bench.core.files import folder_name
from bench.core.spec import Spec, parse, parse_list
from bench.errors import PluginFailed, Unavailable, UsageError
from bench.faces.faceset import Data
from bench.grid.labels import readable
from bench.grid.recipe import Lost, Plan, Recipe
from bench.grid.reopen import Added
from bench.grid.resolve import expand, measures, parameters, recipe, scale_of, takes_degradation
from bench.grid.settings import CONDITIONS, Settings


def scales(settings: Settings) -> set[int]:
    """Every scale that the named methods and degradations ask for; known before the data is read."""
    named = {"methods": expand("methods", settings.methods), "degradations": parse_list(settings.degradations)}
    found = set()
    for kind, spec in ((kind, spec) for kind, specs in named.items() for spec in specs):
        with suppress(PluginFailed):  # `make` names it
            found.add(scale_of(plugins.load(kind, spec.name), spec))
    return found or {4}


def check(settings: Settings) -> None:
    """Raises UsageError for names and options that cannot be; known before any data is read."""
    for name, low in {"devices": 1, "condition_seed": 0, "checkpoint_every": 0}.items():
        if not isinstance(value := getattr(settings, name), int) or value < low:
            raise UsageError(f"{name}={value} is not a whole number from {low} on")
    if not settings.seeds or not all(isinstance(seed, int) and seed >= 0 for seed in settings.seeds):
        raise UsageError(f"seeds={settings.seeds} are not whole numbers from 0 on")
    if settings.budget is not None and not 0 < settings.budget < math.inf:
        raise UsageError(f"budget={settings.budget} is not a length of time")
    methods = expand("methods", settings.methods)
    bases = [parse(text) for spec in methods if (text := spec.get("degradation"))]
    conditions = [spec for spec in parse_list(settings.conditions) if spec.name not in ("real", "all")]
    named = {
        "methods": methods,
        "degradations": [*parse_list(settings.degradations), *bases, *conditions],
        "metrics": [spec for spec in parse_list(settings.metrics) if spec.name != "all"],
    }
    for kind, specs in named.items():
        for spec in (spec for spec in specs if spec.name != "all"):
            with suppress(PluginFailed):  # `make` names it
                parameters(plugins.load(kind, spec.name), spec, settings.preset)


def make(settings: Settings, data: Data, more: Sequence[Added] = ()) -> Plan:
    """The whole grid, with rows that were added to the run. Raises UsageError for anything wrong, before any work.

    Where a plugin fails, what needs it is ``lost``, and the rest goes on; with nothing left, its reason is raised.
    """
    wanted = expand("degradations", settings.degradations) if settings.degradations else []
    methods: list[Recipe] = []
    lost: list[Lost] = []
    for spec in expand("methods", settings.methods):
        try:
            cls = plugins.load("methods", spec.name)
            bases = wanted if wanted and takes_degradation(cls) and not spec.get("degradation") else [None]
            seeds = settings.seeds if cls.trains() else settings.seeds[:1]
            methods += [recipe("methods", spec, settings, data, degradation=d, seed=s) for d in bases for s in seeds]
        except PluginFailed as error:
            lost.append(Lost("methods", spec, str(error)))
    if not methods:
        raise UsageError(lost[0].reason if lost else "--methods names no method")
    for row in more:
        spec = dataclasses.replace(parse(row.text), label=row.label)
        methods.append(dataclasses.replace(recipe("methods", spec, settings, data), only=row.conditions))
    methods = list({m.key + m.label: m for m in methods}.values())
    labels = Counter(m.unique for m in methods)
    if twice := next((m for m in methods if labels[m.unique] > 1), None):
        raise UsageError(f"--methods: two rows are called {twice.label}; give each a name of its own, as in NAME=SPEC")
    conditions = _conditions(settings, data)
    degraded: dict[tuple[str, int], Recipe | None] = {}
    for spec in list(conditions):
        try:
            for scale in {m.scale for m in methods}:
                real = spec.name == "real"
                degraded[str(spec), scale] = None if real else recipe("degradations", spec, settings, data, scale=scale)
        except PluginFailed as error:
            conditions.remove(spec)
            lost.append(Lost("degradations", spec, str(error)))
    if not conditions:
        raise UsageError(lost[-1].reason)
    found = tuple(measures(settings.metrics, settings.preset, lost))
    if not found and any(each.kind == "metrics" for each in lost):
        raise UsageError(lost[-1].reason)
    versions = dict.fromkeys(parse(text) for measure in found for text in measure.metric.degradations())
    grid = Plan(
        tuple(methods),
        tuple(map(str, conditions)),
        degraded,
        found,
        tuple(recipe("degradations", spec, settings, data) for spec in versions),
        lost=tuple(lost),
    )
    return _with_files(readable(grid))


def _with_files(grid: Plan) -> Plan:
    """The plan, and what the outputs of methods depend on under single conditions (files of outputs)."""
    folders = tuple(map(folder_name, grid.conditions))
    for method in grid.methods:
        cls = plugins.load("methods", method.name)
        mine = grid.conditions_of(method)
        for condition in mine if cls.restore_all is not Method.restore_all else ():
            try:
                found = cls.fingerprint_under(method.params, folder_name(condition), folders)
                grid.files[method.label, condition] = found
            except Unavailable as error:
                grid.lacking[method.label, condition] = str(error)
        if mine and all((method.label, c) in grid.lacking for c in mine):
            raise UsageError(f"{method.label}: {grid.lacking[method.label, mine[0]]}")
    return grid


def _conditions(settings: Settings, data: Data) -> list[Spec]:
    """The test conditions; the default ones leave ``real`` out where there is no real LR."""
    specs: list[Spec] = []
    for spec in parse_list(settings.conditions):
        specs += [*map(Spec, plugins.names("degradations")), Spec("real")] if spec.name == "all" else [spec]
    if Spec("real") in specs and data.lr_test is None:
        if settings.conditions not in (",".join(CONDITIONS), "all"):
            raise UsageError("--conditions real: there are no real LR faces; give them with --lr")
        specs.remove(Spec("real"))
    if not specs:
        raise UsageError("--conditions names no condition")
    if scaled := next((s for s in specs if s.get("scale")), None):
        raise UsageError(f"--conditions {scaled}: a condition has the scale of the method; leave scale out")
    return list(dict.fromkeys(specs))
