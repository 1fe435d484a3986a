"""Checks of methods and degradations: their parameters, and what ``infer`` gives."""

from __future__ import annotations

import copy
import dataclasses
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.api.model import Degradation, Method, Model
from bench.core.spec import Spec, override
from bench.core.tensors import load_tensors
from bench.errors import Unavailable, UsageError
from bench.grid import resolve
from bench.testing.findings import Broken, Skipped
from bench.testing.learning import parameters_move, quick_is_quick, resumes, trains_at_all
from bench.testing.subject import Subject

CLOSE = 2e-3  # the same face alone and in a batch: half a grey level

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


def scale_is_one_that_it_has(subject: Subject) -> None:
    cls = subject.cls
    if not cls.scales or not all(isinstance(s, int) and s > 0 for s in cls.scales):
        raise Broken("scales of whole numbers, the default first", str(cls.scales), "scales")


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
