"""The paper's figures: which there are, what is on them, for one and for two columns."""

import json

import numpy as np
import pytest
import torch
from made_reports import METHODS, picture

plt = pytest.importorskip("matplotlib.pyplot", reason="needs the extra `figures`")
from bench.reports import diagrams, plots  # noqa: E402
from bench.reports.contents import contents  # noqa: E402

from bench.cli import main  # noqa: E402

KERNELS, NOISE = 5, 40


@pytest.fixture
def full(run):
    """With faces, training curves, and a jpeg-kernel whose pools were fitted."""
    record = json.loads((run / "run.json").read_text())
    for index in range(4):
        picture(run / f"images/lr/bicubic/face{index:02d}.png", 8, 9 * index)
        for method in METHODS:
            picture(run / f"images/{method}/bicubic/face{index:02d}.png", 32, 9 * index)
    record["methods"][2]["training"] = {
        "curve": {"loss/net": [[1, 1.0], [2, 0.1]], "adversarial": [[1, 2.0], [2, float("nan")]]}
    }
    record["degradations"] = [
        {"label": "jpeg-kernel", "name": "jpeg-kernel", "scale": 4, "checkpoint": "checkpoints/k.pt"}
    ]
    (run / "checkpoints").mkdir()
    state = {"kernel": torch.rand(KERNELS, 26, 26), "noise": 0.02 * torch.randn(NOISE, 3, 32, 32)}
    torch.save({"model": {"_extra_state": state}}, run / "checkpoints/k.pt")
    (run / "run.json").write_text(json.dumps(record))
    return run


def figures(run, **layout):
    """Each figure by its name, closed."""
    with plt.rc_context({**plots.STYLE, "figure.max_open_warning": 0}):
        made = dict(plots._all(plt, contents([run]), [run], layout, plots.WIDTH[layout.get("columns", 2)]))
    plt.close("all")
    return made


def words(axis):
    return [text.get_text() for text in axis.texts]


def test_every_figure_is_written_in_three_formats_that_say_the_same_on_another_day(full, tmp_path, capsys, monkeypatch):
    assert (
        main(["report", str(full), "--format", "figures", "--out", str(tmp_path / "a"), "--conditions", "bicubic"]) == 0
    )
    written = {f.name: f.read_bytes() for f in (tmp_path / "a").iterdir()}
    names = {"faces-bicubic", "robustness-bicubic", "robustness-real", "consistency-bicubic", "smoothness-bicubic",
             "smoothness-sinkhorn-bicubic", "plane-bicubic", "ranks-bicubic", "training", "fitted-jpeg-kernel"}  # fmt: skip
    assert names <= {name.rpartition(".")[0] for name in written}
    assert all(f"{name}.{kind}" in written for name in names for kind in ("pdf", "png", "svg"))
    assert all(
        data.startswith({"pdf": b"%PDF", "png": b"\x89PNG", "svg": b"<?xml"}[name[-3:]])
        for name, data in written.items()
    )
    assert "edge_net" in written["plane-bicubic.svg"].decode(), "text stays text"
    assert len(capsys.readouterr().out.splitlines()) == len(written)
    every = plots._all
    monkeypatch.setattr(plots, "_all", lambda *given: [next(one for one in every(*given) if one[0] == "plane-bicubic")])
    again = plots.figures([full], tmp_path / "b", {"conditions": ["bicubic"]})
    assert [f.read_bytes() for f in again] == [written[f.name] for f in again] and len(again) == 3


