"""The training loop: stages on Lightning Fabric, with exact resume, guards, logging and time budgets."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from bench.api.model import Model
from bench.api.training import Stage
from bench.core.device import random_state, resolve_device, resolve_precision, restore_random_state, to_cpu
from bench.core.files import read_sealed, write_sealed
from bench.core.progress import Progress, stop_requests
from bench.core.store import Store
from bench.errors import Interrupted, TrainingFailed
from bench.faces.faceset import Data
from bench.training.averages import Averages
from bench.training.processes import OnThisMachine
from bench.training.sampler import samplers
from bench.training.settings import TrainSettings
from bench.training.step import FabricStep

# ---------------------------------------------------------------- the loop


def fit(
    build: Callable[[], Model],
    data: Data,
    settings: TrainSettings,
    *,
    checkpoint: Path,
    kept: Store | None = None,
    log: Path | None = None,
    label: str = "model",
    quiet: bool = False,
) -> dict[str, Any]:
    """Train a model from ``build`` to its end, from ``checkpoint`` where that exists.

    Returns {"model": state dict, "degradation": that of the one that a joint stage tuned, else absent, "steps", "seconds",
    "stages", "curve": {name: [[step, value]]}, "precision", "notes"}; averaged
    weights take the place of their modules'. Raises TrainingFailed for a NaN, Interrupted after a signal.
    """
    device = resolve_device(settings.device)
    precision = {"bf16": "bf16-mixed", "fp32": "32-true"}[resolve_precision(settings.precision, device)]
    fabric = Fabric(
        accelerator=device.type,
        devices=settings.devices,
        precision=precision,  # type: ignore[arg-type]
        strategy="ddp_spawn" if settings.devices > 1 else "auto",
        plugins=[OnThisMachine()],
    )
    work = partial(
        _fit, build=build, data=data, settings=settings, checkpoint=checkpoint,
        kept=kept or Store(checkpoint.parent), log=log, label=label, quiet=quiet,
    )  # fmt: skip
    if settings.devices == 1:
        return work(fabric)
    # Fabric looks into the arguments of `launch` and refuses frozen dataclasses, but not into a partial. The result comes
    # back as a file: shared tensors end with the process that made them.
    answer = checkpoint.with_suffix(".result")
    answer.parent.mkdir(parents=True, exist_ok=True)
    try:
        fabric.launch(_launched, work, str(answer))  # type: ignore[arg-type]
        result = torch.load(answer, map_location="cpu", weights_only=True)
    finally:
        answer.unlink(missing_ok=True)
    if "error" in result:
        raise {"TrainingFailed": TrainingFailed, "Interrupted": Interrupted}[result["error"]](result["message"])
    return result


def _launched(fabric: Fabric, work: Callable[[Fabric], dict[str, Any]], answer: str) -> None:
    try:
        result = work(fabric)
    except (TrainingFailed, Interrupted) as error:
        result = {"error": type(error).__name__, "message": str(error)}
    if fabric.global_rank == 0:
        torch.save(result, answer)
    torch.distributed.destroy_process_group()  # else a process that leaves first can abort the other


def _fit(
    fabric: Fabric,
    *,
    build: Callable[[], Model],
    data: Data,
    settings: TrainSettings,
    checkpoint: Path,
    kept: Store,
    log: Path | None,
    label: str,
    quiet: bool,
) -> dict[str, Any]:
    begin, device, rank = time.monotonic(), fabric.device, fabric.global_rank
    torch.manual_seed(settings.seed)
    model = build().to(device)
    generator = torch.Generator(device).manual_seed(settings.seed * 1_000_003 + rank)
    torch.manual_seed(settings.seed * 1_000_003 + rank)
    run = FabricStep(fabric, generator, settings, kept, quiet or rank > 0)
    sees = "lr_real" in model.needs_for(model.params) and type(model).stages is not Model.stages
    run.hr, run.lr_real = samplers(model, data, device, run.note if sees else str)
    saved = _saved(checkpoint, rank)
    if saved is None:
        model.train()
        with fabric.autocast():
            model.prepare(data.lent(), run)  # the others train on the same faces
    else:
        for name in {k.rpartition("_extra_state")[0].rstrip(".") for k in saved["model"] if k.endswith("_extra_state")}:
            key = f"{name}._extra_state" if name else "_extra_state"
            model.get_submodule(name).set_extra_state(saved["model"][key])
    stages = model.stages()
    if settings.compile:
        for child in model.children():
            child.compile()
    loop = _Loop(model, stages, run, settings, checkpoint, log, label, quiet or rank > 0)
    loop.begin = begin  # what `prepare` took counts
    with stop_requests() as stopping:
        return loop.go(saved, stopping)


def _saved(checkpoint: Path, rank: int) -> dict[str, Any] | None:
    """The state to go on from; None where there is none, or where it is not what was written, which is said."""
    content = read_sealed(checkpoint)
    if content is not None:
        return torch.load(content, map_location="cpu", weights_only=True)
    if checkpoint.exists() and rank == 0:
        print(f"{checkpoint}: damaged; the training starts again", file=sys.stderr)
    return None


class _Loop:
    """The state of one training, and its going on from any step."""

    def __init__(self, model, stages, run, settings, checkpoint, log, label, quiet) -> None:
        self.model: Model = model
        self.stages: list[Stage] = stages
        self.run: FabricStep = run
        self.settings: TrainSettings = settings
        self.checkpoint: Path = checkpoint
        self.log: Path | None = log
        self.label, self.quiet = label, quiet
        self.averages = Averages(model)
        self.curve: dict[str, list[list[float]]] = {}
        self.elapsed = 0.0  # seconds of training before this process
        self.stage_elapsed = 0.0
        self.begin = time.monotonic()
        self.first, self.step = 0, 0
        self.done: list[int] = []  # steps of the finished stages
        self.writer: Any = None

    def go(self, saved: dict[str, Any] | None, stopping: Callable[[], bool]) -> dict[str, Any]:
        if saved:
            self.restore(saved)
        planned = sum(s.steps for s in self.stages)
        bar = Progress(f"train {self.label}", planned, self.run.total, self.quiet)
        try:
            for index in range(self.first, len(self.stages)):
                self.train_stage(index, planned, bar, stopping)
        finally:
            bar.close()
            if self.writer:
                self.writer.close()
        self.check_finite()
        self.averages.apply()
        for p in self.model.parameters():
            if not torch.isfinite(p).all():
                raise TrainingFailed(f"a weight is not finite after step {self.run.total}; lower the learning rate")
        state = {k: v for k, v in self.model.state_dict().items() if not k.startswith("degradation.")}
        tuned = (
            any(s.joint and n for s, n in zip(self.stages, self.done, strict=True))
            and self.model.degradation is not None
        )
        return {
            "model": to_cpu(state),
            **({"degradation": to_cpu(self.model.degradation.state_dict())} if tuned else {}),  # type: ignore[union-attr]
            "steps": self.run.total,
            "seconds": self.elapsed + time.monotonic() - self.begin,
            "stages": [{"name": s.name, "steps": n} for s, n in zip(self.stages, self.done, strict=True)],
            "curve": self.curve,
            "precision": self.run.fabric._precision.precision,
            "notes": self.run.notes,
        }

    def train_stage(self, index: int, planned: int, bar: Progress, stopping: Callable[[], bool]) -> None:
        model, run, settings, stage = self.model, self.run, self.settings, self.stages[index]
        if index > self.first or self.step == 0:
            self._enter(stage)
        share = settings.budget * stage.steps / planned if settings.budget and planned else None
        begin = time.monotonic()
        while True:
            spent = self.stage_elapsed + time.monotonic() - begin
            run.step, run.progress = self.step, self.step / stage.steps if stage.steps else 1.0
            if share is not None:
                run.progress = min(1.0, spent / share)
            if run.progress >= 1:
                break
            with run.fabric.autocast():
                stage.step(run.draw(), run)
            for scheduler in stage.schedulers.values():
                scheduler.step()
            if stage.ema:
                self.averages.update(stage.ema)
            self.step += 1
            run.total += 1
            done = (sum(s.steps for s in self.stages[:index]) + run.progress * stage.steps) / planned
            bar.advance(run.total, done)
            if run.total % settings.log_every == 0:
                self.write_curves()
            if self.log and run.total % settings.sample_every == 0:
                self.write_samples()
            stop = stopping()
            if stop or run.total % settings.checkpoint_every == 0:
                self.save(index, self.stage_elapsed + time.monotonic() - begin)
            if stop:
                raise Interrupted(f"stopped at step {run.total}; the same command goes on from there")
        if stage.joint and model.degradation is not None:
            model.degradation.requires_grad_(False)
        self.done.append(self.step)
        self.step, self.stage_elapsed = 0, 0.0

    def _enter(self, stage: Stage) -> None:
        if stage.enter:
            stage.enter()
        if stage.joint and self.model.degradation is not None:
            self.model.degradation.requires_grad_(True)
        self.model.train()
        self.run.enter(stage)

    def check_finite(self) -> None:
        bad = int(self.run.bad.item())
        if bad:
            raise TrainingFailed(
                f"the loss is not finite at step {bad}; lower the learning rate or use --precision fp32"
            )

    def write_curves(self) -> None:
        self.check_finite()
        means = self.run.means()
        for name, value in means.items():
            self.curve.setdefault(name, []).append([self.run.total, value])
        if self.log:
            for name, value in means.items():
                self._writer().add_scalar(name, value, self.run.total)

    def write_samples(self) -> None:
        if self.quiet and self.run.fabric.global_rank > 0:
            return
        for name, images in self.run.samples.items():
            with torch.no_grad():
                images = images() if callable(images) else images
            self._writer().add_images(name, images[:8].float().clamp(0, 1).cpu(), self.run.total)

    def _writer(self) -> Any:
        if self.writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(self.log), purge_step=self.run.total)
        return self.writer

    def save(self, index: int, stage_elapsed: float) -> None:
        """Write everything that the next step depends on. A state that is not finite is never written."""
        self.check_finite()
        run, stage = self.run, self.stages[index]
        random: Any = {"global": random_state(run.device), "data": run.generator.get_state()}
        if run.fabric.world_size > 1:
            every: list[Any] = [None] * run.fabric.world_size
            torch.distributed.all_gather_object(every, random)
        else:
            every = [random]
        if run.fabric.global_rank > 0:
            return
        state = {
            "model": self.model.state_dict(),
            "optimizers": {n: o.state_dict() for n, o in stage.optimizers.items()},
            "schedulers": {n: s.state_dict() for n, s in stage.schedulers.items()},
            "averages": self.averages.values,
            "position": {"stage": index, "step": self.step, "total": run.total, "done": self.done},
            "random": every,
            "curve": self.curve,
            "sums": run.sums,
            "counts": run.counts,
            "elapsed": self.elapsed + time.monotonic() - self.begin,
            "stage_elapsed": stage_elapsed,
            "notes": run.notes,
        }
        write_sealed(self.checkpoint, lambda file: torch.save(to_cpu(state), file))

    def restore(self, saved: dict[str, Any]) -> None:
        run, position = self.run, saved["position"]
        self.first, self.step, run.total = position["stage"], position["step"], position["total"]
        self.done = list(position["done"])
        for stage in self.stages[: self.first + 1]:
            self._enter(stage)
            if stage.joint and stage is not self.stages[self.first] and self.model.degradation is not None:
                self.model.degradation.requires_grad_(False)
        self.model.load_state_dict(saved["model"])
        stage = self.stages[self.first]
        for name, optimizer in stage.optimizers.items():
            optimizer.load_state_dict(saved["optimizers"][name])
        for name, scheduler in stage.schedulers.items():
            scheduler.load_state_dict(saved["schedulers"][name])
        self.averages.values = {
            c: {n: v.to(run.device) for n, v in kept.items()} for c, kept in saved["averages"].items()
        }
        self.curve, self.elapsed, self.stage_elapsed = saved["curve"], saved["elapsed"], saved["stage_elapsed"]
        run.sums = {n: v.to(run.device) for n, v in saved["sums"].items()}
        run.counts, run.notes = dict(saved["counts"]), list(saved["notes"])
        random = saved["random"][min(run.fabric.global_rank, len(saved["random"]) - 1)]
        run.generator.set_state(random["data"])
        restore_random_state(random["global"], run.device)
