"""Figures that are no faces and no curves: ranks with critical differences, training, kernels and noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .figures import COLOURS, DASHES
from .tabular import Table

MARKERS = "os^Dv<>pPX*hH"
INCH = {
    "title": 0.1,
    "bar": 0.27,
    "ticks": 0.42,
    "line": 0.5,
    "group": 0.06,
    "name": 0.13,
    "gap": 0.12,
}  # of a rank diagram


def short(name: str, limit: int = 40) -> str:
    return name if len(name) <= limit else name[: limit - 1] + "…"


def style(index: int) -> dict[str, Any]:
    """A line's colour, dashes and marker."""
    dash = DASHES[index // len(COLOURS) % len(DASHES)]
    line = (0, tuple(map(float, dash.split()))) if dash else "-"
    marker = MARKERS[index % len(MARKERS)]
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": line, "marker": marker, "markersize": 3}


def ranks(plt: Any, contests: list[Any], tables: list[Table], width: float) -> Any:
    """Demsar's diagram of each metric: mean ranks on a line, a bar over those within the critical difference.

    Its axes are in inches downwards, so that text of one size has room whatever the number of methods.
    """
    heights = [_height(len(c.keys), len(c.found.groups)) for c in contests]
    figure = plt.figure(figsize=(width, sum(heights)))
    top = 0.0
    for contest, height in zip(contests, heights, strict=True):
        axis = figure.add_axes((0, 1 - (top + height) / sum(heights), 1, height / sum(heights)))
        axis.set_xlim(0, width)
        axis.set_ylim(height, 0)
        axis.set_axis_off()
        _diagram(axis, contest.title, contest.names(tables), contest.found, width)
        top += height
    return figure


def _height(methods: int, groups: int) -> float:
    return INCH["line"] + INCH["group"] * groups + INCH["name"] * ((methods + 1) // 2 + 0.7) + INCH["gap"]


def _diagram(axis: Any, title: str, names: list[str], found: Any, width: float) -> None:
    k, order = len(names), np.argsort(found.ranks, kind="stable")
    left, right = 0.36 * width, 0.64 * width if k < 4 else 0.66 * width

    def across(rank: float) -> float:
        return left + (rank - 1) / max(1, k - 1) * (right - left)

    axis.text(0, INCH["title"], title, fontsize=7.5, va="center", fontweight="bold")
    axis.plot([left, right], [INCH["line"]] * 2, color="black", linewidth=0.8)
    for tick in range(1, k + 1):
        axis.plot([across(tick)] * 2, [INCH["line"], INCH["line"] - 0.04], color="black", linewidth=0.8)
        if k <= 20 or tick in (1, k) or tick % 5 == 0:
            axis.text(across(tick), INCH["ticks"], str(tick), ha="center", va="center", fontsize=6)
    if np.isfinite(found.difference):
        end = across(1 + min(found.difference, k - 1))
        axis.plot([left, end], [INCH["bar"]] * 2, color="black", linewidth=1.2)
        axis.text(end + 0.05, INCH["bar"], f"CD = {found.difference:.2f}", va="center", fontsize=6.5)
    bars = INCH["line"] + INCH["group"] * len(found.groups)
    for place, index in enumerate(order):
        first = place < (k + 1) // 2
        level = bars + INCH["name"] * ((place if first else k - 1 - place) + 1)
        rank, end = across(found.ranks[index]), left - 0.1 if first else right + 0.1
        axis.plot([rank, rank, end], [INCH["line"], level, level], color="0.35", linewidth=0.6)
        limit = int((left - 0.15) / 0.056)  # letters that fit beside the line
        axis.text(end + (-0.04 if first else 0.04), level, short(names[index], limit), ha="right" if first else "left",
                  va="center", fontsize=6.5)  # fmt: skip
    for number, group in enumerate(found.groups):
        low, high = across(min(found.ranks[list(group)])), across(max(found.ranks[list(group)]))
        level = INCH["line"] + INCH["group"] * (number + 0.75)
        axis.plot([low - 0.03, high + 0.03], [level] * 2, color=COLOURS[0], linewidth=2, solid_capstyle="round")


def training(plt: Any, models: list[dict[str, Any]], width: float) -> Any:
    """What each model logged, one small plot a model, one line a quantity, named below the plot."""
    columns = max(1, round(width / 2.3))
    rows = -(-len(models) // columns)
    names = {name for model in models for name in model["training"]["curve"]}
    beside = 1 if max(map(len, names)) > 12 else 2
    lines = max(-(-len(model["training"]["curve"]) // beside) for model in models)
    below = 0.75 + 0.1 * lines  # inches between one row's axes and the next's, for ticks, names and title
    height = (1.1 + below) * rows
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False)
    figure.subplots_adjust(0.1, (below - 0.2) / height, 0.99, 1 - 0.2 / height, wspace=0.32, hspace=below / 1.1)
    for axis in axes.flat[len(models) :]:
        axis.set_axis_off()
    for axis, model in zip(axes.flat, models, strict=False):
        curves = {name: np.asarray([p for p in points if np.isfinite(p[1])], dtype=float).reshape(-1, 2)
                  for name, points in sorted(model["training"]["curve"].items())}  # fmt: skip
        for number, (name, values) in enumerate(curves.items()):
            axis.plot(values[:, 0], values[:, 1], label=short(name, 30), **style(number) | {"marker": ""})
        axis.set_title(short(model["label"], 34), pad=3)
        if any(len(v) and (v[:, 1] > 0).all() for v in curves.values()):
            axis.set_yscale("symlog", linthresh=1e-2)
            axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set_xlabel("step", labelpad=1)
        axis.legend(frameon=False, fontsize=5.5, ncols=beside, loc="upper left", bbox_to_anchor=(-0.1, -0.32), handlelength=1.4,
                    columnspacing=0.8, labelspacing=0.25, borderpad=0)  # fmt: skip
    return figure


# ---------------------------------------------------------------- what jpeg-kernel has fitted


def pools(folder: Path, model: dict[str, Any]) -> dict[str, np.ndarray]:
    """The kernels (n, s, s) and noise patches (n, 3, s, s) that a model of a run keeps in its checkpoint; empty without any."""
    file = folder / str(model.get("checkpoint"))
    if model.get("plugin", model.get("name")) != "jpeg-kernel" or not model.get("checkpoint") or file.is_symlink():
        return {}
    if not file.is_file() or not file.resolve().is_relative_to(folder.resolve()):
        return {}
    import torch  # for this figure alone

    state = torch.load(file, map_location="cpu", weights_only=True)["model"].get("_extra_state") or {}
    return {name: state[name].numpy() for name in ("kernel", "noise") if name in state and len(state[name])}


def fitted(plt: Any, found: dict[str, np.ndarray], model: dict[str, Any], width: float) -> Any:
    """Kernels, each over its largest value, and noise patches four times as strong on grey, some of each (Aakerberg 2021)."""
    columns = 6 if width < 5 else 12
    said = {"kernel": f"kernels for x{model.get('scale', '')}", "noise": "noise patches"}
    side, head = width / columns, 0.2
    counts = {name: min(len(values), 2 * columns) for name, values in found.items()}
    rows = {name: -(-count // columns) for name, count in counts.items()}
    height = sum(head + side * n for n in rows.values())
    figure, top = plt.figure(figsize=(width, height)), 0.0
    for name, values in found.items():
        words = f"{len(values):,} {said[name]}, {values.shape[-1]} px"
        if name == "noise":
            words += f"; sigma {255 * float(np.sqrt(np.square(values).mean())):.1f} of 255, shown x4"
        figure.text(0, 1 - (top + 0.14) / height, words, fontsize=7, va="baseline")
        top += head
        for place in range(counts[name]):
            one = values[place * len(values) // counts[name]]
            down = top + place // columns * side
            size = 0.96 / columns, side * 0.96 / height
            axis = figure.add_axes((place % columns / columns, 1 - down / height - size[1], *size))
            axis.set_axis_off()
            if name == "kernel":
                axis.imshow(one / max(one.max(), 1e-12), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            else:
                axis.imshow((0.5 + 4 * one).clip(0, 1).transpose(1, 2, 0), interpolation="nearest")
        top += rows[name] * side
    return figure
