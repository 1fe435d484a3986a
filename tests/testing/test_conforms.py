"""The conformance suite passes every built-in, and names what a broken plugin does, with its line."""

import json

import pytest

from bench import plugins
from bench.testing import conforms

pytestmark = pytest.mark.usefixtures("one_thread")
BUILT_IN = [(kind, name) for kind in plugins.KINDS for name in plugins.names(kind)]


@pytest.mark.parametrize(("kind", "name"), BUILT_IN, ids=[f"{k}-{n}" for k, n in BUILT_IN])
def test_every_built_in_conforms(kind, name):
    found = conforms(name, kind=kind)
    ran = [f for f in found if f.status == "ok"]
    assert ran or "options only" in found[0].came


METHOD = """
from dataclasses import dataclass
import random
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
import bench

class Gain(nn.Conv2d):
    def __init__(self, gain):
        super().__init__(3, 3, 3, padding=1)
        self.gain = gain

    def forward(self, x):
        return super().forward(x) + self.gain

def up(lr):
    return lr.repeat_interleave(4, 2).repeat_interleave(4, 3)

class Subject(bench.Method):
    \"\"\"A method that is wrong in one way.\"\"\"

    @dataclass(frozen=True)
    class Params:
        width: int = 4

    quick = {}

    def build(self):
        self.net = nn.Conv2d(3, 3, 3, padding=1)
        self.other = nn.Conv2d(3, 3, 3, padding=1)

    def stages(self):
        return [bench.Stage("one", 4, self.step, {"net": torch.optim.Adam(self.net.parameters(), 1e-3)}, batch_size=2)]

    def step(self, batch, run):
        run.minimize(F.mse_loss(self.infer(self.degrade(batch.hr)), batch.hr), "net")

    def infer(self, lr):
        return up(lr + 0.1 * self.net(lr))
"""

