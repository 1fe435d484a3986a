"""What a metric's guard keeps from being best is marked wherever it stands, with the values that say so."""

import json
import re

import pandas as pd
import pytest
from bench.reports import html, latex, text
from bench.reports.contents import contents
from bench.reports.leaderboard import boards
from bench.reports.rows import read
from made_reports import row

VALUES = {"bicubic": (9.5, 34.9, 25.1), "look_up": (0.4, 14.32, 25.1), "blur": (3.0, 22.5, 25.1)}  # and LR-PSNR, floor


@pytest.fixture
def run(tmp_path):
    rows = []
    for method, (value, seen, floor) in VALUES.items():
        rows += [row(method, "real", "psnr", 24.0 + value)]
        rows += [row(method, "real", "consistency", value, direction="lower")]
        rows += [row(method, "real", "consistency.relative", value / 60, direction="lower")]
        rows += [row(method, "real", "consistency.response", 1 / value)]
        rows += [row(method, "real", "consistency.lr_psnr", seen), row(method, "real", "consistency.lr_floor", floor)]
        rows += [row(method, "real", "ntire-face", 3.0 + value)]
        rows += [
            row(method, "real", "ntire-face.passes", float(method != "blur")),
            row(method, "real", "ntire-face.gate", 1.0),
        ]
    pd.DataFrame(rows).to_csv(tmp_path / "results.csv", index=False)
    models = [{"label": m, "name": m, "degradation": "", "images": m} for m in VALUES]
    (tmp_path / "run.json").write_text(json.dumps({"methods": models, "conditions": ["real"]}))
    return tmp_path


def test_among_the_results_a_dagger_marks_the_rows_below_the_floor_and_says_both_values(run):
    table = contents([run]).of("results")[0]
    daggers = {
        (r.label, c.metric) for r in table.rows for c, one in zip(table.columns, r.cells, strict=True) if one.dagger
    }
    consistent = {(m, f"consistency{p}") for m in ("look_up", "blur") for p in ("", ".relative", ".response")}
    assert daggers == {*consistent, ("blur", "ntire-face")}
    assert table.guarded == (
        "† Never the best in Consistency, Consistency relative, Consistency response, since the output explains less of the "
        "LR than a copy at half its resolution: look_up (LR-PSNR 14.32, its floor 25.10), blur (LR-PSNR 22.50, its floor "
        "25.10). † Never the best in NTIRE 2025 face, since more faces than the challenge allows are too unlike their LQ "
        "input: blur (passes 0, gate 1)."
    )
    one = table.rows[1].cells[[c.metric for c in table.columns].index("consistency")]
    assert "Never the best: LR-PSNR 14.32, its floor 25.10." in one.detail and one.rank == 0


def test_every_format_shows_the_dagger_and_the_footnote(run, tmp_path):
    words = "look_up (LR-PSNR 14.32, its floor 25.10)"
    page = html.render([run], tmp_path / "report.html")[0].read_text()
    assert len(re.findall(r"0\.40</a><sup>†</sup>", page)) >= 2 and words in page, "in results and in consistency"
    marked = text.markdown([run], tmp_path / "tables.md")[0].read_text()
    assert "0.40†" in marked and words in marked
    paper = next(f for f in latex.latex([run], tmp_path / "tex") if f.name == "real.tex").read_text()
    assert r"{0.40}$^{\dagger}$" in paper and r"$\dagger$ Never the best in Consistency" in paper
    assert r"look\_up (LR-PSNR 14.32, its floor 25.10)" in paper


def test_a_layout_names_the_rows_that_it_leaves_as_it_calls_them(run, tmp_path):
    layout = {"methods": ["bicubic", "look_up"], "names": {"look_up": "Ours"}}
    marked = text.markdown([run], tmp_path / "tables.md", layout)[0].read_text()
    assert "Ours (LR-PSNR 14.32, its floor 25.10)." in marked and "blur" not in marked and "look_up" not in marked


def test_a_leaderboard_marks_them_too(run):
    (board,) = boards(*read([run]))
    shown = {who[0]: {metric for (metric, _), c in cells.items() if c.dagger} for who, cells in board.rows.items()}
    consistent = {"consistency", "consistency.relative", "consistency.response"}
    assert shown == {"bicubic": set(), "look_up": consistent, "blur": {*consistent, "ntire-face"}}
    assert "look_up, " in board.guarded and "since the output explains less of the LR" in board.guarded


def test_a_plugins_guard_without_words_says_what_it_can(run):
    table = pd.read_csv(run / "results.csv")
    more = [row(m, "real", f"steady{p}", v) for m, seen in (("bicubic", 5.0), ("blur", 1.0))
            for p, v in (("", seen), (".heard_much", seen), (".least", 2.0))]  # fmt: skip
    pd.concat([table, pd.DataFrame(more)]).to_csv(run / "results.csv", index=False)
    record = json.loads((run / "run.json").read_text())
    record["metric_facts"] = {"steady": {"title": "Steady", "guard": ["heard_much", "least"]}}
    (run / "run.json").write_text(json.dumps(record))
    said = contents([run]).of("results")[0].guarded
    assert "Steady" in said and "below what the metric demands: blur (heard much 1.00, least 2.00)." in said
