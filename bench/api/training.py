"""What the author of a trained plugin writes and is given: stages, batches, and the harness's hand in a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from bench.core.progress import Progress


@dataclass(frozen=True)
class View:
    """What a plugin sees of a face set: squares of ``side`` px.

    ``whole``: every face, resized to that side (antialiased bicubic), for what compares faces with faces. Else patches
    of that side at random places of the face as it is, for what learns from pixels; smaller faces are left out.
    """

    side: int
    whole: bool = True


@dataclass(frozen=True)
class Augment:
    """Random changes of each training face, drawn on the device; zero or False turns one off.

    All change HR. Real LR is mirrored at most: resampled or recoloured, its noise would not be the real one.
    """

    flip: bool = True  # mirror left-right with probability 1/2
    zoom: float = 0.0  # scale by a factor in [1 - zoom, 1 + zoom]
    rotate: float = 0.0  # turn by an angle in [-rotate, rotate] degrees
    jitter: float = 0.0  # brightness, contrast and saturation by factors in [1 - jitter, 1 + jitter]


@dataclass
class Batch:
    """What a step sees: ``hr`` (B, 3, H, W) and unpaired ``lr_real`` (B, 3, h, w), floats in [0, 1], as ``views`` says.

    A plugin whose ``needs`` name ``lr_real`` always has it; for others it is None where the run has no real LR.
    """

    hr: Tensor
    lr_real: Tensor


@dataclass(frozen=True)
class Partner:
    """How a degradation trains along with a method (Bulat 2018, section 3.6): what ``Degradation.partner`` gives.

    ``generator`` and ``critic``: whose parameters move. ``play(batch, run)``: LR of ``batch.hr``, (B, 3, h, w) about
    [0, 1], not clamped, with new noise and with gradient, and the degradation's own loss on it; the method adds its loss
    and minimises both over both generators. ``critic_loss(batch, run)``: what the degradation's critic minimises, against
    ``batch.lr_real``.
    """

    generator: nn.Module
    critic: nn.Module
    play: Callable[[Batch, Step], tuple[Tensor, Tensor]]
    critic_loss: Callable[[Batch, Step], Tensor]


class Step(Protocol):
    """The harness's hand, which a step gets as ``run``: minimise, draw, log; and ``prepare`` for its fits.

    Numbers of steps count from 0. All randomness of a plugin comes from ``generator`` (on the device) or torch's own.
    """

    @property
    def step(self) -> int:
        """The number of this step within its stage."""
        ...

    @property
    def steps(self) -> int:
        """The planned steps of the stage; under a time budget ``progress`` is what ends it."""
        ...

    @property
    def progress(self) -> float:
        """How much of the stage is done, 0 to 1, in steps or in time."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the networks and the batches are."""
        ...

    @property
    def generator(self) -> torch.Generator:
        """The source of what is drawn for this training, on the device."""
        ...

    @property
    def seed(self) -> int:
        """Of the training."""
        ...

    @property
    def budget(self) -> float | None:
        """Seconds for this model; None: as many as its steps take."""
        ...

    def draw(self) -> Batch:
        """A fresh batch of the stage's size, augmented as the stage says; ``lr_real`` is drawn independently of ``hr``."""
        ...

    def minimize(self, loss: Tensor, name: str, *, retain_graph: bool = False) -> None:
        """One step of the optimizer ``name`` against a scalar loss. Only its own parameters get gradients."""
        ...

    def log(self, **values: Tensor | float) -> None:
        """Add scalars to the curves. Tensors stay on the device until the curves are written."""
        ...

    def images(self, **images: Tensor | Callable[[], Tensor]) -> None:
        """Sample images, (B, 3, H, W) in [0, 1] or a function that makes them, shown in TensorBoard now and then."""
        ...

    def remember(self, parts: list[Any], compute: Callable[[], Tensor]) -> Tensor:
        """``compute()``, kept under the hash of ``parts`` and of the file that defines it.

        For long fits in ``prepare``: what was computed outlives a kill, and models of other settings that ask for the
        same share it. ``parts`` is all that the result depends on beside the code.
        """
        ...

    def note(self, text: str) -> None:
        """Say something that a reader of the results must know; it goes to the report too."""
        ...

    def bar(self, label: str, total: int, unit: str = "step") -> AbstractContextManager[Progress]:
        """A context with a progress bar for long fits in ``prepare``: call its ``advance(done)``."""
        ...

    def fp32(self) -> AbstractContextManager[Any]:
        """Context without autocast, for second derivatives."""
        ...


@dataclass
class Stage:
    """A stretch of training: ``steps`` calls of ``step(batch, run)``, one generator update each.

    ``optimizers`` are the only parameters that move; ``run.minimize(loss, NAME)`` names one of them. ``schedulers``
    (same names) advance once a step. ``ema`` maps child modules to their averaging decay: the averages are what
    ``infer`` sees after training. ``joint``: the degradation trains too (train mode, gradients on). ``enter`` runs when
    the stage starts, also after a resume. ``clip`` bounds each optimizer's gradient norm.
    """

    name: str  # of its curves, and in messages
    steps: int
    step: Callable[[Batch, Step], Any]
    optimizers: Mapping[str, torch.optim.Optimizer]
    schedulers: Mapping[str, torch.optim.lr_scheduler.LRScheduler] = field(default_factory=dict)
    batch_size: int = 64  # faces a step and device
    augment: Augment = Augment()  # what is drawn of each face
    ema: Mapping[str, float] = field(default_factory=dict)
    joint: bool = False
    enter: Callable[[], None] | None = None
    clip: float | None = None
