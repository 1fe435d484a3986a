"""What competes with what: ten pairs that do not compare, one that does; seeds as replicates; headings in every format."""

import json

import numpy as np
import pandas as pd
import pytest
from bench.reports import html, latex, text
from bench.reports.contents import contents
from made_reports import row

FACES = {f"f{i}": 24.0 + 0.1 * i for i in range(10)}
PROTOCOL = "[Y, border 4] PSNR, made so, alexnet (sha256 11aa), against 90 faces of a of 64x64 (77bb); pyiqa 0.1.16"


def run(folder, name, *, gain=0.0, values=None, protocol=PROTOCOL, scale=4, seed=0, fingerprint="ab12", noise=0.0, metric="psnr",
        faces=True):  # fmt: skip
    """A run of one method, ``name``, on ten faces."""
    values = {k: v + gain for k, v in FACES.items()} if values is None else values
    shift = noise * np.random.default_rng([seed, *name.encode()]).normal(size=len(values))
    values = dict(zip(values, (np.array(list(values.values())) + shift).tolist(), strict=True))
    shared = {"seed": seed, "protocol": protocol}
    rows = [row(name, "bicubic", metric, float(np.mean(list(values.values()))), n=len(values), **shared)]
    rows += [row(name, "bicubic", metric, v, image=k, n=1, **shared) for k, v in values.items() if faces]
    out = folder / f"{name}-{seed}"
    out.mkdir(parents=True)
    pd.DataFrame(rows).to_csv(out / "results.csv", index=False)
    model = {
        "label": name,
        "name": name,
        "variant": "",
        "degradation": "",
        "scale": scale,
        "images": name,
        "params": {},
    }
    data = {"hr": {"source": "hr", "train": 90, "test": len(values), "size": "64x64", "fingerprint": fingerprint}}
    record = {"seed": seed, "methods": [model], "data": data, "preset": "paper", "conditions": ["bicubic"]}
    (out / "run.json").write_text(json.dumps(record))
    return out


def results(*runs):
    return [t for t in contents(list(runs)).tables if t.kind == "results"]


def marks(*runs):
    return {r.label: [c.rank for c in r.cells] for t in results(*runs) for r in t.rows}


def test_what_was_made_alike_competes(tmp_path):
    runs = run(tmp_path, "one"), run(tmp_path, "two", gain=1)
    assert marks(*runs) == {"one": [2], "two": [1]} and len(results(*runs)) == 1
    assert "Not marked" not in results(*runs)[0].remark


@pytest.mark.parametrize("changes", [
    {"protocol": PROTOCOL.replace("11aa", "22cc")},  # other weights
    {"protocol": PROTOCOL.replace("0.1.16", "0.1.13")},  # another version of a library
    {"protocol": PROTOCOL.replace("77bb", "88dd")},  # another reference of the same name
    {"protocol": PROTOCOL.replace("90 faces of a", "80 faces of b")},  # a smaller one
    {"protocol": PROTOCOL.replace("Y, border 4", "RGB, border 4")},
    {"protocol": PROTOCOL.replace("border 4", "border 0")},
    {"protocol": PROTOCOL.replace("of 64x64", "of 128x128")},
])  # fmt: skip
def test_what_was_measured_otherwise_shares_a_column_without_marks(tmp_path, changes):
    runs = run(tmp_path, "one"), run(tmp_path, "two", gain=1, **changes)
    (table,) = results(*runs)
    assert marks(*runs) == {"one": [0], "two": [0]} and table.columns[0].apart == "protocol"
    assert "Not marked, since the values are measured in different ways (see the protocols): PSNR" in table.remark
    kinds = {t.kind for t in contents(list(runs)).tables}
    assert "ranks" not in kinds, "nor are they ranked or tested"


@pytest.mark.parametrize("changes", [{"scale": 2}, {"fingerprint": "cd34"}])
def test_another_scale_or_other_faces_are_another_table(tmp_path, changes):
    runs = run(tmp_path, "one"), run(tmp_path, "two", gain=1, **changes)
    assert marks(*runs) == {"one": [0], "two": [0]} and len(results(*runs)) == 2
    assert all("do not compare" in t.remark for t in results(*runs))


def test_a_count_of_other_faces_is_unmarked_where_their_values_are_not_known(tmp_path):
    """A mean of fewer faces, without the values of single ones: nothing says which is better on the same faces."""
    fewer = {k: v + 1 for k, v in list(FACES.items())[:6]}
    runs = run(tmp_path, "one", faces=False), run(tmp_path, "two", values=fewer, faces=False)
    (table,) = results(*runs)
    assert marks(*runs) == {"one": [0], "two": [0]} and table.columns[0].apart == "count"
    assert "Not marked, since the values are of different faces: PSNR" in table.remark


