"""Whatever a row is called, its files stay in the run's folder, tables say its name, and no spreadsheet runs it."""

import csv

import pandas as pd
import pytest

from bench.core.results import read_table

NAMES = [
    "_Base",
    "lr",
    "hr",
    "..",
    ".",
    "x" * 300,
    "名前",
    "é",
    "@SUM",
    "+1",
    "-x",
    "a b",
    "<b>",
    "a'b",
    "$x_1^2$",
    "a&b%c#d",
]
PLUGIN = f"""
import torch.nn.functional as F
import bench

class Base(bench.Method):
    def infer(self, lr):
        return F.interpolate(lr, scale_factor=self.scale)

@bench.hookimpl
def bench_methods():
    return {{name: type("Odd", (Base,), {{"__module__": __name__}}) for name in {[*NAMES, "=cmd()", "a,b", "all", ""]!r}}}
"""


@pytest.fixture
def ran(bench, folders, tmp_path):
    file = tmp_path / "odd.py"
    file.write_text(PLUGIN, encoding="utf-8")
    methods = ",".join([*NAMES, "=cmd()=bicubic", "../../up=bicubic"])
    out = tmp_path / "deep" / "below" / "out"
    about = ("--hr", folders[0], "--conditions", "bicubic", "--metrics", "psnr", "--device", "cpu", "--out", out)
    code, _, err = bench("run", "--plugin", file, f"--methods={methods}", *about)
    assert code == 0, err
    return out, err


def test_rows_of_any_name_are_measured_and_kept_apart(ran, tmp_path):
    out, err = ran
    found = read_table(out)
    assert {*found.method} == {*NAMES, "=cmd()", "../../up"} and {*found.status} == {"ok"}
    folders = {p.parent for p in (out / "images").rglob("test00.png")}
    assert len(folders) == len(NAMES) + 2 + 2  # and the LR and the HR
    made = {p.relative_to(tmp_path).parts[0] for p in tmp_path.rglob("*.png")}
    assert made == {"hr", "lr", "deep", ".bench"} or made == {"hr", "lr", "deep"}
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["below"]
    for refused in ("'=cmd()'", "'a,b'", "'all'", "''"):
        assert f"method {refused} has a name that has a meaning in commands; skipped" in err


def test_no_cell_of_a_csv_file_begins_a_formula(ran, bench, tmp_path):
    out, _ = ran
    file = tmp_path / "tables.csv"
    assert bench("report", out, "--format", "csv", "--out", file)[0] == 0
    for path in (out / "results.csv", file):
        with open(path, encoding="utf-8", newline="") as text:
            cells = [cell for row in csv.reader(text) for cell in row]
        assert not [c for c in cells if c[:1] in ("=", "+", "-", "@") and not _number(c)], path
        assert "'=cmd()" in cells and "'+1" in cells


def test_results_read_from_csv_are_those_of_parquet(ran):
    out, _ = ran
    whole = read_table(out)
    (out / "results.parquet").unlink()
    pd.testing.assert_frame_equal(read_table(out), whole, check_dtype=False)


@pytest.mark.parametrize("text", ["'=a", "''@b", "'c", "'", "-1", "=", "\t=x", ""])
def test_what_is_made_inert_comes_back(text, tmp_path):
    from bench.core.results import write_table

    write_table(tmp_path, [{"method": text, "metric": "psnr", "value": -1.5}])
    (tmp_path / "results.parquet").unlink()
    row = read_table(tmp_path).iloc[0]
    assert (row.method, row.value) == (text, -1.5)


def _number(text: str) -> bool:
    try:
        return bool(float(text) or True)
    except ValueError:
        return False
