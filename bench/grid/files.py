"""Models at work outside training: building on trained weights, inference over face sets, their files."""

from __future__ import annotations

import dataclasses
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.api.metric import Score
from bench.api.model import Model
from bench.core.files import copy, write_atomically, write_json
from bench.core.image import write_image
from bench.core.tensors import load_tensors
from bench.errors import UsageError
from bench.faces.faceset import FaceSet
from bench.faces.packed import unpack, write
from bench.grid.recipe import Recipe

TUNED = "degradation.pt"  # beside a method's model.pt: its degradation, as the joint stage left it


def about(recipe: Recipe) -> dict[str, Any]:
    """What a file of weights says of how to build the model."""
    return {
        "kind": recipe.kind,
        "name": recipe.name,
        "label": recipe.label,
        "params": plain(dataclasses.asdict(recipe.params)),
        "scale": recipe.scale,
        "hr_size": recipe.hr_size,
        "degradation": recipe.degradation.label if recipe.degradation else "",
    }


def plain(value: Any) -> Any:
    """Parameters as values that any reader of the file knows: paths as text."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(plain, value))
    return str(value) if isinstance(value, str | Path) else value


def save_model(folder: Path, recipe: Recipe, result: dict[str, Any]) -> None:
    """model.pt (weights and how to build them) and training.json (how they came about); degradation.pt where it was tuned."""
    torch.save({**about(recipe), "model": result["model"]}, folder / "model.pt")
    if "degradation" in result:
        assert recipe.degradation is not None
        torch.save({**about(recipe.degradation), "model": result["degradation"]}, folder / TUNED)
    training = {k: v for k, v in result.items() if k not in ("model", "degradation")}
    with torch.device("meta"):
        training["parameters"] = dataclasses.replace(recipe, degradation=None).build().parameter_count()
    write_json(folder / "training.json", {**about(recipe), **training})


def show_weights(entry: Path, recipe: Recipe, target: Path) -> None:
    """A checkpoint of this model for `bench infer`: a copy; where models share a training, with its own options."""
    made = json.loads((entry / "training.json").read_text(encoding="utf-8"))
    if all(made[key] == value for key, value in json.loads(json.dumps(about(recipe))).items()):
        copy(entry / "model.pt", target)
        return
    saved, content = load_tensors(entry / "model.pt"), io.BytesIO()
    torch.save({**about(recipe), "model": saved["model"]}, content)
    if not target.is_file() or target.read_bytes() != content.getvalue():
        write_atomically(target, lambda temporary: temporary.write_bytes(content.getvalue()))


def load_weights(model: Model, path: Path) -> None:
    """Weights of a finished training. Raises UsageError where the file is not one, or of another architecture."""
    saved = load_tensors(path)
    try:
        model.load_state_dict(saved["model"])
    except Exception as error:
        raise UsageError(
            f"{path}: not weights of {type(model).__name__} ({str(error).partition(chr(10))[0]})"
        ) from error


def save_score(folder: Path, value: dict[str, Any], score: Score) -> None:
    """score.json, and under figures/ a score's pictures, listed with their places in figures.json."""
    write_json(folder / "score.json", {**value, "measured": score.measured})
    if score.pictures:
        (folder / "figures").mkdir()
        listed = []
        for index, picture in enumerate(score.pictures):
            about = {"group": picture.group, "label": picture.label, "note": picture.note, "of": picture.of}
            listed.append({**about, "file": f"{index:03d}.png"})
            write_image(folder / "figures" / f"{index:03d}.png", picture.image)
        write_json(folder / "figures" / "figures.json", listed)


FACES = "faces.safetensors"  # the file of an entry of LR or restored faces


def write_faces(folder: Path, names: list[str], images: list[np.ndarray]) -> None:
    """All faces in one file, under any names."""
    order = sorted(range(len(names)), key=names.__getitem__)
    write(folder / FACES, {"faces": ([names[i] for i in order], ((names[i], images[i]) for i in order))})


@dataclass(frozen=True)
class Apart:
    """What a method that restores all faces together said: why faces failed, and notes for the reader."""

    failed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def write_restored(folder: Path, names: list[str], restored: list[np.ndarray | str], notes: list[str]) -> None:
    """The restored faces, and apart.json: why the others are not there."""
    failed = {name: image for name, image in zip(names, restored, strict=True) if isinstance(image, str)}
    there = {name: image for name, image in zip(names, restored, strict=True) if not isinstance(image, str)}
    write_faces(folder, list(there), list(there.values()))
    write_json(folder / "apart.json", dataclasses.asdict(Apart(failed, notes)))


def restored_apart(folder: Path) -> Apart:
    """What ``write_restored`` kept beside the faces; nothing where every face is there."""
    file = folder / "apart.json"
    return Apart(**json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else Apart()


def read_faces(folder: Path, names: list[str]) -> FaceSet:
    return unpack(folder / FACES, str(folder), ("faces",))[0].only(names)
