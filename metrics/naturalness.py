"""Quality without a reference, from statistics of natural images, by pyiqa: NIQE, BRISQUE, PIQE, NRQM and PI."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

import bench
from bench import weights
from bench.api import shapes

BLOCK = 96  # px: side of NIQE's blocks (Mittal 2013); the statistics in its file are of such blocks
CROP = 4  # px cut off at each side before PI (PIRM 2018)
NRQM_LEAST = 58  # px: below this NRQM's pyramid has no 11 px left for its structural correlations


LUMA = {"gray": "luma of 0-255", "ycbcr": "Y of 16-235"}
SPACES = {"gray": "yiq", "ycbcr": "ycbcr"}  # as pyiqa calls them


def heading(params: Any) -> str:
    """What tables say beside the metric's name."""
    space = {"gray": "Y 0-255", "ycbcr": "Y"}[params.color]
    return f"[{space}, border {params.border}]" if params.border else f"[{space}]"


def inner(images: Tensor, border: int) -> Tensor:
    return images[..., border : images.shape[-2] - border, border : images.shape[-1] - border]


def each(measure: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """``measure`` for any batch: where pyiqa refuses one because of some face, that face is NaN and the others are not."""

    def careful(images: Tensor) -> Tensor:
        try:
            return measure(images).flatten()
        except (AssertionError, torch.linalg.LinAlgError):
            if len(images) == 1:
                return images.new_full((1,), float("nan"))
            return torch.cat([careful(image[None]) for image in images])

    return careful


class _Statistics(bench.Metric):
    default = False
    by_face = True
    libraries: ClassVar[tuple[str, ...]] = ("pyiqa",)

    def hashes(self) -> str:
        return " and ".join(f"{name} (sha256 {weights.file_hash(name)})" for name in self.required_weights())


class Niqe(_Statistics):
    """Natural image quality evaluator (Mittal 2013): distance of the face's patch statistics to those of natural images.

    It needs one block of 96 px: smaller faces are unavailable, unless ``block`` is set, which makes numbers of its own.
    """

    libraries = ("pyiqa",)
    title = "NIQE"
    pretrained = {"niqe": ""}
    bounds = {"block": (2, None)}
    paper = "Mittal, Soundararajan, Bovik: Making a completely blind image quality analyzer, SPL 2013"

    @dataclass(frozen=True)
    class Params:
        block: int = BLOCK  # px, even: side of a block; values of other blocks compare with their own kind alone
        color: Literal["ycbcr", "gray"] = (
            "ycbcr"  # luma of 16-235 (BasicSR's, super-resolution's); of 0-255 (the authors')
        )
        border: int = 0  # pixels cut off at each side before measuring

    def protocol(self, outputs: bench.Outputs) -> str:
        block, cut = self.params.block, 2 * self.params.border
        counts = [(height - cut) // block * ((width - cut) // block) for _, height, width in shapes(outputs.sr)]
        few = "; with one block a face its covariance is 0" if 1 in counts else ""
        own = "" if block == BLOCK else f"; not comparable with NIQE of {BLOCK} px"
        luma = LUMA[self.params.color]
        return f"{heading(self.params)} NIQE, {luma}, blocks of {block} px{few}{own}, {self.hashes()}, by pyiqa"

    def score(self, outputs: bench.Outputs) -> bench.Score:
        block = self.params.block
        parameters = outputs.keep("niqe", niqe_parameters)
        why = (
            f"no block of NIQE fits; niqe[block={BLOCK // 6}] measures with smaller ones, comparable with itself alone"
        )
        space, border = SPACES[self.params.color], self.params.border
        measure = each(lambda images: niqe(inner(images, border), parameters, block=block, space=space))
        least = block + 2 * border
        return bench.per_face(measure, outputs.sr, size=32, device=outputs.device, least=least, why=why)


def niqe_parameters() -> tuple[Tensor, Tensor]:
    """The mean (36,) and covariance (36, 36) of natural images' features."""
    from pyiqa.archs.niqe_arch import NIQE

    model = NIQE(pretrained_model_path=str(weights.path("niqe")))
    return model.mu_pris_param, model.cov_pris_param


def niqe(images: Tensor, parameters: Any, block: int = BLOCK, space: str = "yiq") -> Tensor:
    from pyiqa.archs.niqe_arch import niqe as measure
    from pyiqa.utils.color_util import to_y_channel

    luma = to_y_channel(images, 255, space).double()
    mean, covariance = (p.to(luma).expand(len(luma), *p.shape) for p in parameters)
    return measure(luma, mean, covariance, block, block)


class Brisque(_Statistics):
    """Blind/referenceless image spatial quality evaluator (Mittal 2012): a support vector regression of 36 statistics."""

    libraries = ("pyiqa",)
    title = "BRISQUE"
    pretrained = {"brisque": ""}
    paper = "Mittal, Moorthy, Bovik: No-reference image quality assessment in the spatial domain, TIP 2012"

    @dataclass(frozen=True)
    class Params:
        color: Literal["gray", "ycbcr"] = "gray"  # luma of 0-255 as the authors' code (rgb2gray); of 16-235
        border: int = 0  # pixels cut off at each side before measuring

    def protocol(self, outputs: bench.Outputs) -> str:
        return f"{heading(self.params)} BRISQUE, {LUMA[self.params.color]}, two scales, {self.hashes()}, by pyiqa"

    def score(self, outputs: bench.Outputs) -> bench.Score:
        from pyiqa.archs.brisque_arch import brisque
        from pyiqa.utils.color_util import to_y_channel

        coefficients, vectors = outputs.keep("brisque", lambda: weights.load("brisque"))
        space, border = SPACES[self.params.color], self.params.border

        def grey(images: Tensor) -> Tensor:
            return to_y_channel(inner(images, border), 255, space) / 255

        measure = each(lambda images: brisque(grey(images), sv_coef=coefficients, sv=vectors))
        least = 16 + 2 * border
        return bench.per_face(measure, outputs.sr, device=outputs.device, least=least, why="no room for two scales")


class Piqe(_Statistics):
    """Perception-based image quality evaluator (Venkatanath 2015): distortion of active 16 px blocks; no weights."""

    libraries = ("pyiqa",)
    title = "PIQE"
    paper = "Venkatanath et al.: Blind image quality evaluation using perception based features, NCC 2015"

    def protocol(self, outputs: bench.Outputs) -> str:
        return "PIQE, luma over its own maximum, blocks of 16 px, by pyiqa"

    def score(self, outputs: bench.Outputs) -> bench.Score:
        from pyiqa.archs.piqe_arch import piqe

        why = "no block of PIQE fits"
        return bench.per_face(lambda images: piqe(images)[0], outputs.sr, device=outputs.device, least=16, why=why)


class Nrqm(_Statistics):
    """Ma's no-reference quality metric for super-resolution (Ma 2017): regression forests of three kinds of statistics."""

    libraries = ("pyiqa",)
    title = "NRQM"
    pretrained = {"nrqm": ""}
    direction = "higher"
    paper = "Ma et al.: Learning a no-reference quality metric for single-image super-resolution, CVIU 2017"

    def protocol(self, outputs: bench.Outputs) -> str:
        return f"NRQM, luma 0-255, {self.hashes()}, by pyiqa"

    def score(self, outputs: bench.Outputs) -> bench.Score:
        model = outputs.keep("nrqm", forests)
        why = "no room for NRQM's pyramid"
        return bench.per_face(each(model), outputs.sr, size=16, device=outputs.device, least=NRQM_LEAST, why=why)


def forests(crop: int = 0, space: str = "yiq") -> torch.nn.Module:
    from pyiqa.archs.nrqm_arch import NRQM

    return NRQM(crop_border=crop, color_space=space, pretrained_model_path=str(weights.path("nrqm")))


class Pi(_Statistics):
    """Perceptual index of the PIRM challenge (Blau 2018): ((10 - NRQM) + NIQE) / 2 on Y of 16-235, border cut off."""

    libraries = ("pyiqa",)
    title = "PI"
    pretrained = {"niqe": "", "nrqm": ""}
    paper = "Blau et al.: The 2018 PIRM challenge on perceptual image super-resolution, ECCV workshops 2018"

    def protocol(self, outputs: bench.Outputs) -> str:
        return f"[Y, border {CROP}] PI = ((10 - NRQM) + NIQE) / 2, Y of 16-235, {self.hashes()}, by pyiqa"

    def score(self, outputs: bench.Outputs) -> bench.Score:
        parameters = outputs.keep("niqe", niqe_parameters)
        model = outputs.keep("nrqm of pi", lambda: forests(CROP, "ycbcr"))

        def measure(images: Tensor) -> Tensor:
            return (10 - model(images) + niqe(inner(images, CROP), parameters, space="ycbcr").to(images)) / 2

        why = "no block of NIQE fits"
        return bench.per_face(
            each(measure), outputs.sr, size=16, device=outputs.device, least=BLOCK + 2 * CROP, why=why
        )