def test_a_layout_that_leaves_a_row_out_keeps_what_compares(tmp_path):
    """Best on the common faces, not by the means shown, also where another row is left out."""
    from bench.reports.layout import arrange

    easy = {k: v for k, v in FACES.items() if k not in ("f0", "f1")}
    hard = {**{k: v + 0.5 for k, v in easy.items()}, "f0": 5.0, "f1": 5.0}
    runs = run(tmp_path, "whole", values=hard), run(tmp_path, "picky", values=easy), run(tmp_path, "third", gain=-9)
    assert marks(*runs)["whole"] == [1] and marks(*runs)["picky"] == [2]
    tables = arrange(contents(list(runs)).tables, {"methods": ["whole", "picky"]})
    table = next(t for t in tables if t.kind == "results")
    assert {r.label: r.cells[0].rank for r in table.rows} == {"whole": 1, "picky": 2}


# ---------------------------------------------------------------- seeds


def test_ranks_and_tests_are_of_means_over_seeds(tmp_path):
    """Three trainings of each of two methods: ten faces, not thirty; one row each, and one method each for agreement."""
    runs = [
        run(tmp_path, name, gain=g, seed=s, noise=2.0) for name, g in (("one", 0.0), ("two", 3.0)) for s in (0, 1, 2)
    ]
    found = contents(runs)
    (table,) = [t for t in found.tables if t.kind == "results"]
    assert [(r.label, r.cells[0].seeds) for r in table.rows] == [("one", 3), ("two", 3)]
    (contest,) = found.contests
    assert contest.found.n == 10 and len(contest.keys) == 2
    means = {}
    for folder in runs:
        one = pd.read_csv(folder / "results.csv", keep_default_na=False)
        means.setdefault(folder.name.partition("-")[0], []).append(one[one.image != ""].set_index("image").value)
    one, two = (np.mean([v[list(FACES)] for v in means[n]], 0) for n in ("one", "two"))
    assert contest.found.ranks == pytest.approx([1 + np.mean(two > one), 1 + np.mean(one > two)])
    from scipy.stats import wilcoxon

    assert contest.found.p[0, 1] == pytest.approx(wilcoxon(one, two).pvalue)


def test_agreement_counts_methods_not_seeds(tmp_path):
    """Two methods of three seeds each are two points, of which no correlation can be shown; three methods are three."""
    runs = []
    for number, name in enumerate(("one", "two", "three")):
        for seed in (0, 1, 2):
            folder = run(tmp_path, name, gain=number, seed=seed, noise=0.3)
            table = pd.read_csv(folder / "results.csv", keep_default_na=False)
            other = table.assign(metric="ssim", value=table.value / 50)
            pd.concat([table, other]).to_csv(folder / "results.csv", index=False)
            runs.append(folder)
    assert not [t for t in contents(runs[:6]).tables if t.kind == "agreement"]
    (agreement,) = [t for t in contents(runs).tables if t.kind == "agreement"]
    assert "3 methods: no rank correlation of fewer than 5" in agreement.remark
    assert agreement.rows[0].cells[1].value == pytest.approx(1) and agreement.rows[0].cells[1].n == 3


# ---------------------------------------------------------------- headings


def test_every_format_names_colour_border_and_reference(tmp_path):
    one, two = run(tmp_path, "one"), run(tmp_path, "two", gain=1)
    for folder in (one, two):
        table = pd.read_csv(folder / "results.csv", keep_default_na=False)
        swd = row(folder.name.partition("-")[0], "bicubic", "swd", 30.0, n=10, direction="lower",
                  protocol="[to 90 HR training faces] SWD")  # fmt: skip
        inf = {**swd, "metric": "fid.inf", "protocol": "[to 90 HR training faces] FID"}
        pd.concat([table, pd.DataFrame([swd, inf])]).to_csv(folder / "results.csv", index=False)
    (page,) = html.render([one, two], tmp_path / "r.html")
    (md,) = text.markdown([one, two], tmp_path / "r.md")
    tex = latex.latex([one, two], tmp_path / "tex")
    body = page.read_text()
    assert "Y, border 4" in body.partition("<table")[2] and "to 90 HR training faces" in body.partition("<table")[2]
    assert (
        "PSNR: Y, border 4." in md.read_text()
        and "SWD" in md.read_text()
        and "to 90 HR training faces" in md.read_text()
    )
    caption = next(f for f in tex if f.name == "bicubic.tex").read_text().partition(r"\label")[0]
    assert "PSNR: Y, border 4." in caption and "to 90 HR training faces." in caption
    for words in (body, md.read_text(), caption.partition(r"\caption")[2]):
        assert "FID, n to infinity" in words, "no column is called inf"
    assert "Differences are not tested for SWD" in caption and "Differences are not tested for SWD" in md.read_text()
