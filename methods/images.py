"""Outputs that another program made, as a row like any other."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

import bench
from bench.core.files import folder_name
from bench.core.hashing import content_hash, key_of
from bench.core.image import SUFFIXES, read_image
from bench.errors import UnreadableImage, UsageError

SHOWN = 5  # names in a message


class Images(bench.Method):
    """A folder of restored faces, matched to the test faces by name: ``images[dir=FOLDER]``.

    ``{condition}`` in the path stands for the condition, as `bench lr` names its folders; a folder without it holds a
    subfolder for each condition, or the outputs of a run's only one. A face without an output, or with one of the wrong
    size, is a failed face; files that belong to no face are named. What needs the method itself is unavailable.
    """

    in_all = False
    scales = (4, 2, 8)
    offers = ()

    @dataclass(frozen=True)
    class Params:
        dir: str = ""  # the folder; {condition} in it is replaced
        name: str = "{name}"  # an output's file name without suffix, such as {name}_out

    @classmethod
    def fingerprint(cls, params: Any, scale: int) -> str:
        if not params.dir:
            raise UsageError("images: give the folder of outputs, as in images[dir=FOLDER]")
        if "{name}" not in params.name:
            raise UsageError(f"images: name={params.name} lacks {{name}}, which stands for the face's name")
        return ""

    @classmethod
    def fingerprint_under(cls, params: Any, condition: str, conditions: tuple[str, ...]) -> str:
        folder = folder_of(params.dir, condition)
        if folder == Path(params.dir) and len(conditions) > 1 and outputs_in(folder):
            raise UsageError(
                f"images: {folder}: the same outputs for {len(conditions)} conditions; write {{condition}} in the path, "
                "or name one with --conditions"
            )
        files = outputs_in(folder)
        if not files:
            why = "no outputs" if folder.is_dir() else "no such folder, so no outputs"
            raise bench.Unavailable(f"{folder}: {why} for the condition {condition}")
        return key_of({file.name: content_hash(file) for file in files})

    def restore_all(self, given: bench.Inputs) -> list[np.ndarray | str]:
        return matched(folder_of(self.params.dir, given.condition), given, self.scale, self.params.name)

    def infer(self, lr: Tensor) -> Tensor:
        raise bench.Unavailable("only its outputs are known, not the method itself")


def folder_of(dir: str, condition: str) -> Path:
    """Where the outputs under a condition lie."""
    if "{condition}" in dir:
        return Path(dir.replace("{condition}", condition))
    return Path(dir) / condition if (Path(dir) / condition).is_dir() else Path(dir)


def outputs_in(folder: Path) -> list[Path]:
    """The image files of a folder, by name; none where there is no such folder."""
    return sorted(f for f in folder.glob("*") if f.suffix.lower() in SUFFIXES and f.is_file())


def matched(folder: Path, given: bench.Inputs, scale: int, name: str = "{name}") -> list[np.ndarray | str]:
    """The output of each LR face from the file of its name, or why there is none. Surplus files are noted.

    Raises UsageError where no face has an output.
    """
    files: dict[str, list[Path]] = {}
    for file in outputs_in(folder):
        files.setdefault(file.stem, []).append(file)
    wanted = {face: name.replace("{name}", folder_name(face)) for face in given.names}
    if surplus := sorted(set(files) - set(wanted.values())):
        given.note(f"{folder}: {listed(surplus)} belong to no test face")
    found = [
        output(files.get(wanted[face], []), folder / wanted[face], lr, scale)
        for face, lr in zip(given.names, given.images, strict=True)
    ]
    if all(isinstance(image, str) for image in found):
        raise UsageError(f"no output for any of {len(found)} faces; the first: {found[0]}")
    return found


def output(files: list[Path], wanted: Path, lr: np.ndarray, scale: int) -> np.ndarray | str:
    """The image of the one file that there should be, or what is wrong."""
    if not files:
        return f"{wanted}.*: no such file"
    if len(files) > 1:
        return f"{wanted}: two files of this name, {' and '.join(f.suffix for f in files)}"
    try:
        image = read_image(files[0])
    except UnreadableImage as error:
        return str(error)
    height, width = (side * scale for side in lr.shape[1:])
    if image.shape[1:] != (height, width):
        size = f"{image.shape[2]}x{image.shape[1]}"
        return f"{files[0]}: {size} px, not {width}x{height} ({scale} times its LR)"
    return image


def listed(names: list[str]) -> str:
    """``a, b and 7 others``."""
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} others" if rest > 0 else "")
