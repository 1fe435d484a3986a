"""What networks that are trained on patches share: starting weights, crops, the L1 or MSE stage, inference in tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import bench
from bench import weights
from bench.kit.patches import crops, turned
from bench.kit.schedules import stepped
from bench.kit.tile import tiled

from .checkpoints import finite, in_order, starting_hash, starting_point


class Patchwise(bench.Method):
    """Base of methods with one generator ``net``, made by ``generator(params, scale)``, that takes LR of any size.

    Their ``Params`` have ``init``: ``none``, a name of `bench weights list` or a checkpoint's path; ``patch``: the side
    of a training patch in LR pixels; ``turns``: whether patches are turned and mirrored; ``tile`` and ``overlap``.
    """

    net: nn.Module

    @staticmethod
    def generator(params: Any, scale: int) -> nn.Module:
        """The network with its first, random weights: (B, 3, h, w) in [0, 1] to (B, 3, h*scale, w*scale)."""
        raise NotImplementedError

    @staticmethod
    def released(path: Path, net: nn.Module) -> dict[str, Tensor]:
        """The weights of a published checkpoint, under the names of ``net``. Raises UsageError for one that does not fit."""
        return in_order(path, net)

    def start(self) -> None:
        """Change the random weights that a training without ``init`` starts from."""

    def sharpen(self, lr: Tensor) -> Tensor:
        """``net``'s output in [0, 1], about; what ``infer`` does with each tile."""
        return self.net(lr)

    @classmethod
    def fingerprint(cls, params: Any, scale: int) -> str:
        """The hash of the starting weights; a file that does not fit is refused here, before any work."""

        def fits(path: Path) -> None:
            with torch.device("meta"):
                net = cls.generator(params, scale)
            finite(path, cls.released(path, net))

        return starting_hash(params.init, fits)

    def views(self) -> dict[str, bench.View]:
        """Patches of the faces as they are: detail is of their own pixels."""
        return {"hr": bench.View(self.hr_size, whole=False), "lr_real": bench.View(self.lr_size)}

    def required_weights(self) -> tuple[str, ...]:
        init = self.params.init
        asked = (init,) if init in weights.manifest() and init not in self.pretrained else ()
        return (*asked, *super().required_weights())

    def build(self) -> None:
        self.net = self.generator(self.params, self.scale).to(memory_format=torch.channels_last)

    def prepare(self, data: bench.Data, run: bench.Step) -> None:
        if self.params.init == "none":
            self.start()
        else:
            self.net.load_state_dict(self.released(starting_point(self.params.init), self.net), strict=False)

    def infer(self, lr: Tensor) -> Tensor:
        return tiled(self.sharpen, lr, self.scale, self.params.tile, self.params.overlap).clamp(0, 1)

    def patches(self, hr: Tensor) -> Tensor:
        """Patches of a batch of HR faces (B, 3, H, W), in [0, 1]; faces that are smaller are used whole."""
        hr = crops(hr, self.params.patch * self.scale)
        return turned(hr) if self.params.turns else hr

    def pair(self, batch: bench.Batch, run: bench.Step) -> tuple[Tensor, Tensor, Tensor]:
        """HR patches, their LR, and what ``net`` makes of that."""
        hr = self.patches(batch.hr)
        lr = self.degrade(hr)
        fake = self.net(lr)
        run.images(lr=lr, sr=fake, hr=hr)
        return hr, lr, fake


class ByL1(Patchwise):
    """Of those the ones that one stage trains, by the mean absolute difference of pixels alone, with Adam."""

    def stages(self) -> list[bench.Stage]:
        p = self.params
        optimizer = torch.optim.Adam(self.net.parameters(), p.lr, (0.9, 0.999))
        schedule = stepped(optimizer, p.steps, p.halve, warm=p.warm)
        return [bench.Stage("l1", p.steps, self.step, {"net": optimizer}, {"net": schedule}, p.batch)]

    def step(self, batch: bench.Batch, run: bench.Step) -> None:
        hr, _, fake = self.pair(batch, run)
        run.minimize(F.l1_loss(fake, hr), "net")
