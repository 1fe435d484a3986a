"""What is computed again when something changes: the rows of docs/keys.md, each tried."""

import re
from pathlib import Path

import numpy as np
import pytest

from bench import plugins
from bench.core import hashing
from bench.core.image import read_image, write_image
from bench.grid.recipe import Recipe
from bench.grid.run import Run
from bench.grid.settings import Settings

PLUGIN = '''
import dataclasses
import torch
import torch.nn.functional as F
import bench
from nets import Net, weigh


class Mine(bench.Method):
    """Words."""

    paper = "someone"
    default_degradation = "theirs"

    @dataclasses.dataclass(frozen=True)
    class Params:
        width: int = 4
        steps: int = 4
        sharpen: float = 0.0  # read by infer alone
        start: bench.File = bench.File("")

    variants = {"wide": {"width": 8}}

    def build(self):
        self.net = Net(self.params.width, self.scale)
        if self.params.start:
            self.net.load_state_dict(torch.load(self.params.start, weights_only=True))

    def stages(self):
        optimizer = torch.optim.Adam(self.net.parameters(), 1e-3)
        return [bench.Stage("all", self.params.steps, self.step, {"net": optimizer}, batch_size=4)]

    def step(self, batch, run):
        run.log(note=weigh(1.0))
        run.minimize(F.l1_loss(self.net(self.degrade(batch.hr)), batch.hr), "net")

    def infer(self, lr):
        return (self.net(lr) * (1 + self.params.sharpen)).clamp(0, 1)


class Theirs(bench.Degradation):
    stochastic = True

    def infer(self, hr, generator=None):
        lr = F.avg_pool2d(hr, self.scale)
        return (lr + 0.01 * torch.randn(lr.shape, generator=generator)).clamp(0, 1)


class Unrelated(bench.Method):
    def infer(self, lr):
        return F.interpolate(lr, scale_factor=self.scale)


class Mae(bench.Metric):
    needs = ("hr",)
    title = "MAE"

    def protocol(self, outputs):
        return "mean absolute error"

    def score(self, outputs):
        return bench.per_face(lambda a, b: (a - b).abs().mean((1, 2, 3)), outputs.sr, outputs.hr)
'''
NETS = '''
from torch import nn


class Net(nn.Sequential):
    """Words."""

    def __init__(self, width, scale):
        super().__init__(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 3 * scale**2, 3, padding=1),
                         nn.PixelShuffle(scale))


def weigh(x):
    return 2 * x


def unused(x):
    return 3 * x
'''
ALL = {"training", "LR", "restored", "scores"}


