"""What a plan is made of: recipes of models, measures, and the plan itself."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from bench import plugins
from bench.api.metric import Metric
from bench.api.model import Model
from bench.core.files import folder_name
from bench.core.spec import Spec, override


@dataclass(frozen=True)
class Recipe:
    """How a model is made; picklable, and complete: the same recipe gives the same model.

    ``label`` names it in folders and tables. ``degradation``: what a method trains on. ``weights``: the key of its training, of
    all that the weights depend on; ``key``: that of the model, of all that its outputs depend on. ``training`` and
    ``depends`` say of what, by name: the reasons where something is computed again.
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
    weights: str = ""  # empty where nothing is trained
    training: dict[str, Any] = field(default_factory=dict, compare=False)
    depends: dict[str, Any] = field(default_factory=dict, compare=False)
    called: str = ""  # the name that the user gave it
    only: tuple[str, ...] = ()  # the conditions that it is tested on; empty: all
    tuned: bool = False  # whether it is the degradation that the joint stage of the training ``weights`` left
    seed: int = 0  # of its training
    several: bool = False  # whether the run trains it with other seeds too

    @property
    def title(self) -> str:
        """What results call it: the name that the user gave, or the plugin's."""
        return self.called or self.name

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
    def unique(self) -> str:
        """The label, with the seed where that tells models apart."""
        return f"{self.label},seed={self.seed}" if self.several else self.label

    @property
    def folder(self) -> str:
        """What it is called, as a folder's name."""
        return f"{self.unique}~method" if self.unique.casefold() in ("lr", "hr") else folder_name(self.unique)


@dataclass(frozen=True)
class Measure:
    """A metric with its parameters. ``asked``: named with --metrics, so its absence counts as a failure."""

    label: str
    metric: Metric
    key: str
    asked: bool
    depends: dict[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Lost:
    """What of a plan cannot be tried, since its plugin fails while it is imported or asked about itself."""

    kind: str  # methods, degradations (as a condition) or metrics
    spec: Spec
    reason: str

    @property
    def title(self) -> str:
        return self.spec.label or self.spec.name

    @property
    def variant(self) -> str:
        """Its options, as written."""
        return "" if self.spec.label else ",".join(v if k == "variant" else f"{k}={v}" for k, v in self.spec.options)


@dataclass(frozen=True)
class Plan:
    methods: tuple[Recipe, ...]
    conditions: tuple[str, ...]
    degraded: dict[tuple[str, int], Recipe | None]  # by condition and scale; None: the real LR
    measures: tuple[Measure, ...]
    versions: tuple[Recipe, ...] = ()  # degradations that metrics make versions of faces with
    files: dict[tuple[str, str], str] = field(default_factory=dict)  # by label and condition: Method.fingerprint_under
    lacking: dict[tuple[str, str], str] = field(default_factory=dict)  # the same: why a method has no outputs there
    lost: tuple[Lost, ...] = ()

    @property
    def cells(self) -> list[tuple[Recipe, str]]:
        """Each method under each condition that it is tested on."""
        return [(m, c) for m in self.methods for c in self.conditions_of(m)]

    def conditions_of(self, method: Recipe) -> list[str]:
        """The conditions that a method is tested on."""
        return [c for c in self.conditions if not method.only or c in method.only]

    @property
    def trained(self) -> list[Recipe]:
        """Models that are trained, degradations before the methods that need them."""
        found: dict[str, Recipe] = {}
        for recipe in (*(r for m in self.methods for r in (m.degradation, m)), *self.degraded.values(), *self.versions):
            if recipe and recipe.trains:
                found.setdefault(recipe.key, recipe)
        return list(found.values())

    @property
    def trainings(self) -> int:
        """How many trainings that is: models that differ in options of inference alone share theirs."""
        return len({recipe.weights for recipe in self.trained})
