"""The leaderboard: nothing that does not compare shares a column."""

import json

import pandas as pd
from made_reports import row

from bench.cli import main


def made(folder, value, protocol="A", scale=4, print_="x"):
    rows = [row("m", "real", "psnr", value, protocol=protocol), row("n", "real", "psnr", value + 1, protocol=protocol)]
    folder.mkdir()
    pd.DataFrame(rows).to_csv(folder / "results.csv", index=False)
    face = {"fingerprint": print_, "test": 4, "train": 4, "size": "64x64", "source": "hr"}
    models = [{"label": name, "name": name, "scale": scale, "degradation": ""} for name in "mn"]
    (folder / "run.json").write_text(json.dumps({"data": {"name": f"d{print_}", "hr": face}, "methods": models}))
    return str(folder)


def test_values_share_a_column_only_where_all_is_the_same(tmp_path, visit):
    runs = [made(tmp_path / "a", 20.0), made(tmp_path / "b", 25.0), made(tmp_path / "c", 30.0, protocol="B"),
            made(tmp_path / "d", 40.0, scale=2), made(tmp_path / "e", 50.0, print_="y")]  # fmt: skip
    assert main(["leaderboard", *runs, "--out", str(tmp_path / "site")]) == 0
    page = visit(tmp_path / "site/index.html")
    boards = page.eval_on_selector_all(
        ".board", "all => all.map(b => [b.dataset.data, b.dataset.scale, b.querySelectorAll('thead th').length - 3])"
    )
    assert sorted(boards) == [["dx", "2", 1], ["dx", "4", 2], ["dy", "4", 1]], "two protocols are two columns"
    best = page.eval_on_selector_all(".board b:not(.second)", "all => all.map(b => b.innerText)")
    assert sorted(best) == ["26.00", "31.00", "41.00", "51.00"]
    page.select_option("select[aria-label=scale]", "2")
    assert page.locator(".board:visible").count() == 1
    page.select_option("select[aria-label=scale]", "")
    page.click(".board >> nth=0 >> thead button >> nth=3")
    assert page.locator(".board >> nth=0 >> tbody td:nth-child(4)").first.inner_text() == "26.00"
