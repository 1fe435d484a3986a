"""Image files in, image files out: read and written beside the computation."""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.api.model import Model
from bench.core.image import read_image, to_float, to_uint8, write_image
from bench.core.progress import Progress
from bench.errors import UnreadableImage, UsageError
from bench.faces.read import images_under

THREADS = 4  # that read, and as many that write
AHEAD = 64  # images read ahead of the computation, and as many waiting to be written
PENDING = 64 * 2**20  # bytes of images of other sizes that wait until their batch is full
FIGURE = 6  # images of a figure


File = tuple[Path, Path]  # input and output


def pairs(source: str, target: str) -> list[File]:
    """Input and output files: a file, or all images below a folder. Outputs are PNG."""
    path, out = Path(source), Path(target)
    if path.is_file():
        return _safe([(path, out if out.suffix else out / f"{path.stem}.png")])
    if not path.is_dir():
        raise UsageError(f"{source}: no such file or folder")
    files = images_under(path)
    if not files:
        raise UsageError(f"{source}: no image files in this folder")
    found = [(f, out / f.relative_to(path).with_suffix(".png")) for f in files]
    count = Counter(str(target).casefold() for _, target in found)
    made = [(f, t if count[str(t).casefold()] == 1 else t.with_name(f"{f.name}.png")) for f, t in found]
    if len({str(t).casefold() for _, t in made}) < len(made):
        raise UsageError(f"{source}: two of its images would be written to one file; give them other names")
    return _safe(made)


def _safe(files: list[File]) -> list[File]:
    """Raises UsageError where an output would take the place of an input."""
    inputs = {source.resolve() for source, _ in files}
    if over := next((target for _, target in files if target.resolve() in inputs), None):
        raise UsageError(f"{over}: would be written over an input; give another OUT")
    return files


def shown(model: Model, source: str, target: str, device: torch.device) -> None:
    """Write what ``model.figure`` makes of the first images of a folder, those of the first one's size. UsageError for none."""
    given = [Path(source)] if Path(source).is_file() else images_under(Path(source))
    if not given:
        raise UsageError(f"{source}: no image files in this folder")
    images = [to_float(torch.from_numpy(read_image(file).copy())).to(device) for file in given[:FIGURE]]
    with torch.inference_mode():
        found = model.figure(torch.stack([image for image in images if image.shape == images[0].shape]))
    if found is None:
        raise UsageError(f"{type(model).__name__} has no figure to show")
    write_image(target, found)
    print(f"{target}: figure of {len(images)} images")


def convert(
    files: list[File],
    function: Callable[[Tensor], Tensor],
    device: torch.device,
    size: Callable[[tuple[int, ...]], int] = lambda shape: 1,
) -> int:
    """``function`` of batches, (B, 3, h, w) in [0, 1], from files to files. Exit code 1 where a file could not be read.

    Images of one size go together, as many as ``size`` says for their shape. Files that cannot be read are named, the
    others are done. Memory holds a bounded number of images, however many there are.
    """
    bad = done = 0
    waiting: deque[Future[None]] = deque()
    bar = Progress("images", len(files), unit="image")
    with closing(bar), ThreadPoolExecutor(THREADS) as readers, ThreadPoolExecutor(THREADS) as writers:
        for targets, images in batched(decoded(files, readers), size):
            if images is None:
                bad += 1
                continue
            with torch.inference_mode():
                results = to_uint8(function(to_float(torch.from_numpy(np.stack(images)).to(device)))).cpu().numpy()
            waiting += [writers.submit(write, t, r) for t, r in zip(targets, results, strict=True)]
            while len(waiting) > AHEAD:
                waiting.popleft().result()
            done += len(targets)
            bar.advance(done + bad)
        for written in waiting:
            written.result()
    print(f"{done} images written, {bad} skipped")
    if bad == len(files):
        raise UsageError("none of the images could be read")
    return 1 if bad else 0


def decoded(files: list[File], readers: ThreadPoolExecutor) -> Iterator[tuple[Path, np.ndarray | None]]:
    """Outputs' places with their decoded inputs, in order, read ahead; None for one that cannot be read, named."""
    ahead: deque[tuple[Path, Future[np.ndarray]]] = deque()
    rest = iter(files)
    while True:
        ahead += [(target, readers.submit(read_image, source)) for source, target in islice(rest, AHEAD - len(ahead))]
        if not ahead:
            return
        place, image = ahead.popleft()
        try:
            yield place, image.result()
        except UnreadableImage as error:
            print(f"bench: {error}; skipped", file=sys.stderr)
            yield place, None


def batched(
    images: Iterator[tuple[Path, np.ndarray | None]], size: Callable[[tuple[int, ...]], int]
) -> Iterator[tuple[list[Path], list[np.ndarray] | None]]:
    """Images of one shape together; where too many bytes wait, the fullest batch goes as it is."""
    open_: dict[tuple[int, ...], tuple[list[Path], list[np.ndarray]]] = {}
    for target, image in images:
        if image is None:
            yield [target], None
            continue
        targets, group = open_.setdefault(image.shape, ([], []))
        targets.append(target)
        group.append(image)
        full = image.shape if len(group) >= size(image.shape) else None
        if full is None and sum(len(g) * g[0].nbytes for _, g in open_.values()) > PENDING:
            full = max(open_, key=lambda shape: len(open_[shape][1]) * open_[shape][1][0].nbytes)
        if full is not None:
            yield open_.pop(full)
    yield from open_.values()


def write(target: Path, image: np.ndarray) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_image(target, image)
    except (OSError, ValueError) as error:
        raise UsageError(f"{target}: cannot be written ({error})") from None
