"""Checks of methods and degradations."""

from __future__ import annotations

import copy
import dataclasses
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench import plugins
from bench.api.model import Degradation, Method, Model
from bench.api.training import Stage
from bench.core.spec import Spec, override
from bench.core.tensors import load_tensors
from bench.errors import Interrupted, Unavailable, UsageError
from bench.faces.faceset import Data, FaceSet
from bench.faces.procedural import portrait
from bench.grid import resolve
from bench.testing.findings import Broken, Skipped
from bench.training.loop import fit
from bench.training.settings import TrainSettings

STEPS = 3  # of every stage: the first may give some parameters no gradient (layers that start at zero)
BATCH = 4
CLOSE = 2e-3  # the same face alone and in a batch: half a grey level
SIDE = 64  # px of HR
QUICK = 1200.0  # seconds of training that a quick preset may take on a slow CPU


@dataclass
class Subject:
    """A model class with options, trained once for all checks that need it."""

    cls: Any
    spec: Spec
    trained: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, plugin: Any, spec: Spec) -> Subject:
        subject = cls(plugin, spec)
        subject.new()
        return subject

    def new(self, degradation: bool = False, seed: int = 0) -> Model:
        """A new one of the quick preset; ``degradation``: with bicubic to train on."""
        base = None
        if degradation and issubclass(self.cls, Method) and self.cls.trains():
            base = resolve.untrained(plugins.load("degradations", "bicubic"), Spec("bicubic"), "quick")
        torch.manual_seed(seed)
        return resolve.untrained(self.cls, self.spec, "quick", base)

    def ready(self) -> Model:
        """In eval mode, after the few steps of training where there are some; new where they fail, which one check says."""
        model = self.new()
        if self.cls.trains():
            with suppress(Exception):
                model.load_state_dict(self.training()["model"])
        return model.eval()

    def training(self) -> dict[str, Any]:
        if "error" in self.trained:
            raise self.trained["error"]
        if not self.trained:
            try:
                begin = time.monotonic()
                self.trained = train(self)
                self.trained["took"] = time.monotonic() - begin
            except Exception as error:
                self.trained = {"error": error}
                raise
        return self.trained

    def input(self, count: int = 2, height: int = 0, width: int = 0) -> Tensor:
        """Faces in [0, 1]: LR for a method, HR for a degradation, cut to a size."""
        hr, lr = people()
        images = lr if issubclass(self.cls, Method) else hr
        side = images.shape[-1]
        images = images[:count, :, : height or side, : width or side]
        return torch.from_numpy(images.astype(np.float32) / 255)

    def infer(self, model: Model, images: Tensor, seed: int = 0) -> Tensor:
        """As the harness calls it."""
        with torch.inference_mode():
            if isinstance(model, Degradation):
                return model.infer(images, torch.Generator().manual_seed(seed))
            return model.infer(images)

    def only_files(self) -> None:
        """Raises Skipped for a method that has no ``infer`` of its own to try."""
        if issubclass(self.cls, Method) and "upscale" not in self.cls.offers:
            raise Skipped("it has outputs only")


@lru_cache(maxsize=1)
def people() -> tuple[np.ndarray, np.ndarray]:
    """(12, 3, 64, 64) and (12, 3, 16, 16) uint8: procedural faces, and wild LR of theirs."""
    hr, _ = portrait.faces(12, 1, seed=0)
    return hr, portrait.wild(hr, 4)


# ---------------------------------------------------------------- parameters


def parameters_are_frozen(subject: Subject) -> None:
    params: Any = subject.cls.Params
    how = getattr(params, "__dataclass_params__", None)
    if how is None or not dataclasses.is_dataclass(params):
        raise Broken("Params to be a frozen dataclass", "a class that is no dataclass", "Params")
    if not how.frozen:
        raise Broken("Params to be frozen", "@dataclass without frozen=True", "Params")


