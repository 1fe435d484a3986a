import sys

import pandas as pd
import pytest

PROGRAM = """
import os, sys, time
from pathlib import Path
from PIL import Image
lr, sr = Path(sys.argv[1]), Path(sys.argv[2])
print("scale", sys.argv[3], os.environ.get("FILTER"), lr)
if "die" in sys.argv: sys.exit("no weights here")
if "hang" in sys.argv: time.sleep(60)
for file in sorted(lr.glob("*.png")):
    image = Image.open(file)
    image.resize((image.width * 4, image.height * 4), Image.Resampling[os.environ.get("FILTER", "NEAREST")]).save(sr / file.name)
"""


@pytest.fixture
def run(bench, folders, tmp_path):
    """run(more words of the command, more options of external) -> (code, errors, results)."""
    program = tmp_path / "their program.py"
    program.write_text(PROGRAM)

    def call(words="", options="", methods="bicubic,"):
        command = f'{sys.executable} \\"{program}\\" {{lr}} {{sr}} {{scale}} {words}'
        code, _, err = bench("run", "--methods", f'{methods}theirs=external[command="{command}"{options}]',
                             "--hr", folders[0], "--conditions", "noise", "--metrics", "psnr,cost,consistency[faces=2]",
                             "--device", "cpu", "--out", tmp_path / "out")  # fmt: skip
        return code, err, pd.read_parquet(tmp_path / "out" / "results.parquet")

    return call


def whole(rows, method="theirs"):
    return rows[(rows.method == method) & (rows.image == "")].set_index("metric")


def test_a_program_is_a_row_with_consistency_and_without_cost(run, tmp_path):
    _, err, rows = run(options=",env=FILTER=BILINEAR", methods="bilinear,")
    theirs, ours = whole(rows), whole(rows, "bilinear")
    assert theirs.value["psnr"] == pytest.approx(ours.value["psnr"], abs=0.1), err
    metric = next(m for m in theirs.index if m.startswith("consistency"))
    assert theirs.value[metric] == pytest.approx(ours.value[metric], rel=0.05)
    assert theirs.status["cost"] == "unavailable" and "the method itself" in theirs.reason["cost"]
    assert "scale 4 BILINEAR" in (tmp_path / "out/log/theirs/command.txt").read_text()
    assert "nothing to compute" in run(options=",env=FILTER=BILINEAR", methods="bilinear,")[1]


def test_the_content_of_a_file_that_the_command_names_is_part_of_the_key(run, tmp_path):
    first = whole(run()[2]).value["psnr"]
    program = tmp_path / "their program.py"
    program.write_text(PROGRAM.replace("NEAREST", "LANCZOS"))
    assert whole(run()[2]).value["psnr"] != first


@pytest.mark.parametrize(
    ("words", "options", "reason"),
    [
        ("die", "", "ended with code 1: no weights here"),
        ("hang", ",timeout=0.5", "did not end within 0.5 s"),
    ],
)
def test_a_program_that_fails_is_a_failed_cell(run, words, options, reason):
    code, err, rows = run(words, options)
    assert code == 1 and reason in err and whole(rows).status["psnr"] == "failed"
    assert whole(rows, "bicubic").status["psnr"] == "ok"


def test_a_command_that_cannot_be_meant_is_refused_before_any_work(bench, folders, tmp_path):
    for spec, words in (
        ("external", "give the command"),
        ("external[command=upscale {lr}]", "lacks {sr}"),
        ('external[command="upscale {lr} {sr} \\"x"]', "closing quotation"),
        ("external[command=upscale {lr} {sr},env=FILTER]", "not NAME=VALUE"),
        ("external[command=upscale {lr} {sr},cwd=/nowhere]", "no such folder"),
    ):
        code, _, err = bench("run", "--methods", spec, "--hr", folders[0], "--out", tmp_path / "none")
        assert code == 2 and words in err and err.count("\n") == 1
    code, _, err = bench("run", "--methods", "external[command=no-such-program {lr} {sr}]", "--hr", folders[0],
                         "--conditions", "noise", "--metrics", "psnr", "--out", tmp_path / "none")  # fmt: skip
    assert code == 1 and "no-such-program: cannot be run" in err
