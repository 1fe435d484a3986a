"""The embedded face set: procedural people, who need no download."""

from __future__ import annotations

from pathlib import Path

from bench.core.hashing import key_of
from bench.core.store import Store
from bench.faces.faceset import Data, FaceSet
from bench.faces.packed import pack, unpack
from bench.faces.procedural import VERSION

IDENTITIES = {"train": 192, "wild": 96, "test": 64}  # disjoint people


PER_IDENTITY = {"train": 4, "wild": 4, "test": 1}


def embedded(store: Store | None = None) -> Data:
    """Procedural faces: 768 HR and 384 unpaired wild LR to train on, 64 and 64 to test on, the latter with ground truth."""
    if store is None:
        return _drawn()
    key = key_of("embedded", VERSION)
    folder = store.obtain("faces", key, _write, "the embedded faces")
    hr_train, hr_test = unpack(folder / "hr.safetensors", "embedded")
    lr_train, lr_test, truth = unpack(folder / "lr.safetensors", "embedded wild", ("train", "test", "truth"))
    return Data(hr_train, hr_test, lr_train, lr_test, truth)


def _write(folder: Path) -> None:
    data = _drawn()
    pack(folder / "hr.safetensors", data.hr_train, data.hr_test)
    assert data.lr_train and data.lr_test
    pack(folder / "lr.safetensors", data.lr_train, data.lr_test, data.truth)


def _drawn() -> Data:
    from bench.faces.procedural import portrait  # with scipy's filters: a second that only drawing needs

    sets = {}
    for seed, (split, count) in enumerate(
        [("train", "train"), ("test", "test"), ("wild", "wild"), ("wild_test", "test")]
    ):
        images, people = portrait.faces(IDENTITIES[count], PER_IDENTITY[count], seed=seed)
        names = [f"{split}{person:03d}_{index % PER_IDENTITY[count]}" for index, person in enumerate(people)]
        sets[split] = FaceSet.of(list(images), names, "embedded")
        if split.startswith("wild"):
            sets[f"{split}_lr"] = FaceSet.of(list(portrait.wild(images, 4, seed=seed)), names, "embedded wild")
    return Data(sets["train"], sets["test"], sets["wild_lr"], sets["wild_test_lr"], sets["wild_test"])