def parameters_round_trip(subject: Subject) -> None:
    """As plain values and back, which is how other processes and files get them; in both presets and every variant."""
    for variant in ({}, *({"variant": name} for name in subject.cls.variants)):
        for preset in ("paper", "quick"):
            params = resolve.parameters(subject.cls, subject.spec.adding(**variant), preset)
            again = override(subject.cls.Params(), dataclasses.asdict(params), subject.spec.name)
            if again != params:
                odd = next(
                    f.name for f in dataclasses.fields(params) if getattr(again, f.name) != getattr(params, f.name)
                )
                raise Broken(f"{odd} to come back as {getattr(params, odd)!r}", repr(getattr(again, odd)), "Params")


def variants_differ(subject: Subject) -> str:
    names = subject.cls.variants
    if not names:
        raise Skipped("it has none")
    seen: dict[str, str] = {}
    for name, options in names.items():
        params = resolve.parameters(subject.cls, Spec(subject.spec.name).adding(variant=name), "")
        rest = sorted((k, str(v)) for k, v in options.items() if k in resolve.RESERVED)
        text = str((params, rest))
        if text in seen:
            raise Broken("variants that differ", f"{name} is the same as {seen[text]}", "variants")
        seen[text] = name
    return ", ".join(names)


# ---------------------------------------------------------------- what infer gives


def shape_of_a_method(subject: Subject) -> None:
    subject.only_files()
    model = subject.ready()
    for count, height, width in ((1, 16, 16), (2, 16, 16), (3, 16, 12), (2, 12, 16)):
        expect(subject, model, subject.input(count, height, width), (height * model.scale, width * model.scale))


