"""Networks that files hold whole: ONNX graphs, and TorchScript by its explicit name, since it is code."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

import bench
from bench.errors import UsageError
from bench.kit.tile import tiled

from .conventions import FACE_SCALES, PROBE, Net, Range, at_size, scale_of, spoken


class OfAFile(bench.Method):
    """What both share: conventions are options, the scale is read off the network, large images go in tiles."""

    in_all = False
    name: ClassVar[str] = ""  # as errors call it

    @dataclass(frozen=True)
    class Params:
        weights: bench.File = bench.File("")  # noqa: RUF009 (a plain text)
        range: Range = "0..1"  # of its images, in and out
        bgr: bool = False  # whether it takes and gives BGR
        size: int = 0  # the one side that it takes, px: faces are resized to it; 0: any, or as the file says
        tile: int = 256  # LR pixels: longer sides are restored in tiles ...
        overlap: int = 32  # ... that see so many pixels of their neighbours

    @classmethod
    def net(cls, path: str, device: str) -> tuple[Net, int]:
        """The network of a file, and the side that it is fixed to (0: to none)."""
        raise NotImplementedError

    @classmethod
    def scales_for(cls, params: Any) -> tuple[int, ...]:
        if not params.weights:
            return cls.scales
        found, fixed, size = cls.read(params)
        scale = cls.own_scale(found, params, size or fixed)
        return FACE_SCALES if scale == 1 or size or fixed else (scale,)

    @classmethod
    def own_scale(cls, found: Net, params: Any, size: int) -> int:
        return scale_of(spoken(found, params.range, params.bgr), params.weights, size or PROBE)

    @classmethod
    def read(cls, params: Any, device: str = "cpu") -> tuple[Net, int, int]:
        """The network, the side that its file fixes it to, and the one that was given. Raises UsageError for no such file."""
        if not params.weights:
            raise UsageError(f"{cls.name}: give the file, as in {cls.name}[weights=FILE]")
        if not Path(params.weights).is_file():
            raise UsageError(f"{params.weights}: no such file")
        found, fixed = cls.net(str(params.weights), device)
        if fixed and params.size not in (0, fixed):
            raise UsageError(f"{params.weights}: takes {fixed} px, not size={params.size}")
        return found, fixed, params.size

    @classmethod
    def fingerprint(cls, params: Any, scale: int) -> str:
        cls.read(params)
        return ""  # the file's content is a parameter's, the runtime's version one of `libraries`

    def infer(self, lr: Tensor) -> Tensor:
        p = self.params
        found, fixed, size = self.read(p, lr.device.type)
        call = spoken(found, p.range, p.bgr)
        if fixed or size or self.keeps_size:
            return at_size(call, lr, fixed or size or 512, self.scale)
        return tiled(call, lr, self.scale, p.tile, p.overlap)

    def build(self) -> None:
        found, fixed, size = self.read(self.params)
        self.keeps_size = self.own_scale(found, self.params, size or fixed) == 1


class Onnx(OfAFile):
    """An ONNX graph of one image in, one image out, by onnxruntime: ``onnx[weights=FILE]``.

    ``range=-1..1`` and ``bgr=true`` say what it works on. A fixed input size is read from the graph: faces are resized to
    it (bicubic) and their output to the run's scale. A graph of one image at a time gets one at a time.
    """

    libraries = ("onnxruntime",)
    name = "onnx"

    @classmethod
    def net(cls, path: str, device: str) -> tuple[Net, int]:
        changed = Path(path).stat().st_mtime_ns
        return _graph(path, changed, device, torch.get_num_threads())


@lru_cache(maxsize=4)
def _graph(path: str, changed: int, device: str, threads: int) -> tuple[Net, int]:
    try:
        import onnxruntime as runtime
    except ImportError:
        raise UsageError("onnx needs onnxruntime: pip install 'face-sr-bench[onnx]'") from None
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    wanted = ["CUDAExecutionProvider"] * (device == "cuda") + ["CPUExecutionProvider"]
    providers = [p for p in wanted if p in runtime.get_available_providers()]
    try:
        session = runtime.InferenceSession(path, options, providers=providers)
    except Exception as error:
        raise UsageError(
            f"{path}: no ONNX graph that onnxruntime takes ({' '.join(str(error).split())[:150]})"
        ) from None
    inputs, outputs = session.get_inputs(), session.get_outputs()
    shape = inputs[0].shape
    if len(inputs) != 1 or len(shape) != 4 or (shape[1] not in (3, "3") and not isinstance(shape[1], str | None)):
        raise UsageError(f"{path}: takes {[i.shape for i in inputs]}; one image (batch, 3, height, width) is expected")
    kind = {"tensor(float16)": np.float16, "tensor(double)": np.float64}.get(inputs[0].type, np.float32)
    fixed = shape[2] if isinstance(shape[2], int) and shape[2] == shape[3] else 0
    alone = shape[0] == 1

    def call(x: Tensor) -> Tensor:
        parts = x.split(1) if alone else [x]
        made = [session.run([outputs[0].name], {inputs[0].name: part.cpu().numpy().astype(kind)})[0] for part in parts]
        return torch.from_numpy(np.concatenate(made).astype(np.float32)).to(x.device)

    return call, fixed


class TorchScript(OfAFile):
    """A network saved by ``torch.jit.save``: ``torchscript[weights=FILE]``. Such a file is code, which this runs.

    ``range=-1..1`` and ``bgr=true`` say what it works on, ``size=N`` the one side that it takes.
    """

    name = "torchscript"

    @classmethod
    def net(cls, path: str, device: str) -> tuple[Net, int]:
        return _script(path, Path(path).stat().st_mtime_ns, device), 0


@lru_cache(maxsize=4)
def _script(path: str, changed: int, device: str) -> Net:
    try:
        net: Net = torch.jit.load(path, map_location=device).eval()
    except Exception as error:
        raise UsageError(f"{path}: no TorchScript file ({' '.join(str(error).split())[:150]})") from None
    return net
