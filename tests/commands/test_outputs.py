"""Outputs that another program makes: its LR from `bench lr`, its row by `bench score --run`."""

import json
import shutil

import pandas as pd
import pytest
from smooth import smooth_images

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


def elsewhere(tmp_path, monkeypatch):
    """Another current folder, in which the run's relative paths name other faces."""
    for split in ("train", "test"):
        place = tmp_path / "elsewhere" / "hr" / split
        place.mkdir(parents=True)
        for index, image in enumerate(smooth_images(4, 32, seed=77)):
            write_image(place / f"{split}{index:02d}.png", image)
    monkeypatch.chdir(tmp_path / "elsewhere")


RELATIVE = [
    "run",
    "--methods",
    "bicubic",
    "--hr",
    "hr",
    "--conditions",
    "noise",
    "--metrics",
    "psnr",
    "--device",
    "cpu",
]


def test_a_run_is_opened_from_any_folder_with_its_own_faces_and_store(bench, folders, tmp_path, monkeypatch):
    monkeypatch.delenv("BENCH_STORE", raising=False)
    monkeypatch.chdir(tmp_path)
    assert bench(*RELATIVE, "--out", "out")[0] == 0
    elsewhere(tmp_path, monkeypatch)
    more = ["--run", "../out", "--condition", "noise", "--method", "theirs"]
    code, _, err = bench("score", *more, tmp_path / "out/images/bicubic/noise")
    rows = whole(tmp_path)
    assert code == 0 and rows.loc[("theirs", "noise"), "value"] == rows.loc[("bicubic", "noise"), "value"], err
    assert bench("lr", "../out", "lr")[0] == 0
    for file in (tmp_path / "out/images/lr/noise").glob("*.png"):
        assert (read_image(file) == read_image(tmp_path / "elsewhere/lr/noise" / file.name)).all()
    assert not (tmp_path / "elsewhere" / ".bench").exists(), "what is known of the run is in its own store"
    code, _, err = bench("run", "--config", "../out/run.json", "--out", "again", "--store", tmp_path / ".bench")
    again = pd.read_parquet("again/results.parquet")
    assert code == 0 and set(again.value) <= set(rows.value) | set(pd.read_parquet("../out/results.parquet").value), err


def test_a_run_whose_faces_have_changed_takes_no_row_and_gives_no_lr(bench, folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert bench(*RELATIVE, "--out", "out")[0] == 0
    before = (tmp_path / "out/results.csv").read_bytes()
    write_image(tmp_path / "hr/test/test00.png", smooth_images(1, 32, seed=5)[0])
    score = ["score", "--run", "out", "--condition", "noise", "--method", "x", "out/images/bicubic/noise"]
    for command in (score, ["lr", "out", "lr"]):
        code, _, err = bench(*command)
        assert code == 2 and "measured on other hr faces" in err and err.count("\n") == 1, err
    assert (tmp_path / "out/results.csv").read_bytes() == before and not (tmp_path / "out/added").exists()


@pytest.mark.parametrize("text", ['{"a": 1}', "[1", "[]", '{"settings": 3, "versions": {}}',
                                  '{"settings": {}, "versions": {}, "data": {"hr": 3}}'])  # fmt: skip
def test_a_folder_of_no_run_is_refused_in_one_line(bench, tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    score = ["score", "--run", tmp_path, "--condition", "noise", "--method", "x", tmp_path]
    for command in (score, ["lr", tmp_path, tmp_path / "lr"]):
        code, _, err = bench(*command)
        assert code == 2 and str(tmp_path / "run.json") in err and err.count("\n") == 1 and len(err) < 300, err


def test_two_outputs_of_one_face_are_refused_and_a_row_may_come_from_its_own_copy(bench, run, tmp_path):
    run()
    theirs = tmp_path / "theirs"
    shutil.copytree(tmp_path / "out/images/lanczos/noise", theirs)
    add = ["score", "--run", tmp_path / "out", "--condition", "noise", "--method", "theirs"]
    (theirs / "more").mkdir()
    shutil.copy(tmp_path / "out/images/bicubic/noise/test01.png", theirs / "more" / "test00.png")
    code, _, err = bench(*add, theirs)
    assert code == 2 and "more/test00.png and test00.png are outputs of one face" in err
    shutil.rmtree(theirs / "more")
    assert bench(*add, theirs)[0] == 0
    before = whole(tmp_path).loc[("theirs", "noise"), "value"]
    code, _, err = bench(*add, tmp_path / "out/added/theirs/noise")
    assert code == 0 and whole(tmp_path).loc[("theirs", "noise"), "value"] == before, err
