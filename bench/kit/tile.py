"""Inference in tiles, so that a large image needs no more memory than a small one."""

from collections.abc import Callable

from torch import Tensor


def tiled(
    function: Callable[[Tensor], Tensor], lr: Tensor, scale: int, tile: int = 256, overlap: int = 32, multiple: int = 1
) -> Tensor:
    """``function``, which maps (b, 3, h, w) to (b, 3, h*scale, w*scale), over (B, 3, H, W) of any size.

    A call sees about ``tile`` x ``tile`` px of LR at most: many small images go in groups, an image with a longer side
    in tiles. Neighbours share ``overlap`` px on each side of their border and each pixel comes from the tile in which it
    lies deeper, so there are no seams where ``overlap`` reaches as far as the function looks. Tiles start at multiples
    of ``multiple``, for functions that work on a grid.
    """
    height, width = lr.shape[-2:]
    groups = lr.split(max(1, tile * tile // (height * width)))
    if max(height, width) > tile:
        core = max(multiple, tile - 2 * overlap)
        spans = [(y, x) for y in _spans(height, core, multiple) for x in _spans(width, core, multiple)]
    else:
        spans = [((0, height), (0, width))]
    result: Tensor | None = None
    for index, group in enumerate(groups):
        for (top, bottom), (left, right) in spans:
            y, x = (max(0, start - overlap) // multiple * multiple for start in (top, left))
            out = function(group[..., y : bottom + overlap, x : right + overlap])
            if out.shape == (*lr.shape[:2], height * scale, width * scale):
                return out
            if result is None:
                result = out.new_empty(len(lr), out.shape[1], height * scale, width * scale)
            first = index * len(groups[0])
            result[first : first + len(group), :, top * scale : bottom * scale, left * scale : right * scale] = out[
                ..., (top - y) * scale : (bottom - y) * scale, (left - x) * scale : (right - x) * scale
            ]
    assert result is not None
    return result


def _spans(length: int, core: int, multiple: int) -> list[tuple[int, int]]:
    """Where the tiles' own parts begin and end: equally long but for the last, at most ``core`` (rounded up)."""
    step = -(-length // -(-length // core))
    step += -step % multiple
    return [(start, min(start + step, length)) for start in range(0, length, step)]
