"""Outputs that another program makes: its LR from `bench lr`, its row by `bench score --run`."""

import json
import shutil

import pandas as pd
import pytest

from bench.core.image import read_image, write_image


@pytest.fixture
def run(bench, folders, tmp_path):
    def call(*more):
        return bench("run", "--methods", "bicubic,lanczos", "--hr", folders[0], "--lr", folders[1], "--conditions",
                     "noise,real", "--metrics", "psnr", "--device", "cpu", "--out", tmp_path / "out", *more)  # fmt: skip

    return call


def whole(tmp_path):
    rows = pd.read_parquet(tmp_path / "out" / "results.parquet")
    return rows[rows.image == ""].set_index(["method", "condition"])


def test_lr_of_a_run_and_of_its_data_are_the_faces_that_it_tested_on(bench, run, folders, tmp_path):
    assert run()[0] == 0
    data = ["--lr", folders[1], "--conditions", "noise,real", "--device", "cpu"]
    for name, source, more in (("of-run", tmp_path / "out", []), ("of-data", folders[0], data)):
        code, out, err = bench("lr", source, tmp_path / name, *more)
        assert code == 0 and "noise: 4 faces, 8x8" in out, err
        for condition in ("noise", "real"):
            for file in (tmp_path / "out" / "images" / "lr" / condition).glob("*.png"):
                assert (read_image(file) == read_image(tmp_path / name / condition / file.name)).all()
            about = json.loads((tmp_path / name / condition / "about.json").read_text())
            assert about["scale"] == 4 and about["condition"] == condition
    assert bench("lr", tmp_path / "nowhere", tmp_path / "x")[0] == 2


def test_scored_outputs_become_a_row_that_stays(bench, run, tmp_path):
    run()
    theirs = tmp_path / "theirs"
    shutil.copytree(tmp_path / "out/images/lanczos/noise", theirs)
    add = ["score", "--run", tmp_path / "out", "--condition", "noise", "--method", "A & B"]
    code, _, err = bench(*add, theirs)
    assert code == 0, err
    found = whole(tmp_path)
    assert found.loc[("A & B", "noise"), "value"] == found.loc[("lanczos", "noise"), "value"]
    assert ("A & B", "real") not in found.index and "A &amp; B" in (tmp_path / "out/report.html").read_text()
    shutil.rmtree(theirs)
    assert "nothing to compute" in run()[2] and ("A & B", "noise") in whole(tmp_path).index
    code, _, err = bench(*add[:-3], "real", "--method", "A & B", tmp_path / "out/images/lanczos/real")
    assert code == 0 and ("A & B", "real") in whole(tmp_path).index and ("A & B", "noise") in whole(tmp_path).index


def test_a_face_without_an_output_is_a_failed_face_of_the_row(bench, run, tmp_path):
    run()
    (tmp_path / "out/images/lanczos/noise/test03.png").unlink()
    code, _, err = bench("score", "--run", tmp_path / "out", "--condition", "noise", "--method", "theirs",
                         tmp_path / "out/images/lanczos/noise")  # fmt: skip
    assert code == 1 and "test03.*: no such file" in err
    assert whole(tmp_path).loc[("theirs", "noise"), "n"] == 3


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--condition", "nois", "--method", "x"], "did you mean 'noise'"),
        (["--condition", "noise", "--method", "bicubic"], "a row of the run has this name"),
        (["--condition", "noise"], "--method (the row's name)"),
        (["--condition", "noise", "--method", "x", "--metrics", "psnr"], "leave out"),
    ],
)
def test_a_row_that_cannot_be_added_is_refused(bench, run, tmp_path, more, words):
    run()
    code, _, err = bench("score", "--run", tmp_path / "out", *more, tmp_path / "out/images/bicubic/noise")
    assert code == 2 and words in err and err.count("\n") == 1
    assert not (tmp_path / "out" / "added").exists()


def test_outputs_of_another_size_or_other_faces_are_refused(bench, run, tmp_path):
    run()
    folder = tmp_path / "other"
    folder.mkdir()
    add = ["score", "--run", tmp_path / "out", "--condition", "noise", "--method", "x", folder]
    assert "no output of any of the run's 4 faces" in bench(*add)[2]
    write_image(folder / "test00.png", read_image(tmp_path / "out/images/lr/noise/test00.png"))
    code, _, err = bench(*add)
    assert code == 2 and "8x8 px is not x4 of its LR" in err
