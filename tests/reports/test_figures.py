"""Reports of statistics, consistency and cost: what is marked, drawn and tabulated."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from bench.reports import figures, html, text
from bench.reports.contents import contents, summary
from bench.reports.cost import si
from made_reports import Links, picture, row

METHODS = {"bicubic": 0.0, "lanczos": 0.02, "edge_net": 2.0, "twin": 2.0}
FACES = 24


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


@pytest.fixture
def run(tmp_path):
    rng = np.random.default_rng(0)
    rows = [r for condition in ("bicubic", "real") for r in rows_of(condition, rng)]
    models = []
    for index, (method, gain) in enumerate(METHODS.items()):
        more = {"degradation": "high-to-low"} if method == "edge_net" else {}
        for part, value in (("", 1.5e9 * gain), (".parameters", 2e6 * gain), (".memory", 4096.0)):
            rows.append(
                row(method, "", f"cost{part}", value, n=1, ci_low=None, ci_high=None, direction="lower", **more)
            )
        speed = {} if method == "twin" else {"cost": {"faces_per_second": 1234.5 / (index + 1), "batch": 16.0}}
        models.append({"label": method, "name": method, "images": method, "degradation": "", "measured": speed, **more})
        for condition in ("bicubic", "real"):
            place = tmp_path / "figures/consistency" / method / condition
            listed = []
            for number, (face, label, of) in enumerate((f, c, o) for f in ("a", "b", "c") for c in ("clean", "noise")
                                                       for o in ("lr", "sr")):  # fmt: skip
                note = "31.4 dB" if (of, label) == ("sr", "noise") else ""
                listed.append({"group": face, "label": label, "of": of, "note": note, "file": f"{number}.png"})
                picture(place / f"{number}.png", 8, number)
            (place / "figures.json").write_text(json.dumps(listed))
    rows += [
        row("", name, "swd-lr", value, direction="lower") for name, value in (("bicubic", 296.2), ("noise", 280.0))
    ]
    rows += [row("", name, "swd-lr-gain", value) for name, value in (("bicubic", 0.0), ("noise", 16.2))]
    pd.DataFrame(rows).to_csv(tmp_path / "results.csv", index=False)
    record = {"methods": models, "conditions": ["bicubic", "real"], "device": "CPU, 2 threads", "preset": "quick"}
    (tmp_path / "run.json").write_text(json.dumps(record))
    return tmp_path


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


def test_every_table_is_written_for_latex(run):
    written = {f.stem: f.read_text() for f in text.latex([run], run / "tables")}
    kinds = ("", "consistency_", "smoothness_", "ranks_", "agreement_")
    assert {f"{k}{c}" for k in kinds for c in ("bicubic", "real")} | {"degradations", "cost"} == set(written)
    for tex in written.values():
        assert tex.count(r"\begin{") == tex.count(r"\end{") == 2 and tex.isascii()
        columns = re.search(r"tabular}\{(\w+)\}", tex).group(1)
        body = [line for line in tex.splitlines() if line.endswith(r"\\")]
        assert all(len(re.findall(r"(?<!\\)&", line)) == len(columns) - 1 for line in body)
    assert r"$^{\approx}$" in written["bicubic"] and "Holm" in written["bicubic"]
    assert "Nemenyi" in written["ranks_bicubic"] and "in batches of 16" in written["cost"]
    (csv,) = text.csv([run], run / "r.csv")
    assert len(pd.read_csv(csv)) == 2 * len(METHODS) + 2, "one line a method and condition, and the degradations"
