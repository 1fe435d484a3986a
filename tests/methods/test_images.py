import json

import numpy as np
import pandas as pd
import pytest

from bench.core.image import read_image, write_image


@pytest.fixture
def run(bench, folders, tmp_path):
    """bench run on 8x8 LR: run(METHODS, CONDITIONS) -> (code, errors, results, run.json)."""
    hr, lr = folders

    def call(methods, conditions="bicubic,noise", metrics="psnr", out="out"):
        folder = tmp_path / out
        code, _, err = bench("run", "--methods", methods, "--hr", hr, "--lr", lr, "--conditions", conditions,
                             "--metrics", metrics, "--device", "cpu", "--out", folder)  # fmt: skip
        if not (folder / "results.parquet").exists():
            return code, err, None, None
        return code, err, pd.read_parquet(folder / "results.parquet"), json.loads((folder / "run.json").read_text())

    return call


@pytest.fixture
def outputs(run, tmp_path):
    """A folder of outputs for each condition: those of bicubic, from a run before."""
    assert run("bicubic", out="first")[0] in (0, 1)
    return tmp_path / "first" / "images" / "bicubic"


def values(rows, method, metric="psnr", condition="noise"):
    return rows[(rows.method == method) & (rows.metric == metric) & (rows.condition == condition)]


def test_outputs_of_another_program_score_as_the_method_that_made_them(run, outputs):
    _, err, rows, record = run(f"bicubic,theirs=images[dir={outputs}/{{condition}}]", metrics="psnr,cost,consistency")
    ours, theirs = values(rows, "bicubic"), values(rows, "theirs")
    assert list(ours.value) == list(theirs.value) and len(ours) == 5, err
    for condition in ("bicubic", "noise"):
        assert values(rows, "theirs", "consistency", condition).reason.str.contains("the method itself").all()
    assert set(rows[(rows.method == "theirs") & (rows.metric == "cost")].status) == {"unavailable"}
    assert record["methods"][1]["plugin"] == "images" and record["methods"][1]["name"] == "theirs"


def test_a_new_picture_is_scored_anew_and_an_untouched_folder_is_not(run, outputs):
    spec = f"theirs=images[dir={outputs}]"  # subfolders of the conditions' names
    before = values(run(spec)[2], "theirs")
    assert "nothing to compute" in run(spec)[1]
    image = read_image(outputs / "noise" / "test00.png")
    (outputs / "noise" / "test00.png").unlink()
    write_image(outputs / "noise" / "test00.png", 255 - image)
    after = values(run(spec)[2], "theirs")
    changed = {i for i, a, b in zip(before.image, before.value, after.value, strict=True) if a != b}
    assert changed == {"", "test00"}


def test_missing_wrong_and_surplus_files_are_named_and_a_missing_face_is_a_failed_face(run, outputs):
    folder = outputs / "noise"
    (folder / "test01.png").unlink()
    (folder / "test02.png").unlink()
    write_image(folder / "test02.png", np.zeros((3, 16, 32), np.uint8))
    write_image(folder / "stranger.png", np.zeros((3, 32, 32), np.uint8))
    code, err, rows, record = run(f"theirs=images[dir={outputs}]")
    found = values(rows, "theirs")
    assert code == 1 and "2 faces of theirs on noise" in err and "stranger belong to no test face" in err
    assert dict(zip(found[found.status == "failed"].image, found[found.status == "failed"].reason, strict=True)) == {
        "test01": f"{folder}/test01.*: no such file",
        "test02": f"{folder}/test02.png: 32x16 px, not 32x32 (4 times its LR)",
    }
    whole = found[found.image == ""].iloc[0]
    others = found[(found.image != "") & (found.status == "ok")]
    assert (
        whole.n == 2 and whole.value == pytest.approx(others.value.mean()) and set(others.image) == {"test00", "test03"}
    )
    assert any("stranger" in note for note in record["notes"])


def test_a_condition_without_outputs_fails_alone_and_no_outputs_at_all_are_an_error(run, outputs, tmp_path):
    code, err, rows, _ = run(f"theirs=images[dir={outputs}/{{condition}}]", "bicubic,noise,blur")
    assert code == 1 and "no outputs for the condition blur" in err
    assert set(values(rows, "theirs", condition="blur").status) == {"failed"}
    assert (values(rows, "theirs").status == "ok").all()
    for place, words in (
        (tmp_path / "nowhere" / "{condition}", "no such folder"),
        (outputs / "noise", "write {condition} in the path"),
        (outputs / "x{condition}", "no outputs"),
    ):
        code, err, rows, _ = run(f"images[dir={place}]", out=f"none{len(words)}")
        assert code == 2 and rows is None and words in err and err.count("\n") == 1


def test_names_of_files_may_carry_a_suffix(run, outputs):
    for file in (outputs / "noise").glob("*.png"):
        file.rename(file.with_name(f"{file.stem}_out.png"))
    _, _, rows, _ = run(f"theirs=images[dir={outputs}/noise,name={{name}}_out]", "noise")
    assert (values(rows, "theirs").status == "ok").all() and len(values(rows, "theirs")) == 5


def test_rows_have_the_names_that_they_are_given(run, outputs, tmp_path):
    code, err, rows, record = run("A=bicubic,B=lanczos,bilinear", "noise")
    assert set(rows.method) == {"A", "B", "bilinear"} and (rows.variant == "").all()
    assert [m["label"] for m in record["methods"]] == ["A", "B", "bilinear"]
    assert (tmp_path / "out/images/A/noise/test00.png").is_file()
    assert "A" in (tmp_path / "out/tables/noise.tex").read_text()
    code, err, rows, _ = run("A=bicubic,A=lanczos", "noise", out="twice")
    assert code == 2 and "two rows are called A" in err
    code, err, rows, _ = run("bicubic", "A=noise", out="cond")
    assert code == 2 and "only --methods" in err
