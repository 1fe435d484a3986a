"""Rows, pictures and links of runs that reports are tried on."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from bench.core.image import write_image


def row(method, condition, metric, value=None, **more):
    """A row of results.csv."""
    ok = value is not None
    base = {"method": method, "variant": "", "degradation": "", "condition": condition, "metric": metric, "image": "",
            "value": value, "n": 4 if ok else 0, "ci_low": value - 0.5 if ok else None, "ci_high": value + 0.5 if ok else None,
            "direction": "higher", "status": "ok", "reason": "", "protocol": f"{metric}, as tested" if ok else "",
            "seconds": 0.1, "seed": 0}  # fmt: skip
    return base | more


def picture(file: Path, size: int, shade: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_image(file, np.full((3, size, size), shade, np.uint8))


class Links(HTMLParser):
    """All ids and all addresses of a page."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.pictures: list[str] = []
        self.open: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids += [found["id"]] if "id" in found else []
        self.addresses += [found[k] for k in ("href", "src", "srcset", "data", "action") if k in found]
        self.pictures += [found["alt"]] if tag == "img" else []
        assert not any(name.startswith("on") for name in found) and tag not in ("link", "iframe")
        assert tag != "script" or "src" not in found
        if tag not in ("meta", "br", "img", "line", "polyline"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert tag in ("line", "polyline") or self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
