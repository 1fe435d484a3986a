"""Pictures inside the page."""

from __future__ import annotations

import base64
import io
from pathlib import Path

SIDE = 256  # px; a larger picture is shown reduced


def embedded(file: Path) -> str:
    """A picture as a data URI, no larger than SIDE; empty where there is none."""
    if not file.is_file():
        return ""
    data = file.read_bytes()
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")  # of a PNG's header
    if max(width, height) > SIDE:
        from PIL import Image

        image, small = Image.open(io.BytesIO(data)), io.BytesIO()
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        image.save(small, "PNG")
        data = small.getvalue()
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"
