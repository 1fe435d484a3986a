"""The harness's own part in a number enters keys as versions: a few bits of it, which must not change under one version.

Where a test fails because results were meant to change: raise the version in bench/grid/versions.py and add its values here.
"""

import numpy as np
import pytest
import torch
from bench.degradations.conditions import Noise
from smooth import smooth_images
from torch import nn

import bench
from bench.api.metric import Score
from bench.faces.faceset import Data, FaceSet
from bench.grid import versions
from bench.grid.inference import apply, degrade
from bench.grid.scores import score_rows
from bench.training.loop import fit
from bench.training.settings import TrainSettings

TRAINED = {
    2: [  # 2: faces of one size lie in the order of their names
        0.016442,
        0.023165,
        0.100945,
        0.101675,
        0.112913,
        0.217967,
        0.203284,
        0.199725,
        0.328036,
        -0.050548,
        -0.186582,
        -0.299854,
    ]
}
MADE = {1: [137.333333, 123.979167, 139.166667, 211.0, 82.0, 113.0]}
SCORED = {
    3: [3.625, 4.0, -0.451296, 7.701296, 2.0, 4.0, 1.0, 1.0, 2.5, 1.0, 4.0, 1.0, 7.0, 1.0]
}  # 3: expanded percentiles


class Golden(bench.Method):
    """Everything that the loop does: two stages, augmentation, averages, schedules, clipping, unpaired LR."""

    def build(self):
        self.net = nn.Conv2d(3, 3, 1)
        with torch.no_grad():
            self.net.weight.copy_(torch.arange(9.0).view(3, 3, 1, 1) / 16)
            self.net.bias.zero_()

    def stages(self):
        found = []
        for name, augment in (("first", bench.Augment(zoom=0.1, rotate=10, jitter=0.1)), ("second", bench.Augment())):
            optimizer = torch.optim.SGD(self.net.parameters(), 0.5, momentum=0.5)
            schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
            found.append(bench.Stage(name, 4, self.step, {"net": optimizer}, {"net": schedule}, batch_size=3,
                                     augment=augment, ema={"net": 0.5}, clip=1.0))  # fmt: skip
        return found

    def step(self, batch, run):
        noise = torch.rand(1) + torch.rand(1, generator=run.generator)
        lr = self.degrade(batch.hr)
        run.minimize((self.net(lr) - 0.5 * noise).square().mean() + self.net(batch.lr_real).abs().mean(), "net")

    def infer(self, lr):
        return self.net(lr)


def faces(count: int, size: int, seed: int) -> FaceSet:
    return FaceSet.of(list(smooth_images(count, size, seed)), [f"{i:02d}" for i in range(count)])


def trained(folder) -> list[float]:
    data = Data(faces(6, 16, 0), faces(2, 16, 1), faces(5, 4, 2), faces(2, 4, 3))
    settings = TrainSettings("cpu", precision="fp32", seed=3)
    build = lambda: Golden(scale=4, hr_size=16, degradation=Noise(scale=4))
    result = fit(build, data, settings, checkpoint=folder / "x.pt", quiet=True)["model"]
    return [*result["net.weight"].flatten().tolist(), *result["net.bias"].tolist()]


def made() -> list[float]:
    model = Noise(scale=4)
    images = apply(lambda hr: degrade(model, hr, 5), faces(3, 16, 4), torch.device("cpu"))
    return [float(image.mean()) for image in images] + [float(image[0, 0, 0]) for image in images]


def scored() -> list[float]:
    values = np.array([1.0, 2.5, np.nan, 4.0, 7.0])
    rows = score_rows(Score(float(np.nanmean(values)), per_image=values, extra={"more": 2.0}), list("abcde"), 7)
    return [float(row[key]) for row in rows for key in ("value", "n", "ci_low", "ci_high") if row.get(key) is not None]


@pytest.mark.parametrize(
    ("name", "version", "known", "made_now"),
    [
        ("LOOP", versions.LOOP, TRAINED, lambda folder: trained(folder)),
        ("INFERENCE", versions.INFERENCE, MADE, lambda folder: made()),
        ("SCORES", versions.SCORES, SCORED, lambda folder: scored()),
    ],
)
def test_results_change_only_with_their_version(tmp_path, name, version, known, made_now):
    assert version in known, f"add the values of {name} {version}"
    assert made_now(tmp_path) == pytest.approx(known[version], abs=2e-5), (
        f"results changed: raise {name} in versions.py"
    )
