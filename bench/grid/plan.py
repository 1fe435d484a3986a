"""From names to the whole grid: which models to train, on what to test them, what to measure."""

from __future__ import annotations

from bench import plugins
from bench.core.spec import Spec, parse, parse_list
from bench.errors import UsageError
from bench.faces.faceset import Data
from bench.grid.labels import readable
from bench.grid.recipe import Plan, Recipe
from bench.grid.resolve import expand, measures, recipe, scale_of
from bench.grid.settings import CONDITIONS, Settings


def scales(settings: Settings) -> set[int]:
    """Every scale that the named methods and degradations ask for; known before the data is read."""
    named = {"methods": expand("methods", settings.methods), "degradations": parse_list(settings.degradations)}
    found = {scale_of(plugins.load(kind, spec.name), spec) for kind, specs in named.items() for spec in specs}
    return found or {4}


def make(settings: Settings, data: Data) -> Plan:
    """The whole grid. Raises UsageError for anything wrong with the names, before any work."""
    wanted = expand("degradations", settings.degradations) if settings.degradations else []
    methods: list[Recipe] = []
    for spec in expand("methods", settings.methods):
        if wanted and plugins.load("methods", spec.name).trains() and not spec.get("degradation"):
            methods += [recipe("methods", spec, settings, data, degradation=d) for d in wanted]
        else:
            methods.append(recipe("methods", spec, settings, data))
    if not methods:
        raise UsageError("--methods names no method")
    conditions = _conditions(settings, data)
    degraded: dict[tuple[str, int], Recipe | None] = {}
    for scale in {m.scale for m in methods}:
        for spec in conditions:
            real = spec.name == "real"
            degraded[str(spec), scale] = None if real else recipe("degradations", spec, settings, data, scale=scale)
    found = tuple(measures(settings.metrics, settings.preset))
    versions = dict.fromkeys(parse(text) for measure in found for text in measure.metric.degradations())
    grid = Plan(
        tuple({m.key + m.label: m for m in methods}.values()),
        tuple(map(str, conditions)),
        degraded,
        found,
        tuple(recipe("degradations", spec, settings, data) for spec in versions),
    )
    return readable(grid)


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
