"""Where a face lies in a picture, by facexlib's networks on local files: boxes, landmarks, the aligned crop."""

import csv
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

import bench
from bench import weights
from bench.kit.offline import standing_in

from .arcface import SIDE

DETECTORS = {"retinaface-resnet50": "resnet50", "retinaface-mobile": "mobile0.25"}  # as facexlib calls them
EYES = (60, 72)  # outer corners, of WFLW's 98 landmarks


def detector(name: str, device: torch.device) -> Any:
    """facexlib's RetinaFace on its local file. Raises MissingWeights."""
    from facexlib.detection.retinaface import RetinaFace

    saved = weights.load(name)
    model = RetinaFace(network_name=DETECTORS[name], device=device)
    model.load_state_dict({key.removeprefix("module."): value for key, value in saved.items()})
    return model.eval().requires_grad_(False).to(device)


def bgr(image: np.ndarray) -> np.ndarray:
    """(3, H, W) RGB -> (H, W, 3) BGR, as facexlib takes it."""
    return np.ascontiguousarray(image[::-1].transpose(1, 2, 0))


def detected(model: Any, image: np.ndarray, confidence: float) -> np.ndarray:
    """(3, H, W) uint8 -> (F, 15): box, confidence and five points (x, y) of each face, the surest first."""
    return model.detect_faces(bgr(image), confidence)


def warped(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(3, H, W) uint8 and (5, 2) points in it -> (3, 112, 112): moved to ArcFace's places, by facexlib."""
    from facexlib.detection.align_trans import get_reference_facial_points, warp_and_crop_face

    places = get_reference_facial_points(default_square=True)
    rgb = np.ascontiguousarray(image.transpose(1, 2, 0))
    return warp_and_crop_face(rgb, points, places, crop_size=(SIDE, SIDE)).transpose(2, 0, 1)


@lru_cache(maxsize=4)
def read_points(file: str) -> dict[str, np.ndarray]:
    """Face's name -> (5, 2): a CSV of a name and ten numbers a row, eyes, nose, corners of the mouth. Raises Unavailable."""
    found: dict[str, np.ndarray] = {}
    try:
        with open(file, newline="", encoding="utf-8") as rows:
            for name, *numbers in csv.reader(rows):
                try:
                    found[name] = np.array(numbers, np.float64).reshape(5, 2)
                except ValueError:
                    if found:
                        raise  # only the first row may be a heading
    except (OSError, ValueError) as error:
        raise bench.Unavailable(f"points={file}: not rows of a name and ten numbers ({error})") from None
    return found


def aligner(device: torch.device) -> Any:
    """facexlib's AWing network of 98 landmarks on its local file. Raises MissingWeights."""
    from facexlib.alignment import FAN

    saved = weights.load("awing-fan")
    model = FAN(num_modules=4, num_landmarks=98, device=device)
    model.load_state_dict(saved.get("state_dict", saved))
    return model.eval().requires_grad_(False).to(device)


def landmarks(model: Any, image: np.ndarray) -> np.ndarray | None:
    """(3, H, W) uint8 -> (98, 2) in its pixels; None where one lies in the last corner, where facexlib has no answer."""
    from facexlib.alignment import awing_arch

    numpy = SimpleNamespace(**{**vars(np), "float": float})  # facexlib's name for it, which numpy has no more
    try:
        with standing_in(awing_arch, "np", numpy):
            return model.get_landmarks(bgr(image))
    except IndexError:
        return None
