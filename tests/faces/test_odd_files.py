"""Folders and lists as people have them: hidden files, links, pipes, huge and damaged images, lists of spreadsheets."""

import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image
from smooth import smooth_images

from bench.core.image import image_shape, read_image, write_image
from bench.errors import UnreadableImage, UsageError
from bench.faces.images import ImageFiles
from bench.faces.read import images_under, list_files, read_list


def png_of(file, width, height):
    """A PNG that says it is so large."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b""))


@pytest.fixture
def folder(tmp_path):
    """Six faces, and beside them much that is none."""
    root = tmp_path / "faces"
    for place in ("deep", "__MACOSX", ".thumbnails", "@eaDir", "a.png"):
        (root / place).mkdir(parents=True)
    for index, image in enumerate(smooth_images(6, 32)):
        write_image(root / ("deep" if index % 2 else "") / f"{index}.png", image)
    face = (root / "0.png").read_bytes()
    for hidden in (".hidden.png", "__MACOSX/._0.png", "._0.png", ".thumbnails/0.png", "@eaDir/0.png"):
        (root / hidden).write_bytes(face)
    for other in ("x.avif", "x.GIF", "deep/x.heic"):
        (root / other).write_bytes(face)
    os.symlink(root, root / "again"), os.symlink("nowhere.png", root / "dangling.png"), os.mkfifo(root / "pipe.png")
    (root / "notes.txt").touch(), (root / "a.png" / "6.JFIF").write_bytes(face)
    return root


def test_a_folder_gives_its_images_and_names_what_it_leaves_out(folder, bench):
    left = []
    files = [str(f.relative_to(folder)) for f in images_under(folder, left)]
    assert files == ["0.png", "2.png", "4.png", "a.png/6.JFIF", "deep/1.png", "deep/3.png", "deep/5.png"]
    assert [line.removeprefix(f"{folder}/") for line in left] == [
        "again: a linked folder is not followed",
        "dangling.png: a link to nothing",
        "deep/x.heic: .heic images are not read",
        "pipe.png: not a file",
        "x.GIF: .GIF images are not read",
        "x.avif: .avif images are not read",
    ]
    code, out, _ = bench("data", "info", folder)
    assert code == 0 and out.count("skipped: ") == 6 and all(line in out for line in left)
    code, _, err = bench("data", "info", folder, "--strict")
    assert code == 2 and err.count("\n") == 1 and "again: a linked folder" in err


@pytest.mark.parametrize("size", [(50_000, 50_000), (11_000, 10_000), (2**31 - 1, 1)])
def test_an_image_of_too_many_pixels_is_named_before_it_is_decoded(tmp_path, size):
    png_of(tmp_path / "bomb.png", *size)
    with pytest.raises(UnreadableImage, match=r"bomb\.png: has more than 89,478,485 pixels"):
        read_image(tmp_path / "bomb.png")


@pytest.mark.filterwarnings("ignore")
def test_damaged_images_are_read_or_named_in_a_line(tmp_path):
    """400 images of six kinds with wrong bytes: no other error, no second line."""
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    image, files = Image.fromarray(smooth_images(1, 24)[0].transpose(1, 2, 0)), []
    for name in ("a.png", "a.jpg", "a.webp", "a.tif"):
        image.save(tmp_path / name, exif=exif)
        files.append(tmp_path / name)
    for name, mode in (("b.bmp", "P"), ("b.png", "LA")):
        image.convert(mode).save(tmp_path / name)
        files.append(tmp_path / name)
    whole, named = {file: file.read_bytes() for file in files}, 0
    for number in range(400):
        file = files[number % len(files)]
        data = bytearray(whole[file])
        for place in rng.integers(min(300, len(data)), size=3):
            data[place] = rng.integers(256)
        file.write_bytes(data if number % 9 else data[: rng.integers(len(data))])
        try:
            assert read_image(file).dtype == np.uint8
        except UnreadableImage as error:
            assert str(error).startswith(str(file)) and "\n" not in str(error)
            named += 1
    assert named > 100


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_shape_is_told_as_the_image_is_read(tmp_path, kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (40, 24)).save(tmp_path / f"a.{kind}", exif=exif)
    shape = read_image(tmp_path / f"a.{kind}").shape
    assert image_shape(tmp_path / f"a.{kind}") == shape == ((3, 40, 24) if orientation > 4 else (3, 24, 40))
    assert ImageFiles([tmp_path / f"a.{kind}"]).shape(0) == shape


def test_names_that_a_terminal_would_obey_are_written_out(bench, folder):
    for name in (b"new\nline.png", b"\x1b[31mred.png", b"no\xfftext.png"):
        (folder / os.fsdecode(name)).write_text("no image")
    code, out, err = bench("data", "info", folder)
    assert code == 0 and not set(out + err) & {"\x1b", "\udcff"}
    for shown in ("new\\nline.png", "\\x1b[31mred.png", "no\\udcfftext.png"):
        assert f"/{shown}: not an image\n" in out


def test_a_command_prints_what_is_no_text_and_no_warnings_of_libraries(tmp_path):
    place = tmp_path / os.fsdecode(b"f\xff")
    place.mkdir()
    for index in range(4):
        Image.new("RGB", (32, 32)).save(place / f"{index}.png")
    png_of(place / "bomb.png", 11_000, 10_000)
    Image.new("RGB", (32, 32)).save(place / "x.tif")
    (place / "x.tif").write_bytes((place / "x.tif").read_bytes()[:-60])  # of whose tags Pillow warns
    line = [sys.executable, "-m", "bench", "data", "info", place.name]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0 and b"from f\\udcff" in done.stdout, done.stderr
    assert done.stderr == b"" and done.stdout.count(b"skipped: ") == 2


# ---------------------------------------------------------------- lists


@pytest.mark.parametrize(
    "text",
    [
        "a.png\nb.png\nc.png\n",
        "\ufeffpath\r\na.png\r\nb.png\r\n\r\nc.png",
        "label,filename\n1,a.png\n2,b.png\n3,c.png\n",
        "image_id,5_o_Clock_Shadow\na.png,1\nb.png,-1\nc.png,1\n",
        "path;label\na.png;1\nb.png;2\nc.png;3\n",
        "a.png\t0\nb.png\t1\nc.png\t2\n",
        '"a.png", 1\n" b.png ", 2\nc.png, 3\n',
        "a.png\nb.png\na.png\nc.png\na.png\n",
    ],
    ids=["plain", "BOM, CRLF, blank line", "label first", "CelebA", "semicolons", "tabs", "quotes", "again"],
)
def test_lists_of_all_kinds_name_the_same_files(tmp_path, text):
    (tmp_path / "list.csv").write_text(text, encoding="utf-8", newline="")
    left = []
    assert [f.name for f in read_list(tmp_path / "list.csv", left)] == ["a.png", "b.png", "c.png"]
    assert len(left) == (text.count("a.png") > 1) and (not left or "2 lines name a file again" in left[0])


def test_a_name_with_a_semicolon_is_one_name(tmp_path):
    (tmp_path / "list.csv").write_text("a;b.png\nc.png\n")
    assert [f.name for f in read_list(tmp_path / "list.csv")] == ["a;b.png", "c.png"]


def test_a_pipe_in_a_list_is_not_waited_for(folder, tmp_path):
    (tmp_path / "list.csv").write_text("faces/pipe.png\nfaces/0.png\n")
    (pipe, _) = read_list(tmp_path / "list.csv")
    with pytest.raises(UnreadableImage, match=r"pipe\.png: cannot be read \(not a file\)"):
        read_image(pipe)


def test_faces_that_a_list_names_again_stop_a_strict_run(folder, bench, tmp_path):
    (tmp_path / "list.csv").write_text("\n".join(f"faces/{name}.png" for name in ("0", "2", "4", "deep/1", "0")))
    code, out, _ = bench("data", "info", tmp_path / "list.csv")
    assert code == 0 and "1 lines name a file again" in out
    assert bench("data", "info", tmp_path / "list.csv", "--strict")[0] == 2


@pytest.mark.parametrize("text", ["a.png\n".encode("utf-16"), b"", b"\0\0\0", b"path\n"])
def test_a_file_that_is_no_list_is_named(tmp_path, text):
    (tmp_path / "list.csv").write_bytes(text)
    with pytest.raises(UsageError, match=r"list\.csv"):
        list_files(tmp_path / "list.csv", "HR")
