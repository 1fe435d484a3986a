import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from smooth import smooth_images

from bench import options
from bench.commands import info
from bench.core.image import read_image, write_image

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["list", "methods", "--json"], ["weights", "list"]])
def test_quick_commands_do_not_import_torch(arguments):
    code = (
        "import sys; from bench.cli import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "assert not {'torch', 'pandas', 'numpy'} & set(sys.modules), 'heavy imports'"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("what", ["methods", "degradations", "conditions", "metrics", "data", "presets"])
def test_lists_have_names_first_and_a_line_each(bench, what):
    code, out, _ = bench("list", what, "--json")
    rows = json.loads(out)
    assert code == 0 and rows and all(next(iter(row)) == "name" and row["summary"] for row in rows)


def test_every_listed_plugin_has_its_information(bench, monkeypatch):
    monkeypatch.setattr(info, "facts", cache(info.facts))  # gathered once, written twice
    for kind in ("methods", "degradations", "metrics"):
        for row in json.loads(bench("list", kind, "--json")[1]):
            code, out, err = bench("info", row["name"], "--json")
            assert code == 0, err
            assert next(iter(json.loads(out))) == "name"
            assert bench("info", row["name"])[0] == 0


def test_info_counts_what_infer_uses(bench):
    found = json.loads(bench("info", "low-to-high", "--json")[1])
    assert found["parameter_count"] > 10e6 and found["multiply_adds"] > 1e9 and "full" in found["variants"]
    smaller = json.loads(bench("info", "low-to-high[widths=32+16+8]", "--json")[1])
    assert smaller["parameter_count"] < found["parameter_count"] / 10


def test_train_infer_and_score_work_one_after_the_other(bench, folders, plugin, tmp_path):
    hr, lr = folders
    weights = tmp_path / "tiny.pt"
    code, _, err = bench(
        "train", "tiny", "--plugin", plugin, "--out", weights, "--hr", hr, "--lr", lr, "--device", "cpu"
    )
    assert code == 0 and weights.is_file(), err
    code, out, err = bench("infer", "tiny", "--plugin", plugin, "--weights", weights, lr / "test", tmp_path / "sr")
    assert code == 0 and "4 images written" in out, err
    assert read_image(tmp_path / "sr" / "test00.png").shape == (3, 32, 32)
    code, out, _ = bench("score", tmp_path / "sr", "--hr", hr / "test", "--lr", lr / "test", "--metrics", "psnr,lr-psnr",
                         "--out", tmp_path / "scores")  # fmt: skip
    assert code == 0 and "psnr" in out and (tmp_path / "scores" / "results.csv").is_file()


def test_infer_without_weights_says_what_is_missing(bench, plugin, folders, tmp_path):
    code, _, err = bench("infer", "tiny", "--plugin", plugin, folders[1], tmp_path / "sr")
    assert code == 2 and "--weights" in err
    (tmp_path / "bad.pt").write_text("no weights")
    code, _, err = bench(
        "infer", "tiny", "--plugin", plugin, "--weights", tmp_path / "bad.pt", folders[1], tmp_path / "sr"
    )
    assert code == 2 and "not weights of bench" in err and len(err.strip().splitlines()) == 1


def test_degrade_and_upscale_folders_and_single_files(bench, tmp_path):
    for index, image in enumerate(smooth_images(3, 32)):
        write_image(tmp_path / "in" / f"{index}.png", image) if (tmp_path / "in").is_dir() else (
            tmp_path / "in"
        ).mkdir()
    code, _out, _ = bench("degrade", "jpeg[quality=10]", tmp_path / "in", tmp_path / "lr")
    assert code == 0 and read_image(tmp_path / "lr" / "1.png").shape == (3, 8, 8)
    code, _, _ = bench("infer", "lanczos", tmp_path / "lr" / "1.png", tmp_path / "one.png")
    assert code == 0 and read_image(tmp_path / "one.png").shape == (3, 32, 32)
    noisy = tmp_path / "in", tmp_path / "noisy"
    code, _out, _ = bench("degrade", "noise", "--seed", 3, *noisy)  # options may stand first
    assert code == 0 and list((tmp_path / "noisy").glob("*.png"))
    code, _out, err = bench("degrade", "noise", "--sed", 3, *noisy)
    assert code == 2 and "--sed" in err
    (tmp_path / "in" / "bad.png").write_text("x")
    code, _, err = bench("degrade", "bicubic", tmp_path / "in", tmp_path / "lr2")
    assert code == 1 and "bad.png" in err


def test_score_names_a_missing_counterpart(bench, folders):
    code, _, err = bench("score", folders[0] / "train", "--hr", folders[0] / "test")
    assert code == 2 and "lack a counterpart" in err


@pytest.mark.parametrize("format", ["html", "latex", "csv", "md"])
def test_several_runs_make_one_report(bench, folders, tmp_path, format):
    for seed in (0, 1):
        code, _, err = bench("run", "--methods", "bicubic,bilinear", "--conditions", "noise", "--metrics", "psnr",
                             "--hr", folders[0], "--seed", seed, "--out", tmp_path / f"run{seed}")  # fmt: skip
        assert code == 0, err
    target = tmp_path / ("tables" if format == "latex" else f"both.{format}")
    code, out, err = bench("report", tmp_path / "run0", tmp_path / "run1", "--format", format, "--out", target)
    assert code == 0, err
    text = Path(out.split()[0]).read_text()
    assert text.count("bicubic") and text.count("bilinear"), "seeds of one command are one row a method"


def test_a_report_of_nothing_is_an_error(bench, tmp_path):
    code, _, err = bench("report", tmp_path)
    assert code == 2 and "no results" in err
    assert bench("report", tmp_path, "--format", "pdf")[0] == 2


@pytest.mark.parametrize("kind", ["method", "degradation", "metric"])
def test_a_new_plugin_passes_its_check_and_runs(bench, folders, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    assert bench("new", kind, f"my-{kind}")[0] == 0
    code, out, err = bench("check", f"my_{kind}.py")
    assert code == 0 and "failed  " not in out, out + err
    assert bench("new", kind, f"my-{kind}")[0] == 2, "it overwrites nothing"


def test_check_finds_what_breaks_the_interface(bench, tmp_path):
    file = tmp_path / "half.py"
    file.write_text("import bench\n\nclass Half(bench.Method):\n    def infer(self, lr):\n        return lr\n")
    code, out, _ = bench("check", file)
    assert code == 1 and "failed  half" in out
    file.write_text("import bench\n\nclass Half(bench.Method):\n    pass\n")
    code, _, err = bench("check", file)
    assert code == 2 and "lacks infer()" in err


def test_data_is_packed_cropped_and_described(bench, folders, tmp_path):
    assert bench("data", "make", tmp_path / "packed", "--hr", folders[0], "--lr", folders[1])[0] == 0
    code, out, _ = bench("data", "info", tmp_path / "packed" / "hr.safetensors")
    assert code == 0 and "12 faces, 32x32" in out
    arguments = ["--hr", tmp_path / "packed/hr.safetensors", "--lr", tmp_path / "packed/lr.safetensors"]
    code, _, err = bench("run", "--methods", "bicubic", "--metrics", "psnr", *arguments, "--out", tmp_path / "o")
    assert code == 0, err
    write_image(tmp_path / "wide.png", np.zeros((3, 40, 60), np.uint8))
    assert bench("data", "crop", tmp_path / "wide.png", tmp_path / "square.png", "--size", 16)[0] == 0
    assert read_image(tmp_path / "square.png").shape == (3, 16, 16)


@pytest.mark.parametrize(
    ("line", "name", "values"),
    [
        ("data make --hr a out --lr b", "paths", ["out"]),
        ("data crop --size 32 in out", "paths", ["in", "out"]),
        ("data crop in out --size 32", "paths", ["in", "out"]),
        ("weights verify --json a b", "names", ["a", "b"]),
        ("weights list --json", "names", []),
        ("study score --out o votes", "paths", ["votes"]),
    ],
)
def test_places_may_stand_after_options(line, name, values):
    assert getattr(options.parsed(line.split()), name) == values


def test_what_is_no_place_is_refused_wherever_it_stands(bench):
    for line in ("data make out --nope x", "data make --nope", "weights verify a --json b"):
        code, _, err = bench(*line.split())
        assert code == 2 and "unrecognized" in err
