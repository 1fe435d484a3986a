"""Hostile and odd runs: each report says what is so, and nothing breaks."""

import json
import re

import pandas as pd
import pytest
from bench.reports import html, latex, text
from bench.reports.contents import contents
from made_reports import Links, picture, row

SCRIPT = "<script>alert(1)</script>"


def made(tmp_path, rows, **record):
    pd.DataFrame(rows).to_csv(tmp_path / "results.csv", index=False)
    (tmp_path / "run.json").write_text(json.dumps({"conditions": ["bicubic"], "preset": "paper", **record}))
    for render, name in ((latex.latex, "tables"), (text.csv, "r.csv"), (text.markdown, "r.md")):
        assert render([tmp_path], tmp_path / name)
    (file,) = html.render([tmp_path], tmp_path / "report.html")
    source = file.read_text()
    found = Links(source)
    assert not found.open and {a[1:] for a in found.addresses if a.startswith("#")} <= set(found.ids)
    return source


def results(run):
    """Its first table of results."""
    return contents([run]).of("results")[0]


def per_face(method, values, **more):
    return [row(method, "bicubic", "psnr", v, image=f"f{i}", n=1, ci_low=None, ci_high=None, **more)
            for i, v in enumerate(values)]  # fmt: skip


def test_a_method_named_as_a_script_is_a_name(tmp_path):
    rows = [row(SCRIPT, "bicubic", "psnr", 20.0, protocol=SCRIPT), row("b", "bicubic", "psnr", 21.0)]
    source = made(tmp_path, [*rows, *per_face(SCRIPT, [19.0, 21.0]), *per_face("b", [20.0, 22.0])])
    assert SCRIPT not in source and "&lt;script&gt;alert(1)&lt;/script&gt;" in source
    assert "\\u003cscript>alert(1)" in source, "in the page's data"


def test_a_value_that_is_no_number_is_missing_with_its_reason_and_infinity_is_shown(tmp_path):
    values = {"a": float("inf"), "b": 20.0, "c": float("nan")}
    rows = [row(m, "bicubic", "psnr", v) for m, v in values.items()]
    source = made(tmp_path, [*rows, *per_face("a", [float("inf"), 2.0]), *per_face("b", [20.0, 21.0])])
    shown = {r.label: r.cells[0] for r in results(tmp_path).rows}
    assert (shown["a"].text, shown["a"].rank, shown["b"].rank) == ("inf", 1, 2)
    assert shown["c"].value is None and "not a number" in shown["c"].detail and "the value is not a number" in source
    assert r"$\infty$" in (tmp_path / "tables/bicubic.tex").read_text()
    data = json.loads(
        source.partition('id="data">')[2].partition("</script>")[0], parse_constant=lambda name: pytest.fail(name)
    )
    assert data["galleries"][0]["values"]["psnr"]["0"] == [None, 2.0]


def test_one_method_alone_is_not_called_the_best(tmp_path):
    source = made(tmp_path, [row("a", "bicubic", "psnr", 20.0), *per_face("a", [19.0, 21.0])])
    assert "<h1>1 method</h1>" in source and 'class="best"' not in source and "Mean ranks" not in source
    assert (
        r"\textbf" not in (tmp_path / "tables/bicubic.tex").read_text() and "**" not in (tmp_path / "r.md").read_text()
    )


def test_forty_methods_and_a_name_of_300_characters(tmp_path):
    names = [f"m{i}" for i in range(39)] + ["n" * 300]
    directions = {"psnr": "higher", "swd": "lower"}
    rows = [row(n, "bicubic", m, 20.0 + i, direction=d) for i, n in enumerate(names) for m, d in directions.items()]
    rows += [one for i, n in enumerate(names) for one in per_face(n, [20.0 + i + k % 2 for k in range(30)])]
    source = made(tmp_path, rows)
    table = source.partition('id="results"')[2].partition("</table>")[0]
    assert re.findall(r'<th scope="row">([^<]+)', table) == names and "<h1>40 methods</h1>" in source
    assert (tmp_path / "tables/bicubic.tex").read_text().count("\\\\\n") == 41
    assert len({line.split(",")[2] for line in (tmp_path / "r.csv").read_text().splitlines()[1:]}) == 40
    best = [r.label for r in results(tmp_path).rows if r.cells[0].rank == 1]
    assert best == ["n" * 300] and f"**{59.0:.2f}**" in (tmp_path / "r.md").read_text()


