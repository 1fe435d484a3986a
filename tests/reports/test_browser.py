"""The report in a browser: tables that sort, filter and compare, values that open, the viewer of faces."""

import json
import re

import pandas as pd
import pytest
from bench.reports import html
from made_reports import METHODS, picture


@pytest.fixture
def opened(run, visit):
    """The report of four methods whose faces lie in the run's folder, in a window."""
    record = json.loads((run / "run.json").read_text())
    for condition in ("bicubic", "real"):
        for index in range(24):
            picture(run / f"images/lr/{condition}/face{index:02d}.png", 8, 9 * index)
            for number, method in enumerate(METHODS):
                picture(run / f"images/{method}/{condition}/face{index:02d}.png", 32, 9 * index + number)
    (run / "run.json").write_text(json.dumps(record))
    (file,) = html.render([run], run / "report.html")
    return lambda **more: visit(file, **more)


def column(page, table, place):
    return page.eval_on_selector_all(
        f"{table} tbody tr:not([hidden])", f"rows => rows.map(row => row.cells[{place}].innerText)"
    )


def test_a_table_sorts_filters_hides_and_compares(opened):
    page = opened()
    table = "#summary table"
    before = column(page, table, 0)
    page.click(f"{table} thead tr:last-child th:nth-child(2) button")
    values = [float(v.split()[0]) for v in column(page, table, 1)]
    assert values == sorted(values, reverse=True), "PSNR: the best first"
    page.click(f"{table} thead tr:last-child th:nth-child(2) button")
    assert [float(v.split()[0]) for v in column(page, table, 1)] == sorted(values)
    page.click(f"{table} thead tr:last-child th:nth-child(2) button")
    assert column(page, table, 0) == before
    pane = "#results ~ .switch >> nth=0 >> .pane:not([hidden])"
    page.select_option(f"{pane} >> .bar select >> nth=0", label="Baseline: bicubic")
    deltas = page.eval_on_selector_all(f"{pane} >> tbody tr", "rows => rows.map(row => row.cells[2].innerText)")
    gain = float(deltas[2].split()[0]) - float(deltas[0])
    assert f"▲ +{gain:.2f} *" in deltas[2] and "▲" not in deltas[0]
    assert deltas[1].rstrip().endswith("≈") and deltas[3].rstrip().endswith("*"), "lanczos is no better, twin is"
    page.click(f"{pane} >> .bar summary >> nth=0")
    page.uncheck(f"{pane} >> .bar label:has-text('PSNR') input")
    assert not page.is_visible(f"{pane} >> thead th:has-text('PSNR')")
    assert page.locator(f"{pane} >> tbody td[data-m='psnr']:visible").count() == 0
    assert page.locator(f"{pane} >> tbody td[data-m='swd']:visible").count() == 4


def test_the_filter_shows_what_it_names(run, visit):
    frame = pd.read_csv(run / "results.csv", keep_default_na=False)
    more = [frame[frame.method == "bicubic"].assign(method=f"other-{i}") for i in range(3)]
    pd.concat([frame, *more]).to_csv(run / "results.csv", index=False)
    (file,) = html.render([run], run / "report.html")
    page = visit(file)
    page.fill("#summary input", "OTHER")
    assert sorted(column(page, "#summary table", 0)) == ["other-0", "other-1", "other-2"]
    page.fill("#summary input", "")
    assert len(column(page, "#summary table", 0)) == 7


def test_a_value_opens_its_protocol_its_distribution_and_its_faces(opened):
    page = opened()
    page.click("#summary td.opens >> nth=0")
    said = page.inner_text(".detail")
    assert "psnr, as tested" in said and "PSNR" in said and "bicubic" in said and "interval" in said
    assert page.locator(".detail svg rect.mine").count() > 4 and "twin" in said
    page.click(".detail .faces button >> nth=0")
    assert page.is_visible(".viewer") and not page.is_visible(".detail")
    values = page.evaluate("bench.data.galleries[0].values.psnr")
    best = max(range(24), key=lambda i: values["0"][i])
    assert page.evaluate("bench.state.i") == best


def test_the_viewer_slides_zooms_together_and_answers_keys(opened):
    page = opened()
    page.click("#faces ~ .switch img >> nth=0")
    box = page.locator(".viewer .slider").bounding_box()
    handle = page.locator(".viewer .handle").bounding_box()
    page.mouse.move(handle["x"] + 14, handle["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 60, steps=3)
    page.mouse.up()
    assert page.evaluate("bench.state.split") == pytest.approx(0.25, abs=0.01)
    clip = page.eval_on_selector(".viewer .over", "box => box.style.clipPath")
    assert re.fullmatch(r"inset\(0px 0px 0px 2[45]\.?\d*%\)", clip), "the right method begins at the handle"
    frame = page.locator(".viewer .frame >> nth=2").bounding_box()
    page.mouse.move(frame["x"] + 20, frame["y"] + 20)
    page.mouse.wheel(0, -300)
    page.wait_for_function("bench.state.zoom > 2")
    moved = page.eval_on_selector_all(
        ".viewer .frame img, .viewer .slider img", "all => all.map(i => i.style.transform)"
    )
    assert len(set(moved)) == 1 and "scale(2.7" in moved[0], "all of them under one zoom"
    first = page.evaluate("bench.state.i")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("bench.state.i") == first + 1
    page.keyboard.press("m")
    assert page.evaluate("[bench.state.zoom, bench.state.x, bench.state.y]") == [2, -0.5, -1], (
        "the lower half, its middle"
    )
    page.keyboard.press("s")
    assert page.eval_on_selector(".viewer", "box => !box.classList.contains('sharp')")
    page.select_option(".viewer select[title='Order of the faces']", "worst|psnr")
    mean = page.evaluate(
        "Object.values(bench.data.galleries[0].values.psnr).reduce((a, b) => a.map((v, i) => v + b[i]))"
    )
    assert page.evaluate("bench.state.i") == min(range(24), key=lambda i: mean[i])
    page.keyboard.press("Escape")
    assert not page.is_visible(".viewer")


def test_one_switch_turns_all_conditions_and_the_page_fits_a_phone(opened):
    page = opened(width=390, height=844)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.click(".tabs button[data-cond='real'] >> nth=0")
    shown = page.eval_on_selector_all(".pane:not([hidden])", "all => all.map(one => one.dataset.cond)")
    assert shown.count("real") >= 3
    page.click("#summary td.opens >> nth=0")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_long_and_hostile_names_leave_a_phones_page_its_width(opened, run):
    text = (run / "results.csv").read_text()
    hostile = "<img src=x onerror=alert(1)>" + "n" * 272
    (run / "results.csv").write_text(text.replace("edge_net", hostile))
    (run / "run.json").write_text((run / "run.json").read_text().replace('"name": "edge_net"', f'"name": "{hostile}"'))
    (file,) = html.render([run], run / "report.html")
    page = opened(width=390, height=844)
    page.goto(f"file://{file}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator(f"#summary th:has-text('{hostile}')").count() == 1 and page.locator("img[src=x]").count() == 0
    page.click("#summary td.opens >> nth=0")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390 and page.locator("img[src=x]").count() == 0


def test_without_javascript_every_condition_stands_on_the_page(opened):
    page = opened(java_script_enabled=False)
    assert page.locator(".pane").count() == page.locator(".pane:visible").count() > 4
    assert page.is_visible("text=Tested on bicubic >> nth=0") and page.locator("#faces ~ .switch img").count() > 10
