"""The embedded face set: procedural people, who need no download."""

from __future__ import annotations

from pathlib import Path

from bench.faces.faceset import Data, FaceSet
from bench.faces.packed import pack, unpack
from bench.faces.procedural import portrait

IDENTITIES = {"train": 192, "wild": 96, "test": 64}  # disjoint people


PER_IDENTITY = {"train": 4, "wild": 4, "test": 1}


def embedded(cache: Path | None = None) -> Data:
    """Procedural faces: 768 HR and 384 unpaired wild LR to train on, 64 and 64 to test on, the latter with ground truth."""
    files = [cache / f"embedded-{portrait.VERSION}-{part}.safetensors" for part in ("hr", "lr")] if cache else []
    if files and all(f.exists() for f in files):
        hr_train, hr_test = unpack(files[0], "embedded")
        lr_train, lr_test, truth = unpack(files[1], "embedded wild", ("train", "test", "truth"))
        return Data(hr_train, hr_test, lr_train, lr_test, truth)
    sets = {}
    for seed, (split, count) in enumerate(
        [("train", "train"), ("test", "test"), ("wild", "wild"), ("wild_test", "test")]
    ):
        images, people = portrait.faces(IDENTITIES[count], PER_IDENTITY[count], seed=seed)
        names = [f"{split}{person:03d}_{index % PER_IDENTITY[count]}" for index, person in enumerate(people)]
        sets[split] = FaceSet.of(list(images), names, "embedded")
        if split.startswith("wild"):
            sets[f"{split}_lr"] = FaceSet.of(list(portrait.wild(images, 4, seed=seed)), names, "embedded wild")
    if files:
        pack(files[0], sets["train"], sets["test"])
        pack(files[1], sets["wild_lr"], sets["wild_test_lr"], sets["wild_test"])
    return Data(sets["train"], sets["test"], sets["wild_lr"], sets["wild_test_lr"], sets["wild_test"])
