"""Reports of statistics, consistency and cost: what is marked, drawn and tabulated."""

import re

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from bench.reports import figures, html
from bench.reports.contents import contents, summary
from bench.reports.efficiency import si
from made_reports import FACES, METHODS, Links


def table(run, kind, condition="bicubic"):
    return next(t for t in contents([run]).of(kind) if t.condition == condition)


def values(run, metric, condition="bicubic"):
    frame = pd.read_csv(run / "results.csv")
    frame = frame[(frame.metric == metric) & (frame.condition == condition) & frame.image.notna()]
    return frame.pivot(index="image", columns="method", values="value")


def test_values_that_cannot_be_told_from_the_best_are_marked(run):
    found = table(run, "results")
    column = [c.metric for c in found.columns].index("psnr")
    cells = {r.label: r.cells[column] for r in found.rows}
    best, tied = sorted(("edge_net", "twin"), key=lambda m: cells[m].rank)
    assert cells[best].rank == 1 and not cells[best].tied and cells[tied].tied
    assert not cells["bicubic"].tied and not cells["lanczos"].tied
    by_face = values(run, "psnr")
    pairs = [scipy.stats.wilcoxon(by_face[best], by_face[m]).pvalue for m in METHODS if m != best]
    assert min(pairs) < 0.05 / 6 and max(pairs) > 0.05, "by scipy alone"
    swd = [c.metric for c in found.columns].index("swd")
    assert not any(r.cells[swd].tied for r in found.rows), "one number a set is not tested"


def test_a_layouts_methods_are_compared_with_each_other_alone(run):
    found = contents([run]).arranged(
        {"methods": ["lanczos", "edge_net"], "conditions": ["bicubic"], "metrics": ["psnr"]}
    )
    (contest,) = found.contests
    by_face = values(run, "psnr")
    assert {key[2] for key in contest.keys} == {"lanczos", "edge_net"} and contest.names(found.tables)
    alone = scipy.stats.wilcoxon(by_face["lanczos"], by_face["edge_net"]).pvalue
    assert contest.found.p[0, 1] == pytest.approx(alone), "one pair needs no correction"


def test_too_few_faces_are_not_tested_and_the_table_says_so(run):
    frame = pd.read_csv(run / "results.csv", keep_default_na=False)
    frame[~frame.image.isin([f"face{i:02d}" for i in range(5, FACES)])].to_csv(run / "results.csv", index=False)
    found = table(run, "results")
    assert not any(c.tied for r in found.rows for c in r.cells)
    assert "5 faces are too few for 6 comparisons" in found.remark


def test_ranks_carry_the_letters_of_nemenyis_groups(run):
    found = table(run, "ranks")
    psnr = {r.label: r.cells[0] for r in found.rows}
    ranks = (-values(run, "psnr")).rank(axis=1).mean()
    assert all(float(c.text) == pytest.approx(ranks[m], abs=0.006) for m, c in psnr.items())
    difference = 2.569 * np.sqrt(4 * 5 / (6 * FACES))  # Demsar 2006, table 5
    assert f"PSNR {difference:.2f}" in found.remark
    for one in METHODS:
        for other in METHODS:
            near = one == other or abs(ranks[one] - ranks[other]) < difference
            assert near == (one == other or bool(set(psnr[one].note) & set(psnr[other].note))), (one, other)


def test_metrics_are_correlated_over_methods(run):
    found = table(run, "agreement")
    heads = [r.label for r in found.rows]
    assert heads == ["PSNR", "Consistency", "SWD"] and [c.title for c in found.columns] == heads
    means = pd.DataFrame({m: values(run, m).mean() for m in ("psnr", "consistency")})
    expected = scipy.stats.spearmanr(means.psnr, -means.consistency).statistic
    assert float(found.rows[0].cells[1].text) == pytest.approx(expected, abs=0.006)
    assert found.rows[0].cells[0].text == "1.00" and "fewer than 5" in found.remark


def test_consistency_has_its_own_tables_and_only_its_headline_stands_among_the_results(run):
    heads = [c.title for c in table(run, "results").columns]
    assert heads == ["PSNR ↑", "Consistency ↓", "Consistency relative ↓", "SWD ↓"]
    assert [c.title for c in table(run, "consistency").columns] == ["between ↓", "to clean ↓", "PSNR ↓", "relative ↓"]
    smooth = table(run, "smoothness")
    assert [(r.label, r.degradation) for r in smooth.rows] == [("edge_net", "high-to-low")], (
        "the only one with features"
    )


def test_cost_shows_what_was_counted_and_what_was_timed(run):
    (found,) = contents([run]).of("cost")
    texts = {r.label: [c.text for c in r.cells] for r in found.rows}
    assert texts["bicubic"] == ["0", "0", "4.1 kB", "1,234"] and texts["edge_net"][:2] == ["4 M", "3 G"]
    assert texts["twin"][3] == "—" and "CPU, 2 threads, in batches of 16" in found.remark
    assert (si(1.234567e9), si(999), si(1500, "B")) == ("1.23 G", "999", "1.5 kB")


def test_the_summary_says_who_is_best_where(run):
    found = summary(contents([run]).tables)
    assert list(found["heads"]) == ["psnr", "consistency", "consistency.relative", "swd"]
    cell = found["rows"][0]["cells"]["psnr"]
    assert {*cell["best"], *cell["tied"]} == {"edge_net", "twin"}


def test_the_page_holds_curves_ranks_robustness_and_cost(run):
    (file,) = html.render([run], run / "report.html")
    source = file.read_text()
    found = Links(source)
    assert not found.open and {"summary", "consistency", "statistics", "cost", "degradations"} <= set(found.ids)
    assert {a[1:] for a in found.addresses if a.startswith("#")} <= set(found.ids)
    robust = source.partition("Robustness on bicubic")[2].partition("</details>")[0]
    assert robust.count("31.4 dB") == 2 * len(METHODS), "two faces of three, one degraded version"
    assert "a, Input (LR), noise" in found.pictures and "b, twin, clean" in found.pictures
    assert "Robustness on real" in source and source.count("Mean ranks by PSNR") == 2
    assert "16.2" in source.partition('id="degradations"')[2].partition("<h2")[0]


def test_curves_start_at_the_origin_and_keep_their_order():
    drawn = str(figures.chart([(0, "steep", [(0, 0), (4, 8)]), (9, "flat <b>", [(0, 0), (4, 2)])], "in", "out"))
    lines = [[tuple(map(float, p.split(","))) for p in line.split()] for line in re.findall(r'points="([^"]+)"', drawn)]
    (start, steep), (again, flat) = lines
    assert start == again and steep[0] == flat[0] and steep[1] < flat[1] < start[1], "SVG's y runs down"
    assert (start[1] - flat[1]) * 4 == pytest.approx(start[1] - steep[1], abs=0.3)
    assert "flat &lt;b&gt;" in drawn and "stroke-dasharray" in drawn.partition("flat")[0]
    assert figures.ticks(0, 0.02) == pytest.approx([0, 0.005, 0.01, 0.015, 0.02]) and figures.ticks(0, 16)[-1] == 15


def test_bars_of_the_rank_plot_overlap_where_the_difference_is_not_critical():
    drawn = str(figures.rank_plot("PSNR", ["one", "two", "three"], [1.2, 1.5, 2.9], 0.6))
    bars = [tuple(map(float, b)) for b in re.findall(r'class="bar" x1="([\d.]+)" x2="([\d.]+)"', drawn)]
    assert bars[0][1] > bars[1][0] and bars[1][1] < bars[2][0]