def shape_of_a_degradation(subject: Subject) -> None:
    model = subject.ready()
    for count, height, width in ((1, 64, 64), (2, 64, 64), (3, 64, 48), (2, 48, 64)):
        expect(subject, model, subject.input(count, height, width), (height // model.scale, width // model.scale))


def expect(subject: Subject, model: Model, images: Tensor, size: tuple[int, int]) -> None:
    got = subject.infer(model, images)
    wanted = (len(images), 3, *size)
    if not isinstance(got, Tensor) or tuple(got.shape) != wanted:
        came = tuple(got.shape) if isinstance(got, Tensor) else type(got).__name__
        raise Broken(f"{wanted} for {tuple(images.shape)} at scale {model.scale}", str(came), "infer")
    if not got.is_floating_point():
        raise Broken("floats", str(got.dtype), "infer")
    if not torch.isfinite(got).all():
        raise Broken("finite values", "NaN or infinity", "infer")


def range_is_kept(subject: Subject) -> str:
    """[0, 1], with room for what overshoots; 0-255 and -1-1 are told by name."""
    subject.only_files()
    got = subject.infer(subject.ready(), subject.input(8))
    low, high = got.min().item(), got.max().item()
    came = f"{low:.3g} to {high:.3g}"
    if high > 8:
        raise Broken("values in [0, 1]", f"{came}: on a scale of 0 to 255? divide by 255", "infer")
    if low < -0.3:
        raise Broken("values in [0, 1]", f"{came}: on a scale of -1 to 1? (x + 1) / 2 brings it to [0, 1]", "infer")
    if high > 1.5:
        raise Broken("values in [0, 1]", came, "infer")
    return came


def input_is_left_alone(subject: Subject) -> None:
    subject.only_files()
    model, images = subject.ready(), subject.input()
    before = images.clone()
    subject.infer(model, images)
    if not torch.equal(images, before):
        raise Broken("its input as it was", "an input that was changed in place", "infer")


def faces_do_not_mix(subject: Subject) -> None:
    """A face's output is the same alone and among others."""
    subject.only_files()
    model, images = subject.ready(), subject.input(3)
    if model.stochastic:
        raise Skipped("it draws a batch's random numbers together")
    together = subject.infer(model, images)
    alone = torch.cat([subject.infer(model, face) for face in images.split(1)])
    apart = (together - alone).abs().max().item()
    if apart > CLOSE:
        raise Broken("the same face alone and in a batch", f"a difference of {apart:.3g}; batch statistics?", "infer")


def the_same_twice(subject: Subject) -> None:
    subject.only_files()
    model, images = subject.ready(), subject.input()
    if model.stochastic:
        raise Skipped("it says that it is stochastic")
    torch.manual_seed(1)
    first = subject.infer(model, images)
    torch.manual_seed(2)
    if not torch.equal(first, subject.infer(model, images)):
        raise Broken("the same output twice, or stochastic = True", "two outputs for one input", "infer")


def the_seed_decides(subject: Subject) -> None:
    model, images = subject.ready(), subject.input()
    first = subject.infer(model, images, 0)
    torch.manual_seed(1)
    if not torch.equal(first, subject.infer(model, images, 0)):
        raise Broken("one output for one seed: all randomness from the generator", "two", "infer")
    same = torch.equal(first, subject.infer(model, images, 1))
    if same and model.stochastic:
        raise Broken("another output for another seed, as stochastic = True says", "the same", "infer")
    if not same and not model.stochastic:
        raise Broken("stochastic = True, since the seed changes the output", "stochastic = False", "infer")


def random_numbers_of_others(subject: Subject) -> None:
    """Neither torch's, nor numpy's, nor Python's own generator is touched."""
    subject.only_files()
    model, images = subject.ready(), subject.input()
    if isinstance(model, Method) and model.stochastic:
        raise Skipped("it is stochastic")
    with untouched("infer"):
        subject.infer(model, images)


@contextmanager
def untouched(member: str) -> Iterator[None]:
    def states() -> dict[str, Any]:
        named: Any = np.random.get_state()  # noqa: NPY002 (the state of others is what is asked about)
        return {
            "torch": torch.get_rng_state().tolist(),
            "numpy": (named[1].tolist(), named[2]),
            "random": random.getstate(),
        }

    before = states()
    yield
    after = states()
    if moved := [name for name in before if before[name] != after[name]]:
        raise Broken("no draw from the process's own random numbers", f"one from {', '.join(moved)}'s", member)


def saved_and_loaded(subject: Subject) -> None:
    subject.only_files()
    if subject.cls.trains():
        with suppress(Exception):  # which another check says
            subject.training()
        takes_what_was_trained(subject)
    model, images = subject.ready(), subject.input()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.pt"
        torch.save({"model": model.state_dict()}, file)
        try:
            state = load_tensors(file)["model"]
        except UsageError as error:
            raise Broken("a state of tensors and plain values", str(error).removeprefix(f"{file}: "), "build") from None
    other = subject.new(seed=3)
    other.load_state_dict(state)
    seed = torch.get_rng_state()
    first = subject.infer(model, images)
    torch.set_rng_state(seed)
    if not torch.equal(first, subject.infer(other.eval(), images)):
        raise Broken("the same output from saved weights", "another: something that infer uses is not saved", "build")


def takes_what_was_trained(subject: Subject) -> None:
    """As a run does it: what training leaves goes into a model that ``build`` alone has made."""
    if "model" in subject.trained:
        try:
            subject.new().load_state_dict(subject.trained["model"])
        except Exception as error:
            text = " ".join(str(error).split())[:150]
            where = "buffers that `prepare` fills are registered in `build`"
            raise Broken(f"a new model that takes the trained weights ({where})", text, "prepare") from None


def copies_and_pickles(subject: Subject) -> None:
    """Other processes get a model by its parameters; the harness copies one for averages."""
    copy.deepcopy(subject.new())
    for value in dataclasses.asdict(subject.new().params).values():
        copy.deepcopy(value)


def bf16_is_finite(subject: Subject) -> None:
    subject.only_files()
    model, images = subject.ready(), subject.input()
    with torch.autocast("cpu", torch.bfloat16):
        got = subject.infer(model, images)
    if not torch.isfinite(got.float()).all():
        raise Broken("finite values under autocast to bf16", "NaN or infinity", "infer")


def another_device(subject: Subject) -> None:
    if not torch.cuda.is_available():
        raise Skipped("no GPU here")
    subject.only_files()
    model, images = subject.ready(), subject.input()
    here = subject.infer(model, images)
    with torch.inference_mode():
        moved = model.to("cuda")
        given = (
            (images.cuda(), torch.Generator("cuda").manual_seed(0))
            if isinstance(model, Degradation)
            else (images.cuda(),)
        )
        there = moved.infer(*given)
    if there.device.type != "cuda":
        raise Broken("an output on the input's device", str(there.device), "infer")
    if not model.stochastic and (there.cpu() - here).abs().max() > 0.02:
        raise Broken("the same output on a GPU", "another", "infer")


def time_a_face(subject: Subject) -> str:
    subject.only_files()
    model, images = subject.ready(), subject.input(4)
    begin = time.perf_counter()
    subject.infer(model, images)
    return f"{(time.perf_counter() - begin) / len(images) * 1000:.1f} ms a face on this CPU, quick preset"


# ---------------------------------------------------------------- training


def train(subject: Subject, *, stop_at: int = 0, folder: Path | None = None) -> dict[str, Any]:
    """A few steps of every stage on twelve faces. ``stop_at``: raises Interrupted there, after its checkpoint."""
    hr, lr = people()
    names = [f"{i:02d}" for i in range(len(hr))]
    sets = FaceSet.of(list(hr), names), FaceSet.of(list(lr), names)
    seen: dict[str, Any] = {"stages": [], "before": {}, "steps": 0, "network": None, "asked": 0, "spent": 0.0}

    def build() -> Model:
        model = subject.new(degradation=True)
        stages = model.stages

        def short() -> list[Stage]:
            seen["before"] = {k: p.detach().clone() for k, p in model.named_parameters()}
            whole = stages()
            seen["asked"] = sum(stage.steps for stage in whole)
            seen["stages"] = [shortened(stage, seen, stop_at) for stage in whole]
            seen["network"] = model
            return seen["stages"]

        model.stages = short  # type: ignore[method-assign]
        return model

    with tempfile.TemporaryDirectory() as own:
        result = fit(build, Data(*sets[:1] * 2, *sets[1:] * 2), TrainSettings(device="cpu", checkpoint_every=1),
                     checkpoint=(folder or Path(own)) / "check.pt", quiet=True)  # fmt: skip
    return {**result, **{name: seen[name] for name in ("stages", "before", "network", "asked", "spent")}}


def shortened(stage: Stage, seen: dict[str, Any], stop_at: int) -> Stage:
    def step(batch: Any, run: Any) -> Any:
        if stop_at and seen["steps"] >= stop_at:
            raise Interrupted("the check stops it")
        seen["steps"] += 1
        begin = time.monotonic()
        result = stage.step(batch, run)
        seen["spent"] += time.monotonic() - begin
        return result

    held = {id(p) for o in stage.optimizers.values() for g in o.param_groups for p in g["params"]}

    def enter() -> None:
        """What entering a stage copies is no step of training."""
        if stage.enter:
            stage.enter()
            fixed = {k: p.detach().clone() for k, p in seen["network"].named_parameters() if id(p) not in held}
            seen["before"].update(fixed)

    steps, batch = min(stage.steps, STEPS), min(stage.batch_size, BATCH)
    return dataclasses.replace(stage, steps=steps, batch_size=batch, step=step, enter=enter)


def trains_at_all(subject: Subject) -> str:
    trainable(subject)
    result = subject.training()
    return f"{result['steps']} steps in {result['took']:.1f} s"


def quick_is_quick(subject: Subject) -> str:
    """What the quick preset's training takes on this CPU, from the few steps on small batches that were made."""
    trainable(subject)
    result = trained(subject)
    if not result["stages"]:
        raise Skipped("it has no stages")
    seconds = result["spent"] / max(result["steps"], 1) * result["asked"]
    text = f"about {seconds:.0f} s for {result['asked']} steps"
    if seconds > QUICK:
        raise Broken(f"a quick preset that trains in at most {QUICK:.0f} s", text, "quick")
    return text


def trainable(subject: Subject) -> None:
    """Raises Skipped where there is nothing to train, or a pretrained file that training needs is not here."""
    from bench import weights

    if not subject.cls.trains():
        raise Skipped("it is not trained")
    for name in subject.new().required_weights():
        weights.path(name)


def trained(subject: Subject) -> dict[str, Any]:
    """The few steps of training; Skipped where they fail, which a check of its own says."""
    try:
        return subject.training()
    except Exception:
        raise Skipped("it does not train") from None


def parameters_move(subject: Subject) -> None:
    """Every parameter that an optimizer holds, and no other."""
    trainable(subject)
    result = trained(subject)
    if not result["stages"]:
        raise Skipped("it has no stages")
    model: Model = result["network"]
    held = {id(p) for s in result["stages"] for o in s.optimizers.values() for g in o.param_groups for p in g["params"]}
    for name, p in model.named_parameters():
        moved = not torch.equal(result["before"][name], p.detach())
        if id(p) in held and not moved and p.dim() > 1:  # a bias may stand where it has no effect
            raise Broken("every parameter of an optimizer to get a gradient", f"none for {name}", "stages")
        averaged = any(name.startswith(f"{child}.") for s in result["stages"] for child in s.ema)
        if id(p) not in held and moved and not averaged and not name.startswith("degradation."):
            raise Broken("only parameters of optimizers to move", f"{name} moved", "stages")


def resumes(subject: Subject) -> None:
    """Interrupted and gone on with, it ends where it would have without, bit for bit."""
    trainable(subject)
    whole = trained(subject)
    if whole["steps"] < 2:
        raise Skipped("it has fewer than two steps")
    with tempfile.TemporaryDirectory() as folder:
        with suppress(Interrupted):
            train(subject, stop_at=max(1, whole["steps"] // 2), folder=Path(folder))
        resumed = train(subject, folder=Path(folder))
    for name, value in whole["model"].items():
        if isinstance(value, Tensor) and not torch.equal(value, resumed["model"][name]):
            raise Broken("the weights of an uninterrupted training after a resume", f"another {name}", "stages")


def scale_is_one_that_it_has(subject: Subject) -> None:
    cls = subject.cls
    if not cls.scales or not all(isinstance(s, int) and s > 0 for s in cls.scales):
        raise Broken("scales of whole numbers, the default first", str(cls.scales), "scales")


def unavailable_has_a_reason(subject: Subject) -> None:
    if issubclass(subject.cls, Method) and "upscale" not in subject.cls.offers:
        try:
            subject.infer(subject.new(), torch.zeros(1, 3, 4, 4))
        except Unavailable:
            return
        raise Broken("infer to raise Unavailable, as offers has no upscale", "an output", "infer")


PARAMETERS = (
    ("Params is a frozen dataclass", parameters_are_frozen, "parameters"),
    ("parameters round-trip", parameters_round_trip, "parameters"),
    ("variants differ", variants_differ, "parameters"),
    ("scales", scale_is_one_that_it_has, "a-method-or-a-degradation"),
)
COMMON = (
    ("its range is [0, 1]", range_is_kept, "shapes-and-range"),
    ("leaves its input alone", input_is_left_alone, "shapes-and-range"),
    ("faces of a batch do not mix", faces_do_not_mix, "shapes-and-range"),
    ("draws from no global random state", random_numbers_of_others, "randomness"),
    ("saved and loaded, it gives the same", saved_and_loaded, "what-is-saved"),
    ("can be copied", copies_and_pickles, "what-is-saved"),
    ("bf16 gives finite values", bf16_is_finite, "devices-and-precision"),
    ("gives the same on a GPU", another_device, "devices-and-precision"),
    ("time", time_a_face, "a-method-or-a-degradation"),
)
METHOD = (
    ("shapes, of any batch and size", shape_of_a_method, "shapes-and-range"),
    ("gives the same twice", the_same_twice, "randomness"),
    ("says what it does not offer", unavailable_has_a_reason, "outputs-of-other-programs"),
    *COMMON,
)
DEGRADATION = (
    ("shapes, of any batch and size", shape_of_a_degradation, "shapes-and-range"),
    ("the seed decides", the_seed_decides, "randomness"),
    *COMMON,
)
TRAINING = (
    ("trains", trains_at_all, "training"),
    ("its quick preset is quick", quick_is_quick, "training"),
    ("gradients reach every trained parameter and no other", parameters_move, "training"),
    ("resumed equals uninterrupted", resumes, "what-is-saved"),
)