@pytest.fixture
def world(folders, tmp_path, monkeypatch):
    """A plugin of two files; world(**settings) -> the keys of everything that a run with it computes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "_local", [])
    Path("mine.py").write_text(PLUGIN)
    Path("nets.py").write_text(NETS)
    Path("start.pt").write_bytes(b"weights")

    def keys(**settings) -> dict[str, object]:
        import sys

        for name in [n for n in sys.modules if n.startswith("bench_plugin_")]:
            del sys.modules[name]
        plugins.use("mine.py")
        given = {"methods": "mine", "conditions": "theirs", "metrics": "mae", "hr": "hr", "lr": "lr", "device": "cpu",
                 "out": str(tmp_path / "out"), "quiet": True, **settings}  # fmt: skip
        run = Run(Settings(**given))
        method, condition = run.plan.methods[0], run.plan.conditions[0]
        lr = run.artefacts.condition(condition, method)
        assert isinstance(lr, Recipe)
        images = run.artefacts.sr_key(method, condition)
        score = run.cells.of_score(run.plan.measures[0], images)
        return {"training": method.weights, "LR": run.artefacts.lr_key(lr), "restored": images, "scores": score}

    yield keys
    plugins.catalogue.cache_clear()


def edit(file: str, old: str, new: str) -> None:
    text = Path(file).read_text()
    assert old in text
    Path(file).write_text(text.replace(old, new))


def brighter() -> None:
    file = Path("hr/test/test00.png")
    write_image(file, np.minimum(read_image(file), 200))


def newer(package: str, monkeypatch) -> None:
    found = hashing.version
    monkeypatch.setattr("bench.grid.resolve.version", lambda name: "99" if name == package else found(name))


TRAINED, TESTED, RESTORED = {"training", "restored", "scores"}, {"LR", "restored", "scores"}, {"restored", "scores"}
BLACK = np.zeros((3, 32, 32), np.uint8)
WORDS = (("someone", "else"), ('"width": 8', '"width": 9'), ('"MAE"', '"mae"'))
# you change -> recomputed (besides what follows from it)
ROWS = {
    "nothing": (lambda m: {}, set()),
    "a comment, the layout or a docstring": (lambda m: edit("mine.py", '"""Words."""', '"""Other words."""  # more'), set()),
    "a docstring of a file that the plugin imports": (lambda m: edit("nets.py", '"""Words."""', '"""Other."""'), set()),
    "another class of the plugin's file": (lambda m: edit("mine.py", "F.interpolate(", "-F.interpolate("), set()),
    "a function that the plugin does not reach": (lambda m: edit("nets.py", "3 * x", "4 * x"), set()),
    "`paper`, `variants`, a metric's `title`": (lambda m: [edit("mine.py", *pair) for pair in WORDS], set()),
    "`build`": (lambda m: edit("mine.py", "self.params.width, ", "self.params.width + 0, "), TRAINED),
    "a step": (lambda m: edit("mine.py", "F.l1_loss", "F.mse_loss"), TRAINED),
    "a network in a file beside the plugin": (lambda m: edit("nets.py", "nn.ReLU()", "nn.ELU()"), TRAINED),
    "a function that a step calls": (lambda m: edit("nets.py", "2 * x", "5 * x"), TRAINED),
    "`infer`": (lambda m: edit("mine.py", "(1 + self", "(1.0 + self"), RESTORED),
    "an option that only `infer` reads": (lambda m: {"methods": "mine[sharpen=0.1]"}, RESTORED),
    "an option that training reads": (lambda m: {"methods": "mine[width=6]"}, TRAINED),
    "the content of a file that an option names": (lambda m: Path("start.pt").write_bytes(b"others!"), TRAINED),
    "the degradation": (lambda m: edit("mine.py", "0.01 * torch", "0.02 * torch"), ALL),
    "a metric": (lambda m: edit("mine.py", "(a - b).abs()", "((a - b) ** 2)"), {"scores"}),
    "a package that a metric names": (lambda m: newer("scipy", m), {"scores"}),
    "torch": (lambda m: newer("torch", m), ALL),
    "a training face": (lambda m: write_image("hr/train/train00.png", BLACK), TRAINED),
    "a test face": (lambda m: brighter(), TESTED),
    "the name or the time of the run's folder": (lambda m: {"out": "elsewhere"}, set()),
    "`--seed`": (lambda m: {"seeds": (1,)}, TRAINED),
    "`--condition-seed`": (lambda m: {"condition_seed": 1}, TESTED),
    "`--precision`": (lambda m: {"precision": "bf16"}, TRAINED),
    "`--budget`": (lambda m: {"budget": 5.0}, TRAINED),
    "`--devices`, `--compile`": (lambda m: {"devices": 2, "compile": True}, TRAINED),
    "`--reference`": (lambda m: {"reference": "hr/test"}, {"scores"}),
    "`--store`, `--strict`": (lambda m: {"store": "elsewhere", "strict": True}, set()),
    "`--checkpoint-every`, `--quiet`": (lambda m: {"checkpoint_every": 7, "quiet": True}, set()),
    "the version of the training loop": (lambda m: m.setattr("bench.grid.resolve.LOOP", 99), TRAINED),
    "the version of inference": (lambda m: m.setattr("bench.grid.resolve.INFERENCE", 99), {"LR"} | TRAINED),
    "the version of scores": (lambda m: m.setattr("bench.grid.resolve.SCORES", 99), {"scores"}),
}  # fmt: skip


@pytest.mark.parametrize("change", ROWS)
def test_what_changes_is_computed_again_and_nothing_else(world, monkeypatch, change):
    if "package" in change:
        edit("mine.py", '    title = "MAE"', '    title = "MAE"\n    libraries = ("scipy",)')
    with_file = {"methods": "mine[start=start.pt]"} if "file that an option" in change else {}
    before = world(**with_file)
    assert world(**with_file) == before
    action, expected = ROWS[change]
    settings = action(monkeypatch)
    after = world(**with_file, **(settings if isinstance(settings, dict) else {}))
    assert {part for part in before if before[part] != after[part]} == expected


def test_the_page_on_keys_has_every_row():
    page = (Path(__file__).parents[2] / "docs" / "keys.md").read_text()
    rows = {m[1].strip(): set(re.findall(r"training|LR|restored|scores", m[2]))
            for m in re.finditer(r"^\| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE)}  # fmt: skip
    assert {change: expected for change, (_, expected) in ROWS.items()}.items() <= rows.items()
