"""From names to cells: which models to train, on what to test them, what to measure, and the hash of each."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import plugins
from .config import CONDITIONS, PRESETS, Settings
from .data import Data
from .errors import UsageError
from .metric import Metric
from .model import Model
from .spec import Spec, nearest, override, parse, parse_list
from .store import key_of, source_hash, version

CORE = Path(__file__).parent
RESERVED = ("variant", "degradation", "scale")  # options of every model that are not its Params


@dataclass(frozen=True)
class Recipe:
    """How a model is made; picklable, and complete: the same recipe gives the same model.

    ``label`` names it in folders and tables. ``degradation``: what a method trains on. ``key``: the hash of the trained
    (or untrained) model, of everything it depends on.
    """

    kind: str  # methods or degradations
    name: str
    label: str
    variant: str  # options other than the degradation, as written
    params: Any
    scale: int
    hr_size: int
    degradation: Recipe | None
    trains: bool
    key: str
    plugin_files: tuple[str, ...] = ()

    def build(self) -> Model:
        """A new model, untrained, on the CPU."""
        plugins.use(*self.plugin_files)
        degradation = self.degradation.build() if self.degradation else None
        return plugins.load(self.kind, self.name)(
            self.params, scale=self.scale, hr_size=self.hr_size, degradation=degradation
        )

    def __getstate__(self) -> dict[str, Any]:
        """For other processes: the parameters as plain values, since a local plugin's classes do not unpickle."""
        return {**vars(self), "params": dataclasses.asdict(self.params)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        plugins.use(*state["plugin_files"])
        blank = plugins.load(state["kind"], state["name"]).Params()
        vars(self).update({**state, "params": override(blank, state["params"], state["name"])})

    @property
    def folder(self) -> str:
        """The label as a folder's name."""
        return self.label.replace("/", "_")


@dataclass(frozen=True)
class Measure:
    """A metric with its parameters. ``asked``: named with --metrics, so its absence counts as a failure."""

    label: str
    metric: Metric
    key: str
    asked: bool


@dataclass(frozen=True)
class Plan:
    methods: tuple[Recipe, ...]
    conditions: tuple[str, ...]
    degraded: dict[tuple[str, int], Recipe | None]  # by condition and scale; None: the real LR
    measures: tuple[Measure, ...]
    versions: tuple[Recipe, ...] = ()  # degradations that metrics make versions of faces with

    @property
    def trained(self) -> list[Recipe]:
        """Models to train, degradations before the methods that need them."""
        found: dict[str, Recipe] = {}
        for recipe in (*(r for m in self.methods for r in (m.degradation, m)), *self.degraded.values(), *self.versions):
            if recipe and recipe.trains:
                found.setdefault(recipe.key, recipe)
        return list(found.values())


def scales(settings: Settings) -> set[int]:
    """Every scale that the named methods and degradations ask for; known before the data is read."""
    specs = [*_expand("methods", settings.methods, settings.preset), *_degradations(settings)]
    found = set()
    for kind, spec in specs:
        cls = plugins.load(kind, spec.name)
        found.add(_scale(cls, spec, _variant(cls, spec)))
    return found or {4}


def _degradations(settings: Settings) -> list[tuple[str, Spec]]:
    return [("degradations", s) for s in parse_list(settings.degradations)]


def _expand(kind: str, text: str, preset: str) -> list[tuple[str, Spec]]:
    """Names as typed; ``all`` is every plugin that runs without options, ``variant=all`` every variant."""
    specs: list[Spec] = []
    for spec in parse_list(text):
        if spec.name == "all":
            specs += [Spec(n) for n in plugins.names(kind) if plugins.load(kind, n).in_all]
        elif spec.get("variant") == "all":
            rest = spec.without("variant")
            variants = plugins.load(kind, spec.name).variants
            specs += [Spec(spec.name, tuple(sorted([*rest.options, ("variant", v)]))) for v in variants] or [rest]
        else:
            specs.append(spec)
    return [(kind, s) for s in dict.fromkeys(specs)]


def _variant(cls: Any, spec: Spec) -> dict[str, Any]:
    name = spec.get("variant")
    if name and name not in cls.variants:
        raise UsageError(f"{spec.name}: no variant {name!r}{nearest(name, cls.variants)}")
    return dict(cls.variants[name]) if name else {}


def _scale(cls: Any, spec: Spec, variant: dict[str, Any]) -> int:
    known = cls.scales_for(parameters(cls, spec, ""))
    text = str(spec.get("scale") or variant.get("scale") or known[0])
    if text not in map(str, known):
        raise UsageError(f"{spec.name}: scale {text} is not one of {', '.join(map(str, known))}")
    return int(text)


def parameters(cls: Any, spec: Spec, preset: str) -> Any:
    """A plugin's parameters: its defaults (the paper's), then the variant, then the preset, then the brackets."""
    reserved = [name for name in RESERVED if name not in {f.name for f in dataclasses.fields(cls.Params)}]
    variant = {k: v for k, v in _variant(cls, spec).items() if k not in reserved}
    params = override(cls.Params(), variant, f"{spec.name}, variant {spec.get('variant')}")
    if preset == "quick":
        params = override(params, cls.quick, f"{spec.name}, quick preset")
    return override(params, dict(spec.without(*reserved).options), spec.name)


def recipe(
    kind: str,
    spec: Spec,
    settings: Settings,
    data: Data,
    *,
    degradation: Spec | None = None,
    scale: int | None = None,
) -> Recipe:
    """Resolve a name with options. ``degradation``: what a method trains on, unless its brackets say."""
    if settings.preset not in PRESETS:
        raise UsageError(f"--preset {settings.preset}{nearest(settings.preset, PRESETS)}")
    cls = plugins.load(kind, spec.name)
    variant = _variant(cls, spec)
    params = parameters(cls, spec, settings.preset)
    scale = scale or _scale(cls, spec, variant)
    base, trains = None, cls.trains()
    if kind == "methods" and trains:
        given = spec.get("degradation") or (str(degradation) if degradation else "")
        base_spec = parse(given or variant.get("degradation") or cls.default_degradation)
        base = recipe("degradations", base_spec, settings, data, scale=scale)
    elif spec.get("degradation"):
        raise UsageError(f"{spec.name} is not trained, so it takes no degradation")
    hr_size = data.hr_train.size
    if trains and "lr_real" in cls.needs_for(params) and data.lr_train is None:
        raise UsageError(f"{spec.name} learns from real LR faces; give them with --lr")
    if hr_size % scale:
        hr_size -= hr_size % scale
    path = plugins.source_file(kind, spec.name)
    depends: list[Any] = [kind, spec.name, dataclasses.asdict(params), scale, source_hash(path) if path else ""]
    depends.append(cls.fingerprint(params, scale))
    if trains:
        core = [source_hash(CORE / f"{module}.py") for module in ("train", "model", "data")]
        depends += [
            hr_size,
            data.train_fingerprint,
            settings.seed,
            settings.budget,
            settings.precision,
            settings.device,
        ]
        depends += [settings.devices, settings.compile, version("torch"), core, base.key if base else None]
    rest = spec.without("degradation")
    words = [v if k == "variant" else f"{k}={v}" for k, v in rest.options]
    label = str(rest)
    if base and str(parse(cls.default_degradation)) != base.label:
        label = str(Spec(spec.name, tuple(sorted([*rest.options, ("degradation", base.label)]))))
    return Recipe(
        kind, spec.name, label, ",".join(words), params, scale, hr_size, base, trains, key_of(*depends),
        tuple(plugins.local_files()),
    )  # fmt: skip


def make(settings: Settings, data: Data) -> Plan:
    """The whole grid. Raises UsageError for anything wrong with the names, before any work."""
    methods: list[Recipe] = []
    for _, spec in _expand("methods", settings.methods, settings.preset):
        wanted = _expand("degradations", settings.degradations, settings.preset) if settings.degradations else []
        trained = plugins.load("methods", spec.name).trains()
        if wanted and trained and not spec.get("degradation"):
            methods += [recipe("methods", spec, settings, data, degradation=d) for _, d in wanted]
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
    grid = Plan(
        tuple({m.key + m.label: m for m in methods}.values()),
        tuple(map(str, conditions)),
        degraded,
        (found := tuple(measures(settings.metrics, settings.preset))),
        tuple(recipe("degradations", s, settings, data) for s in dict.fromkeys(_versions(found))),
    )
    return readable(grid)


def _versions(found: tuple[Measure, ...]) -> list[Spec]:
    return [parse(text) for measure in found for text in measure.metric.degradations()]


def readable(grid: Plan) -> Plan:
    """The same plan, its labels short: of a path only the last parts, as many as tell all labels apart."""
    known = [r for m in grid.methods for r in (m, m.degradation)] + list(grid.degraded.values()) + list(grid.versions)
    texts = {*grid.conditions, *(r.label for r in known if r)}
    parts = next((n for n in range(1, 20) if len({_short(t, n) for t in texts}) == len(texts)), 0)

    def short(r: Recipe) -> Recipe:
        label, variant = _short(r.label, parts), _short(r.variant, parts)
        return dataclasses.replace(r, label=label, variant=variant, degradation=r.degradation and short(r.degradation))

    return Plan(
        tuple(map(short, grid.methods)),
        tuple(_short(c, parts) for c in grid.conditions),
        {(_short(c, parts), scale): r and short(r) for (c, scale), r in grid.degraded.items()},
        grid.measures,
        tuple(map(short, grid.versions)),
    )


def _short(text: str, parts: int) -> str:
    """``m[weights=/a/b/c.pth]`` is ``m[weights=c]`` with one part, ``m[weights=b/c]`` with two; with 0 as it was."""
    if not parts:
        return text

    def tail(match: re.Match[str]) -> str:
        return re.sub(r"\.[A-Za-z]\w*$", "", "/".join(re.split(r"[\\/]", match[0])[-parts:]))

    return re.sub(r"(?<==)[^][,=+]*[\\/][^][,=+]*", tail, text)


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


def measures(text: str, preset: str) -> list[Measure]:
    """The metrics named, ``all`` of them, or the default ones."""
    found = []
    if text and text != "all":
        specs = [(s, True) for s in parse_list(text)]
    else:
        specs = [(Spec(n), text == "all") for n in plugins.names("metrics")]
    for spec, asked in specs:
        cls = plugins.load("metrics", spec.name)
        if not text and not cls.default:
            continue
        metric = cls(parameters(cls, spec, preset))
        path = plugins.source_file("metrics", spec.name)
        key = key_of(spec.name, dataclasses.asdict(metric.params), source_hash(path) if path else "")
        found.append(Measure(str(spec), metric, key, asked))
    return found
