"""`bench score`: counterparts in both directions, its record, and images that are read as they are needed."""

import json

import numpy as np
import pandas as pd
import pytest
from smooth import smooth_images

from bench.core.image import write_image
from bench.faces import images as files
from bench.faces.images import ImageFiles, Room, fingerprint, taken


def folder_of(path, names, size=32, seed=0):
    path.mkdir(parents=True)
    for name, image in zip(names, smooth_images(len(names), size, seed), strict=True):
        write_image(path / f"{name}.png", image)
    return path


def test_images_without_a_counterpart_are_named_in_both_directions(bench, tmp_path):
    sr = folder_of(tmp_path / "sr", "abc")
    more, fewer, other = (folder_of(tmp_path / names, names, seed=1) for names in ("abcde", "ab", "bcd"))
    code, out, err = bench("score", sr, "--hr", more, "--metrics", "psnr", "--out", tmp_path / "out")
    said = f"{more}: 2 of 5 images lack a counterpart in {sr}, d for one: not measured"
    assert code == 0 and err.strip() == f"warning: {said}" and "n = 3" in out
    assert json.loads((tmp_path / "out" / "run.json").read_text())["notes"] == [said]
    code, _, err = bench("score", sr, "--hr", fewer, "--metrics", "psnr")
    assert (
        code == 2
        and f"{sr}: 1 of 3 images lack a counterpart in {fewer}, c for one" in err
        and len(err.splitlines()) == 1
    )
    code, _, err = bench("score", sr, "--hr", other, "--metrics", "psnr")
    assert code == 2 and f"{sr}: 1 of 3 images lack a counterpart in {other}, a for one; and {other}: 1 of 3" in err


def test_the_record_says_what_was_measured(bench, tmp_path):
    sr, hr, lr = (
        folder_of(tmp_path / n, "ab", size=s, seed=i) for i, (n, s) in enumerate((("sr", 32), ("hr", 32), ("lr", 8)))
    )
    asked = ("--hr", hr, "--lr", lr, "--reference", hr, "--metrics", "psnr,lr-psnr,swd,kid")
    code, _, _ = bench("score", sr, *asked, "--out", tmp_path / "out", "--device", "cpu")
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (
        code == 1 and list(record["unavailable"]) == ["kid"] and record["metrics"] == ["psnr", "lr-psnr", "swd", "kid"]
    )
    for name, place in (("sr", sr), ("hr", hr), ("lr", lr)):
        about, images = record["data"][name], ImageFiles([place / "a.png", place / "b.png"])
        assert about["names"] == ["a", "b"] and about["fingerprint"] == fingerprint(["a", "b"], images)
    assert record["methods"][0]["scale"] == 4 and record["conditions"] == ["lr"] and record["versions"]
    assert "2 faces of hr of 32x32" in record["data"]["reference"]
    rows = pd.read_parquet(tmp_path / "out" / "results.parquet").set_index("metric")
    assert "border 4" in rows.loc["psnr"].protocol.iloc[0]


def test_images_are_held_once_and_within_bounds(tmp_path, monkeypatch):
    """Room for two images of 3 KB: the others are read again each time, in their order, equal to what was written."""
    names = [f"{i:02d}" for i in range(9)]
    folder = folder_of(tmp_path / "sr", names)
    reads = []
    read = files.read_image
    monkeypatch.setattr(files, "read_image", lambda file: reads.append(file.name) or read(file))
    images = ImageFiles([folder / f"{n}.png" for n in names], room=Room(2 * 3 * 32 * 32 + 100))
    expected = smooth_images(9, 32)
    for _ in range(2):
        assert all(np.array_equal(a, b) for a, b in zip(images, expected, strict=True))
    assert len(images.kept) == 2 and len(reads) == 9 + 7
    assert [int(x[0, 0, 0]) for x in taken(images, [8, 0, 3])] == [int(expected[i][0, 0, 0]) for i in (8, 0, 3)]
    with pytest.raises(ValueError, match="read-only"):
        images[0][:] = 0


def test_all_folders_share_the_room_for_decoded_images(tmp_path):
    names, room = [f"{i:02d}" for i in range(4)], Room(5 * 3 * 32 * 32)
    folders = [folder_of(tmp_path / k, names) for k in ("a", "b")]
    one, other = (ImageFiles([folder / f"{n}.png" for n in names], room=room) for folder in folders)
    for images in (one, other, one):
        assert len(list(images)) == 4
    assert (len(one.kept), len(other.kept), room.left) == (4, 1, 0)
    one.forget()
    assert len(list(other)) == 4 and len(other.kept) == 4
    del other, images
    assert len(list(one)) == 4 and len(one.kept) == 4, "a folder that is gone takes no room"


def test_a_metric_gets_no_copy_of_files(bench, tmp_path, monkeypatch):
    """What `score` hands to every metric is one object that reads, not a list of arrays for each."""
    from bench.grid import scores

    given = []
    own = scores.own
    monkeypatch.setattr(scores, "own", lambda outputs: given.append(own(outputs)) or given[-1])
    sr = folder_of(tmp_path / "sr", "ab")
    assert bench("score", sr, "--hr", sr, "--metrics", "psnr,ssim")[0] == 0
    assert given[0].sr is given[1].sr and given[0].hr is given[1].hr and isinstance(given[0].sr, ImageFiles)
