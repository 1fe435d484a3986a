"""The commands from Python, and runs from files."""

import json

import pandas as pd
import pytest
import torch

import bench as api
from bench.core.image import read_image
from bench.errors import UsageError


@pytest.fixture
def ran(folders, tmp_path):
    hr, lr = folders
    return api.run({"A": "bicubic", "B": "lanczos"}, hr=hr, lr=lr, conditions=["noise", "real"], metrics="psnr",
                   device="cpu", out=tmp_path / "out", store=str(tmp_path / "store"))  # fmt: skip


def test_a_run_from_python_gives_frames_images_and_the_report(ran, tmp_path):
    assert (
        ran.code == 0 and ran.failed == {} and ran.report == tmp_path / "out" / "report.html" and ran.report.is_file()
    )
    pd.testing.assert_frame_equal(ran.frame, pd.read_parquet(tmp_path / "out" / "results.parquet"))
    whole = ran.frame[(ran.frame.image == "") & (ran.frame.condition == "noise")].set_index("method").value
    assert ran.table("noise")["psnr"].to_dict() == pytest.approx(whole.to_dict())
    assert "<table" in ran._repr_html_() and "B" in ran._repr_html_()
    image = ran.image("A", "noise", "test01")
    assert image.shape == (32, 32, 3)
    assert (image == read_image(tmp_path / "out/images/A/noise/test01.png").transpose(1, 2, 0)).all()
    assert ran.images("lr", "noise")["test01"].shape == (8, 8, 3)
    with pytest.raises(UsageError, match="no method 'C'"):
        ran.images("C", "noise")


def test_what_python_scores_is_what_the_run_scored(ran, folders, tmp_path, capsys):
    scored = api.score(tmp_path / "out/images/A/noise", hr=folders[0] / "test", metrics=["psnr"], device="cpu")
    mine = ran.frame[(ran.frame.method == "A") & (ran.frame.condition == "noise")].set_index("image").value
    assert scored.set_index("image").value.to_dict() == pytest.approx(mine.to_dict())
    assert capsys.readouterr().out == ""


def test_a_loaded_method_restores_arrays_lists_and_batches_alike(ran, folders, tmp_path, plugin):
    restore = api.load("lanczos", device="cpu")
    lr = ran.images("lr", "noise")["test00"]
    sr = restore(lr)
    assert (sr == ran.image("B", "noise", "test00")).all() and restore.scale == 4
    assert (restore([lr, lr])[1] == sr).all()
    batch = torch.from_numpy(lr.transpose(2, 0, 1).copy())[None].float() / 255
    assert (restore(batch)[0].permute(1, 2, 0).numpy() * 255 - sr).max() < 0.51
    with pytest.raises(UsageError, match="is trained"):
        api.load("selfsr")


def test_mistakes_are_usage_errors(tmp_path):
    with pytest.raises(UsageError, match="no option spedd"):
        api.run("bicubic", spedd=3, out=tmp_path / "o")
    with pytest.raises(UsageError, match="did you mean 'bicubic'"):
        api.run("bicubc", out=tmp_path / "o")
    assert not (tmp_path / "o" / "results.csv").exists()


def test_a_run_from_a_file_is_the_run_of_its_options(bench, folders, tmp_path):
    config = tmp_path / "run.toml"
    config.write_text(f"""
        hr = '{folders[0]}'
        conditions = ["noise"]
        metrics = "psnr"
        device = "cpu"
        out = '{tmp_path / "one"}'
        budget = "30s"
        checkpoint-every = 7
        [methods]
        mine = "bicubic"
        other = "lanczos"
    """)
    assert bench("run", "--config", config)[0] == 0
    record = json.loads((tmp_path / "one" / "run.json").read_text())
    assert [m["label"] for m in record["methods"]] == ["mine", "other"] and record["settings"]["budget"] == 30
    code, _, err = bench("run", "--config", tmp_path / "one" / "run.json", "--out", tmp_path / "two")
    assert code == 0, err
    tables = [pd.read_parquet(tmp_path / n / "results.parquet").drop(columns="seconds") for n in ("one", "two")]
    pd.testing.assert_frame_equal(*tables)
    assert bench("run", "--config", config, "--methods", "bilinear", "--out", tmp_path / "three")[0] == 0
    assert set(pd.read_parquet(tmp_path / "three" / "results.parquet").method) == {"bilinear"}, "what is given wins"


@pytest.mark.parametrize(
    ("text", "words"),
    [("metods = 'x'", "did you mean 'methods'"), ("a = [", "run.toml"), (None, "cannot be read"),
     *((f"{line}\n", "is not of type") for line in ("hr = 3", "methods = 5", "conditions = [1]", "quiet = 'no'", "budget = [1]",
                                                    "devices = true", "reference = false")),
     ("plugin = 5", "plugin is a path or a list of paths")],
)  # fmt: skip
def test_a_wrong_file_is_said_in_a_line(bench, tmp_path, text, words):
    if text:
        (tmp_path / "run.toml").write_text(text)
    code, _, err = bench("run", "--config", tmp_path / "run.toml")
    assert code == 2 and words in err and err.count("\n") == 1
