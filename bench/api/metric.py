"""The interface of metrics: what they are given, what they return."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from bench.api.pretrained import needed
from bench.api.reference import Reference
from bench.core.image import to_float
from bench.errors import Unavailable
from bench.faces.images import piece, shapes, taken

Images = Sequence[np.ndarray]  # one (3, H, W) uint8 array a face; sizes may differ; files are read as needed


@dataclass
class Outputs:
    """The restored faces of one method under one condition, and what they can be compared with."""

    sr: Images  # restored, in the order of names
    names: list[str]  # of the faces
    lr: Images | None = None  # the inputs
    hr: Images | None = None  # the ground truth, aligned with sr; None for real LR
    reference_hr: Images | Reference | None = None  # HR faces that sr never saw: the reference of distribution metrics
    reference_lr: Images | Reference | None = None  # real LR faces, the reference of LR-domain metrics
    held_out_hr: Images | None = None  # further real HR faces: what they reach is the floor of distribution metrics
    held_out_lr: Images | None = None  # the same in the LR domain
    scale: int = 4  # HR side over LR side
    device: torch.device = torch.device("cpu")  # where a metric computes
    seed: int = 0  # of all that a metric draws
    upscale: Callable[[Tensor], Tensor] | None = None  # the method: (B,3,h,w) -> (B,3,h*scale,w*scale); None for files
    features: Callable[[Tensor], Tensor | None] | None = None  # Method.features
    parameters: int | None = None  # of the method, as Method.parameter_count counts them
    degrade: Callable[..., Tensor] | None = None  # degrade(spec, images (B,3,H,W), scale=1, seed=0) -> (B,3,H/s,W/s)
    cache: dict[Any, Any] = field(default_factory=dict)  # shared by the metrics of one run (networks, references)
    folder: Path | None = None  # where a metric may keep what is slow to compute, under a name that says what of
    first: int = 0  # of a chunk of a large set: the place of its first face there
    total: int = 0  # of a chunk: how many faces the whole set has; 0: these are all of them

    def chunk(self, start: int, stop: int) -> Outputs:
        """The faces from ``start`` to ``stop``, as a chunk of these."""
        lr, hr = (None if images is None else piece(images, start, stop) for images in (self.lr, self.hr))
        return replace(
            self, sr=piece(self.sr, start, stop), lr=lr, hr=hr, names=self.names[start:stop], first=start,
            total=len(self.names),
        )  # fmt: skip

    def keep(self, key: Any, make: Callable[[], Any]) -> Any:
        """What ``make`` gives, made once in a run."""
        if key not in self.cache:
            self.cache[key] = make()
        return self.cache[key]


@dataclass(frozen=True)
class Picture:
    """A picture for the report: one figure a ``metric`` and ``group``, with a column a ``label``."""

    group: str  # such as a face's name
    label: str  # such as a degradation
    image: np.ndarray  # (3, H, W) uint8
    note: str = ""  # its number, written below it
    of: str = "sr"  # sr: a row of its method; lr: an input, in the row that all methods share


@dataclass
class Score:
    """A metric's answer. ``per_image`` (aligned with names) has its mean as the value; a set has only ``value``.

    A face that was not measured is NaN in ``per_image``.
    """

    value: float
    per_image: np.ndarray | None = None
    ci: tuple[float, float] | None = None  # 95 % interval; the harness bootstraps per_image where this is None
    n: int = 0  # images used; the harness fills it from per_image where 0
    extra: dict[str, float] = field(default_factory=dict)  # further rows, named METRIC.KEY
    counts: dict[str, int] = field(default_factory=dict)  # images behind extras whose number is not n
    directions: dict[str, str] = field(default_factory=dict)  # of extras whose better side is not the metric's
    measured: dict[str, float] = field(default_factory=dict)  # what no second run repeats (times): for run.json alone
    pictures: list[Picture] = field(default_factory=list)  # what the report shows of it; kept under figures/


class Metric:
    """Base of metrics. ``needs`` names the fields of Outputs that must not be None."""

    @dataclass(frozen=True)
    class Params:
        """No parameters."""

    title: ClassVar[str] = ""  # as tables name it; empty: as it is called
    decimals: ClassVar[int] = 3  # of its values in tables
    direction: ClassVar[Literal["higher", "lower"]] = "lower"  # which values are better
    needs: ClassVar[tuple[str, ...]] = ()  # fields of Outputs without which it is not measured
    about: ClassVar[str] = "sr"  # sr: restored faces; lr: a degradation's LR; method: the method itself
    default: ClassVar[bool] = True  # among the metrics of a run that names none
    in_all: ClassVar[bool] = True  # part of `all`; False for a metric that cannot run without options
    pretrained: ClassVar[dict[str, str]] = {}  # files (`bench weights list`) and the option that needs each; "": always
    libraries: ClassVar[
        tuple[str, ...]
    ] = ()  # packages that make its number: versions are part of its key and protocol
    table: ClassVar[str] = ""  # the family whose own tables show it in full; empty: the results
    prefix: ClassVar[str] = ""  # of its columns in these
    parts: ClassVar[dict[str, str]] = {}  # titles of extras that are not called as their columns say
    part_decimals: ClassVar[dict[str, int]] = {}  # of extras whose decimals are not the metric's
    headlines: ClassVar[tuple[str, ...]] = ()  # of a family: the extras that stand among the results, "" for the value
    variants: ClassVar[dict[str, dict[str, Any]]] = {}  # published settings, by name
    quick: ClassVar[dict[str, Any]] = {}  # what the quick preset changes, and the report then says
    bounds: ClassVar[dict[str, tuple[float | None, float | None]]] = {}  # least and most of options; None: no bound
    paper: ClassVar[str] = ""  # author, title, venue, year
    by_face: ClassVar[bool] = False  # a face's value is the same whatever faces are beside it, and there are no extras

    def __init__(self, params: Any = None) -> None:
        self.params: Any = self.Params() if params is None else params

    def required_weights(self) -> tuple[str, ...]:
        """Names of the pretrained files that it needs with these parameters, the ones in ``pretrained``."""
        return needed(self.pretrained, self.params)

    def degradations(self) -> tuple[str, ...]:
        """The degradations that it makes versions with: what those learned is part of what it measures."""
        return ()

    def protocol(self, outputs: Outputs) -> str:
        """How the number is made: reference set, resize, colour space, border, kernel, weights' hash.

        What a table's heading must say of it stands first, in brackets: ``[Y, border 4] ...``. Values compare where
        their protocols are equal; the seed is a column of its own.
        """
        raise NotImplementedError

    def score(self, outputs: Outputs) -> Score:
        """Measure. Raises Unavailable where it cannot mean anything, MissingWeights where a file is absent."""
        raise NotImplementedError

    # ---- of large sets: chunks are measured one by one, on any machines, and put together in their order

    def splits(self, outputs: Outputs) -> bool:
        """Whether these faces can be measured in chunks. One that overrides it defines ``part`` and ``whole``, or is by_face."""
        return self.by_face

    def part(self, outputs: Outputs) -> dict[str, np.ndarray]:
        """What the score needs of one chunk (see ``Outputs.chunk``)."""
        try:
            values = self.score(outputs).per_image
        except Unavailable as error:  # of this chunk's faces
            return {"values": np.full(len(outputs.names), np.nan), "why": np.array(str(error))}
        assert values is not None
        return {"values": np.asarray(values, np.float64)}

    def whole(self, outputs: Outputs, parts: Iterable[Mapping[str, np.ndarray]]) -> Score:
        """The score of all faces from those of their chunks, which come one by one, in order."""
        found, why = [], ""
        for part in parts:
            found.append(part["values"])
            why = why or str(part.get("why", ""))
        values = np.concatenate(found)
        if np.isnan(values).all():
            raise Unavailable(why)
        return Score(float(np.nanmean(values)), per_image=values)


MOST = 64  # images of a batch that no one says the size of
PIXELS = 2**18  # and on a CPU fewer of large ones: what does not fit its cache takes twice as long


def batches(*images: Images, size: int | None = None, device: torch.device | str = "cpu") -> Iterator[tuple[Any, ...]]:
    """Aligned lists as batches of floats in [0, 1]: (indices, tensor, tensor, ...), equal sizes together."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for index, row in enumerate(zip(*map(shapes, images), strict=True)):
        groups.setdefault(row, []).append(index)
    for sizes, indices in groups.items():
        columns = [taken(column, indices) for column in images]
        fitting = (
            PIXELS // max(1, max(height * width for _, height, width in sizes))
            if torch.device(device).type == "cpu"
            else MOST
        )
        step = size or max(1, min(MOST, fitting))
        for start in range(0, len(indices), step):
            chunk = indices[start : start + step]
            stacked = (np.stack(list(islice(column, len(chunk)))) for column in columns)
            yield chunk, *(to_float(torch.from_numpy(array).to(device)) for array in stacked)


def per_face(
    measure: Callable[..., Tensor],
    *images: Images,
    size: int | None = None,
    device: torch.device | str = "cpu",
    least: int = 1,
    why: str = "",
) -> Score:
    """The score of ``measure``, batches (B, 3, H, W) -> (B,), over aligned lists. NaN: a face that cannot be measured.

    Faces with a side below ``least`` px are left out. Raises Unavailable, saying ``why``, where no face is measured.
    """
    values = np.full(len(images[0]), np.nan)
    sizes = [shape[1:] for shape in shapes(images[0])]
    if max(map(min, sizes)) < least:
        height, width = max(sizes)
        raise Unavailable(f"faces of {width}x{height} px are smaller than {least} px: {why}")
    for indices, *batch in batches(*images, size=size, device=device):
        if min(batch[0].shape[-2:]) >= least:
            values[indices] = measure(*batch).double().flatten().cpu().numpy()
    if np.isnan(values).all():
        raise Unavailable(f"no face can be measured{why and ': '}{why}")
    return Score(float(np.nanmean(values)), per_image=values)
