"""From a name with options to a model's recipe or a metric: the only code on presets, variants and brackets."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from torch import nn

from bench import plugins, weights
from bench.api.model import Method, Model
from bench.api.pretrained import needed
from bench.core.hashing import key_of, values, version
from bench.core.spec import Spec, nearest, override, parse, parse_list
from bench.core.trail import step
from bench.errors import BenchError, MissingWeights, PluginFailed, UsageError
from bench.faces.faceset import Data
from bench.grid import bounds
from bench.grid.failures import outcome
from bench.grid.recipe import Lost, Measure, Recipe
from bench.grid.settings import PRESETS, Settings
from bench.grid.versions import INFERENCE, LOOP, SCORES

RESERVED = ("variant", "degradation", "scale")  # options of every model that are not its Params
# Members of a model that its training starts from; what they reach counts too.
TRAINING = frozenset({"build", "prepare", "stages", "degrade", *(n for n in vars(nn.Module) if not n.startswith("__"))})


def expand(kind: str, text: str) -> list[Spec]:
    """Names as typed; ``all`` is every plugin that runs without options, ``variant=all`` every variant.

    Of all methods are files too that cannot be imported: what they hold is not known, but that it is missing.
    """
    unknown = list(plugins.catalogue().broken) if kind == "methods" else []
    specs: list[Spec] = []
    for spec in parse_list(text, named=kind == "methods"):
        if spec.name == "all":
            specs += [Spec(n) for n in [*plugins.names(kind), *unknown] if _in_all(kind, n)]
        elif spec.get("variant") == "all":
            rest = spec.without("variant")
            specs += [rest.adding(variant=v) for v in plugins.load(kind, spec.name).variants] or [rest]
        else:
            specs.append(spec)
    return list(dict.fromkeys(specs))


def _in_all(kind: str, name: str) -> bool:
    """Whether a plugin runs without options; one that cannot be imported counts, so that it is named."""
    try:
        return bool(plugins.load(kind, name).in_all)
    except PluginFailed:
        return True


def variant_of(cls: Any, spec: Spec) -> dict[str, Any]:
    """The options that the variant in brackets stands for. Raises UsageError for an unknown one."""
    name = spec.get("variant")
    if name and name not in cls.variants:
        raise UsageError(f"{spec.name}: no variant {name!r}{nearest(name, cls.variants)}")
    return dict(cls.variants[name]) if name else {}


def told(function: Any) -> Any:
    """What a plugin raises while it is asked about itself is one line that names it and the place: PluginFailed."""

    @functools.wraps(function)
    def asked(*given: Any, **more: Any) -> Any:
        spec = next(value for value in given if isinstance(value, Spec))
        try:
            with step(f"{spec.name} while it is planned"):
                return function(*given, **more)
        except BenchError:
            raise
        except (Exception, SystemExit) as error:
            raise PluginFailed(f"{spec.name}: {outcome(error, spec.name)[1]}") from error

    return asked


@told
def parameters(cls: Any, spec: Spec, preset: str) -> Any:
    """A plugin's parameters: its defaults (the paper's), then the preset, then the variant, then the brackets.

    What defines a variant survives every preset. Of its ``lengths`` alone (steps, epochs) the preset has the last word,
    unless the variant does without: 0.
    """
    reserved = [name for name in RESERVED if name not in {f.name for f in dataclasses.fields(cls.Params)}]
    quick = cls.quick if preset == "quick" else {}
    shortened = set(quick) & set(getattr(cls, "lengths", ()))
    variant = {k: v for k, v in variant_of(cls, spec).items() if k not in reserved and (k not in shortened or v == 0)}
    params = override(cls.Params(), quick, f"{spec.name}, {preset} preset")
    params = override(params, variant, f"{spec.name}, variant {spec.get('variant')}")
    params = override(params, dict(spec.without(*reserved).options), spec.name)
    bounds.check(cls, params, spec.name)
    return params


def takes_degradation(method: type[Method]) -> bool:
    """Whether a degradation makes the LR that the method is trained on."""
    return method.trains() and bool(method.default_degradation)


@told
def scale_of(cls: Any, spec: Spec) -> int:
    """The scale that the brackets, the variant or the plugin say. Raises UsageError for one that it has not."""
    known = cls.scales_for(parameters(cls, spec, ""))
    text = str(spec.get("scale") or variant_of(cls, spec).get("scale") or known[0])
    if text not in map(str, known):
        raise UsageError(f"{spec.name}: scale {text} is not one of {', '.join(map(str, known))}")
    return int(text)


def untrained(cls: Any, spec: Spec, preset: str, degradation: Model | None = None) -> Model:
    """A model with these options, without data or weights, on the CPU."""
    return cls(parameters(cls, spec, preset), scale=scale_of(cls, spec), degradation=degradation)


def from_saved(cls: Any, spec: Spec, saved: dict[str, Any]) -> Model:
    """A model with the parameters that a file of weights holds; the brackets change what they name."""
    params = override(cls.Params(), saved["params"], spec.name)
    params = override(params, dict(spec.without(*RESERVED).options), spec.name)
    return cls(params, scale=saved["scale"], hr_size=saved["hr_size"])


@told
def recipe(
    kind: str,
    spec: Spec,
    settings: Settings,
    data: Data,
    *,
    degradation: Spec | None = None,
    scale: int | None = None,
    seed: int | None = None,
) -> Recipe:
    """Resolve a model's name with options. ``degradation``: what a method trains on, unless its brackets say.

    ``seed``: of training; without one, the first of the run.
    """
    if settings.preset not in PRESETS:
        raise UsageError(f"--preset {settings.preset}{nearest(settings.preset, PRESETS)}")
    cls = plugins.load(kind, spec.name)
    seed = settings.seeds[0] if seed is None else seed
    params = parameters(cls, spec, settings.preset)
    scale = scale or scale_of(cls, spec)
    base, trains = None, cls.trains()
    if kind == "methods" and takes_degradation(cls):
        given = spec.get("degradation") or (str(degradation) if degradation else "")
        base_spec = parse(given or variant_of(cls, spec).get("degradation") or cls.default_degradation)
        base = recipe("degradations", base_spec, settings, data, scale=scale, seed=seed)
    elif spec.get("degradation"):
        why = "learns from real LR alone" if trains else "is not trained"
        raise UsageError(f"{spec.name} {why}, so it takes no degradation")
    hr_size = data.hr_train.size
    if trains and "lr_real" in cls.needs_for(params) and data.lr_train is None:
        raise UsageError(f"{spec.name} learns from real LR faces; give them with --lr")
    if hr_size % scale:
        hr_size -= hr_size % scale
    depends = of_model(kind, spec.name, cls, params, scale)
    training: dict[str, Any] = {}
    if trains:
        training = of_training(kind, spec.name, cls, params, scale) | {
            "size of the training faces": hr_size, "training faces": data.train_fingerprint, "seed": seed,
            "budget": settings.budget, "precision": settings.precision, "device": settings.device,
            "number of devices": settings.devices, "compile": settings.compile,
            "degradation": base.key if base else "", "version of the training loop": LOOP,
        }  # fmt: skip
        depends = {**depends, "training": key_of(training)}
    rest = spec.without("degradation")
    words = [v if k == "variant" else f"{k}={v}" for k, v in rest.options] if not spec.label else []
    called = Spec(spec.label) if spec.label else rest
    if base and str(parse(cls.default_degradation)) != base.label:
        called = called.adding(degradation=base.label)
    return Recipe(
        kind, spec.name, str(called), ",".join(words), params, scale, hr_size, base, trains, key_of(depends),
        tuple(plugins.local_files()), key_of(training) if trains else "", training, depends, spec.label,
        seed=seed if trains else settings.seeds[0], several=trains and len(settings.seeds) > 1,
    )  # fmt: skip


def of_model(kind: str, name: str, cls: Any, params: Any, scale: int) -> dict[str, Any]:
    """What the outputs of a model depend on beside its weights, by name."""
    code = plugins.source(kind, name).hashes()
    return {
        "name": f"{kind} {name}", "scale": scale, **{f"option {k}": v for k, v in values(params).items()},
        **{f"code in {file}": found for file, found in code.items()}, "files": cls.fingerprint(params, scale),
        **{package: version(package) for package in ("torch", *cls.libraries)}, "version of inference": INFERENCE,
    }  # fmt: skip


def of_training(kind: str, name: str, cls: Any, params: Any, scale: int) -> dict[str, Any]:
    """What its weights depend on beside data and settings: without what only inference reads."""
    code = plugins.source(kind, name, TRAINING)
    pretrained = needed(cls.pretrained, params)
    asked = {option.partition("=")[0] for option in cls.pretrained.values()}
    read = {k: v for k, v in values(params).items()
            if k not in cls.idle and (code.whole or k in code.attributes or k in asked)}  # fmt: skip
    return {
        "name": f"{kind} {name}", "scale": scale, **{f"option {k}": v for k, v in read.items()},
        **{f"code in {file}": found for file, found in code.hashes().items()}, "files": cls.fingerprint(params, scale),
        "pretrained weights": [_present(weight) for weight in pretrained],
        **{package: version(package) for package in ("torch", *cls.libraries)},
    }  # fmt: skip


def _present(name: str) -> str:
    """The hash of a pretrained file; empty where it is not here, which stops the training anyway."""
    try:
        return weights.file_hash(name)
    except MissingWeights:
        return ""


def measures(text: str, preset: str, lost: list[Lost] | None = None) -> list[Measure]:
    """The metrics named, ``all`` of them, or the default ones. ``lost``, where given, takes those whose plugin fails."""
    found = []
    if text and text != "all":
        specs = [(s, True) for s in parse_list(text)]
    else:
        specs = [(Spec(n), text == "all") for n in plugins.names("metrics")]
    for spec, asked in specs:
        try:
            cls = plugins.load("metrics", spec.name)
            if (not text and not cls.default) or (text in ("", "all") and not cls.in_all):
                continue
            if not cls.in_all and not spec.options:
                option = dataclasses.fields(cls.Params)[0].name
                raise UsageError(f"{spec.name} runs with options alone: {spec.name}[{option}=...]")
            found.append(measure(spec, preset, asked))
        except PluginFailed as error:
            if lost is None:
                raise
            lost.append(Lost("metrics", spec, str(error)))
    return found


@told
def measure(spec: Spec, preset: str, asked: bool) -> Measure:
    """A metric with its options."""
    cls = plugins.load("metrics", spec.name)
    metric = cls(parameters(cls, spec, preset))
    depends = {
        "name": spec.name, **{f"option {k}": v for k, v in values(metric.params).items()},
        **{f"code in {file}": code for file, code in plugins.source("metrics", spec.name).hashes().items()},
        **{package: version(package) for package in ("torch", *cls.libraries)}, "version of scores": SCORES,
    }  # fmt: skip
    for degradation in metric.degradations():
        parse(degradation)
    return Measure(str(spec), metric, key_of(depends), asked, depends)
