"""Any checkpoint that spandrel recognises, as a method of its own."""

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor

import bench
from bench.core.hashing import version
from bench.errors import UsageError
from bench.kit.blocks import to_signed, to_unit
from bench.kit.tile import tiled

from .builders import built, code_of
from .checkpoints import content_hash, recognise
from .conventions import FACE_SCALES, PROBE, Range, at_size, scale_of, spoken

FACE = 512  # px: the side of the aligned faces that GFPGAN and RestoreFormer restore (FFHQ)
GRID = 16  # px: windows of SwinIR, HAT, DAT and the like are 8 or 16 px; tiles begin where windows do


class Pretrained(bench.Method):
    """A network with weights trained elsewhere (ESRGAN, Real-ESRGAN, RealSR, SwinIR, HAT, DAT, ...): ``weights=FILE``.

    Architecture, scale and needs of size are read from the file, without running any code in it; images are padded to
    what the network needs and cropped again, large ones go in tiles. Restorers of faces that keep the size (GFPGAN,
    RestoreFormer, CodeFormer) get the LR upsampled (bicubic) to 512 px, and their output is shrunk to the run's scale, as their
    authors' programs do. Not for grayscale, inpainting, or other restoration at scale 1. Architectures of
    spandrel_extra_arches load where that is installed; their licences (CodeFormer: S-Lab 1.0, not for commercial use) are the
    user's to keep. ``range=-1..1`` and ``bgr=true`` say what a network works on, where that is not RGB in [0, 1] (restorers
    of faces are known). ``builder=net.py:Net`` makes a network that spandrel does not know, and gets the file's state dict.
    """

    libraries = ("spandrel",)
    in_all = False

    bounds = {"fidelity": (0, 1)}

    @dataclass(frozen=True)
    class Params:
        weights: str = ""  # path of the checkpoint, .pth, .pt, .ckpt or .safetensors
        tile: int = 256  # LR pixels: longer sides are restored in tiles ...
        overlap: int = 32  # ... that see so many pixels of their neighbours
        fidelity: float = 0.5  # CodeFormer's w: 0 for quality, 1 for likeness to the input
        builder: str = ""  # FILE.py:NAME of what makes the network, where spandrel does not know it; FILE is run
        arguments: tuple[str, ...] = ()  # of the builder, KEY=VALUE joined by +
        range: Range = "0..1"  # of the network's images, in and out
        bgr: bool = False  # whether it takes and gives BGR
        size: int = 0  # the one side that a built network takes, px; 0: any, and 512 where it keeps the size

    @classmethod
    def scales_for(cls, params: Any) -> tuple[int, ...]:
        if not params.weights:
            return cls.scales
        if params.builder:
            scale = _built_scale(params, *_identity(params.weights), *_identity(params.builder.rpartition(":")[0]))
            return FACE_SCALES if scale == 1 or params.size else (scale,)
        scale, _ = _known(*_identity(params.weights))
        return (scale,) if scale > 1 else FACE_SCALES

    @classmethod
    def fingerprint(cls, params: Any, scale: int) -> str:
        if not params.builder:
            fits(params)
        made = code_of(params.builder) if params.builder else f"spandrel {version('spandrel')}"
        return f"{content_hash(Path(_given(params.weights)))}, {made}"

    def build(self) -> None:
        self.built = bool(self.params.builder)
        if self.built:
            self.net = built(self.params)
            call = spoken(self.net, self.params.range, self.params.bgr)
            self.own_scale = scale_of(call, self.params.weights, self.params.size or PROBE)
            return
        found = model_in(Path(_given(self.params.weights)))
        if found.scale not in (1, self.scale):
            raise UsageError(f"{self.params.weights}: a x{found.scale} model, not x{self.scale}")
        self.found, self.net = found, found.model  # the descriptor is no module; its network is

    def infer(self, lr: Tensor) -> Tensor:
        p = self.params
        if self.built:
            call = spoken(self.net, p.range, p.bgr)
            if p.size or self.own_scale == 1:
                return at_size(call, lr, p.size or FACE, self.scale)
            return tiled(call, lr, self.scale, p.tile, p.overlap)
        if self.found.scale == 1:
            return at_size(self.restore_face, lr, FACE, self.scale)
        call = spoken(self.found if p.range == "0..1" else self.unclamped, p.range, p.bgr)
        if self.found.tiling.name == "INTERNAL":
            return call(lr)
        multiple = math.lcm(GRID, self.found.size_requirements.multiple_of)
        return tiled(call, lr, self.scale, p.tile, p.overlap, multiple)

    def unclamped(self, x: Tensor) -> Tensor:
        """The network by itself: the descriptor clamps to [0, 1]. Images are padded as it does, mirrored as far as they reach."""
        height, width = x.shape[-2:]
        right, bottom = self.found.size_requirements.get_padding(width, height)
        mirrored = min(right, width - 1), min(bottom, height - 1)
        x = F.pad(x, (0, mirrored[0], 0, mirrored[1]), mode="reflect")
        y: Tensor = self.net(F.pad(x, (0, right - mirrored[0], 0, bottom - mirrored[1]), mode="replicate"))
        return y[..., : height * self.scale, : width * self.scale]

    def restore_face(self, face: Tensor) -> Tensor:
        """(1, 3, 512, 512) -> the same."""
        if self.found.architecture.id == "GFPGAN":  # its range is [-1, 1] and its noise random unless told otherwise
            return to_unit(self.net(to_signed(face), randomize_noise=False, return_rgb=False)[0])
        if self.found.architecture.id == "CodeFormer":  # as its authors' inference has it
            return to_unit(self.net(to_signed(face), weight=self.params.fidelity)[0])
        return self.found(face)


