"""`bench infer`: batches of one size, whatever sizes come, and files that are read and written beside."""

import numpy as np
import pytest
import torch
from smooth import smooth_images

from bench.commands.images import convert
from bench.core.image import read_image, write_image
from bench.errors import CellFailed
from bench.grid.inference import PIXELS, batch_size, halving


@pytest.fixture
def files(tmp_path):
    """Thirty inputs of three sizes, in mixed order, each of one grey level."""
    pairs = []
    for index in range(30):
        source = tmp_path / "in" / f"{index:02d}.png"
        source.parent.mkdir(exist_ok=True)
        write_image(source, np.full((3, 8 + 2 * (index % 3), 8), index * 8, np.uint8))
        pairs.append((source, tmp_path / "out" / source.name))
    return pairs


def test_images_of_one_size_go_together_and_each_comes_back_under_its_name(files):
    seen = []

    def double(batch):
        seen.append(tuple(batch.shape))
        return batch.repeat_interleave(2, 2).repeat_interleave(2, 3)

    assert convert(files, double, torch.device("cpu"), lambda shape: 4) == 0
    assert sorted(n for n, *_ in seen) == [2, 2, 2, 4, 4, 4, 4, 4, 4]
    for source, target in files:
        assert (read_image(target) == read_image(source).repeat(2, 1).repeat(2, 2)).all()


def test_an_unreadable_file_is_named_and_costs_no_other(files, capsys):
    files[7][0].write_text("no image")
    assert convert(files, lambda batch: batch, torch.device("cpu"), lambda shape: 16) == 1
    assert sum(target.exists() for _, target in files) == 29 and "07.png: not an image" in capsys.readouterr().err


def test_waiting_images_are_bounded(files, monkeypatch):
    monkeypatch.setattr("bench.commands.images.PENDING", 3 * 8 * 8 * 4)
    seen = []
    convert(files, lambda batch: seen.append(len(batch)) or batch, torch.device("cpu"), lambda shape: 1000)
    assert max(seen) <= 4 and sum(seen) == 30


def test_a_batch_that_memory_does_not_hold_is_halved_until_one_is_too_many():
    def narrow(limit, batch):
        if len(batch) > limit:
            raise RuntimeError(
                "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried"
            )
        return batch * 2

    batch = torch.rand(7, 3, 4, 4)
    assert torch.equal(halving(lambda x: narrow(2, x), batch), batch * 2)
    with pytest.raises(CellFailed, match="out of memory for one image of 4x4 px"):
        halving(lambda x: narrow(0, x), batch)
    with pytest.raises(RuntimeError, match="mat1"):
        halving(lambda x: (_ for _ in ()).throw(RuntimeError("mat1 and mat2")), batch)


def test_a_batch_has_a_bounded_number_of_pixels():
    cpu = torch.device("cpu")
    assert batch_size((3, 16, 16), cpu) == 16 and batch_size((3, 512, 512), cpu) == 1
    assert all(batch_size((3, s, s), cpu) * s * s <= PIXELS["cpu"] for s in (20, 64, 100, 256))


def test_batches_and_bf16_restore_what_single_images_do(bench, tmp_path):
    (tmp_path / "in").mkdir()
    for index, image in enumerate(smooth_images(5, 8)):
        write_image(tmp_path / "in" / f"{index}.png", image)
    from rrdb_files import rrdb_file

    spec = f"pretrained[weights={rrdb_file(tmp_path / 'net.pth', 'later', blocks=1)}]"
    assert bench("infer", spec, tmp_path / "in", tmp_path / "all")[0] == 0
    assert bench("infer", spec, tmp_path / "in", tmp_path / "bf16", "--precision", "bf16")[0] == 0
    for index in range(5):
        code, _, err = bench("infer", spec, tmp_path / "in" / f"{index}.png", tmp_path / "one" / f"{index}.png")
        assert code == 0, err
        one, many, half = (read_image(tmp_path / k / f"{index}.png").astype(int) for k in ("one", "all", "bf16"))
        assert abs(one - many).max() <= 1 and 0 <= abs(one - half).max() <= 8
