"""What sets are compared with: every form of --reference, files of statistics against pytorch-fid's and BasicSR's."""

import csv
import pickle
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import torch
from bench.metrics.patches import Swd
from smooth import smooth_images

from bench.api.metric import Outputs
from bench.api.reference import read_reference
from bench.core.image import write_image
from bench.errors import UsageError
from bench.faces.faceset import FaceSet
from bench.faces.packed import pack

DIMS = 64  # of the network's first block: fast, and fewer than the images
COUNT = 70


def folder_of(path, count=COUNT, seed=1, size=24):
    path.mkdir(parents=True)
    images = smooth_images(count, size, seed)
    for index, image in enumerate(images):
        write_image(path / f"{index:03d}.png", image)
    return images


@pytest.fixture
def package(store, weights_of_fid):
    """pytorch-fid on the same random weights as ours."""
    from pytorch_fid import fid_score, inception

    store("inception-fid", weights_of_fid)
    with patch.object(inception, "load_state_dict_from_url", lambda *_, **__: weights_of_fid):
        yield fid_score


# ---------------------------------------------------------------- images


def test_a_folder_a_list_and_a_packed_set_are_the_same_reference(tmp_path):
    images = folder_of(tmp_path / "faces" / "train", 5)
    folder_of(tmp_path / "faces" / "test", 2, seed=9)
    with open(tmp_path / "list.csv", "w", newline="") as file:
        csv.writer(file).writerows([["file"], *([f"faces/train/{i:03d}.png"] for i in range(5))])
    train, test = (FaceSet.of(list(x), [f"{i:03d}" for i in range(len(x))]) for x in (images, images[:2]))
    pack(tmp_path / "packed.safetensors", train, test)
    for name in ("faces", "faces/train", "list.csv", "packed.safetensors"):
        found = read_reference(str(tmp_path / name))
        assert len(found) == 5 and found.extent == "24x24" and found.statistics is None, name
        assert all(np.array_equal(a, b) for a, b in zip(found, images, strict=True)), (
            f"{name}: the training faces alone"
        )
    same = {read_reference(str(tmp_path / name)).fingerprint for name in ("faces", "faces/train", "packed.safetensors")}
    assert len(same) == 1, "the hash is of the content, not of the place"
    assert str(read_reference(str(tmp_path / "faces"))) == f"5 faces of faces/train of 24x24 ({same.pop()})"
    write_image(tmp_path / "faces" / "train" / "004.png", 255 - images[4])
    assert read_reference(str(tmp_path / "faces")).fingerprint != found.fingerprint


def test_the_floor_is_of_faces_that_the_reference_lacks(tmp_path):
    """`score --hr X --reference X`: the same faces reach 0 against themselves, which no other real faces do."""
    images = list(folder_of(tmp_path / "faces", 9, size=32))
    reference = read_reference(str(tmp_path / "faces"))
    other = list(smooth_images(4, 32, 5))
    given = {"sr": [255 - i for i in images], "names": [str(i) for i in range(9)], "reference_hr": reference}
    for held_out, n in ((images, 0), ([*images, *other], 4), ([*images, *other[:1]], 0), (other, 4)):
        score = Swd().score(Outputs(**given, held_out_hr=held_out))
        assert score.counts.get("floor", 0) == n and ("floor" in score.extra) == (n > 0)
        if n:
            assert score.extra["floor"] == Swd().score(Outputs(**given, held_out_hr=other)).extra["floor"] > 1


