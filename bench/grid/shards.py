"""Large sets measured in chunks: what a metric needs of each, on any machine, and put together in their order."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from bench.api.metric import Metric, Outputs
from bench.core.files import write_atomically
from bench.faces.images import ImageFiles
from bench.grid.recipe import Measure

CHUNK = 4096  # faces that are measured together, in one process as in many: values follow from that
FILE = "part.npz"

Part = Mapping[str, np.ndarray]


def starts(count: int) -> range:
    """The places of the chunks of a set of so many faces; none for one that is measured at once."""
    return range(0, count if count > CHUNK else 0, CHUNK)


def splits(metric: Metric, outputs: Outputs) -> bool:
    return bool(starts(len(outputs.names))) and metric.splits(outputs)


def own(outputs: Outputs) -> Outputs:
    """The same for one metric alone: what it writes to its arrays and lists reaches no other. Reference sets are read-only."""

    def copies(images: Any) -> Any:
        return [image.copy() for image in images] if isinstance(images, list) else images  # files are read-only

    lists = {name: list(given) if isinstance(given := getattr(outputs, name), list) else given
             for name in ("names", "reference_hr", "reference_lr", "held_out_hr", "held_out_lr")}  # fmt: skip
    return dataclasses.replace(
        outputs,
        sr=copies(outputs.sr),
        lr=copies(outputs.lr),
        hr=copies(outputs.hr),
        **lists,  # type: ignore[arg-type]
    )


def part_of(metric: Metric, outputs: Outputs, start: int) -> Part:
    """What a metric needs of one chunk of the outputs."""
    with torch.inference_mode():
        return metric.part(own(outputs.chunk(start, start + CHUNK)))


def parts_of(metric: Metric, outputs: Outputs) -> Iterator[Part]:
    """Of all of them, computed as they are asked for."""
    return (part_of(metric, outputs, start) for start in starts(len(outputs.names)))


def write_part(file: Path, part: Part) -> None:
    def fill(temporary: Path) -> None:
        with open(temporary, "wb") as stream:
            np.savez(stream, **part)  # type: ignore[arg-type]

    write_atomically(file, fill)


def read_part(file: Path) -> Part:
    with np.load(file, allow_pickle=False) as saved:
        return {name: saved[name] for name in saved.files}


class Spool:
    """Parts of all metrics of one large set, chunk by chunk: a chunk's images are read once. They wait on the disk.

    ``of(measure)``: its parts in their order; raises what went wrong with them.
    """

    def __init__(self, measures: Sequence[Measure], outputs: Outputs) -> None:
        self.folder = TemporaryDirectory(prefix="bench-")
        self.wrong: dict[str, Exception | SystemExit] = {}
        self.count = starts(len(outputs.names))
        able = [m for m in measures if all(getattr(outputs, need) is not None for need in m.metric.needs)]
        self.split = [m for m in able if m.metric.about == "sr" and splits(m.metric, outputs)]
        for start in self.count:
            chunk = outputs.chunk(start, start + CHUNK)
            for index, measure in enumerate(self.split):
                if measure.label not in self.wrong:
                    try:
                        with torch.inference_mode():
                            write_part(self.file(index, start), measure.metric.part(own(chunk)))
                    except (Exception, SystemExit) as error:
                        self.wrong[measure.label] = error
            for images in (chunk.sr, chunk.hr, chunk.lr):
                if isinstance(images, ImageFiles):
                    images.forget()  # what remembers the last chunk keeps none of its images

    def file(self, index: int, start: int) -> Path:
        return Path(self.folder.name, f"{index}-{start}.npz")

    def of(self, measure: Measure) -> Iterable[Part] | None:
        """None for one that is measured at once."""
        if measure.label in self.wrong:
            raise self.wrong[measure.label]
        if measure not in self.split:
            return None
        index = self.split.index(measure)
        return (read_part(self.file(index, start)) for start in self.count)
