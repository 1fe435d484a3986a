"""Files of other programs: refused in one line that says why, and never how to read them all the same."""

import os
import pickle
import re

import numpy as np
import pytest
import torch

from bench.core.tensors import load_array, load_tensors
from bench.errors import UsageError

ADVICE = re.compile(r"weights_only|allow_pickle|safe_globals|trust|\x1b|\n")


class Call:
    def __reduce__(self):
        return os.mkdir, ("ran",)


def cut(file):
    torch.save({"a": torch.zeros(100)}, file)
    file.write_bytes(file.read_bytes()[:400])


MADE = {
    "call": (lambda f: torch.save({"net": Call()}, f), r"asks to call \S*mkdir; refused"),
    "old call": (lambda f: torch.save({"net": Call()}, f, _use_new_zipfile_serialization=False), r"mkdir; refused"),
    "object": (lambda f: torch.save({"net": pytest.Mark}, f), "asks to call .*Mark; refused"),
    "pickle": (lambda f: f.write_bytes(pickle.dumps({"net": Call()})), "not a checkpoint of PyTorch"),
    "program": (lambda f: torch.jit.script(torch.nn.Conv2d(1, 1, 1)).save(str(f)), "a TorchScript program; refused"),
    "text": (lambda f: f.write_text("no weights"), "not a checkpoint of PyTorch"),
    "page": (lambda f: f.write_text("<html>"), "not a checkpoint of PyTorch"),
    "empty": (lambda f: f.touch(), "not a checkpoint of PyTorch"),
    "cut": (cut, "not a checkpoint of PyTorch"),
    "absent": (lambda f: None, "no such file"),
    "folder": (lambda f: f.mkdir(), "cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.filterwarnings("ignore")
def test_tensors_alone_are_read(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make, reason = MADE[kind]
    make(tmp_path / "net.pth")
    with pytest.raises(UsageError, match=rf"net\.pth: .*{reason}") as error:
        load_tensors(tmp_path / "net.pth")
    assert not ADVICE.search(str(error.value)) and not (tmp_path / "ran").exists()


def test_tensors_and_plain_values_are_read(tmp_path):
    torch.save({"a": torch.arange(3), "b": [1, "x", None]}, tmp_path / "net.pth")
    found = load_tensors(tmp_path / "net.pth")
    assert found["a"].tolist() == [0, 1, 2] and found["b"] == [1, "x", None]


@pytest.mark.parametrize("kind", ["objects", "several", "pickle", "text", "empty", "absent"])
def test_arrays_alone_are_read(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / ("a.npz" if kind == "several" else "a.npy")
    if kind == "objects":
        np.save(file, np.array([Call(), 1], object), allow_pickle=True)
    elif kind == "several":
        np.savez(file, a=np.zeros(3), b=np.array([Call()], object))
        assert load_array(file, only=("a",))["a"].shape == (3,)
    elif kind != "absent":
        file.write_bytes({"pickle": pickle.dumps(Call()), "text": b"text", "empty": b""}[kind])
    with pytest.raises(UsageError, match=r"a\.np[yz]: (cannot be read|not an array|no such file)") as error:
        load_array(file)
    assert not ADVICE.search(str(error.value)) and not (tmp_path / "ran").exists()
