"""Packed face sets: written face by face, read by memory map, as another reader of the format sees them."""

import copy
import json
import pickle
import subprocess
import sys
import weakref

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from bench.core.image import write_image
from bench.core.store import Store
from bench.errors import UnreadableImage, UsageError
from bench.faces import decode
from bench.faces.faceset import FaceSet
from bench.faces.packed import pack, unpack, write
from bench.faces.read import load


def faces(count=12, sides=(16,), seed=0):
    """Names in order and random pixels."""
    rng = np.random.default_rng(seed)
    return [
        (f"{i:04d}", rng.integers(0, 256, (3, (s := sides[i % len(sides)]), s + 4), np.uint8)) for i in range(count)
    ]


def in_memory(made):
    return FaceSet.of([image for _, image in made], [name for name, _ in made])


@pytest.fixture
def folder(tmp_path):
    """A folder of 30 images, one in three of another size, and one that is none."""
    (tmp_path / "hr").mkdir()
    for name, image in faces(30, (16, 16, 20)):
        write_image(tmp_path / "hr" / f"{name}.png", image)
    (tmp_path / "hr" / "0031.png").write_text("no image")
    return tmp_path / "hr"


@pytest.mark.parametrize("sides", [(16,), (16, 20, 12)])
def test_another_reader_of_the_format_finds_each_face_under_its_name(tmp_path, sides):
    made = {"train": faces(12, sides), "test": faces(5, sides, seed=1)}
    candidates = {split: [name for name, _ in found] + ["that one failed ü"] for split, found in made.items()}
    prints = write(tmp_path / "p", {s: (candidates[s], iter(found)) for s, found in made.items()}, {"source": "x"})
    tensors = load_file(tmp_path / "p")
    with safe_open(tmp_path / "p", "pt") as file:
        names, source = json.loads(file.metadata()["names"]), file.metadata()["source"]
    assert source == "x" and set(tensors) == {f"{split}/{s}x{s + 4}" for split in made for s in sides}
    for split, found in made.items():
        seen = {
            n: t.numpy()
            for key, t in tensors.items()
            if key.startswith(split)
            for n, t in zip(names[key], t, strict=True)
        }
        assert sorted(seen) == [name for name, _ in found]
        assert all((seen[name] == image).all() for name, image in found)
    train, test = unpack(tmp_path / "p")
    for split, opened in (("train", train), ("test", test)):
        assert opened.fingerprint == prints[split] == in_memory(made[split]).fingerprint
    assert not [f for f in tmp_path.iterdir() if f.name != "p"]


def test_one_face_at_a_time_is_in_memory(tmp_path):
    alive, most = [], []

    def coming():
        for number in range(40):
            image = np.full((3, 16, 20), number, np.uint8)
            alive.append(weakref.ref(image))
            most.append(sum(made() is not None for made in alive))
            yield f"{number:04d}", image
            del image

    write(tmp_path / "p", {"train": ([name for name, _ in faces(40)], coming())})
    assert max(most) <= 2


def test_threads_decode_ahead_within_a_bound(tmp_path, monkeypatch):
    for side, bound in ((8, decode.AHEAD), (256, 3)):
        begun, used, most = [], 0, 0
        monkeypatch.setattr(decode, "FLIGHT", 3 * 3 * 256 * 256)

        def read(file, side=side, begun=begun):
            begun.append(file)
            return np.zeros((3, side, side), np.uint8)

        monkeypatch.setattr(decode, "_read", read)
        for image in decode.decoded(range(300)):
            used += 1
            most = max(most, len(begun) - used)
            assert image.shape == (3, side, side)
        assert used == 300 and most <= bound and begun == sorted(begun)


def test_files_come_in_order_and_what_is_wrong_with_them_too(tmp_path, monkeypatch):
    def read(file):
        return UnreadableImage(f"{file}: bad") if file % 7 == 3 else np.full((3, 8, 8), file, np.uint8)

    monkeypatch.setattr(decode, "_read", read)
    skipped = []
    found = list(decode.usable([(str(i), i) for i in range(50)], 4, 4, False, skipped, "faces"))
    assert [(name, int(image[0, 0, 0])) for name, image in found] == [(str(i), i) for i in range(50) if i % 7 != 3]
    assert skipped == [f"{i}: bad" for i in range(50) if i % 7 == 3]


