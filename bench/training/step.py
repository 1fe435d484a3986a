"""What a training step is given to work with: minimise, draw, log."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from bench.api.training import Batch, Stage
from bench.core.hashing import key_of, version
from bench.core.progress import Progress
from bench.core.source import reach
from bench.core.store import Store
from bench.core.tensors import load_tensors
from bench.training.sampler import Sampler, of_real_lr
from bench.training.settings import TrainSettings


class FabricStep:
    """``bench.api.training.Step`` on Lightning Fabric: one device or several, any precision."""

    def __init__(
        self,
        fabric: Fabric,
        generator: torch.Generator,
        settings: TrainSettings,
        kept: Store,
        quiet: bool = True,
    ) -> None:
        self.fabric, self.device, self.generator = fabric, fabric.device, generator
        self.seed, self.budget = settings.seed, settings.budget  # of the run; seconds for this model, or None
        self.kept, self.quiet = kept, quiet
        self.notes: list[str] = []  # what a reader of the report must know of this training
        self.hr: Sampler
        self.lr_real: Sampler | None
        self.stage: Stage
        self.step = self.steps = 0
        self.progress = 0.0
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.bad = torch.zeros((), device=self.device)  # the first step (from 1, over all stages) with a bad loss
        self.total = 0  # steps done in all stages
        self.samples: dict[str, Any] = {}
        self.parameters: dict[str, list[Tensor]] = {}

    def enter(self, stage: Stage) -> None:
        self.stage, self.steps = stage, stage.steps
        self.parameters = {
            name: [p for group in optimizer.param_groups for p in group["params"]]
            for name, optimizer in stage.optimizers.items()
        }

    def draw(self) -> Batch:
        """A fresh batch, augmented as the stage says. Unpaired: lr_real is drawn independently of hr."""
        stage = self.stage
        hr = self.hr.draw(stage.batch_size, stage.augment, self.generator)
        changes = of_real_lr(stage.augment)
        lr_real = self.lr_real.draw(stage.batch_size, changes, self.generator) if self.lr_real else None
        return Batch(hr, lr_real)  # type: ignore[arg-type]

    def minimize(self, loss: Tensor, name: str, *, retain_graph: bool = False) -> None:
        """One step of the optimizer ``name`` against ``loss``. Only its own parameters get gradients."""
        optimizer, parameters = self.stage.optimizers[name], self.parameters[name]
        value = loss.detach().float()
        self.bad = torch.where((self.bad == 0) & ~torch.isfinite(value), self.total + 1.0, self.bad)
        self.log(**{f"loss/{name}": value})
        optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss, inputs=parameters, retain_graph=retain_graph)
        if self.fabric.world_size > 1:
            average_gradients(parameters)
        if self.stage.clip is not None:
            torch.nn.utils.clip_grad_norm_(parameters, self.stage.clip)
        optimizer.step()
        torch.clear_autocast_cache()  # else later passes of the same step would see the old weights in bf16

    def log(self, **values: Any) -> None:
        """Add scalars to the curves. Tensors stay on the device until the curves are written."""
        for name, value in values.items():
            value = (
                value.detach().float() if isinstance(value, Tensor) else torch.tensor(float(value), device=self.device)
            )
            self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.counts[name] = self.counts.get(name, 0) + 1

    def images(self, **images: Any) -> None:
        """Sample images, (B, 3, H, W) in [0, 1] or a function that makes them, shown in TensorBoard now and then."""
        self.samples.update(images)

    def remember(self, parts: list[Any], compute: Callable[[], Tensor]) -> Tensor:
        """``compute()``, kept under the hash of ``parts`` and of the code that it reaches.

        For long fits in ``prepare``: what was computed outlives a kill, and models of other settings that ask for the
        same share it. ``parts`` is all that the result depends on beside the code.
        """
        owner, _, member = compute.__qualname__.partition(".")
        source = reach(Path(compute.__code__.co_filename), owner, [member.partition(".")[0]]).hashes()
        key = key_of(parts, source, version("torch"), self.device.type)

        def fill(folder: Path) -> None:
            torch.save(compute().cpu(), folder / "value.pt")

        folder = self.kept.obtain("fitted", key, fill, f"a fit of {owner}")
        return load_tensors(folder / "value.pt")

    def note(self, text: str) -> None:
        """Say something that a reader of the results must know; it goes to the report too."""
        self.notes.append(text)
        if not self.quiet:
            print(text, file=sys.stderr)

    def bar(self, label: str, total: int, unit: str = "step") -> Any:
        """A context with a progress bar for long fits in ``prepare``: call its ``advance(done)``."""
        return closing(Progress(label, total, quiet=self.quiet, unit=unit))

    def fp32(self) -> Any:
        """Context without autocast, for second derivatives."""
        return torch.autocast(self.device.type, enabled=False)

    def means(self) -> dict[str, float]:
        """The mean of each logged scalar since the last call; one synchronisation."""
        names = list(self.sums)
        values = torch.stack([self.sums[n] for n in names]).tolist() if names else []
        result = {n: v / self.counts[n] for n, v in zip(names, values, strict=True)}
        self.sums, self.counts = {}, {}
        return result


def average_gradients(parameters: list[Tensor]) -> None:
    """Mean of the gradients over all processes, in one message (data parallel training of any number of losses)."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    torch.distributed.all_reduce(flat)
    flat /= torch.distributed.get_world_size()
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))
