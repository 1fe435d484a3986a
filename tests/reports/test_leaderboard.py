"""The leaderboard: nothing that does not compare shares a column."""

import json

import pandas as pd
from bench.reports import leaderboard
from bench.reports.rows import read
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


def test_seeds_are_one_row_and_hostile_names_are_names(tmp_path):
    runs = [made(tmp_path / f"s{seed}", 20.0 + seed) for seed in (0, 1)]
    for seed, run in enumerate(runs):
        frame = pd.read_csv(f"{run}/results.csv", keep_default_na=False)
        frame.assign(seed=seed, method=["<script>", "n"]).to_csv(f"{run}/results.csv", index=False)
        record = json.loads((tmp_path / f"s{seed}/run.json").read_text())
        models = [
            {**m, "label": name, "name": name} for m, name in zip(record["methods"], ("<script>", "n"), strict=True)
        ]
        (tmp_path / f"s{seed}" / "run.json").write_text(json.dumps({**record, "methods": models}))
    (board,) = leaderboard.boards(*read([tmp_path / "s0", tmp_path / "s1"]))
    cells = {who[0]: next(iter(mine.values())) for who, mine in board.rows.items()}
    assert (cells["n"].text, cells["n"].seeds, cells["n"].rank) == ("21.50", 2, 1) and cells["<script>"].rank == 2
    assert main(["leaderboard", *runs, "--out", str(tmp_path / "site")]) == 0
    source = (tmp_path / "site/index.html").read_text()
    assert "&lt;script&gt;" in source and ">&lt;script&gt;<" in source.replace(" ", "")
    assert "<script>" not in source.partition("<tbody>")[2].partition("</tbody>")[0]


def test_what_ignores_its_input_leads_no_board_and_floors_are_no_columns(tmp_path):
    rows = []
    for method, value, explained in (("deaf", 1.0, 15.0), ("one", 9.0, 35.0), ("two", 10.0, 36.0)):
        for part, v in (("", value), (".lr_psnr", explained), (".lr_floor", 24.0)):
            rows.append(row(method, "real", f"consistency{part}", v, direction="lower"))
        rows += [row(method, "real", f"swd{part}", v, direction="lower")
                 for part, v in (("", 30 + value), (".floor", 3.0), (".level0", 20 + value))]  # fmt: skip
    run = tmp_path / "a"
    made(run, 20.0)
    pd.DataFrame(rows).to_csv(run / "results.csv", index=False)
    (board,) = leaderboard.boards(*read([run]))
    assert [metric for metric, _ in board.columns] == ["consistency", "swd"]
    ranks = {who[0]: [c.rank for c in cells.values()] for who, cells in board.rows.items()}
    assert ranks == {"deaf": [0, 1], "one": [1, 2], "two": [2, 0]}


def test_a_folder_without_results_is_named(tmp_path, capsys):
    assert main(["leaderboard", str(tmp_path), "--out", str(tmp_path / "site")]) == 2
    assert "no results of a run" in capsys.readouterr().err and not (tmp_path / "site").exists()
