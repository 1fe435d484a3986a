"""Any checkpoint that spandrel recognises, as a method of its own."""

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import bench
from bench.core.hashing import version
from bench.core.image import resize
from bench.errors import UsageError
from bench.kit.blocks import to_signed, to_unit
from bench.kit.tile import tiled

from .checkpoints import content_hash, recognise

FACE = 512  # px: the side of the aligned faces that GFPGAN and RestoreFormer restore (FFHQ)
FACE_SCALES = (4, 2, 8)  # what they serve for here, whose own scale is 1
GRID = 16  # px: windows of SwinIR, HAT, DAT and the like are 8 or 16 px; tiles begin where windows do


class Pretrained(bench.Method):
    """A network with weights trained elsewhere (ESRGAN, Real-ESRGAN, RealSR, SwinIR, HAT, DAT, ...): ``weights=FILE``.

    Architecture, scale and needs of size are read from the file, without running any code in it; images are padded to
    what the network needs and cropped again, large ones go in tiles. Restorers of faces that keep the size (GFPGAN,
    RestoreFormer) get the LR upsampled (bicubic) to 512 px, and their output is shrunk to the run's scale, as their
    authors' programs do. Not for grayscale, inpainting, or other restoration at scale 1.
    """

    libraries = ("spandrel",)
    in_all = False

    @dataclass(frozen=True)
    class Params:
        weights: str = ""  # path of the checkpoint, .pth, .pt, .ckpt or .safetensors
        tile: int = 256  # LR pixels: longer sides are restored in tiles ...
        overlap: int = 32  # ... that see so many pixels of their neighbours

    @classmethod
    def scales_for(cls, params: Any) -> tuple[int, ...]:
        if not params.weights:
            return cls.scales
        scale = _scale(*_identity(params.weights))
        return (scale,) if scale > 1 else FACE_SCALES

    @classmethod
    def fingerprint(cls, params: Any, scale: int) -> str:
        return f"{content_hash(Path(_given(params.weights)))}, spandrel {version('spandrel')}"

    def build(self) -> None:
        found = model_in(Path(_given(self.params.weights)))
        if found.scale not in (1, self.scale):
            raise UsageError(f"{self.params.weights}: a x{found.scale} model, not x{self.scale}")
        self.found, self.net = found, found.model  # the descriptor is no module; its network is

    def infer(self, lr: Tensor) -> Tensor:
        from spandrel import ModelTiling

        if self.found.scale == 1:
            return self.restore_faces(lr)
        if self.found.tiling == ModelTiling.INTERNAL:
            return self.found(lr)
        p, multiple = self.params, math.lcm(GRID, self.found.size_requirements.multiple_of)
        return tiled(self.found, lr, self.scale, p.tile, p.overlap, multiple)

    def restore_faces(self, lr: Tensor) -> Tensor:
        """A face at a time: LR padded to a square by its edge, to 512 px, restored, to the run's scale, cropped."""
        height, width = lr.shape[-2:]
        side = max(height, width)
        square = F.pad(lr, (0, side - width, 0, side - height), mode="replicate")
        large = resize(square, FACE).clamp(0, 1)
        restored = torch.cat([self.restore_face(face) for face in large.split(1)])
        return resize(restored, side * self.scale).clamp(0, 1)[..., : height * self.scale, : width * self.scale]

    def restore_face(self, face: Tensor) -> Tensor:
        """(1, 3, 512, 512) -> the same."""
        if self.found.architecture.id == "GFPGAN":  # its range is [-1, 1] and its noise random unless told otherwise
            return to_unit(self.net(to_signed(face), randomize_noise=False, return_rgb=False)[0])
        return self.found(face)


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
def _scale(path: Path, changed: int) -> int:
    return model_in(path).scale