def fits(params: Any) -> None:
    """Raises UsageError for options that mean nothing to the network of a file."""
    scale, kind = _known(*_identity(_given(params.weights)))
    idle = {"arguments": params.arguments, "size": params.size}
    why = "goes with builder="
    if not any(idle.values()) and scale == 1:
        idle, why = {"range": params.range != "0..1", "bgr": params.bgr}, f"of a {kind} is known"
    if not any(idle.values()) and kind != "CodeFormer":
        idle, why = {"fidelity": params.fidelity != Pretrained.Params.fidelity}, f"is CodeFormer's, not of a {kind}"
    if named := next((name for name, value in idle.items() if value), ""):
        raise UsageError(f"pretrained[weights={params.weights}]: {named} {why}; leave {named} out")


def model_in(path: Path) -> Any:
    """spandrel's descriptor of a network that super-resolves colour images, or restores faces at their size.

    Raises UsageError for any other file.
    """
    found = recognise(path)
    name = found.architecture.name
    if found.purpose == "Inpainting" or (found.scale == 1 and found.purpose != "FaceSR"):
        raise UsageError(f"{path}: {name} for {found.purpose.lower()} at scale 1; this method takes super-resolution")
    if (found.input_channels, found.output_channels) != (3, 3):
        channels = f"{found.input_channels} to {found.output_channels}"
        raise UsageError(f"{path}: {name} of {channels} channels; this method takes RGB, 3 to 3")
    return found


def _given(weights: str) -> str:
    if not weights:
        raise UsageError("pretrained: give the checkpoint, as in pretrained[weights=FILE]")
    return weights


def _identity(weights: str) -> tuple[Path, int]:
    path = Path(weights)
    return path, path.stat().st_mtime_ns if path.is_file() else 0


@lru_cache(maxsize=16)
def _known(path: Path, changed: int) -> tuple[int, str]:
    """Scale and architecture of a checkpoint."""
    found = model_in(path)
    return found.scale, found.architecture.id


@lru_cache(maxsize=16)
def _built_scale(params: Any, *identity: Any) -> int:
    return scale_of(spoken(built(params), params.range, params.bgr), params.weights, params.size or PROBE)
