import numpy as np
import pytest
import torch
from PIL import Image
from smooth import smooth_images

from bench.api.training import Augment, View
from bench.core.image import read_image, write_image
from bench.core.store import Store
from bench.errors import UnreadableImage, UsageError
from bench.faces.faceset import FaceSet
from bench.faces.packed import pack, unpack
from bench.faces.read import list_files, load, split_files
from bench.training.augment import augmented
from bench.training.sampler import Sampler


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_grey_alpha_and_16_bit_images_become_rgb(tmp_path):
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 256).save(tmp_path / "deep.png")
    rgba = np.dstack([grey] * 3 + [np.full_like(grey, 0)])
    Image.fromarray(rgba).save(tmp_path / "clear.png")
    for name in ("grey", "deep"):
        assert (read_image(tmp_path / f"{name}.png") == grey).all()
    assert (read_image(tmp_path / "clear.png") == 255).all()


@pytest.mark.parametrize("kind", ["text", "cut", "missing"])
def test_a_file_that_is_no_image_is_named(tmp_path, kind):
    file = tmp_path / "x.png"
    if kind == "text":
        file.write_text("hello")
    elif kind == "cut":
        write_image(file, smooth_images(1, 64)[0])
        file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(UnreadableImage, match=r"x\.png"):
        read_image(file)


def test_a_split_is_stable_when_a_file_is_added(tmp_path):
    files = [tmp_path / f"{i}.png" for i in range(100)]
    train, test = split_files(files, tmp_path)
    more_train, more_test = split_files([*files, tmp_path / "new.png"], tmp_path)
    assert set(train) <= set(more_train) and set(test) <= set(more_test)
    assert 5 <= len(test) <= 30


def test_bad_files_are_skipped_and_counted_or_stop_a_strict_run(folders, capsys):
    hr, lr = folders
    (hr / "train" / "bad.png").write_text("no image")
    write_image(hr / "train" / "small.png", np.zeros((3, 1, 1), np.uint8))
    data = load(str(hr), str(lr))
    assert len(data.hr_train) == 12 and len(data.skipped) == 2
    assert "2 files skipped" in capsys.readouterr().err
    with pytest.raises(UsageError, match=r"bad\.png.*--strict"):
        load(str(hr), str(lr), strict=True)


def test_faces_are_decoded_once_even_where_some_are_skipped(folders, tmp_path, capsys, monkeypatch):
    hr, lr = folders
    (hr / "train" / "bad.png").write_text("no image")
    first = load(str(hr), str(lr), store=Store(tmp_path / "cache"))
    monkeypatch.setattr("bench.faces.decode.read_image", lambda file: pytest.fail(f"{file} is read again"))
    again = load(str(hr), str(lr), store=Store(tmp_path / "cache"))
    assert again.train_fingerprint == first.train_fingerprint and again.skipped == first.skipped
    assert capsys.readouterr().err.count("1 files skipped") == 2
    with pytest.raises(UsageError, match=r"bad\.png.*--strict"):
        load(str(hr), str(lr), strict=True, store=Store(tmp_path / "cache"))


def test_csv_lists_name_their_files(folders, tmp_path):
    hr, _ = folders
    for split in ("train", "test"):
        lines = [f"{f.relative_to(tmp_path)}" for f in sorted((hr / split).iterdir())]
        (tmp_path / f"HR_{split}.csv").write_text("\n".join(["path", *lines]))
    for source in (tmp_path, tmp_path / "HR_train.csv"):
        train, test = list_files(source, "HR")
        assert len(train) == 12 and len(test) == 4 and all(f.is_file() for f in [*train, *test])


@pytest.mark.parametrize("line", ["no_image_here", "a,b,c", '"unclosed', ""])
def test_a_csv_line_without_a_path_is_an_error(tmp_path, line):
    (tmp_path / "list.csv").write_text(f"path\n{line}\n")
    with pytest.raises(UsageError, match=r"list\.csv"):
        load(str(tmp_path / "list.csv"), None)


