"""Models at work outside training: building on trained weights, inference over face sets, their files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.api.metric import Score
from bench.api.model import Model
from bench.core.files import link, write_json
from bench.core.image import read_image, write_image
from bench.errors import UsageError
from bench.faces.faceset import FaceSet
from bench.grid.recipe import Recipe


def save_model(folder: Path, recipe: Recipe, result: dict[str, Any]) -> None:
    """model.pt (weights and how to build them) and training.json (how they came about)."""
    about = {
        "kind": recipe.kind,
        "name": recipe.name,
        "label": recipe.label,
        "params": dataclasses.asdict(recipe.params),
        "scale": recipe.scale,
        "hr_size": recipe.hr_size,
        "degradation": recipe.degradation.label if recipe.degradation else "",
    }
    torch.save({**about, "model": result["model"]}, folder / "model.pt")
    training = {k: v for k, v in result.items() if k != "model"}
    with torch.device("meta"):
        training["parameters"] = dataclasses.replace(recipe, degradation=None).build().parameter_count()
    write_json(folder / "training.json", {**about, **training})


def load_weights(model: Model, path: Path) -> None:
    """Weights of a finished training. Raises UsageError where the file is not one, or of another architecture."""
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(saved["model"])
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
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


def write_faces(folder: Path, names: list[str], images: list[np.ndarray]) -> None:
    for name, image in zip(names, images, strict=True):
        write_image(folder / f"{name}.png", image)


def read_faces(folder: Path, names: list[str]) -> FaceSet:
    return FaceSet.of([read_image(folder / f"{name}.png") for name in names], names, str(folder))


def show_folder(source: Path, target: Path) -> None:
    for file in source.glob("*.png"):
        if not (target / file.name).exists() or not (target / file.name).samefile(file):
            link(file, target / file.name)


def show_faces(faces: FaceSet, target: Path) -> None:
    if all((target / f"{name}.png").exists() for name in faces.names):
        return
    target.mkdir(parents=True, exist_ok=True)
    write_faces(target, faces.names, faces.images())
