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
    series = [(i, label, [p for p in line if math.isfinite(p[0]) and math.isfinite(p[1])]) for i, label, line in series]
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


Named = Sequence[tuple[int, str, float, float]]


def scatter(
    points: Named, across: str, up: str, x_down: bool = False, y_down: bool = False, log: bool = False,
    width: int = 430, height: int = 300,
) -> Markup:  # fmt: skip
    """Named points (colour's number, name, x, y). ``x_down``, ``y_down``: the axis runs the other way, so that with
    them set for what is better when higher, the best lies in the lower left. ``log``: x is logarithmic, 0 on its edge.
    """
    left, bottom, top, right = 58, 36, 10, 14
    points = [p for p in points if math.isfinite(p[2]) and math.isfinite(p[3])]
    if not points:
        return Markup("")
    xs, ys = [p[2] for p in points], [p[3] for p in points]
    if log:
        least = min((x for x in xs if x > 0), default=1.0) / 10
        xs = [math.log10(max(x, least)) for x in xs]
    box = [_padded(xs), _padded(ys)]

    def place(x: float, y: float) -> tuple[float, float]:
        h, v = ((value - low) / (high - low) for value, (low, high) in zip((x, y), box, strict=True))
        h, v = 1 - h if x_down else h, 1 - v if y_down else v
        return left + h * (width - left - right), height - bottom - v * (height - bottom - top)

    parts = []
    for y in ticks(*box[1]):
        _, v = place(box[0][0], y)
        parts.append(
            Markup('<line class="grid-line" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(
                left, width - right, v, v
            )
        )
        parts.append(text(left - 5, v + 3.5, f"{y:g}", "end"))
    for x in [t for t in ticks(*box[0]) if t == int(t) or not log]:
        h, _ = place(x, box[1][0])
        words = f"{x:g}" if not log else "0" if 10**x <= least and 0 in [p[2] for p in points] else power(x)
        parts.append(text(h, height - bottom + 14, words, "middle"))
    taken: list[tuple[float, float, float, float]] = []
    for (index, label, x, y), shown in zip(points, xs, strict=True):
        h, v = place(shown, y)
        parts.append(Markup('<circle cx="{:.1f}" cy="{:.1f}" r="5" fill="{}"><title>{}: {:.4g}, {:.4g}</title></circle>').format(
            h, v, colour(index), label, x, y))  # fmt: skip
        taken.append((h - 5, v - 5, h + 5, v + 5))
    for (_, label, _, y), shown in zip(points, xs, strict=True):
        h, v = place(shown, y)
        words = label if len(label) < 25 else label[:23] + "…"
        long = 6.1 * len(words)
        for dx, dy, anchor in ((9, 4, "start"), (-9, 4, "end"), (0, -9, "middle"), (0, 17, "middle")):
            start = h + dx - {"start": 0, "end": long, "middle": long / 2}[anchor]
            spot = (start, v + dy - 9, start + long, v + dy + 2)
            inside = left - 4 <= spot[0] and spot[2] <= width and spot[1] >= 0 and spot[3] <= height - bottom + 4
            if inside and not any(_overlap(spot, other) for other in taken):
                taken.append(spot)
                parts.append(text(h + dx, v + dy, words, anchor, "name", label))
                break
    parts.append(text((left + width - right) / 2, height - 4, across, "middle", "axis-name"))
    turned = Markup('<text class="axis-name" text-anchor="middle" transform="translate(11 {}) rotate(-90)">{}</text>')
    parts.append(turned.format((height - bottom + top) / 2, up))
    return svg(width, height, f"{up} against {across}", parts)


def _padded(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = (high - low) * 0.08 or abs(high) * 0.05 or 1.0
    return low - room, high + room


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def power(exponent: float) -> str:
    """10 to the power, as 1 k, 10 M, 100 G."""
    whole = round(exponent)
    return (
        f"{10 ** (whole % 3)} {('', 'k', 'M', 'G', 'T', 'P')[whole // 3]}".strip() if 0 <= whole < 18 else f"1e{whole}"
    )


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