WRONG = {  # what is replaced, by what, the check that must fail, what it must say
    "size": ("up(lr + 0.1", "(lr + 0.1", "shapes", "(1, 3, 64, 64)"),
    "nan": ("up(lr + 0.1", "up(lr / 0 + 0.1", "shapes", "NaN"),
    "0-255": ("return up(lr + 0.1 * self.net(lr))", "return up(lr + 0.1 * self.net(lr)) * 255", "range", "divide by 255"),
    "-1-1": ("return up(lr + 0.1 * self.net(lr))", "return up(lr + 0.1 * self.net(lr)) * 2 - 1", "range", "(x + 1) / 2"),
    "in place": ("return up(lr + 0.1", "return up(lr.mul_(0.9) + 0.1", "leaves its input", "changed in place"),
    "batch": ("return up(lr + 0.1", "return up(lr - lr.mean() + 0.5 + 0.1", "do not mix", "a difference of"),
    "random": ("return up(lr + 0.1", "return up(lr + 0.05 * torch.rand_like(lr) + 0.1", "same twice", "two outputs"),
    "global": ("return up(lr + 0.1", "random.random(); return up(lr + 0.1", "global random", "one from random"),
    "not saved": ("self.net = nn.Conv2d(3, 3, 3, padding=1)", "self.net = Gain(torch.rand(1).item())",
                  "saved", "not saved"),
    "untrained": ("self.net.parameters(), 1e-3", "[*self.net.parameters(), *self.other.parameters()], 1e-3",
                  "gradients reach", "none for other.weight"),
    "moved": ('run.minimize', 'self.other.weight.data.add_(1); run.minimize', "gradients reach", "other.weight moved"),
    "resume": ("run.minimize(F", "self.count = getattr(self, 'count', 0) + 1; run.minimize(self.count * F", "resumed", "another"),
    "variants": ("quick = {}", "quick = {}\n    variants = {'a': {'width': 8}, 'b': {'width': 8}}", "variants", "the same as a"),
    "mutable": ("frozen=True", "frozen=False", "frozen", "frozen=True"),
    "prepare": ("quick = {}", "quick = {}\n\n    def prepare(self, *_):\n        self.register_buffer('mean', torch.ones(3))\n",
                "saved", "registered in `build`"),
    "slow": ('"one", 4,', '"one", 10**9,', "quick preset", "at most 1200 s"),
    "raises": ("return up(lr + 0.1", "return undefined + up(lr + 0.1", "shapes", "NameError"),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
def test_a_broken_method_is_told_what_where_and_which_page(bench, tmp_path, fault):
    old, new, check, words = WRONG[fault]
    assert old in METHOD
    file = tmp_path / "wrong.py"
    file.write_text(METHOD.replace(old, new, 1))
    code, out, err = bench("check", file, "--json")
    failed = [row for row in json.loads(out) if row["status"] == "failed"]
    mine = next((row for row in failed if check in row["check"]), None)
    assert code == 1 and mine is not None, out + err
    assert words in mine["came"] or words in mine["expected"], mine
    assert mine["line"].startswith("wrong.py:") and mine["page"].startswith("docs/plugins.md#")


def test_a_method_that_is_right_passes_and_later_checks_go_on(bench, tmp_path):
    file = tmp_path / "right.py"
    file.write_text(METHOD)
    code, out, _ = bench("check", file)
    assert code == 0 and "0 failed" in out, out
    file.write_text(METHOD.replace("return up(lr + 0.1", "return undefined + up(lr + 0.1"))
    code, out, _ = bench("check", file)
    assert code == 1 and "can be copied" in out and "right.py:" in out
    file.write_text(METHOD.replace("run.minimize(F", "run.minimise(F"))
    code, out, _ = bench("check", file)
    assert code == 1 and out.count("no attribute 'minimise'") == 1 and "(it does not train)" in out, out  # said once


DEGRADATION = """
import torch
import torch.nn.functional as F
import bench

class Subject(bench.Degradation):
    \"\"\"A degradation.\"\"\"
    stochastic = True

    def infer(self, hr, generator=None):
        lr = F.avg_pool2d(hr, self.scale)
        return (lr + 0.01 * torch.randn(lr.shape, generator=generator)).clamp(0, 1)
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("generator=generator", "", "all randomness from the generator"),
        ("stochastic = True", "stochastic = False", "stochastic = True"),
        ("0.01 *", "0 *", "another output for another seed"),
    ],
)
def test_a_degradation_draws_from_its_generator_and_says_so(bench, tmp_path, old, new, words):
    file = tmp_path / "wrong.py"
    file.write_text(DEGRADATION)
    assert bench("check", file)[0] == 0
    file.write_text(DEGRADATION.replace(old, new))
    code, out, _ = bench("check", file)
    assert code == 1 and words in out


METRIC = """
import numpy as np
import bench

class Subject(bench.Metric):
    \"\"\"Mean absolute error.\"\"\"
    direction = "lower"
    needs = ("hr",)

    def protocol(self, outputs):
        return "mean absolute error"

    def score(self, outputs):
        values = np.array([abs(a.astype(float) - b).mean() for a, b in zip(outputs.sr, outputs.hr)])
        return bench.Score(values.mean(), per_image=values)
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"lower"', '"higher"', "higher to be better"),
        ("per_image=values", "per_image=values[:3]", "3 values"),
        ("per_image=values", "per_image=np.sort(values)", "depend on the order"),
        ("values.mean()", "float('nan')", "NaN"),
        ("values = np", "outputs.sr[0][:] = 0; values = np", "changed in place"),
        ("values.mean()", "values.mean() + np.random.rand()", "random numbers"),
        ('"mean absolute error"', '""', "one line"),
        ('("hr",)', '("truth",)', "truth"),
    ],
)
def test_a_broken_metric_is_told_what(bench, tmp_path, old, new, words):
    file = tmp_path / "wrong.py"
    file.write_text(METRIC)
    assert bench("check", file)[0] == 0
    file.write_text(METRIC.replace(old, new))
    code, out, _ = bench("check", file)
    assert code == 1 and words in out, out
