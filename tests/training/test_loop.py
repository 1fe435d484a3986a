"""The harness's hand and loop, against plain arithmetic."""

import pytest
import torch
from bench.degradations.conditions import Noise
from small_training import face_set
from torch import nn

from bench.api.model import Method
from bench.api.training import Augment, Stage
from bench.errors import TrainingFailed
from bench.faces.faceset import Data
from bench.training.loop import fit
from bench.training.settings import TrainSettings

pytestmark = pytest.mark.usefixtures("one_thread")


class Two(Method):
    """Two numbers, each with an optimizer of its own; SGD at rate 0.5, halved every second step."""

    def build(self):
        self.a, self.b = (nn.Linear(1, 1, bias=False) for _ in range(2))
        for layer in (self.a, self.b):
            nn.init.ones_(layer.weight)
        self.frozen = nn.Linear(1, 1)
        self.seen, self.rates, self.gradients, self.steps_seen = [], [], [], []
        self.options = {}

    def stages(self):
        optimizers = {name: torch.optim.SGD(getattr(self, name).parameters(), 0.5) for name in "ab"}
        schedulers = {n: torch.optim.lr_scheduler.StepLR(o, 2, 0.5) for n, o in optimizers.items()}
        self.optimizers = optimizers
        plain = Augment(flip=False)
        return [Stage("both", 4, self.step, optimizers, schedulers, batch_size=3, augment=plain, **self.options)]

    def step(self, batch, run):
        self.seen.append(batch)
        self.steps_seen.append((run.step, run.steps, run.progress))
        self.rates.append(self.optimizers["a"].param_groups[0]["lr"])
        a, b = self.a.weight, self.b.weight
        run.minimize((a * b + 2 * a).sum(), "a")
        self.gradients.append((a.grad.item(), b.grad))
        run.minimize(((a + 1) * b * 0.25).sum(), "b")
        b.grad = None
        run.log(twice=run.step * 2.0)


def faces(count, side, seed):
    return face_set(torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed)))


def go(tmp_path, options=None, **settings):
    model = Two(hr_size=16, degradation=Noise())
    model.options = options or {}
    data = Data(faces(7, 16, 0), faces(1, 16, 1), faces(5, 4, 2))
    given = TrainSettings("cpu", **{"precision": "fp32", "log_every": 2, **settings})
    return model, fit(lambda: model, data, given, checkpoint=tmp_path / "part.pt", quiet=True)


def by_hand():
    """The same by plain numbers: a and b after each step."""
    a = b = 1.0
    for step in range(4):
        rate = 0.5 * 0.5 ** (step // 2)
        a -= rate * (b + 2)
        b -= rate * (a + 1) * 0.25
        yield a, b


def test_each_loss_moves_its_own_parameters_at_the_schedules_rate(tmp_path):
    model, result = go(tmp_path)
    a, b = list(by_hand())[-1]
    assert model.a.weight.item() == pytest.approx(a) and model.b.weight.item() == pytest.approx(b)
    assert model.rates == [0.5, 0.5, 0.25, 0.25]
    assert all(other is None for _, other in model.gradients), "no gradient for another optimizer's parameters"
    assert model.gradients[1][0] == pytest.approx(next(by_hand())[1] + 2), "gradients do not add up over steps"
    assert model.frozen.weight.grad is None and result["steps"] == 4
    assert [s for s, _, _ in model.steps_seen] == [0, 1, 2, 3] and [p for _, _, p in model.steps_seen] == [
        0,
        0.25,
        0.5,
        0.75,
    ]
    assert result["curve"]["twice"] == [[2, 1.0], [4, 5.0]], "curves are means since the last"


def test_averages_are_exponential(tmp_path):
    _, result = go(tmp_path, {"ema": {"a": 0.9}})
    average = None
    for a, _ in by_hand():
        average = a if average is None else 0.9 * average + 0.1 * a
    assert result["model"]["a.weight"].item() == pytest.approx(average, rel=1e-5)
    assert result["model"]["b.weight"].item() == pytest.approx(list(by_hand())[-1][1], rel=1e-5)


def test_gradients_are_clipped_to_a_norm(tmp_path):
    model, _ = go(tmp_path, {"clip": 0.5})
    assert all(g == pytest.approx(0.5, rel=1e-4) for g, _ in model.gradients)


def test_hr_and_real_lr_are_drawn_apart_and_follow_the_seed(tmp_path):
    first, _ = go(tmp_path / "1")
    again, _ = go(tmp_path / "2")
    other, _ = go(tmp_path / "3", seed=1)
    hr = [torch.cat([b.hr for b in m.seen]) for m in (first, again, other)]
    assert torch.equal(hr[0], hr[1]) and not torch.equal(hr[0], hr[2])

    def rows(batches, pick):
        drawn = torch.cat([pick(b) for b in batches]).flatten(1)
        kinds = drawn.unique(dim=0)
        return [(kinds == face).all(1).nonzero().item() for face in drawn]

    assert rows(first.seen, lambda b: b.hr) != rows(first.seen, lambda b: b.lr_real), "unpaired"


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path):
    model = Two(hr_size=16, degradation=Noise())
    step = model.step
    model.step = lambda batch, run: step(batch, run) or run.minimize(model.b.weight.sum() * float("nan"), "b")
    data = Data(faces(7, 16, 0), faces(1, 16, 1))
    with pytest.raises(TrainingFailed, match="not finite at step 1"):
        fit(lambda: model, data, TrainSettings("cpu", precision="fp32"), checkpoint=tmp_path / "part.pt", quiet=True)


def test_networks_train_in_train_mode(tmp_path):
    model, seen = Two(hr_size=16, degradation=Noise()), []
    step = model.step
    model.step = lambda batch, run: (
        seen.append((model.training, model.a.training, model.degradation.training)) or step(batch, run)
    )
    data = Data(faces(7, 16, 0), faces(1, 16, 1))
    fit(lambda: model, data, TrainSettings("cpu", precision="fp32"), checkpoint=tmp_path / "part.pt", quiet=True)
    assert seen == [(True, True, False)] * 4, "and its degradation not"