def test_pixels_stay_in_the_file_and_the_file_stays_as_it_is(tmp_path):
    made = faces(20, (16, 12))
    write(tmp_path / "p", {"train": ([n for n, _ in made], made)})
    before = (tmp_path / "p").read_bytes()
    (opened,) = unpack(tmp_path / "p", splits=("train",))
    bucket = opened.buckets[16, 20]
    first = bucket[0].clone()
    bucket[0] = 0  # a plugin that writes where it should not
    assert (tmp_path / "p").read_bytes() == before
    opened.leave()
    assert torch.equal(bucket[0], first) and opened.fingerprint == in_memory(made).fingerprint
    assert [n for n, _ in opened.each()] == opened.names
    assert all((image == known).all() for (_, image), (_, known) in zip(opened.each(), made, strict=True))


def test_lent_faces_of_a_file_are_written_to_without_a_copy_of_all(tmp_path):
    made = faces()
    write(tmp_path / "p", {"train": ([n for n, _ in made], made)})
    (opened,) = unpack(tmp_path / "p", splits=("train",))
    lent = opened.lent()
    assert lent.mapping is not None and lent.mapping is not opened.mapping
    lent.buckets[16, 20][:] = 0
    assert lent.fingerprint != opened.fingerprint == in_memory(made).fingerprint == opened.lent().fingerprint


