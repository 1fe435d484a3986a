"""What a reader sees of a run belongs to its numbers, and is there whole or not at all."""

import base64

import numpy as np
import pandas as pd
import pytest

from bench.core.image import read_image, write_image
from bench.faces.faceset import FaceSet
from bench.grid.pictures import show_faces


@pytest.fixture
def run(bench, folders, tmp_path):
    """run(*methods) runs these in tmp_path/out and gives that folder."""

    def call(*methods: str):
        code, _, err = bench(
            "run", "--methods", ",".join(methods), "--metrics", "psnr", "--hr", folders[0], "--lr", folders[1],
            "--conditions", "noise", "--device", "cpu", "--out", tmp_path / "out", "--quiet",
        )  # fmt: skip
        assert code == 0, err
        return tmp_path / "out"

    return call


def shown(page, picture) -> bool:
    return base64.b64encode(picture.read_bytes()).decode() in page.read_text()


def foreign(out):
    write_image(out / "images" / "bicubic" / "noise" / "test00.png", np.zeros((3, 32, 32), np.uint8))


def swapped(out):
    """Pictures of other faces, with their own listing, as another run would leave them."""
    dark = FaceSet.of([np.full((3, 32, 32), i, np.uint8) for i in range(4)], [f"test0{i}" for i in range(4)])
    show_faces(dark, out / "images" / "bicubic" / "noise", out)


def linked(out):
    foreign(out)
    (out / "images" / "bicubic").rename(out / "elsewhere")
    (out / "images" / "bicubic").symlink_to(out / "elsewhere")


@pytest.mark.parametrize("change", [foreign, swapped, linked])
def test_a_report_shows_no_picture_that_its_run_did_not_write(bench, run, change):
    out = run("bicubic,bilinear")
    place = out / "images" / "bicubic" / "noise" / "test00.png"
    right = read_image(place)
    assert bench("report", out)[0] == 0 and shown(out / "report.html", place)
    change(out)
    assert bench("report", out)[0] == 0 and not shown(out / "report.html", place)
    assert shown(out / "report.html", out / "images" / "bilinear" / "noise" / "test00.png")
    run("bicubic,bilinear")
    assert (read_image(place) == right).all() and shown(out / "report.html", place)


def test_pictures_of_what_is_no_longer_in_the_run_go_away(run):
    out = run("bicubic", "bilinear")
    assert (out / "images" / "bilinear" / "noise").is_dir()
    out = run("bicubic")
    assert sorted(p.name for p in (out / "images").iterdir()) == ["bicubic", "hr", "lr"]


def test_checkpoints_of_what_is_no_longer_trained_go_away_and_others_stay(bench, folders, plugin, tmp_path):
    for method in ("tiny[steps=2]", "tiny[steps=4]"):
        code, _, err = bench(
            "run", "--plugin", plugin, "--methods", f"{method},bicubic", "--metrics", "psnr", "--hr", folders[0], "--lr",
            folders[1], "--conditions", "noise", "--device", "cpu", "--out", tmp_path / "out", "--quiet",
        )  # fmt: skip
        assert code == 0, err
        (tmp_path / "out" / "checkpoints" / "mine.pt").write_bytes(b"of a user")
    found = sorted(f.name for f in (tmp_path / "out" / "checkpoints").glob("*.pt"))
    assert found == ["mine.pt", "tiny[steps=4].pt"]


def test_numbers_that_were_edited_are_not_reported(bench, run):
    out = run("bicubic")
    table = pd.read_parquet(out / "results.parquet")
    table.assign(value=99.0).to_parquet(out / "results.parquet", index=False)
    code, _, err = bench("report", out)
    assert code == 2 and "results.parquet: not what the run wrote" in err and len(err.splitlines()) == 1
    run("bicubic")
    assert pd.read_parquet(out / "results.parquet").equals(table) and bench("report", out)[0] == 0
    (out / "run.json").write_text((out / "run.json").read_text().replace('"seed": 0', '"seed": 1'))
    assert "it was edited" in bench("report", out)[2]


@pytest.mark.parametrize("form", ["html", "latex", "csv", "md", "figures"])
def test_a_report_is_written_whole_or_not_at_all(bench, run, monkeypatch, form):
    if form == "figures":
        pytest.importorskip("matplotlib")
    out = run("bicubic", "bilinear")
    code, said, _ = bench("report", out, "--format", form)
    files = [type(out)(line) for line in said.splitlines()]
    assert code == 0 and files
    for file in files:
        file.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    code, _, err = bench("report", out, "--format", form)
    assert code == 2 and "No space left" in err and len(err.splitlines()) == 1
    assert all(file.read_text() == "old" for file in files) and not list(out.rglob(".*.part"))