def test_a_packed_file_gives_the_same_faces(folders, tmp_path):
    data = load(*map(str, folders))
    pack(tmp_path / "hr.safetensors", data.hr_train, data.hr_test)
    train, test = unpack(tmp_path / "hr.safetensors")
    assert train.fingerprint == data.hr_train.fingerprint and test.names == data.hr_test.names
    (tmp_path / "not.safetensors").write_text("x")
    with pytest.raises(UsageError, match="not a packed face set"):
        unpack(tmp_path / "not.safetensors")


def test_the_cache_notices_a_changed_file(folders, tmp_path):
    hr, lr = folders
    first = load(str(hr), str(lr), store=Store(tmp_path / "cache"))
    write_image(hr / "train" / "train00.png", 255 - first.hr_train.images()[0])
    second = load(str(hr), str(lr), store=Store(tmp_path / "cache"))
    assert first.hr_train.fingerprint != second.hr_train.fingerprint
    assert first.hr_test.fingerprint == second.hr_test.fingerprint


def test_mixed_sizes_are_kept_and_cropped_for_training():
    images = [smooth_images(1, size, size)[0] for size in (12, 20, 20, 33)]
    faces = FaceSet.of(images, list("abcd"))
    assert not faces.uniform and faces.size == 12 and [i.shape[1] for i in faces.images()] == [12, 20, 20, 33]
    said = []
    patches = Sampler(faces, View(16, whole=False), torch.device("cpu"), said.append)
    assert said == ["1 of 4 faces of  are smaller than 16 px and are left out"]
    batch = patches.draw(64, Augment(flip=False), rng())
    assert batch.shape == (64, 3, 16, 16)
    windows = {
        image[:, y : y + 16, x : x + 16].tobytes()
        for image in images[1:]
        for y in range(image.shape[1] - 15)
        for x in range(image.shape[2] - 15)
    }
    assert all((b * 255).round().to(torch.uint8).numpy().tobytes() in windows for b in batch)


def test_draws_repeat_with_the_seed_only():
    faces = FaceSet.of(list(smooth_images(20, 16)), [str(i) for i in range(20)])
    sampler = Sampler(faces, View(16), torch.device("cpu"))
    everything = Augment(True, 0.1, 10, 0.2)
    first, again, other = (sampler.draw(8, everything, rng(s)) for s in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_flips_alone_mirror_about_half_of_the_faces():
    faces = torch.from_numpy(smooth_images(200, 8))
    drawn = augmented(faces, Augment(), rng())
    same = (drawn == faces / 255).flatten(1).all(1)
    mirrored = (drawn == faces.flip(-1) / 255).flatten(1).all(1)
    assert (same | mirrored).all() and 70 < mirrored.sum() < 130


def test_rotation_by_a_quarter_turn_is_rot90():
    face = torch.from_numpy(smooth_images(1, 16))
    drawn = [augmented(face, Augment(flip=False, rotate=90.0), rng(s)) for s in range(400)]
    turned = [torch.rot90(face / 255, k, (2, 3)) for k in (1, 3)]
    assert min((d - t).abs().max() for d in drawn for t in turned) < 0.06


def test_jitter_follows_its_definition():
    face = torch.from_numpy(smooth_images(1, 8))
    drawn = augmented(face, Augment(flip=False, jitter=0.3), rng(3))
    generator = rng(3)
    b, c, s = (1 + float(torch.empty(1).uniform_(-0.3, 0.3, generator=generator)) for _ in range(3))
    image = (face / 255).double()
    luma = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64).view(1, 3, 1, 1)
    grey = (image * luma).sum(1, keepdim=True)
    saturated = s * image + (1 - s) * grey
    expected = b * (c * saturated + (1 - c) * grey.mean())
    assert torch.allclose(drawn.double(), expected.clamp(0, 1), atol=1e-5)
