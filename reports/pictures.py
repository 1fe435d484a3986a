"""Pictures inside the page."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np

SIDE = 256  # px; a larger picture is shown reduced
QUALITY = 90  # of small copies


def embedded(file: Path) -> str:
    """A picture as a data URI, pixel for pixel, no larger than SIDE; empty where there is none."""
    if not file.is_file() or file.is_symlink() or file.parent.is_symlink():
        return ""
    data = file.read_bytes()
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")  # of a PNG's header
    if max(width, height) > SIDE:
        data = _encoded(data, "PNG")
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def small_copy(file: Path) -> str:
    """The same as lossy WebP of QUALITY, about a fifth of the bytes."""
    if not file.is_file():
        return ""
    data = _encoded(file.read_bytes(), "WEBP", quality=QUALITY, method=2)
    return f"data:image/webp;base64,{base64.b64encode(data).decode()}"


def pixels(file: Path) -> np.ndarray:
    """A picture of a run's folder: (H, W, 3) uint8. (`bench.core.image` reads everybody's files, and brings torch.)"""
    from PIL import Image

    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def _encoded(data: bytes, kind: str, **how: int) -> bytes:
    from PIL import Image

    image, small = Image.open(io.BytesIO(data)), io.BytesIO()
    if max(image.size) > SIDE:
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    image.save(small, kind, **how)
    return small.getvalue()