@pytest.mark.parametrize(("name", "content", "said"), [
    ("absent", None, "no such file or folder, and no named set"),
    ("fhq-512", None, "did you mean 'ffhq-512'"),
    ("empty", "folder", "no image files"),
    ("notes.txt", b"x", "a folder, a .csv list, a packed .safetensors file or statistics"),
    ("broken.npz", b"PK no archive", "no statistics of a set"),
    ("other.npz", {"features": np.ones(3)}, "no statistics of a set"),
    ("mean.npz", {"mu": np.ones(3), "sigma": np.ones(3)}, "mean of (3,), covariance of (3,)"),
    ("nan.npz", {"mu": np.ones(2), "sigma": np.full((2, 2), np.nan)}, "values that are no numbers"),
    ("nans.npz", {"mu": np.full(2, np.inf), "sigma": np.eye(2)}, "values that are no numbers"),
    ("none.npz", {"mu": np.ones(0), "sigma": np.ones((0, 0))}, "no statistics of a set"),
    ("half.npz", {"mu": np.ones(2), "sigma": np.array([[1.0, 1.0], [0.0, 1.0]])}, "not symmetric"),
    ("minus.npz", {"mu": np.ones(2), "sigma": -np.eye(2)}, "a negative variance"),
    ("complex.npz", {"mu": np.ones(2) * 1j, "sigma": np.eye(2)}, "no statistics of a set"),
    ("many.npz", {"mu": np.ones(2), "sigma": np.eye(2), "n": np.array("many")}, "no statistics of a set"),
    ("broken.pth", b"no pickle", "no statistics of a set"),
])  # fmt: skip
def test_what_is_no_reference_is_refused_in_one_line(tmp_path, monkeypatch, name, content, said):
    monkeypatch.chdir(tmp_path)
    if content == "folder":
        (tmp_path / name).mkdir()
    elif isinstance(content, dict):
        np.savez(tmp_path / name, **content)
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError) as refused:
        read_reference(name)
    assert said in str(refused.value) and f"--reference {name}" in str(refused.value) and "\n" not in str(refused.value)


def test_a_file_of_statistics_runs_no_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").write_text, ("x",))

    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"mean": Evil(), "cov": 1}, protocol=2))
    torch.save({"mean": Evil(), "cov": 1}, tmp_path / "evil2.pth")
    for name in ("evil.pth", "evil2.pth"):
        with pytest.raises(UsageError):
            read_reference(str(tmp_path / name))
    assert not (tmp_path / "ran").exists()


# ---------------------------------------------------------------- statistics


@pytest.mark.parametrize("legacy", [False, True])
def test_basicsrs_and_vqfrs_files_are_read(tmp_path, legacy):
    """FFHQ 512's: a dictionary of mean and cov as numpy arrays, saved by torch in either of its formats, with a size."""
    rng = np.random.default_rng(0)
    mean, rows = rng.normal(size=6), rng.normal(size=(40, 6))
    saved = {"name": "FFHQ", "size": 512, "mean": mean, "cov": np.cov(rows.T)}
    torch.save(saved, tmp_path / "ffhq.pth", _use_new_zipfile_serialization=not legacy)
    found = read_reference(str(tmp_path / "ffhq.pth"))
    assert np.array_equal(found.statistics[0], mean) and np.array_equal(found.statistics[1], saved["cov"])
    assert found.images is None and len(found) == 0 and found.extent == "512x512" and len(found.fingerprint) == 16
    assert "faces of ffhq.pth of 512x512" in str(found)


def test_data_stats_writes_what_pytorch_fid_writes(package, bench, tmp_path):
    folder_of(tmp_path / "faces")
    theirs, made = tmp_path / "theirs.npz", tmp_path / "made.npz"
    package.save_fid_stats([str(tmp_path / "faces"), str(theirs)], 50, "cpu", DIMS, 0)
    code, out, err = bench("data", "stats", tmp_path / "faces", made, "--dims", DIMS, "--device", "cpu")
    assert code == 0 and f"{DIMS} features of {COUNT} faces of faces of 24x24" in out, err
    with np.load(theirs) as one, np.load(made) as other:
        assert np.allclose(one["mu"], other["mu"], rtol=1e-4)
        assert np.allclose(one["sigma"], other["sigma"], atol=1e-4 * np.abs(one["sigma"]).max())
    assert len(read_reference(str(made))) == COUNT and len(read_reference(str(theirs))) == 0, "theirs says no number"


def scored(bench, folder, reference):
    """The row of FID of folder/ours to folder/reference."""
    out, label = folder / f"score {reference}", f"fid[dims={DIMS}]"
    code, _, err = bench("score", folder / "ours", "--reference", folder / reference, "--metrics", label,
                         "--device", "cpu", "--out", out)  # fmt: skip
    assert code == 0, err
    row = pd.read_parquet(out / "results.parquet").set_index("metric").loc[label]
    assert row.ci_low <= row.value <= row.ci_high
    return row


