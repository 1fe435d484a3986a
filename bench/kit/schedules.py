"""Learning rate schedules that several papers share."""

from collections.abc import Mapping, Sequence

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def falling(optimizers: Mapping[str, Optimizer], steps: int, share: float) -> dict[str, LambdaLR]:
    """By name: rates that fall linearly to 0 over the last ``share`` of ``steps``; no schedules where either is 0."""
    if not share or not steps:
        return {}
    return {name: LambdaLR(o, lambda step: min(1.0, (1 - step / steps) / share)) for name, o in optimizers.items()}


def stepped(optimizer: Optimizer, steps: int, shares: Sequence[float], factor: float = 0.5, warm: int = 0) -> LambdaLR:
    """A rate that is multiplied by ``factor`` at each of these shares of ``steps``, after rising over ``warm`` steps."""

    def rate(step: int) -> float:
        return min(1, (step + 1) / (warm + 1)) * factor ** sum(step >= round(share * steps) for share in shares)

    return LambdaLR(optimizer, rate)
