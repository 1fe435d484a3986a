"""Faces from image files, one after the other: decoded ahead by threads, within a bound of memory."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np

from bench.core.image import read_image
from bench.core.progress import Progress
from bench.errors import UnreadableImage, UsageError, printable

AHEAD = 64  # files that threads decode before they are asked for,
FLIGHT = 128 << 20  # or fewer, so that their images are no more bytes than this
TOGETHER = 8  # small files that a thread takes at a time


def usable(
    files: Sequence[tuple[str, Path]], multiple: int, least: int, strict: bool, skipped: list[str], label: str
) -> Iterator[tuple[str, np.ndarray]]:
    """Names and (3, H, W) uint8 pixels, cropped (centre) to sides that ``multiple`` divides, in the order given.

    Files that are unreadable or smaller than ``least`` px go into ``skipped``, or raise UsageError where ``strict``.
    """
    bar = Progress(f"read {label}", len(files), unit="face")
    with contextlib.closing(bar):
        for done, ((name, file), image) in enumerate(zip(files, decoded(f for _, f in files), strict=True), 1):
            bar.advance(done)
            problem = str(image) if isinstance(image, UnreadableImage) else ""
            if isinstance(image, np.ndarray) and min(image.shape[1:]) < least:
                height, width = image.shape[1:]
                problem = printable(f"{file}: {width}x{height} px is smaller than the {least} px that are needed")
            if problem and strict:
                raise UsageError(f"{problem} (--strict)")
            if isinstance(image, np.ndarray) and not problem:
                yield name, cropped(image, multiple)
            else:
                skipped.append(problem)


def cropped(image: np.ndarray, multiple: int) -> np.ndarray:
    """The centre of a (C, H, W) image, of sides that ``multiple`` divides."""
    height, width = image.shape[1:]
    top, left = height % multiple // 2, width % multiple // 2
    return image[:, top : top + height - height % multiple, left : left + width - width % multiple]


def decoded(files: Iterable[Path]) -> Iterator[np.ndarray | UnreadableImage]:
    """(3, H, W) uint8 of each file, or what is wrong with it, in order."""
    rest, waiting = iter(files), deque[Future[list[np.ndarray | UnreadableImage]]]()
    together = limit = 1  # until the first image shows how large they are
    pool = ThreadPoolExecutor()
    try:
        while True:
            while len(waiting) * together < limit and (batch := list(islice(rest, together))):
                waiting.append(pool.submit(_decode, batch))
            if not waiting:
                return
            for image in waiting.popleft().result():
                if isinstance(image, np.ndarray):
                    limit = max(1, min(AHEAD, FLIGHT // image.nbytes))
                    together = min(TOGETHER, max(1, limit // TOGETHER))
                yield image
    finally:
        pool.shutdown(cancel_futures=True)


def _decode(files: list[Path]) -> list[np.ndarray | UnreadableImage]:
    return [_read(file) for file in files]


def _read(file: Path) -> np.ndarray | UnreadableImage:
    try:
        return read_image(file)
    except UnreadableImage as error:
        return error
