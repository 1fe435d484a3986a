"""Figures as inline SVG, drawn in the page's own colours."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

# Distinct for colour-blind eyes too (Okabe and Ito, 2008), darkened where they vanish on white.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b8569b", "#c08a00", "#3a9bd6", "#7a6a5a", "#6a51a3")
DASHES = ("", "6 3", "2 3")  # once all colours are used

Points = Sequence[tuple[float, float]]


def colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def stroke(index: int) -> Markup:
    """A line's colour and dashes as attributes."""
    dash = DASHES[index // len(COLOURS) % len(DASHES)]
    return Markup('style="stroke:{}"{}').format(
        colour(index), Markup(' stroke-dasharray="{}"').format(dash) if dash else ""
    )


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """About ``count`` round numbers from ``low`` to ``high``."""
    span = (high - low) or 1.0
    step = 10 ** math.floor(math.log10(span / count))
    step *= next((m for m in (1, 2, 5, 10) if span / (m * step) <= count), 10)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def chart(
    series: Sequence[tuple[int, str, Points]], across: str, up: str, width: int = 330, height: int = 210
) -> Markup:
    """Lines (colour's number, label, points) from the origin, with axes named ``across`` and ``up``."""
    left, bottom, top, right = 58, 34, 8, 10
    x_high = max((x for _, _, points in series for x, _ in points), default=1.0) or 1.0
    y_high = max((y for _, _, points in series for _, y in points), default=1.0) or 1.0
    y_low = min(0.0, min((y for _, _, points in series for _, y in points), default=0.0))

    def place(x: float, y: float) -> tuple[float, float]:
        down = (height - bottom) - (y - y_low) / (y_high - y_low) * (height - bottom - top)
        return round(left + x / x_high * (width - left - right), 1), round(down, 1)

    parts = []
    for y in ticks(y_low, y_high):
        _, v = place(0, y)
        parts.append(
            Markup('<line class="grid-line" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(left, width - right, v, v)
        )
        parts.append(text(left - 5, v + 3.5, f"{y:g}", "end"))
    for x in ticks(0, x_high):
        h, _ = place(x, 0)
        parts.append(text(h, height - bottom + 14, f"{x:g}", "middle"))
    for index, label, points in series:
        line = " ".join("{},{}".format(*place(x, y)) for x, y in points)
        parts.append(Markup('<polyline points="{}" {}/>').format(line, stroke(index)))
        for x, y in points:
            h, v = place(x, y)
            tip = f"{label}: {y:.4g} at {x:.4g}"
            parts.append(Markup('<circle cx="{}" cy="{}" r="2.6" fill="{}"><title>{}</title></circle>').format(
                h, v, colour(index), tip))  # fmt: skip
    parts.append(text((left + width - right) / 2, height - 4, across, "middle", "axis-name"))
    turned = Markup('<text class="axis-name" text-anchor="middle" transform="translate(11 {}) rotate(-90)">{}</text>')
    parts.append(turned.format((height - bottom + top) / 2, up))
    return svg(width, height, f"{up} against {across}", parts)


def rank_plot(title: str, names: Sequence[str], ranks: Sequence[float], difference: float, width: int = 350) -> Markup:
    """Mean ranks, best on top, each with a bar of half the critical difference to both sides: Nemenyi's test by eye."""
    k, left, right, row, top = len(ranks), 156, 14, 19, 20
    height = top + row * k + 6
    low, high = 1 - min(difference / 2, 0.5), k + min(difference / 2, 0.5)

    def across(rank: float) -> float:
        return round(left + (min(max(rank, low), high) - low) / (high - low) * (width - left - right), 1)

    parts = []
    for mark in range(1, k + 1):
        parts.append(Markup('<line class="grid-line" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(
            across(mark), top - 4, height - 4))  # fmt: skip
        parts.append(text(across(mark), top - 8, str(mark), "middle"))
    for place, index in enumerate(sorted(range(k), key=lambda i: ranks[i])):
        y, rank = top + row * (place + 0.5), ranks[index]
        name = names[index]
        parts.append(text(left - 8, y + 4, name if len(name) < 25 else name[:23] + "…", "end", "name", name))
        parts.append(Markup('<line class="bar" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            across(rank - difference / 2), across(rank + difference / 2), y, y))  # fmt: skip
        parts.append(Markup('<circle class="dot" cx="{}" cy="{}" r="3.5"><title>{}: mean rank {}</title></circle>').format(
            across(rank), y, name, f"{rank:.2f}"))  # fmt: skip
    return svg(width, height, f"Mean ranks by {title}", parts)


def text(x: float, y: float, words: str, anchor: str = "start", kind: str = "tick", tip: str = "") -> Markup:
    title = Markup("<title>{}</title>").format(tip) if tip and tip != words else ""
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}{}</text>').format(
        kind, x, y, anchor, words, title
    )


def svg(width: int, height: int, label: str, parts: Sequence[Markup]) -> Markup:
    frame = Markup(
        '<svg class="figure" width="{0}" height="{1}" viewBox="0 0 {0} {1}" role="img" aria-label="{2}">{3}</svg>'
    )
    return frame.format(width, height, label, Markup("").join(parts))


def shade(value: float | None) -> str:
    """The background of a correlation in a heat-map, -1 to 1."""
    if value is None:
        return ""
    blue, red = "0,114,178", "213,94,0"
    return f"background:rgba({blue if value >= 0 else red},{min(abs(value), 1) * 0.55:.2f})"
