"""Rows, pictures and links of runs that reports are tried on."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from bench.core.image import write_image

METHODS = {"bicubic": 0.0, "lanczos": 0.02, "edge_net": 2.0, "twin": 2.0}
FACES = 24


def row(method, condition, metric, value=None, **more):
    """A row of results.csv."""
    ok = value is not None
    base = {"method": method, "variant": "", "degradation": "", "condition": condition, "metric": metric, "image": "",
            "value": value, "n": 4 if ok else 0, "ci_low": value - 0.5 if ok else None, "ci_high": value + 0.5 if ok else None,
            "direction": "higher", "status": "ok", "reason": "", "protocol": f"{metric}, as tested" if ok else "",
            "seconds": 0.1, "seed": 0}  # fmt: skip
    return base | more


def rows_of(condition, rng):
    """Per-face PSNR of four methods, two of which cannot be told apart; consistency with its curve; no LPIPS."""
    base, rows = rng.normal(24, 2, FACES), []
    for method, gain in METHODS.items():
        more = {"degradation": "high-to-low"} if method == "edge_net" else {}
        noise = rng.normal(0, 0.5, FACES)
        values = {"psnr": base + gain + noise, "consistency": 10 - gain + 0.1 * noise}
        for metric, found in values.items():
            direction = {"direction": "higher" if metric == "psnr" else "lower"} | more
            rows.append(row(method, condition, metric, float(found.mean()), n=FACES, **direction))
            rows += [row(method, condition, metric, float(v), n=1, ci_low=None, ci_high=None, image=f"face{i:02d}", **direction)
                     for i, v in enumerate(found)]  # fmt: skip
        parts = {"to_clean": 6 - gain, "psnr": 30 + gain, "relative": 0.1}
        for level, x in enumerate((2.0, 4.0, 8.0)):
            parts |= {f"level{level}_input": x, f"level{level}": x * (1 - gain / 4)}
        low = {"direction": "lower", "ci_low": None, "ci_high": None} | more
        rows += [row(method, condition, f"consistency.{k}", v, **low) for k, v in parts.items()]
        smooth = {
            "level0": 0,
            "level0_input": 0,
            "level0_sinkhorn": 0,
            "level1": 0.2,
            "level1_input": 1,
            "level1_sinkhorn": 0.1,
        }
        rows += [row(method, condition, f"smoothness{k and '.' + k}", v, **low)
                 for k, v in {"": 0.1, **smooth}.items() if method == "edge_net"]  # fmt: skip
        rows.append(row(method, condition, "swd", 300 - 9 * gain - len(method), **low))
    return rows


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
