"""The one interface of methods and degradations: parameters, networks, stages, infer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from bench.api.pretrained import needed
from bench.api.training import Partner, Stage, Step, View
from bench.core.image import to_float, to_uint8
from bench.faces.faceset import Data


class Model(nn.Module):
    """Base of Method and Degradation: what a plugin author writes is ``Params``, ``build``, ``stages``, ``infer``.

    ``params``: an instance of ``Params``, or None for the paper's values. ``scale``: HR side over LR side.
    ``hr_size``: the side of a training face in pixels. ``degradation``: what a method trains on.
    """

    @dataclass(frozen=True)
    class Params:
        """No parameters."""

    paper: ClassVar[str] = ""  # author, title, venue, year
    scales: ClassVar[tuple[int, ...]] = (4,)  # the scales it can be built for; the first is the default
    variants: ClassVar[dict[str, dict[str, Any]]] = {}  # published settings, by name; a preset keeps what they set
    quick: ClassVar[dict[str, Any]] = {}  # what the quick preset changes: small and short, and said to be so
    lengths: ClassVar[tuple[str, ...]] = (
        "steps",
    )  # parameters that say how long training is: the preset's, not a variant's
    training_only: ClassVar[tuple[str, ...]] = ("critic",)  # children that infer does not need
    needs: ClassVar[tuple[str, ...]] = ()  # of "hr", "lr_real": the face sets that training cannot do without
    pretrained: ClassVar[dict[str, str]] = {}  # files (`bench weights list`) and the option that needs each; "": always
    stochastic: ClassVar[bool] = False  # infer draws random numbers
    idle: ClassVar[
        tuple[str, ...]
    ] = ()  # options that change no weight, though training may read them (how much at a time)
    libraries: ClassVar[tuple[str, ...]] = ()  # installed packages beside torch whose versions its outputs depend on
    bounds: ClassVar[dict[str, tuple[float | None, float | None]]] = {}  # least and most of options; None: no bound
    infer: Callable[..., Tensor]  # of Method and Degradation below
    in_all: ClassVar[bool] = True  # part of `all`; False for a plugin that cannot run without options

    def __init__(
        self,
        params: Any = None,
        *,
        scale: int | None = None,
        hr_size: int = 64,
        degradation: Degradation | None = None,
    ) -> None:
        super().__init__()
        self.params: Any = self.Params() if params is None else params
        self.scale = scale or self.scales[0]
        self.hr_size, self.lr_size = hr_size, hr_size // self.scale
        self.degradation = degradation
        if degradation is not None:
            degradation.requires_grad_(False).eval()
        self.build()

    def build(self) -> None:
        """Make the networks, as attributes. Called once, before weights are loaded."""

    @classmethod
    def scales_for(cls, params: Any) -> tuple[int, ...]:
        """``scales`` with these parameters, the default first; a model that is read from a file asks the file."""
        return cls.scales

    @classmethod
    def needs_for(cls, params: Any) -> tuple[str, ...]:
        """``needs`` with these parameters."""
        return cls.needs

    @classmethod
    def fingerprint(cls, params: Any, scale: int) -> str:
        """What the model depends on beside code and parameters: part of its hash. Files that parameters name are anyway.

        Called before any work: raises UsageError for a file that does not fit.
        """
        return ""

    def views(self) -> dict[str, View]:
        """What training sees of ``hr`` and ``lr_real``: whole faces at HR and at LR size, unless a plugin says patches."""
        return {"hr": View(self.hr_size), "lr_real": View(self.lr_size)}

    def figure(self, images: Tensor) -> Tensor | None:
        """A figure of the paper made of these images, HR for a degradation and LR for a method, (B, 3, H, W) in [0, 1].

        (3, H', W') in [0, 1], a row an image (``--show PNG`` of `bench degrade` and `bench infer`); None where there is none.
        """
        return None

    def required_weights(self) -> tuple[str, ...]:
        """Names of the pretrained files that training needs with these parameters, the ones in ``pretrained``."""
        return needed(self.pretrained, self.params)

    def prepare(self, data: Data, run: Step) -> None:
        """Fit what is not trained by stages (pools, statistics). Keep it in buffers or in ``get_extra_state``."""

    def stages(self) -> list[Stage]:
        """The training, in order. None for a model that is not trained."""
        return []

    def train(self, mode: bool = True) -> Model:
        """As nn.Module, but a frozen degradation stays in eval mode."""
        super().train(mode)
        if self.degradation is not None:
            self.degradation.train(mode and any(p.requires_grad for p in self.degradation.parameters()))
        return self

    @classmethod
    def trains(cls) -> bool:
        """Whether there is anything to fit before ``infer``."""
        return cls.stages is not Model.stages or cls.prepare is not Model.prepare

    def parameter_count(self) -> int:
        """Parameters that ``infer`` uses: without critics, losses and the degradation."""
        apart = {*self.training_only, "degradation"}
        return sum(p.numel() for name, child in self.named_children() if name not in apart for p in child.parameters())


@dataclass(frozen=True)
class Inputs:
    """All LR faces of one condition, for a method that restores them together instead of batch by batch."""

    names: list[str]  # of the faces
    images: list[np.ndarray]  # (3, h, w) uint8 each; sizes may differ
    condition: str  # the condition's name as a folder's
    note: Callable[[str], None]  # says something that a reader of the results must know


class Degradation(Model):
    """How LR is made from HR.

    One that works on clean LR has ``degrade_clean(lr, generator)``, (B, 3, h, w) -> the same size, both in [0, 1]: metrics
    degrade LR with it directly. One that can train along with a method has a ``partner``.
    """

    degrade_clean: ClassVar[Callable[..., Tensor] | None] = None  # None: it works on HR alone

    def partner(self) -> Partner | None:
        """What trains in a method's joint stage (``Stage.joint``); None: nothing of it can."""
        return None

    def picture(self) -> np.ndarray | None:
        """What it has learnt as a picture, (3, H, W) uint8 (``bench degrade --show``); None for nothing to show."""
        return None

    def infer(self, hr: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(B, 3, H, W) -> (B, 3, H/scale, W/scale), both in [0, 1]. All randomness comes from ``generator``."""
        raise NotImplementedError


class Method(Model):
    """How HR is restored from LR."""

    default_degradation: ClassVar[str] = "bicubic"  # what it is trained on unless told otherwise; "": on none, ever
    offers: ClassVar[tuple[str, ...]] = ("upscale", "parameters")  # what metrics may ask for beside its outputs
    log: Path | None = None  # the folder for its own logs, where the harness has one

    def infer(self, lr: Tensor) -> Tensor:
        """(B, 3, h, w) -> (B, 3, h*scale, w*scale), both in [0, 1]."""
        raise NotImplementedError

    def restore_all(self, given: Inputs) -> list[np.ndarray | str]:
        """Optional, in place of ``infer``: the restored faces in the order of the names, (3, H, W) uint8 each.

        A string is the reason why a face has none; that face is failed, the others count.
        """
        raise NotImplementedError

    @classmethod
    def fingerprint_under(cls, params: Any, condition: str, conditions: tuple[str, ...]) -> str:
        """What its outputs under one of the run's conditions depend on beside model and LR, such as files of outputs.

        Called for each before any work. Raises Unavailable where it has no outputs for this one, UsageError for a
        mistake. Conditions are called as their folders are.
        """
        return ""

    def features(self, lr: Tensor) -> Tensor | None:
        """The internal features of (B, 3, h, w), (B, C, h', w'), for methods that have such; else None."""
        return None

    def degrade(self, hr: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """LR of these HR faces by the frozen degradation: no gradient, eval mode, new randomness each call.

        As test LR is made: in float32 whatever the precision, of the 256 levels that a file holds, in [0, 1].
        """
        assert self.degradation is not None, "a method's degradation is given when it is built for training"
        with torch.no_grad(), torch.autocast(hr.device.type, enabled=False):
            return to_float(to_uint8(self.degradation.infer(hr.float().clone(), generator)))
