"""How to train."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainSettings:
    """How to train. Only ``seed``, ``budget``, ``precision``, ``devices`` and ``compile`` change the result."""

    device: str = "auto"  # auto, cpu, cuda
    devices: int = 1  # GPUs (or CPU processes) of this machine
    precision: str = "auto"  # auto: bf16 on a GPU that has it, else fp32
    seed: int = 0
    budget: float | None = None  # seconds for this model; None: the stages' steps
    compile: bool = False  # torch.compile every network
    checkpoint_every: int = 500  # steps
    log_every: int = 25  # steps
    sample_every: int = 500  # steps between sample images
