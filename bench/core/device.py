"""Where and how precisely to compute, and the state of a device that an exact resume needs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bench.errors import UsageError


def resolve_device(name: str) -> torch.device:
    """auto, cpu or cuda as a device. Raises UsageError where it is not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda"):
        raise UsageError(f"--device {name}: one of auto, cpu, cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: no GPU that this torch can use; take --device cpu")
    return torch.device(name)


def resolve_precision(name: str, device: torch.device) -> str:
    """auto, bf16 or fp32 as bf16 or fp32."""
    if name not in ("auto", "bf16", "fp32"):
        raise UsageError(f"--precision {name}: one of auto, bf16, fp32")
    if name == "auto":
        return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
    return name


def has_bf16(device: torch.device) -> bool:
    """Whether the device computes in bf16 itself, and not by way of float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def random_state(device: torch.device) -> dict[str, Any]:
    state: dict[str, Any] = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: dict[str, Any], device: torch.device) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)


def to_cpu(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if isinstance(value, dict):
        return {k: to_cpu(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(to_cpu(v) for v in value)
    return value