def test_everything_unavailable_names_each_reason_once(tmp_path):
    none = {"status": "unavailable", "reason": "needs the ground truth in HR"}
    source = made(tmp_path, [row(m, "bicubic", "psnr", **none) for m in ("a", "b")])
    missing = source.partition('id="missing"')[2]
    assert missing.count("needs the ground truth in HR") == 1 and "1 metric unavailable" in source
    assert "data-v" not in source.partition("<script")[0] and "Statistics" not in source


def test_real_lr_without_ground_truth_shows_none_and_says_so(tmp_path):
    rows = [row(m, "real", "niqe", 5.0 + i, direction="lower") for i, m in enumerate("ab")]
    for place, size in (("lr/real", 8), ("a/real", 32), ("b/real", 32), ("hr", 32)):
        for index in range(3):
            picture(tmp_path / f"images/{place}/f{index}.png", size, 9 * index)
    models = [{"label": m, "images": m} for m in "ab"]
    source = made(tmp_path, rows, conditions=["real"], methods=models)
    assert "have no ground truth" in source and "HR, truth" not in source and "f1.png, a" in source
    assert "None was asked for." in source, "no synthetic condition"
    results(tmp_path)


def test_a_run_without_pictures_has_no_section_of_faces(tmp_path):
    rows = [row(m, "bicubic", "psnr", 20.0 + i) for i, m in enumerate("ab")]
    source = made(tmp_path, [*rows, *per_face("a", [19.0, 21.0]), *per_face("b", [20.0, 22.0])])
    assert "<img" not in source and 'id="faces"' not in source and 'href="#faces"' not in source


def test_of_one_face_nothing_is_tested_and_the_table_says_so(tmp_path):
    rows = [row(m, "bicubic", "psnr", 20.0 + i, n=1, ci_low=None, ci_high=None) for i, m in enumerate("ab")]
    source = made(tmp_path, [*rows, *per_face("a", [20.0]), *per_face("b", [21.0])])
    table = results(tmp_path)
    assert "1 face is too few for 1 comparison" in table.remark and table.remark in source
    assert not any(c.tied or c.half for r in table.rows for c in r.cells) and "±0" not in source


FACTS = {"title": "Sharpness", "decimals": 1, "direction": "higher", "table": "optics", "headlines": [""],
         "parts": {"edge": "at edges"}, "part_decimals": {"edge": 2}}  # fmt: skip


def test_a_family_that_only_a_plugin_knows_has_tables_of_its_own_though_the_plugin_is_not_loaded(tmp_path):
    rows = [row(m, "bicubic", f"sharp{part}", 20.126 + i)
            for i, m in enumerate(("a", "b")) for part in ("", ".edge", ".level0")]  # fmt: skip
    rows += [row(m, "bicubic", "psnr", 20.0) for m in ("a", "b")]
    source = made(tmp_path, rows, metric_facts={"sharp": FACTS})
    tables = {(t.kind, t.title): [c.title for c in t.columns] for t in contents([tmp_path]).tables}
    assert tables["results", "Tested on bicubic"] == ["Sharpness ↑", "PSNR ↑"]
    assert tables["optics", "Optics on bicubic"] == ["Sharpness ↑", "at edges ↑"]
    assert "<h2>Optics</h2>" in source and "21.13" in source.partition("<h2>Optics")[2] and "21.1<" in source
    assert "at edges" in (tmp_path / "tables/optics_bicubic.tex").read_text()
    assert "Optics on bicubic" in (tmp_path / "r.md").read_text()
    assert "sharp.edge" in (tmp_path / "r.csv").read_text().splitlines()[0]


@pytest.mark.parametrize("name", ["results", "ranks", "agreement"])
def test_a_family_called_as_a_table_that_there_is_stands_among_the_results(tmp_path, name):
    rows = [row(m, "bicubic", "sharp", 20.0 + i) for i, m in enumerate("ab")]
    assert "Sharpness" in made(tmp_path, rows, metric_facts={"sharp": {**FACTS, "table": name, "headlines": []}})
    assert [c.title for c in results(tmp_path).columns] == ["Sharpness ↑"]
