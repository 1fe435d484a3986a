"""What a method costs at inference: multiply-adds, parameters, memory, and how many faces a second."""

import statistics
import time
import weakref
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from torch.utils.flop_counter import FlopCounterMode

import bench


@dataclass(frozen=True)
class Params:
    batch: int = 16  # faces restored at once while time is taken
    seconds: float = 0.3  # time is taken for so long, and of one batch at least


class Cost(bench.Metric):
    """Multiply-adds of one face: of convolutions, matrix products and attention, as torch counts them.

    Extras: ``parameters`` (that inference uses) and ``memory`` (bytes of all tensors alive at once while one face is
    restored, weights included; not what libraries use inside an operation). All three are the same in every run.
    ``measured`` is not: ``faces_per_second``, and on a GPU ``allocated``, the allocator's peak in bytes for a batch.
    """

    table = "cost"
    needs = ("lr", "upscale", "parameters")
    bounds = {"seconds": (0, None)}
    about = "method"
    Params = Params  # type: ignore[assignment]

    def protocol(self, outputs: bench.Outputs) -> str:
        assert outputs.lr is not None
        height, width = outputs.lr[0].shape[1:]
        return (
            f"one {width}x{height} LR face to {width * outputs.scale}x{height * outputs.scale}; multiply-adds of convolutions, "
            "matrix products and attention by torch's counter; bytes of all tensors alive at once, weights included"
        )

    def score(self, outputs: bench.Outputs) -> bench.Score:
        p, upscale = self.params, outputs.upscale
        assert upscale is not None and outputs.parameters is not None
        ((_, lr),) = bench.batches(outputs.lr[:1] if outputs.lr else [], device=outputs.device)
        upscale(lr)  # what a method keeps from its first call is no part of the count
        with FlopCounterMode(display=False) as flops, PeakMemory() as memory:
            upscale(lr)
        extra = {"parameters": float(outputs.parameters), "memory": float(memory.peak)}
        batch = lr.expand(p.batch, -1, -1, -1).contiguous()
        cuda = outputs.device.type == "cuda"
        measured = {"batch": float(p.batch)}
        if cuda:
            torch.cuda.reset_peak_memory_stats(outputs.device)
        times: list[float] = []
        begin = time.monotonic()
        upscale(batch)  # warms up
        while not times or time.monotonic() - begin < p.seconds:
            start = time.perf_counter()
            upscale(batch)
            if cuda:
                torch.cuda.synchronize(outputs.device)
            times.append(time.perf_counter() - start)
        measured["faces_per_second"] = p.batch / statistics.median(times)
        if cuda:
            measured["allocated"] = float(torch.cuda.max_memory_allocated(outputs.device))
        return bench.Score(flops.get_total_flops() / 2, n=1, extra=extra, measured=measured)


class PeakMemory(TorchDispatchMode):
    """The most bytes of tensors alive at once among those that operations in this context make or read."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: dict[int, int] = {}
        self.now = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for tensor in tree_flatten((args, kwargs, found))[0]:
            if isinstance(tensor, Tensor):
                self.see(tensor.untyped_storage())
        return found

    def see(self, storage: Any) -> None:
        key = storage._cdata
        if key not in self.alive:
            self.alive[key] = storage.nbytes()
            self.now += self.alive[key]
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self.forget, key)

    def forget(self, key: int) -> None:
        self.now -= self.alive.pop(key, 0)
