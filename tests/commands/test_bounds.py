"""Numbers outside their bounds, and folders that are no runs, are answered in one line."""

import json

import pandas as pd
import pytest

from bench.core.results import write_table


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--conditions", "blur[sigma=0]"], "sigma=0.0 is not from 0.01 to 100"),
        (["--conditions", "jpeg[quality=101]"], "quality=101 is not from 1 to 100"),
        (["--conditions", "jpeg[quality=0]"], "quality=0 is not"),
        (["--conditions", "noise[sigma=inf]"], "sigma=inf is not a number"),
        (["--conditions", "noise[sigma=-1]"], "sigma=-1.0 is not from 0 to 255"),
        (["--conditions", "jpeg-kernel[probability=2]"], "probability=2.0 is not from 0 to 1"),
        (["--methods", "selfsr[batch=0]"], "batch=0 is not 1 or more"),
        (["--methods", "selfsr[steps=-1]"], "steps=-1 is not 0 or more"),
        (["--devices", "0"], "0 is less than 1"),
        (["--seed", "-1"], ""),
        (["--condition-seed", "-1"], "-1 is less than 0"),
        (["--hr", ""], "not an empty text"),
    ],
)
def test_bounds(bench, tmp_path, arguments, words):
    code, out, err = bench("run", "--methods", "bicubic", "--out", tmp_path / "out", *arguments)
    assert code == 2 and words in err and len(err.strip().splitlines()) == 1 and out == ""


ROW = {"method": "m", "condition": "noise", "metric": "psnr", "value": 1.0, "status": "ok", "direction": "higher"}
DAMAGE = {
    "an empty table": lambda f: (f / "results.parquet").write_bytes(b""),
    "a table cut short": lambda f: (f / "results.parquet").write_bytes((f / "results.parquet").read_bytes()[:200]),
    "another program's table": lambda f: pd.DataFrame({"a": [1]}).to_parquet(f / "results.parquet"),
    "a record cut short": lambda f: (f / "run.json").write_text('{"methods": ['),
    "a record that is a list": lambda f: (f / "run.json").write_text("[]"),
    "a record of other types": lambda f: (f / "run.json").write_text(json.dumps({"methods": 3, "data": "x"})),
    "a record that is no text": lambda f: (f / "run.json").write_bytes(b"\xff\xfe\x00"),
    "methods that are no records": lambda f: (f / "run.json").write_text(json.dumps({"methods": ["x"]})),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("form", ["html", "md"])
def test_reports_of_damaged_and_foreign_folders_are_one_line(bench, tmp_path, damage, form):
    write_table(tmp_path, [ROW])
    DAMAGE[damage](tmp_path)
    code, _, err = bench("report", tmp_path, "--format", form)
    assert code == 2 and len(err.strip().splitlines()) == 1 and str(tmp_path) in err


def test_no_place_in_a_record_leads_out_of_the_run(bench, tmp_path):
    from PIL import Image

    secret = tmp_path / "secret"
    (secret / "noise").mkdir(parents=True)
    Image.new("RGB", (8, 8), (1, 2, 3)).save(secret / "noise" / "a.png")
    run = tmp_path / "run"
    (run / "images" / "lr" / "noise").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(run / "images" / "lr" / "noise" / "a.png")
    write_table(run, [ROW])
    model = {"label": "m", "name": "m", "images": "../../secret"}
    (run / "run.json").write_text(json.dumps({"conditions": ["noise"], "methods": [model]}))
    import base64

    assert bench("report", run)[0] == 0
    shown = base64.b64encode((secret / "noise" / "a.png").read_bytes()).decode()
    assert shown not in (run / "report.html").read_text()
