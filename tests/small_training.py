"""Steps and trainings of a test's size: a hand that notes losses, a short `fit`, faces learnt by heart."""

from pathlib import Path

import torch
from bench.degradations.conditions import Bicubic
from torch import Tensor

from bench.core.image import read_image, resize, to_float, upsample
from bench.faces.faceset import Data, FaceSet
from bench.training.loop import fit
from bench.training.settings import TrainSettings


class FakeRun:
    """Notes the losses by optimizer and what is logged, and steps nothing. ``fresh``: what further draws give."""

    def __init__(self, fresh=None, progress=0.0):
        self.fresh, self.progress, self.losses, self.logged = fresh, progress, {}, {}

    def draw(self):
        return self.fresh

    def minimize(self, loss, name):
        self.losses[name] = loss

    def log(self, **values):
        self.logged |= values

    def images(self, **_):
        pass

    def fp32(self):
        return torch.autocast("cpu", enabled=False)


def face_set(images: Tensor) -> FaceSet:
    """(B, 3, H, W) in [0, 1] as a face set."""
    return FaceSet.of(list((images * 255).round().byte().numpy()), [f"{i:02d}" for i in range(len(images))], "test")


def train(model, hr: Tensor, folder: Path, real: Tensor | None = None, **settings) -> dict:
    """What `fit` returns for a model on these HR and real LR faces, (B, 3, H, W) in [0, 1]."""
    given = TrainSettings("cpu", **{"precision": "fp32", **settings})
    data = Data(face_set(hr), face_set(hr), None if real is None else face_set(real))
    return fit(lambda: model, data, given, checkpoint=folder / "part.pt", quiet=True)


def few_faces(faces: Path, count: int = 4) -> Tensor:
    """(count, 3, 32, 32) in [0, 1]: real training faces, at half their size for the test's sake."""
    files = sorted((faces / "hr64" / "train").glob("*.png"))[:count]
    return resize(torch.stack([to_float(torch.from_numpy(read_image(f))) for f in files]), 32).clamp(0, 1)


def gain_by_heart(model, hr: Tensor, folder: Path) -> float:
    """PSNR above bicubic, dB, on the bicubic LR of the very faces that the model is trained on."""
    model.load_state_dict(train(model, hr, folder)["model"], strict=False)
    lr = Bicubic().infer(hr)

    def psnr(x: Tensor) -> float:
        return -10 * torch.log10((x.clamp(0, 1) - hr).square().mean((1, 2, 3))).mean().item()

    with torch.inference_mode():
        return psnr(model.eval().infer(lr)) - psnr(upsample(lr, 4))