def test_a_set_is_the_reference_whichever_way_it_is_given(store, bench, tmp_path, monkeypatch):
    """As a folder or as its statistics in either form: one number, pytorch-fid's, one name, one hash."""
    from bench.metrics import inception
    from pytorch_fid.fid_score import calculate_frechet_distance

    mix = torch.randn(3 * 64, DIMS, generator=torch.Generator().manual_seed(0))
    network = lambda x: torch.nn.functional.adaptive_avg_pool2d(x, 8).flatten(1) @ mix
    store("inception-fid", {})
    monkeypatch.setattr(inception, "network", lambda *_, **__: network)
    ours = folder_of(tmp_path / "ours", seed=2)
    folder_of(tmp_path / "theirs")
    for name in ("made.npz", "made.pth"):
        assert bench("data", "stats", tmp_path / "theirs", tmp_path / name, "--dims", DIMS)[0] == 0
    assert bench("data", "stats", tmp_path / "theirs", tmp_path / "made.txt")[0] == 2
    rows = [scored(bench, tmp_path, name) for name in ("theirs", "made.npz", "made.pth")]
    assert [r.value for r in rows] == pytest.approx([rows[0].value] * 3, rel=1e-9)
    fingerprint = read_reference(str(tmp_path / "theirs")).fingerprint
    assert {r.protocol for r in rows} == {rows[0].protocol}
    assert f"against {COUNT} faces of theirs of 24x24 ({fingerprint})" in rows[0].protocol
    features = network(torch.from_numpy(ours).float() / 255).double().numpy()
    with np.load(tmp_path / "made.npz") as saved:
        np.savez(tmp_path / "plain.npz", mu=saved["mu"], sigma=saved["sigma"])  # as pytorch-fid has it
        expected = calculate_frechet_distance(features.mean(0), np.cov(features.T), saved["mu"], saved["sigma"])
    plain = scored(bench, tmp_path, "plain.npz")
    assert plain.value == pytest.approx(expected, rel=1e-4) == pytest.approx(rows[0].value, rel=1e-4)
    assert "against faces of plain.npz (" in plain.protocol


def test_statistics_serve_fid_alone_and_of_their_own_features(package, bench, tmp_path):
    folder_of(tmp_path / "ours", 5)
    np.savez(tmp_path / "s.npz", mu=np.zeros(192), sigma=np.eye(192))
    code, out, _ = bench("score", tmp_path / "ours", "--reference", tmp_path / "s.npz", "--device", "cpu",
                         "--metrics", f"fid[dims={DIMS}],kid,precision,swd")  # fmt: skip
    said = {line.split()[0]: line for line in out.splitlines()}
    assert code == 1 and "have 192 features, not 64: fid[dims=192]" in said[f"fid[dims={DIMS}]"]
    for name in ("kid", "precision", "swd"):
        assert "needs the reference's images; faces of s.npz are mean and covariance alone" in said[name], out


# ---------------------------------------------------------------- of commands


def test_a_folder_against_itself_is_no_distance_and_ground_truth_is_no_reference(bench, tmp_path):
    folder_of(tmp_path / "ours", 12)
    ask = ("score", tmp_path / "ours", "--metrics", "swd", "--device", "cpu")
    code, out, _ = bench(*ask, "--hr", tmp_path / "ours")
    assert code == 1 and "needs reference faces in HR (--reference)" in out
    code, out, _ = bench(*ask, "--reference", tmp_path / "ours")
    assert code == 0 and out.split()[1] == "0.0000"


def test_run_and_score_mean_one_thing_by_a_reference(bench, folders, tmp_path):
    """The same outputs, the same reference: the same number, which the training faces do not give."""
    hr, _ = folders
    folder_of(tmp_path / "other", 12, seed=8, size=32)
    ask = [
        "run",
        "--methods",
        "bicubic",
        "--conditions",
        "bicubic",
        "--hr",
        hr,
        "--metrics",
        "swd",
        "--device",
        "cpu",
        "--quiet",
    ]
    rows = {}
    for name, more in (("plain", []), ("given", ["--reference", tmp_path / "other"])):
        assert bench(*ask, *more, "--out", tmp_path / name)[0] == 0
        rows[name] = pd.read_parquet(tmp_path / name / "results.parquet").set_index("metric").loc["swd"]
    assert "HR training faces" in rows["plain"].protocol and "12 faces of other of 32x32" in rows["given"].protocol
    (images,) = (tmp_path / "given" / "images" / "bicubic").iterdir()
    assert (
        bench("score", images, "--reference", tmp_path / "other", "--metrics", "swd", "--out", tmp_path / "scored")[0]
        == 0
    )
    scored = pd.read_parquet(tmp_path / "scored" / "results.parquet").set_index("metric").loc["swd"]
    assert scored.value == pytest.approx(rows["given"].value, rel=1e-6) and rows["plain"].value != rows["given"].value
