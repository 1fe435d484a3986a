"""No two faces share a name or a file, whatever they are called; what cannot be read is named."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from smooth import smooth_images

from bench.commands.images import pairs
from bench.core.files import folder_name
from bench.core.image import read_image, write_image
from bench.errors import UnreadableImage, UsageError
from bench.faces.read import load, read_list, unique_names


def faces_of(folder: Path, names: list[str]) -> dict[str, np.ndarray]:
    images = smooth_images(len(names), 16, 3)
    for name, image in zip(names, images, strict=True):
        for split in ("train", "test"):
            (folder / split / name).parent.mkdir(parents=True, exist_ok=True)
            write_image(folder / split / name, image)
    return dict(zip(names, images, strict=True))


@pytest.mark.parametrize(
    "names",
    [["a.png", "a.bmp"], ["a/b.png", "a_b.png"], ["A.png", "a.png"], ["x/001.png", "y/001.png"], ["a..png", "lr.png"]],
)
def test_faces_whose_names_would_coincide_keep_their_pixels(tmp_path, names):
    made = faces_of(tmp_path, names)
    found = load(str(tmp_path), None).hr_test
    assert (
        len({n.casefold() for n in found.names}) == len({folder_name(n).casefold() for n in found.names}) == len(names)
    )
    assert sorted(i.tobytes() for i in found.images()) == sorted(i.tobytes() for i in made.values())


def test_bytes_that_are_no_text_make_names_that_every_file_takes(tmp_path):
    files = [tmp_path / os.fsdecode(name) for name in (b"caf\xe9.png", b"caf\xe8.png", b"caf\\xe9.png")]
    names = [*unique_names(files, tmp_path).values()]
    assert len(set(names)) == 3 and all(n.encode() for n in names)


@pytest.mark.parametrize(
    "label", ["..", ".", "", "a/b", "/etc/passwd", "x" * 400, "é" * 200, ".hidden", "a\0b", "\udce9", "end."]
)
def test_every_label_is_the_name_of_one_file_inside_its_folder(tmp_path, label):
    name = folder_name(label)
    assert "/" not in name and name not in ("", ".", "..") and not name.startswith(".")
    (tmp_path / f"{name}.safetensors").write_text("")
    assert [p.parent for p in tmp_path.iterdir()] == [tmp_path]


def test_labels_that_differ_in_replaced_characters_have_their_own_folders():
    assert len({folder_name(x) for x in ("a/b", "a_b", "a:b", "a\\b", "a*b")}) == 5


def test_no_output_takes_the_place_of_another_or_of_an_input(tmp_path):
    for name in ("a.png", "a.bmp", "b.png"):
        write_image(tmp_path / "in" / name, smooth_images(1, 8)[0]) if (tmp_path / "in").mkdir(
            exist_ok=True
        ) is None else 0
    found = [target.name for _, target in pairs(str(tmp_path / "in"), str(tmp_path / "out"))]
    assert sorted(found) == ["a.bmp.png", "a.png.png", "b.png"]
    with pytest.raises(UsageError, match="over an input"):
        pairs(str(tmp_path / "in"), str(tmp_path / "in"))
    with pytest.raises(UsageError, match="over an input"):
        pairs(str(tmp_path / "in" / "b.png"), str(tmp_path / "in"))


def test_the_orientation_of_a_photograph_is_applied(tmp_path):
    image = Image.fromarray(smooth_images(1, 16)[0][:, :8].transpose(1, 2, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    image.save(tmp_path / "x.png", exif=exif)
    assert (read_image(tmp_path / "x.png") == np.asarray(image.rotate(-90, expand=True)).transpose(2, 0, 1)).all()


@pytest.mark.parametrize(
    ("values", "scale"),
    [(np.linspace(0, 1, 64), 255), (np.linspace(0, 65535, 64), None), (np.linspace(-1, 1, 64), None)],
)
def test_floats_are_scaled_by_what_they_are_or_refused(tmp_path, values, scale):
    Image.fromarray(values.reshape(8, 8).astype(np.float32)).save(tmp_path / "x.tif")
    if scale:
        assert (read_image(tmp_path / "x.tif")[0] == (values * scale).round().reshape(8, 8)).all()
    else:
        with pytest.raises(UnreadableImage, match=r"x\.tif.*no known range"):
            read_image(tmp_path / "x.tif")


def test_whole_numbers_of_32_bits_are_refused_and_16_bits_scaled(tmp_path):
    Image.fromarray(np.arange(64, dtype=np.int32).reshape(8, 8)).save(tmp_path / "x.tif")
    with pytest.raises(UnreadableImage, match="32-bit"):
        read_image(tmp_path / "x.tif")
    Image.fromarray((np.arange(64).reshape(8, 8) * 1000).astype(np.uint16)).save(tmp_path / "y.png")
    assert (read_image(tmp_path / "y.png")[0] == np.arange(64).reshape(8, 8) * 1000 // 256).all()


def test_other_formats_and_linked_folders_are_named(tmp_path, capsys):
    faces_of(tmp_path / "hr", ["a.png", "b.png"])
    Image.fromarray(smooth_images(1, 16)[0].transpose(1, 2, 0)).save(tmp_path / "hr" / "train" / "c.gif")
    (tmp_path / "hr" / "train" / "more").symlink_to(tmp_path)
    skipped = load(str(tmp_path / "hr"), None).skipped
    assert len(skipped) == 2 and ".gif images are not read" in skipped[0] and "not followed" in skipped[1]
    with pytest.raises(UsageError, match=r"c\.gif.*--strict"):
        load(str(tmp_path / "hr"), None, strict=True)
    (tmp_path / "fake.png").write_bytes((tmp_path / "hr" / "train" / "c.gif").read_bytes())
    with pytest.raises(UnreadableImage, match="not an image"):
        read_image(tmp_path / "fake.png")


@pytest.mark.parametrize(
    "text", ["a.png\nb.png\n", "\ufeffpath\r\na.png\r\nb.png\r\n", "a.png,3\nb.png,4\n", "label,image\n3,a.png\n4,b.png\n",
             "id,where\n3,a.png\n4,b.png\n", "path\na.png\nb.png\na.png\n"]
)  # fmt: skip
def test_lists_of_any_make_name_the_same_files(tmp_path, text):
    (tmp_path / "list.csv").write_bytes(text.encode())
    assert [f.name for f in read_list(tmp_path / "list.csv")] == ["a.png", "b.png"]