@pytest.mark.parametrize("columns", [1, 2])
def test_figures_fit_their_columns_and_name_every_method(full, columns):
    made = figures(full, columns=columns)
    width = plots.WIDTH[columns]
    for name, figure in made.items():
        across = figure.get_size_inches()[0]
        assert across <= width + 1e-6, name
        assert across == pytest.approx(width) or name.startswith(
            ("plane", "consistency", "smoothness", "robustness")
        ), name
    faces = made["faces-bicubic"].axes
    assert [a.get_title() for a in faces[: len(METHODS) + 1]] == ["LR", *METHODS]
    assert len(faces) == 3 * 2 * (len(METHODS) + 1) and all(len(a.patches) == 2 for a in faces), (
        "two crops, framed, of each"
    )
    assert {t.get_text() for t in made["consistency-bicubic"].axes[0].get_legend().get_texts()} == set(METHODS)
    assert set(words(made["plane-bicubic"].axes[0])) == set(METHODS)
    ranked = made["ranks-bicubic"].axes
    assert len(ranked) == 2 and all(set(METHODS) <= set(words(a)) for a in ranked), "PSNR and consistency"
    robust = made["robustness-bicubic"].axes
    assert len(robust) == 2 * (1 + len(METHODS)) and "31.4 dB" in words(robust[-1])
    (trained,) = made["training"].axes[:1]
    assert trained.get_title() == "edge_net" and len(trained.lines) == 2


def test_axes_run_towards_the_best_and_curves_from_the_origin(full):
    made = figures(full)
    axis = made["plane-bicubic"].axes[0]
    left, right = axis.get_xlim()
    low, high = axis.get_ylim()
    assert axis.get_xlabel() == "PSNR ↑ (distortion)" and left > right, "higher is better: to the left"
    assert axis.get_ylabel() == "SWD ↓ (perception)" and low < high
    curve = made["consistency-bicubic"].axes[0]
    lines = {line.get_label(): line.get_xydata().tolist() for line in curve.lines}
    assert lines["bicubic"] == [[0, 0], [2, 2], [4, 4], [8, 8]] and lines["edge_net"] == [
        [0, 0],
        [2, 1],
        [4, 2],
        [8, 4],
    ]


def test_texts_of_a_rank_diagram_do_not_overlap_and_its_dots_stand_at_the_ranks(full):
    contest = next(c for c in contents([full]).contests if c.metric == "psnr")
    figure = diagrams.ranks(plt, [contest], contents([full]).tables, plots.WIDTH[1])
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    starts = sorted(line.get_xdata()[0] for line in figure.axes[0].lines if len(line.get_xdata()) == 3)
    spans = [(s - starts[0]) / (starts[-1] - starts[0]) for s in starts]
    ranks = sorted(contest.found.ranks)
    assert spans == pytest.approx([(r - ranks[0]) / (ranks[-1] - ranks[0]) for r in ranks])
    plt.close(figure)


def test_kernels_and_noise_are_those_of_the_checkpoint(full):
    figure = figures(full)["fitted-jpeg-kernel"]
    assert [t.get_text().partition(";")[0] for t in figure.texts] == [
        f"{KERNELS} kernels for x4, 26 px",
        f"{NOISE} noise patches, 32 px",
    ]
    assert "sigma 5." in figure.texts[1].get_text()
    saved = torch.load(full / "checkpoints/k.pt", weights_only=True)["model"]["_extra_state"]["kernel"][1]
    shown = figure.axes[1].images[0].get_array()
    assert np.allclose(shown, saved / saved.max()) and len(figure.axes) == KERNELS + 24
    (full / "checkpoints/k.pt").rename(full / "moved.pt")
    (full / "checkpoints/k.pt").symlink_to(full / "moved.pt")
    assert "fitted-jpeg-kernel" not in figures(full), "a link may lead anywhere"


def test_names_of_points_cover_no_other_name():
    figure, axis = plt.subplots(figsize=(3, 2))
    axis.plot([0, 1], [0, 1])
    plots._annotate(figure, axis, [(0.5, 0.5, f"method-{i}") for i in range(6)])
    boxes = [text.get_window_extent() for text in axis.texts]
    assert len(boxes) == 4 and not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i]), (
        "four sides have room"
    )
    plt.close(figure)


def test_names_lean_where_their_words_do_not_fit():
    upright = plots.headings(["low-to-high", "bicubic"], 0.5)
    assert [text for text, _ in upright] == ["low-to-\nhigh", "bicubic"] and "rotation" not in upright[0][1]
    assert all(how["rotation"] for _, how in plots.headings(["low-to-high", "bicubic"], 0.3))
