"""A training step under observation: every loss and gradient with the weights that gave it, and what networks are fed."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.api.training import Batch, Stage


@dataclass
class Event:
    """One call of ``minimize``: the loss, its gradients by parameter, the state before, and which parameters moved."""

    name: str
    loss: float
    gradients: dict[str, Tensor]
    state: dict[str, Any]
    moved: set[str] = field(default_factory=set)


class Watch:
    """The harness's hand for a test: optimizers step for real, everything is noted. ``fresh``: what further draws give."""

    def __init__(self, model: nn.Module, stage: Stage, fresh: list[Batch], progress: float = 0.0) -> None:
        self.model, self.stage, self.fresh, self.progress = model, stage, list(fresh), progress
        self.events: list[Event] = []
        self.step, self.steps = 0, stage.steps
        self.names = {id(p): n for n, p in model.named_parameters()}

    def draw(self) -> Batch:
        return self.fresh.pop(0)

    def minimize(self, loss: Tensor, name: str) -> None:
        optimizer = self.stage.optimizers[name]
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        before = {k: v.detach().clone() if isinstance(v, Tensor) else v for k, v in self.model.state_dict().items()}
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
        found = {self.names[id(p)]: g for p, g in zip(parameters, gradients, strict=True) if g is not None}
        moved = {n for n, p in self.model.named_parameters() if not torch.equal(p, before[n])}
        self.events.append(Event(name, loss.item(), found, before, moved))

    def log(self, **_: Any) -> None: ...

    images = log

    def fp32(self) -> Any:
        return nullcontext()


def watched(model: nn.Module, stage: Stage, batches: list[Batch], **options: Any) -> list[Event]:
    """One step of the stage on the first batch, in eval mode, where networks are functions of their weights alone."""
    watch = Watch(model.eval(), stage, batches[1:], **options)
    stage.step(batches[0], watch)
    return watch.events


def fed(module: nn.Module) -> list[Tensor | tuple[Tensor, ...]]:
    """What a module is called with from here on: a tensor a call, or a tuple where there are several."""
    seen: list[Any] = []

    def note(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        tensors = tuple(i.detach().clone() for i in inputs if isinstance(i, Tensor))
        seen.append(tensors if len(tensors) > 1 else tensors[0])

    module.register_forward_pre_hook(note)
    return seen


def agree(event: Event, twin: nn.Module, expected: Callable[[], Tensor]) -> None:
    """The event's loss and gradients are those of ``expected()``, which is computed with ``twin`` in the event's state."""
    twin.eval().requires_grad_(True)
    twin.load_state_dict(event.state)
    loss = expected()
    assert event.loss == pytest.approx(loss.item(), rel=1e-4, abs=1e-6)
    parameters = dict(twin.named_parameters())
    names = list(event.gradients)
    wanted = torch.autograd.grad(loss, [parameters[n] for n in names], allow_unused=True)
    largest = max(float(g.abs().max()) for g in wanted if g is not None)
    assert largest > 0
    for name, gradient in zip(names, wanted, strict=True):
        gradient = torch.zeros_like(parameters[name]) if gradient is None else gradient
        assert torch.allclose(event.gradients[name], gradient, rtol=1e-3, atol=1e-4 * largest), name


def batches(count: int, faces: int = 3, hr: int = 32, lr: int = 8) -> list[Batch]:
    """Batches of different random faces."""
    generator = torch.Generator().manual_seed(7)
    return [
        Batch(torch.rand(faces, 3, hr, hr, generator=generator), torch.rand(faces, 3, lr, lr, generator=generator))
        for _ in range(count)
    ]


def signed(x: Tensor) -> Tensor:
    return 2 * x - 1


def same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a, b, atol=1e-5)


def penalty(critic: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """E[(|grad D(x)| - 1)^2] (Gulrajani 2017), one face at a time."""
    total = torch.zeros(())
    for face in x:
        face = face[None].clone().requires_grad_()
        (slope,) = torch.autograd.grad(critic(face).sum(), face, create_graph=True)
        total = total + (slope.square().sum().sqrt() - 1) ** 2
    return total / len(x)


def on_segments(x: Tensor, real: Tensor, fake: Tensor) -> list[float]:
    """Each face's share of real in x; asserts that every face lies between its real and its fake one, elsewhere each."""
    shares = []
    for one, a, b in zip(x, real, fake, strict=True):
        share = ((one - b) * (a - b)).sum() / (a - b).square().sum()
        assert torch.allclose(one, share * a + (1 - share) * b, atol=1e-4) and 0 <= share <= 1
        shares.append(float(share))
    assert len({round(s, 4) for s in shares}) == len(shares), "each face has its own place"
    return shares


def own_noise(calls: list[Any], dimensions: int) -> None:
    """z, the last input of each call, is (B, dimensions), standard normal, other for each face and each call."""
    drawn = torch.cat([call[-1] for call in calls])
    assert drawn.shape[1] == dimensions
    assert len(drawn.unique(dim=0)) == len(drawn), "one z a face and call"
    if drawn.numel() > 100:
        assert abs(float(drawn.mean())) < 0.4 and 0.7 < float(drawn.std()) < 1.3
