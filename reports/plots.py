"""The paper's figures with matplotlib (the extra `figures`): for one or two columns, as PDF, PNG and SVG."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.files import write_atomically
from bench.errors import UsageError

from . import faces, severity
from .contents import Contents, contents
from .diagrams import fitted, pools, ranks, short, style, training
from .figures import COLOURS
from .layout import checked
from .overview import DISTORTION, PERCEPTION, find_column, first
from .pictures import pixels
from .tabular import Table

WIDTH = {1: 3.5, 2: 7.16}  # inches of one and of two columns, as most two-column styles have them
STYLE = {"font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8, "xtick.labelsize": 7, "ytick.labelsize": 7,
         "legend.fontsize": 7, "font.family": "serif",
         "mathtext.fontset": "dejavuserif", "axes.spines.top": False, "axes.spines.right": False,
         "axes.linewidth": 0.6, "lines.linewidth": 1.1, "pdf.fonttype": 42, "svg.fonttype": "none",
         "svg.hashsalt": "bench", "savefig.dpi": 300,
         "axes.unicode_minus": False, "text.parse_math": False}  # fmt: skip
KINDS = ("pdf", "png", "svg")
CROPS = ((0.12, 0.2, 0.4), (0.25, 0.55, 0.4))  # left, top, side of an aligned face: an eye, the mouth


def figures(runs: list[Path], out: Path, layout: dict[str, Any] | None = None) -> list[Path]:
    """Every figure that the runs have the data for, in the folder ``out``. Raises UsageError without matplotlib."""
    plt = _matplotlib()
    layout = checked(layout or {})
    found = contents(runs).arranged(layout)
    width, out = WIDTH[layout.get("columns", 2)], Path(out)
    written: list[Path] = []
    with plt.rc_context(STYLE):
        for name, figure in _all(plt, found, runs, layout, width):
            for kind in KINDS:
                form = {"format": kind, "bbox_inches": "tight", "pad_inches": 0.02, "metadata": _undated(kind)}
                write_atomically(out / f"{name}.{kind}", partial(figure.savefig, **form))
                written.append(out / f"{name}.{kind}")
            plt.close(figure)
    return written


def _matplotlib() -> Any:
    try:
        import matplotlib
    except ImportError:
        raise UsageError("figures need matplotlib: pip install 'face-sr-bench[figures]'") from None
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def _undated(kind: str) -> dict[str, Any]:
    """The same figure is the same file on another day."""
    return {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(kind, {})


def _all(plt: Any, found: Contents, runs: list[Path], layout: dict[str, Any], width: float) -> Any:
    names = severity.line_names(found.tables)
    rows = {r.key: r.label for t in found.of("results") for r in t.rows}
    styles = {name: i for i, name in enumerate(dict.fromkeys(names.values()))}
    wanted = layout.get("conditions")
    for gallery in faces.galleries(runs, found.loaded):
        if gallery.columns and (not wanted or gallery.condition in wanted):
            where = _file(gallery.condition, gallery.run)
            yield f"faces-{where}", qualitative(plt, gallery, rows, width)
    for robust in severity.places(runs, found.records):
        yield f"robustness-{_file(robust['condition'], robust['run'])}", robustness(plt, robust, width)
    for (condition, metric, part), series in severity.lines(found.tables, found.rows).items():
        kind = _file(metric.partition("[")[0], part)
        yield f"{kind}-{_file(condition)}", curves(plt, series, severity.axes(metric), styles, width)
    for table in found.of("results"):
        x, y = first([table], DISTORTION), first([table], PERCEPTION)
        if x and y:
            yield f"plane-{_file(table.condition)}", plane(plt, table, x, y, names, styles, width)
    for condition in dict.fromkeys(c.condition for c in found.contests):
        some = [c for c in found.contests if c.condition == condition]
        yield f"ranks-{_file(condition)}", ranks(plt, some, found.tables, width)
    for folder, record in zip(runs, found.records, strict=True):
        run = record["run"] if len(runs) > 1 else ""
        trained = [m for m in [*record["degradations"], *record["methods"]] if (m["training"] or {}).get("curve")]
        if trained:
            yield f"training{'-' + _file(run) if run else ''}", training(plt, trained, width)
        for model in record["degradations"]:
            if known := pools(folder, model):
                yield f"fitted-{_file(model['label'], run)}", fitted(plt, known, model, width)


def _file(*parts: str) -> str:
    return (
        "-".join("".join(c if c.isalnum() or c in ".-" else "_" for c in p).strip("_") or "all" for p in parts if p)
        or "all"
    )


def qualitative(plt: Any, gallery: faces.Gallery, labels: dict[tuple[str, ...], str], width: float) -> Any:
    """Faces below each other, methods beside each other; below each face two crops, enlarged and framed."""
    columns = [c for c in gallery.columns if c.kind != "method" or not labels or c.key in labels]
    rows = [i for i, _ in gallery.rows][:3]  # the first are spread over the names, none chosen
    side = width / len(columns)
    figure, axes = plt.subplots(len(rows) * 2, len(columns), figsize=(width, side * len(rows) * 1.5), squeeze=False,
                                gridspec_kw={"height_ratios": [2, 1] * len(rows), "wspace": 0.03, "hspace": 0.04})  # fmt: skip
    names = [labels.get(column.key, column.label) for column in columns]
    for axis, words in zip(axes[0], headings(names, side), strict=True):
        axis.set_title(words[0], **words[1])
    for place, index in enumerate(rows):
        for number, column in enumerate(columns):
            whole, below = axes[2 * place][number], axes[2 * place + 1][number]
            for axis in (whole, below):
                axis.set_axis_off()
            if gallery.names[index] not in column.there:
                continue
            image = pixels(column.root / f"{gallery.names[index]}.png")
            how = "nearest" if column.kind == "lr" else "antialiased"
            whole.imshow(image, interpolation=how)
            high, wide = image.shape[:2]
            strip: list[np.ndarray] = []
            gap = np.full((64, 3, 3), 255, np.uint8)
            for (left, top, share), colour in zip(CROPS, COLOURS, strict=False):
                x, y, s = round(left * wide), round(top * high), max(2, round(share * min(high, wide)))
                whole.add_patch(plt.Rectangle((x - 0.5, y - 0.5), s, s, fill=False, edgecolor=colour, linewidth=0.8))
                edge = {"fill": False, "edgecolor": colour, "linewidth": 0.8}
                below.add_patch(plt.Rectangle((67 * len(strip) + 0.5, 0.5), 62, 62, **edge))
                strip.append(_enlarged(image[y : y + s, x : x + s], 64))
            below.imshow(np.concatenate([strip[0], gap, strip[1]], 1), interpolation="nearest")
    return figure


def headings(names: list[str], side: float) -> list[tuple[str, dict[str, Any]]]:
    """Names over columns ``side`` inches wide: in lines where their words fit, else all of them leaning."""
    size = 7.0 if side > 0.6 else 6.0
    letters = int(side / (size / 72 * 0.62))
    lines = [_wrapped(name, letters) for name in names]
    if all(len(line) <= letters for text in lines for line in text.split("\n")):
        return [(text, {"fontsize": size, "pad": 2}) for text in lines]
    lean = {
        "fontsize": size,
        "pad": 2,
        "rotation": 40,
        "ha": "left",
        "va": "bottom",
        "x": 0.2,
        "rotation_mode": "anchor",
    }
    return [(short(name, 24), lean) for name in names]


def _enlarged(image: np.ndarray, side: int) -> np.ndarray:
    """(h, w, 3) by its nearest pixels to (side, side, 3)."""
    at = [(np.arange(side) * n) // side for n in image.shape[:2]]
    return np.asarray(image[at[0]][:, at[1]])


def _wrapped(text: str, width: int) -> str:
    """In lines broken at spaces, hyphens and brackets alone; at most three."""
    import textwrap

    lines = textwrap.wrap(text.replace("-", "- ").replace("[", " ["), max(6, width), break_long_words=False) or [""]
    return "\n".join(line.replace("- ", "-") for line in lines[:3])


def robustness(plt: Any, found: dict[str, Any], width: float) -> Any:
    """Several versions of one face, from clean to degraded, and what each method makes of them (Goswami 2020)."""
    face = next(iter(found["faces"].values()))
    heads = list(next(iter(face.values())))
    left, top = 0.95, 0.3  # inches for names
    side = min((width - left) / len(heads), 1.0)
    size = (left + side * len(heads), top + side * len(face))
    figure = plt.figure(figsize=size)
    for place, (label, columns) in enumerate(face.items()):
        for number, head in enumerate(heads):
            x, y = left + number * side, top + (place + 1) * side
            axis = figure.add_axes(
                (x / size[0], 1 - (y - 0.03 * side) / size[1], 0.97 * side / size[0], 0.97 * side / size[1])
            )
            axis.set_xticks([])
            axis.set_yticks([])
            for spine in axis.spines.values():
                spine.set_visible(False)
            if number == 0:
                axis.set_ylabel(_wrapped(label, 17), rotation=0, ha="right", va="center", fontsize=6.5)
            if place == 0:
                axis.set_title(_wrapped(head, round(side * 20)), fontsize=6.5 if side > 0.6 else 5.5, pad=2)
            if head in columns:
                image = pixels(columns[head]["file"])
                axis.imshow(image, interpolation="nearest" if place == 0 else "antialiased")
                if note := columns[head]["note"]:
                    words = {"fontsize": 5.5, "color": "white", "ha": "right", "va": "bottom"}
                    box = {"facecolor": "black", "alpha": 0.55, "pad": 0.8, "linewidth": 0}
                    axis.text(0.97, 0.03, note, transform=axis.transAxes, bbox=box, **words)
    return figure


def curves(
    plt: Any, series: dict[str, list[tuple[float, float]]], axes: tuple[str, str], styles: dict[str, int], width: float
) -> Any:
    """One line a method, with its colour, dashes and marker."""
    size = min(width, WIDTH[1])
    figure, axis = plt.subplots(figsize=(size, size * 0.68))
    for name, points in series.items():
        axis.plot(*zip(*points, strict=True), label=short(name, 24), **style(styles.get(name, 0)))
    axis.set_xlabel(axes[0])
    axis.set_ylabel(axes[1])
    axis.set_xlim(left=0)
    axis.set_ylim(bottom=0)
    axis.grid(color="0.9", linewidth=0.5)
    if len(series) > 1:  # above the axes, where no line is
        longest = max(len(short(name, 24)) for name in series)
        axis.legend(frameon=False, ncols=max(1, int(size / (0.35 + 0.058 * longest))), loc="lower left", columnspacing=1.2,
                    bbox_to_anchor=(-0.02, 1.0), borderaxespad=0.2, handlelength=1.8, labelspacing=0.3)  # fmt: skip
    return figure


def plane(
    plt: Any, table: Table, x: str, y: str, names: dict[tuple[str, ...], str], styles: dict[str, int], width: float
) -> Any:
    """Perception against distortion (Blau and Michaeli 2018): the lower left corner is the best of both."""
    i, j = find_column(table, x), find_column(table, y)
    assert i is not None and j is not None
    size = min(width, WIDTH[1])
    figure, axis = plt.subplots(figsize=(size, size * 0.8))
    marked: list[tuple[float, float, str]] = []
    for row in table.rows:
        across, up = row.cells[i].value, row.cells[j].value
        if across is None or up is None or not np.isfinite([across, up]).all():
            continue
        name = names.get(row.key, row.label)
        how = style(styles.get(name, 0)) | {"linestyle": "none", "markersize": 5}
        axis.plot(across, up, **how)
        marked.append((across, up, short(row.label, 24)))
    for column, label, set_label, invert in (
        (table.columns[i], "distortion", axis.set_xlabel, axis.invert_xaxis),
        (table.columns[j], "perception", axis.set_ylabel, axis.invert_yaxis),
    ):  # fmt: skip
        set_label(f"{column.title} ({label})")
        if column.direction == "higher":
            invert()
    axis.margins(0.15)
    axis.grid(color="0.9", linewidth=0.5)
    _annotate(figure, axis, marked)
    return figure


def _annotate(figure: Any, axis: Any, marked: list[tuple[float, float, str]]) -> None:
    """Names beside their points where they cover no other name, on the side that has room; a name without room is left out."""
    renderer = figure.canvas.get_renderer()
    taken: list[Any] = []
    for x, y, name in marked:
        for dx, dy, ha in ((5, 3, "left"), (-5, 3, "right"), (5, -8, "left"), (-5, -8, "right")):
            text = axis.annotate(name, (x, y), textcoords="offset points", xytext=(dx, dy), ha=ha, fontsize=6.5)
            box = text.get_window_extent(renderer)
            if axis.bbox.x0 <= box.x0 and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()
