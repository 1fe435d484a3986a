"""Images of a folder, read as they are needed: decoded ones stay in memory while a bound allows."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from bench.core.image import image_shape, read_image
from bench.errors import UnreadableImage, UsageError
from bench.faces.faceset import FaceSet

BLOCK, PIECE = 256, 8  # images that are decoded before the first of them is given, and that one thread takes at once
FLIGHT = 16 << 20  # bytes of decoded images that a block has at most, or one image


class Room:
    """``left``: bytes that decoded images may still take."""

    def __init__(self, left: int) -> None:
        self.left = left


ROOM = Room(128 << 20)  # of all folders of a process together; what it does not hold is read again each time


class ImageFiles(Sequence[np.ndarray]):
    """(3, H, W) uint8 arrays of ``files``, read-only, as a list of arrays: ``images[3]``, ``for image in images``.

    Raises UsageError, naming the file, where one cannot be read.
    """

    def __init__(self, files: Sequence[Path], room: Room = ROOM) -> None:
        self.files, self.room = list(files), room
        self.kept: dict[int, np.ndarray] = {}
        self.sizes: dict[int, tuple[int, ...]] = {}

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> np.ndarray:  # type: ignore[override]  # no slices
        if index not in self.kept:
            return self._keep(index, self._read(index))
        return self.kept[index]

    def __iter__(self) -> Iterator[np.ndarray]:
        return self.take(range(len(self)))

    def take(self, indices: Iterable[int]) -> Iterator[np.ndarray]:
        """These images in this order, decoded by threads, a block at a time; the next one meanwhile where a GPU computes.

        On a CPU computing has every core to itself: beside decoding threads it took twice as long.
        """
        rest = iter(indices)
        with ThreadPoolExecutor() as pool:

            def begin() -> tuple[list[int], list[Future[dict[int, np.ndarray]]]]:
                block = self._block(rest)
                lacking = [i for i in block if i not in self.kept]
                pieces = [lacking[start : start + PIECE] for start in range(0, len(lacking), PIECE)]
                return block, [pool.submit(self._read_all, piece) for piece in pieces]

            block, reading = begin()
            while block:
                following = begin() if torch.cuda.is_available() else None
                read = {i: image for future in reading for i, image in future.result().items()}
                for index in block:
                    yield self._keep(index, read[index]) if index in read else self.kept[index]
                block, reading = following or begin()

    def shape(self, index: int) -> tuple[int, ...]:
        """An image's shape, from its file's head."""
        if index not in self.sizes:
            try:
                self.sizes[index] = image_shape(self.files[index])
            except UnreadableImage as error:
                raise UsageError(str(error)) from None
        return self.sizes[index]

    def _block(self, rest: Iterator[int]) -> list[int]:
        """The next images to decode together."""
        block, size = [], 0
        for index in rest:
            block.append(index)
            size += math.prod(self.shape(index))
            if len(block) == BLOCK or size >= FLIGHT:
                break
        return block

    def _read_all(self, indices: list[int]) -> dict[int, np.ndarray]:
        return {index: self._read(index) for index in indices}

    def _read(self, index: int) -> np.ndarray:
        try:
            image = np.ascontiguousarray(read_image(self.files[index]))
            image.flags.writeable = False
            return image
        except UnreadableImage as error:
            raise UsageError(str(error)) from None

    def _keep(self, index: int, image: np.ndarray) -> np.ndarray:
        self.sizes[index] = image.shape
        if image.nbytes <= self.room.left and index not in self.kept:
            self.room.left -= image.nbytes
            self.kept[index] = image
        return image

    def forget(self) -> None:
        """Leave the room to others."""
        while self.kept:
            self.room.left += self.kept.popitem()[1].nbytes

    __del__ = forget


def shapes(images: Sequence[np.ndarray]) -> list[tuple[int, ...]]:
    """(3, H, W) of each, without decoding files."""
    return (
        [images.shape(i) for i in range(len(images))] if isinstance(images, ImageFiles) else [i.shape for i in images]
    )


def piece(images: Sequence[np.ndarray], start: int, stop: int) -> Sequence[np.ndarray]:
    """``images[start:stop]``; files stay files."""
    if not isinstance(images, ImageFiles):
        return images[start:stop]
    files = ImageFiles(images.files[start:stop])
    files.sizes = {index - start: images.sizes[index] for index in range(start, stop) if index in images.sizes}
    return files


def picked(images: Sequence[np.ndarray], indices: Sequence[int]) -> Sequence[np.ndarray]:
    """``images[i] for i in indices``; files stay files, and all of them in order stay what they are."""
    if list(indices) == list(range(len(images))):
        return images
    if not isinstance(images, ImageFiles):
        return [images[i] for i in indices]
    return ImageFiles([images.files[i] for i in indices])


def taken(images: Sequence[np.ndarray], indices: Sequence[int]) -> Iterator[np.ndarray]:
    """``images[i] for i in indices``, files decoded ahead."""
    return images.take(indices) if isinstance(images, ImageFiles) else (images[i] for i in indices)


def extent(images: Sequence[np.ndarray]) -> str:
    """``64x64`` (width first), or the range of sides."""
    sizes = sorted({shape[1:] for shape in shapes(images)})
    if len(sizes) == 1:
        return f"{sizes[0][1]}x{sizes[0][0]}"
    return f"{min(map(min, sizes))}-{max(map(max, sizes))} px" if sizes else "none"


def fingerprint(names: Sequence[str], images: Sequence[np.ndarray]) -> str:
    """That of a FaceSet with these names and images."""
    digest = hashlib.sha256()
    order = sorted(range(len(names)), key=names.__getitem__)
    for index, image in zip(order, taken(images, order), strict=True):
        FaceSet.enter(digest, names[index], image)
    return digest.hexdigest()[:16]
