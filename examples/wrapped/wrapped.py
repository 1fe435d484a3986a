"""A repository as a method: its network and its loss stay as they are, this file is all that is written.

bench run --plugin examples/wrapped/wrapped.py --methods bicubic,wrapped
"""

from dataclasses import dataclass

import torch
from their_repository.model import CharbonnierLoss, FaceNet

import bench


class Wrapped(bench.Method):
    """Their network on BGR in [-1, 1], trained here with their loss; ``weights=FILE`` takes theirs instead."""

    @dataclass(frozen=True)
    class Params:
        n_feats: int = 64
        n_blocks: int = 8
        lr: float = 1e-3
        steps: int = 200_000
        weights: bench.File = ""  # a checkpoint of theirs to begin with

    quick = {"n_feats": 16, "n_blocks": 2, "steps": 200}
    lengths = ("steps",)
    default_degradation = "bicubic"

    def build(self):
        opt = {"n_feats": self.params.n_feats, "n_blocks": self.params.n_blocks, "scale": self.scale}
        self.net, self.loss = FaceNet(opt), CharbonnierLoss()
        if self.params.weights:
            self.net.load_state_dict(torch.load(self.params.weights, map_location="cpu", weights_only=True))

    def stages(self):
        adam = torch.optim.Adam(self.net.parameters(), self.params.lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, self.params.steps)
        return [bench.Stage("all", self.params.steps, self.step, {"net": adam}, {"net": schedule}, ema={"net": 0.99})]

    def step(self, batch, run):
        run.minimize(self.loss(self.restored(self.degrade(batch.hr)), batch.hr), "net")

    def restored(self, lr):
        """RGB in [0, 1] to BGR in [-1, 1] and back."""
        return (self.net(lr.flip(1) * 2 - 1).flip(1) + 1) / 2

    def infer(self, lr):
        return self.restored(lr).clamp(0, 1)