def test_all_faces_pass_without_staying_in_memory(tmp_path):
    """In a process of its own: 96 MB of faces are packed and fingerprinted with a fraction of that."""
    code = """
import numpy as np
from pathlib import Path
from bench.faces import faceset
from bench.faces.packed import unpack, write
def memory():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
faceset.PASSED = 8 << 20
names = [f"{i:04d}" for i in range(512)]
image = np.random.default_rng(0).integers(0, 256, (3, 256, 256), np.uint8)
before = memory()
write(Path("p"), {"train": (names, ((name, image) for name in names))})
(faces,) = unpack(Path("p"), splits=("train",))
print(faces.fingerprint, memory() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert float(done.stdout.split()[1]) < 40


def test_a_set_is_packed_once_a_store_and_opened_by_every_run(folder, tmp_path, capsys, monkeypatch):
    first = load(str(folder), None, store=Store(tmp_path / "store"))
    monkeypatch.setattr(decode, "read_image", lambda file: pytest.fail(f"{file} is read again"))
    again = load(str(folder), None, store=Store(tmp_path / "store"))
    assert len(list((tmp_path / "store" / "faces").iterdir())) == 1
    assert len(list((tmp_path / "store").rglob("*.safetensors"))) == 1
    for a, b in ((first.hr_train, again.hr_train), (first.hr_test, again.hr_test)):
        assert a.names == b.names and a.known == b.known
        b.known = ""
        assert b.fingerprint == a.fingerprint, "what the entry says is what its pixels are"
    assert first.skipped == again.skipped and "0031.png" in first.skipped[0]


def test_what_a_packed_file_claims_is_no_fingerprint(tmp_path):
    made = faces()
    write(tmp_path / "a", {"train": ([n for n, _ in made], made), "test": ([n for n, _ in made], made)})
    data = bytearray((tmp_path / "a").read_bytes())
    data[-1] ^= 1
    (tmp_path / "b").write_bytes(data)
    (a, a_test), (b, b_test) = unpack(tmp_path / "a"), unpack(tmp_path / "b")
    assert a.fingerprint == b.fingerprint == a_test.fingerprint != b_test.fingerprint


def test_faces_of_one_content_lie_in_one_order_wherever_they_come_from(folder, tmp_path):
    files = sorted(folder.glob("*.png"))[:-1]
    (tmp_path / "train.csv").write_text("\n".join(str(f.relative_to(tmp_path)) for f in files[::-1]))
    (tmp_path / "test.csv").write_text("\n".join(str(f.relative_to(tmp_path)) for f in files[:2]))
    listed = load(str(tmp_path / "train.csv"), None).hr_train
    pack(tmp_path / "again.safetensors", listed, listed)
    again = unpack(tmp_path / "again.safetensors")[0]
    plain = FaceSet.of(listed.images()[::-1], listed.names[::-1])
    for other in (again, plain):
        assert other.fingerprint == listed.fingerprint and other.places == listed.places
        assert all(torch.equal(other.buckets[size], listed.buckets[size]) for size in listed.buckets)


def test_other_processes_open_the_file_themselves(folder, tmp_path):
    stored = load(str(folder), None, store=Store(tmp_path / "store")).hr_train
    assert len(pickle.dumps(stored)) < 1000
    for faces_ in (stored, load(str(folder), None).hr_train):  # the latter's file is gone
        for other in (pickle.loads(pickle.dumps(faces_)), copy.deepcopy(faces_)):
            assert other.fingerprint == faces_.fingerprint and other.source == str(folder)


def test_make_packs_into_its_folder_alone(bench, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", "/nowhere")
    code, _, err = bench("data", "make", tmp_path / "out", "--hr", folder)
    assert code == 0, err
    assert sorted(f.name for f in (tmp_path / "out").iterdir()) == ["hr.safetensors"]
    known = load(str(folder), None, store=Store(tmp_path / "store"))
    made = unpack(tmp_path / "out" / "hr.safetensors")
    assert [s.fingerprint for s in made] == [known.hr_train.fingerprint, known.hr_test.fingerprint]
    again = bench("data", "make", tmp_path / "out", "--hr", tmp_path / "out" / "hr.safetensors")  # onto itself
    assert again[0] == 0
    assert unpack(tmp_path / "out" / "hr.safetensors")[0].fingerprint == known.hr_train.fingerprint


def test_pixels_of_another_kind_are_not_packed(tmp_path):
    for image in (np.zeros((3, 4, 4), np.float32), np.zeros((1, 4, 4), np.uint8), np.zeros((4, 4), np.uint8)):
        with pytest.raises(ValueError, match="not \\(3, H, W\\) uint8"):
            write(tmp_path / "p", {"train": (["a"], [("a", image)])})
    assert not list(tmp_path.iterdir())


def test_info_says_what_packing_would_and_writes_nothing(bench, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", "/nowhere")
    code, out, _ = bench("data", "info", "--strict", folder)  # options may come first
    assert code == 2
    code, out, _ = bench("data", "info", folder)
    known = load(str(folder), None, store=Store(tmp_path / "store"))
    assert code == 0
    for name, faces_ in (("HR train", known.hr_train), ("HR test", known.hr_test)):
        said = f"{len(faces_)} faces, {faces_.extent}, fingerprint {faces_.fingerprint}, from {folder}"
        assert any(line.startswith(name) and line.endswith(said) for line in out.splitlines())
    assert "0031.png: not an image" in out and bench("data", "info", folder, "--strict")[0] == 2


@pytest.mark.parametrize("count", [None, 0])
def test_a_set_without_faces_is_shown_but_not_used(bench, tmp_path, count):
    made = [(name, np.zeros((3, 16, 16), np.uint8)) for name in "ab"]
    sets = {"train": made, **({} if count is None else {"test": []})}
    write(tmp_path / "p.safetensors", {split: ([n for n, _ in found], found) for split, found in sets.items()})
    code, out, _ = bench("data", "info", tmp_path / "p.safetensors")
    assert code == 0 and "HR test         0 faces, none" in out
    code, _, err = bench("data", "make", tmp_path / "out", "--hr", tmp_path / "p.safetensors")
    assert code == 2 and "no test faces in it" in err and err.count("\n") == 1


def test_a_folder_without_one_usable_image_leaves_nothing(tmp_path):
    for index in range(3):
        (tmp_path / f"{index}.png").write_text("no image")
    with pytest.raises(UsageError, match=r"no usable train image; .*not an image"):
        load(str(tmp_path), None, store=Store(tmp_path / "store"))
    assert not list((tmp_path / "store").rglob("*.safetensors")) and not list((tmp_path / "store" / "tmp").iterdir())
