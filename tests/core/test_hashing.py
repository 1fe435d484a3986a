"""What parameters stand for in a key: the content of files and folders that they name."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.core.hashing import values


@dataclass(frozen=True)
class Inner:
    file: str


@dataclass(frozen=True)
class Params:
    dir: str = ""
    kind: str = ""
    several: tuple[str, ...] = ()
    inner: Inner = Inner("")


@pytest.mark.parametrize("given, counts", [
    (Params(kind="ckpt"), True), (Params(several=("other", "ckpt")), True), (Params(inner=Inner("ckpt")), True),
    (Params(dir="data"), True), (Params(kind="./data"), True), (Params(kind="data"), False), (Params(kind="nothing"), False),
])  # fmt: skip
def test_what_a_parameter_names_counts_by_its_content(tmp_path, monkeypatch, given, counts):
    """A bare word that is also a folder of the current one is a word, unless its option is called a folder."""
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    found = []
    for text in ("first", "other"):
        Path("ckpt").write_text(text)
        Path("data/file").write_text(text)
        found.append(values(given))
    assert (found[0] != found[1]) == counts
