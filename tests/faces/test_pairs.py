"""Real LR with ground truth: matched by name, of one scale, measured as any condition is."""

import numpy as np
import pytest
from smooth import smooth_images

from bench.core.image import write_image
from bench.core.results import read_table
from bench.errors import UsageError
from bench.faces.pairs import read_pairs


def folder(path, faces):
    path.mkdir()
    for name, image in faces.items():
        write_image(path / f"{name}.png", image)
    return str(path)


def hr_of(*names, size=32):
    return dict(zip(names, smooth_images(len(names), size, 1), strict=True))


def small(faces, step=4):
    return {name: np.ascontiguousarray(image[:, ::step, ::step]) for name, image in faces.items()}


def test_pairs_are_of_one_name_whatever_else_lies_there(tmp_path):
    hr, skipped = hr_of("a", "b", "c"), []
    lr = folder(tmp_path / "lr", {**small({"c": hr["c"], "a": hr["a"]}), "z": hr["b"][:, :8, :8]})
    found, truth = read_pairs(lr, folder(tmp_path / "hr", hr), False, skipped)
    assert found.names == truth.names == ["a", "c"]
    for name, image, whole in zip(found.names, found.images(), truth.images(), strict=True):
        assert (image == hr[name][:, ::4, ::4]).all() and (whole == hr[name]).all()
    assert len(skipped) == 2 and "no LR face of the name b" in skipped[0] and "no HR face of the name z" in skipped[1]


def test_what_does_not_fit_is_named(tmp_path):
    hr = hr_of("a", "b")
    lr = {"a": hr["a"][:, ::4, ::4], "b": hr["b"][:, ::4, :7]}
    places = folder(tmp_path / "lr", lr), folder(tmp_path / "hr", hr)
    skipped = []
    assert read_pairs(*places, False, skipped)[0].names == ["a"]
    assert skipped == ["b: HR of 32x32 px is no whole multiple of LR of 7x8"]
    with pytest.raises(UsageError, match=r"b: HR of 32x32 px.*strict"):
        read_pairs(*places, True, [])


@pytest.mark.parametrize(
    ("lr", "says"),
    [
        ({"a": 4, "b": 2}, "b is a pair of scale 2, a of 4; give one scale"),
        ({"other": 4}, "no pair of faces; .*no LR face of the name a"),
    ],
)
def test_a_set_is_of_one_scale_and_has_pairs(tmp_path, lr, says):
    hr = hr_of("a", "b")
    faces = {name: hr.get(name, hr["a"])[:, ::step, ::step] for name, step in lr.items()}
    with pytest.raises(UsageError, match=says):
        read_pairs(folder(tmp_path / "lr", faces), folder(tmp_path / "hr", hr), False, [])


def test_real_faces_with_truth_are_measured_against_it(tmp_path, bench):
    hr = hr_of("a", "b", "c")
    places = folder(tmp_path / "lr", small(hr)), folder(tmp_path / "truth", hr)
    train = folder(tmp_path / "hr", hr_of(*map(str, range(8))))
    run = ("run", "--methods", "bicubic", "--conditions", "real", "--metrics", "psnr[color=rgb,border=0]", "--quiet")
    assert bench(*run, "--hr", train, "--pairs", *places, "--out", tmp_path / "run")[0] == 0
    rows = read_table(tmp_path / "run").query("image != '' and metric.str.startswith('psnr')")
    assert list(rows["image"]) == ["a", "b", "c"]
    from PIL import Image

    for name, value in zip(rows["image"], rows["value"], strict=True):
        restored = np.asarray(Image.open(tmp_path / "run" / "images" / "bicubic" / "real" / f"{name}.png"), float)
        error = np.square(restored - hr[name].transpose(1, 2, 0)).mean()
        assert value == pytest.approx(10 * np.log10(255**2 / error), abs=1e-3)


def test_pairs_alone_are_not_enough(tmp_path, bench):
    code, _, err = bench("run", "--pairs", tmp_path, tmp_path, "--out", tmp_path / "run")
    assert code == 2 and "--pairs needs --hr" in err
