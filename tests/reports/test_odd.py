"""Hostile and odd runs: each report says what is so, and nothing breaks."""

import json

import pandas as pd
import pytest
from bench.reports import html, latex, text
from made_reports import Links, row

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


def per_face(method, values, **more):
    return [row(method, "bicubic", "psnr", v, image=f"f{i}", n=1, ci_low=None, ci_high=None, **more)
            for i, v in enumerate(values)]  # fmt: skip


def test_a_method_named_as_a_script_is_a_name(tmp_path):
    rows = [row(SCRIPT, "bicubic", "psnr", 20.0, protocol=SCRIPT), row("b", "bicubic", "psnr", 21.0)]
    source = made(tmp_path, [*rows, *per_face(SCRIPT, [19.0, 21.0]), *per_face("b", [20.0, 22.0])])
    assert SCRIPT not in source and "&lt;script&gt;alert(1)&lt;/script&gt;" in source
    assert "\\u003cscript>alert(1)" in source, "in the page's data"


def test_a_value_that_is_no_number_is_missing_with_its_reason_and_infinity_is_shown(tmp_path):
    rows = [
        row("a", "bicubic", "psnr", float("inf")),
        row("b", "bicubic", "psnr", 20.0),
        row("c", "bicubic", "psnr", float("nan")),
    ]
    source = made(tmp_path, [*rows, *per_face("a", [float("inf"), 2.0]), *per_face("b", [20.0, 21.0])])
    data = json.loads(
        source.partition('id="data">')[2].partition("</script>")[0], parse_constant=lambda name: pytest.fail(name)
    )
    assert data["galleries"][0]["values"]["psnr"]["0"] == [None, 2.0]


def test_one_method_alone_is_not_called_the_best(tmp_path):
    source = made(tmp_path, [row("a", "bicubic", "psnr", 20.0), *per_face("a", [19.0, 21.0])])
    assert "1 method<" in source.replace("1 method on", "1 method<") and 'class="best"' not in source


def test_forty_methods_and_a_name_of_300_characters(tmp_path):
    long = "n" * 300
    names = [f"m{i}" for i in range(39)] + [long]
    rows = [
        row(n, "bicubic", m, 20.0 + i, direction=d)
        for i, n in enumerate(names)
        for m, d in (("psnr", "higher"), ("swd", "lower"))
    ]
    source = made(tmp_path, rows)
    assert source.count("<tr data-k=") == 0 or long in source
    assert f">{long}<" in source and "40 methods" in source


def test_everything_unavailable_names_each_reason_once(tmp_path):
    none = {"status": "unavailable", "reason": "needs the ground truth in HR"}
    source = made(tmp_path, [row(m, "bicubic", "psnr", **none) for m in ("a", "b")])
    assert (
        source.partition('id="missing"')[2].count("needs the ground truth in HR") == 1
        and "1 metric unavailable" in source
    )
