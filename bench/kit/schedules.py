"""Learning rate schedules that several papers share."""

from collections.abc import Mapping

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def falling(optimizers: Mapping[str, Optimizer], steps: int, share: float) -> dict[str, LambdaLR]:
    """By name: rates that fall linearly to 0 over the last ``share`` of ``steps``; no schedules where either is 0."""
    if not share or not steps:
        return {}
    return {name: LambdaLR(o, lambda step: min(1.0, (1 - step / steps) / share)) for name, o in optimizers.items()}
