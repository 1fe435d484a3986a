"""The paper's figures with matplotlib (the extra `figures`): for one or two columns, as PDF, PNG and SVG."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.files import write_atomically
from bench.core.pictures import of_run
from bench.errors import UsageError

from . import faces, severity
from .contents import Contents, contents
from .figures import COLOURS, DASHES
from .layout import arrange, checked
from .overview import DISTORTION, PERCEPTION, find_column, first
from .pictures import pixels
from .tables import Table

WIDTH = {1: 3.5, 2: 7.16}  # inches of one and of two columns, as most two-column styles have them
STYLE = {"font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8, "xtick.labelsize": 7, "ytick.labelsize": 7,
         "legend.fontsize": 7, "font.family": "serif",
         "mathtext.fontset": "dejavuserif", "axes.spines.top": False, "axes.spines.right": False,
         "axes.linewidth": 0.6, "lines.linewidth": 1.1, "pdf.fonttype": 42, "svg.fonttype": "none",
         "svg.hashsalt": "bench", "savefig.dpi": 300,
         "axes.unicode_minus": False, "text.parse_math": False}  # fmt: skip
KINDS = ("pdf", "png", "svg")
CROPS = ((0.12, 0.2, 0.4), (0.25, 0.55, 0.4))  # left, top, side of an aligned face: an eye, the mouth
MARKERS = "os^Dv<>pPX*hH"


def figures(runs: list[Path], out: Path, layout: dict[str, Any] | None = None) -> list[Path]:
    """Every figure that the runs have the data for, in the folder ``out``. Raises UsageError without matplotlib."""
    plt = _matplotlib()
    layout = checked(layout or {})
    found = contents(runs)
    found.tables[:] = arrange(found.tables, layout)
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
        for picture in filter(of_run(folder, record), sorted(folder.glob("figures/**/kernels*.png"))):
            yield f"{_file(picture.stem)}{'-' + _file(run) if run else ''}", shown(plt, picture, width)


def _file(*parts: str) -> str:
    return (
        "-".join("".join(c if c.isalnum() or c in ".-" else "_" for c in p).strip("_") or "all" for p in parts if p)
        or "all"
    )


def qualitative(plt: Any, gallery: faces.Gallery, labels: dict[tuple[str, ...], str], width: float) -> Any:
    """Faces below each other, methods beside each other; below each face two crops, enlarged and framed."""
    columns = [c for c in gallery.columns if c.kind != "method" or not labels or c.key in labels]
    rows = [i for i, why in gallery.rows if not why][:3]
    side = width / len(columns)
    figure, axes = plt.subplots(len(rows) * 2, len(columns), figsize=(width, side * len(rows) * 1.5), squeeze=False,
                                gridspec_kw={"height_ratios": [2, 1] * len(rows), "wspace": 0.03, "hspace": 0.04})  # fmt: skip
    for place, index in enumerate(rows):
        for number, column in enumerate(columns):
            whole, below = axes[2 * place][number], axes[2 * place + 1][number]
            file = column.root / f"{gallery.names[index]}.png"
            for axis in (whole, below):
                axis.set_axis_off()
            if place == 0:
                name = labels.get(column.key, column.label)
                whole.set_title(_wrapped(name, round(side * 16)), fontsize=min(7, side * 8), pad=2)
            if gallery.names[index] not in column.there:
                continue
            image = pixels(file)
            how = "nearest" if column.kind == "lr" else "antialiased"
            whole.imshow(image, interpolation=how)
            high, wide = image.shape[:2]
            strip = []
            for (left, top, share), colour in zip(CROPS, COLOURS, strict=False):
                x, y, s = round(left * wide), round(top * high), max(2, round(share * min(high, wide)))
                whole.add_patch(plt.Rectangle((x - 0.5, y - 0.5), s, s, fill=False, edgecolor=colour, linewidth=0.7))
                strip.append(_enlarged(image[y : y + s, x : x + s], 64))
            gap = np.full((64, 3, 3), 255, np.uint8)
            below.imshow(np.concatenate([strip[0], gap, strip[1]], 1), interpolation="nearest")
    return figure


def _enlarged(image: np.ndarray, side: int) -> np.ndarray:
    """(h, w, 3) by its nearest pixels to (side, side, 3)."""
    at = [(np.arange(side) * n) // side for n in image.shape[:2]]
    return np.asarray(image[at[0]][:, at[1]])


def _wrapped(text: str, width: int) -> str:
    import textwrap

    lines = textwrap.wrap(text.replace("-", "- ").replace("[", " ["), max(6, width)) or [""]
    return "\n".join(line.replace("- ", "-") for line in lines[:3])


def robustness(plt: Any, found: dict[str, Any], width: float) -> Any:
    """Several versions of one face, from clean to degraded, and what each method makes of them (Goswami 2020)."""
    face = next(iter(found["faces"].values()))
    heads = list(next(iter(face.values())))
    side = min(width / (len(heads) + 1), 1.0)
    size = (side * (len(heads) + 1.2), side * len(face) * 1.04)
    figure, axes = plt.subplots(
        len(face), len(heads), figsize=size, squeeze=False, gridspec_kw={"wspace": 0.03, "hspace": 0.04}
    )
    for place, (label, columns) in enumerate(face.items()):
        for number, head in enumerate(heads):
            axis = axes[place][number]
            axis.set_xticks([])
            axis.set_yticks([])
            for spine in axis.spines.values():
                spine.set_visible(False)
            if number == 0:
                axis.set_ylabel(_wrapped(label, 16), rotation=0, ha="right", va="center", fontsize=6.5)
            if place == 0:
                axis.set_title(_wrapped(head, round(side * 15)), fontsize=6.5, pad=2)
            if head in columns:
                image = pixels(columns[head]["file"])
                axis.imshow(image, interpolation="nearest" if place == 0 else "antialiased")
                if note := columns[head]["note"]:
                    style = {"fontsize": 5.5, "color": "white", "ha": "right", "va": "bottom"}
                    box = {"facecolor": "black", "alpha": 0.55, "pad": 0.8, "linewidth": 0}
                    axis.text(0.97, 0.03, note, transform=axis.transAxes, bbox=box, **style)
    return figure


def curves(
    plt: Any, series: dict[str, list[tuple[float, float]]], axes: tuple[str, str], styles: dict[str, int], width: float
) -> Any:
    """One line a method, with its colour, dashes and marker."""
    size = min(width, WIDTH[1])
    figure, axis = plt.subplots(figsize=(size, size * 0.68))
    for name, points in series.items():
        axis.plot(*zip(*points, strict=True), label=_short(name), **_style(styles.get(name, 0)))
    axis.set_xlabel(axes[0])
    axis.set_ylabel(axes[1])
    axis.set_xlim(left=0)
    axis.set_ylim(bottom=0)
    axis.grid(color="0.9", linewidth=0.5)
    if len(series) > 1:
        axis.legend(frameon=False, ncols=1 + len(series) // 12, loc="upper left" if len(series) < 9 else "center left",
                    bbox_to_anchor=None if len(series) < 9 else (1.02, 0.5))  # fmt: skip
    return figure


def _style(index: int) -> dict[str, Any]:
    dash = DASHES[index // len(COLOURS) % len(DASHES)]
    line = (0, tuple(map(float, dash.split()))) if dash else "-"
    marker = MARKERS[index % len(MARKERS)]
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": line, "marker": marker, "markersize": 3}


def _short(name: str, limit: int = 40) -> str:
    return name if len(name) <= limit else name[: limit - 1] + "…"


def plane(
    plt: Any, table: Table, x: str, y: str, names: dict[tuple[str, ...], str], styles: dict[str, int], width: float
) -> Any:
    """Perception against distortion (Blau and Michaeli 2018): the lower left corner is the best of both."""
    i, j = find_column(table, x), find_column(table, y)
    assert i is not None and j is not None
    size = min(width, WIDTH[1])
    figure, axis = plt.subplots(figsize=(size, size * 0.8))
    for row in table.rows:
        across, up = row.cells[i].value, row.cells[j].value
        if across is None or up is None or not np.isfinite([across, up]).all():
            continue
        name = names.get(row.key, row.label)
        how = _style(styles.get(name, 0)) | {"linestyle": "none", "markersize": 5}
        axis.plot(across, up, **how)
        axis.annotate(_short(row.label, 24), (across, up), textcoords="offset points", xytext=(5, 3), fontsize=6.5)
    for column, label, set_label, invert in (
        (table.columns[i], "distortion", axis.set_xlabel, axis.invert_xaxis),
        (table.columns[j], "perception", axis.set_ylabel, axis.invert_yaxis),
    ):  # fmt: skip
        set_label(f"{column.title} ({label})")
        if column.direction == "higher":
            invert()
    axis.margins(0.15)
    axis.grid(color="0.9", linewidth=0.5)
    return figure


def ranks(plt: Any, contests: list[Any], tables: list[Table], width: float) -> Any:
    """Demsar's diagram of each metric: mean ranks on a line, a bar over those within the critical difference."""
    heights = [0.45 + 0.13 * (len(c.keys) // 2 + 1) + 0.07 * len(c.found.groups) for c in contests]
    figure, axes = plt.subplots(len(contests), 1, figsize=(width, sum(heights) * 1.15), squeeze=False,
                                gridspec_kw={"height_ratios": heights, "hspace": 0.35})  # fmt: skip
    for contest, height, (axis,) in zip(contests, heights, axes, strict=True):
        names, found = contest.names(tables), contest.found
        k, order = len(names), np.argsort(found.ranks, kind="stable")
        axis.set_xlim(1 - 0.35 * k, k + 0.35 * k)
        axis.set_ylim(height, -0.25)
        axis.set_axis_off()
        axis.plot([1, k], [0, 0], color="black", linewidth=0.8)
        for tick in range(1, k + 1):
            axis.plot([tick, tick], [0, -0.04], color="black", linewidth=0.8)
            axis.text(tick, -0.06, str(tick), ha="center", va="bottom", fontsize=6.5)
        if np.isfinite(found.difference):
            end = 1 + min(found.difference, k - 1)
            axis.plot([1, end], [-0.21, -0.21], color="black", linewidth=1.2)
            axis.text(end + 0.05, -0.21, f"CD = {found.difference:.2f}", va="center", fontsize=6.5)
        axis.text(1 - 0.35 * k, -0.21, contest.title, fontsize=7.5, va="center", fontweight="bold")
        bars = 0.06 * len(found.groups)
        for place, index in enumerate(order):
            left = place < (k + 1) // 2
            level = bars + 0.13 * ((place if left else k - 1 - place) + 1)
            end = 1 - 0.05 * k if left else k + 0.05 * k
            rank = found.ranks[index]
            axis.plot([rank, rank, end], [0, level, level], color="0.35", linewidth=0.6)
            axis.text(
                end + (-0.03 if left else 0.03) * k,
                level,
                _short(names[index], 26),
                ha="right" if left else "left",
                va="center",
                fontsize=6.5,
            )
        for number, group in enumerate(found.groups):
            low, high = min(found.ranks[list(group)]), max(found.ranks[list(group)])
            axis.plot(
                [low - 0.04, high + 0.04],
                [0.06 * (number + 1)] * 2,
                color=COLOURS[0],
                linewidth=2.2,
                solid_capstyle="round",
            )
    return figure


def training(plt: Any, models: list[dict[str, Any]], width: float) -> Any:
    """What each model logged, one small plot a model, one line a quantity."""
    columns = max(1, round(width / 2.3))
    rows = -(-len(models) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(width, 1.75 * rows), squeeze=False, layout="constrained")
    for axis in axes.flat[len(models) :]:
        axis.set_axis_off()
    for axis, model in zip(axes.flat, models, strict=False):
        for number, (name, points) in enumerate(sorted(model["training"]["curve"].items())):
            values = np.asarray([p for p in points if np.isfinite(p[1])], dtype=float)
            if len(values):
                axis.plot(values[:, 0], values[:, 1], label=name, **_style(number) | {"marker": ""})
        axis.set_title(_short(model["label"], 34), pad=3)
        if any((np.asarray(p)[:, 1] > 0).all() for p in model["training"]["curve"].values()):
            axis.set_yscale("symlog", linthresh=1e-2)
            axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set_xlabel("step")
        axis.legend(frameon=False, fontsize=5.5)
    return figure


def shown(plt: Any, file: Path, width: float) -> Any:
    """A picture that a model drew of what it has learnt."""
    image = pixels(file)
    figure, axis = plt.subplots(figsize=(width, width * image.shape[0] / image.shape[1]))
    axis.imshow(image, interpolation="nearest")
    axis.set_axis_off()
    return figure
