"""Fixtures: real faces where they lie beside the checkout, small made-up sets, a command to call."""

import json
import os
import sys
from pathlib import Path

import pytest
import torch
from browser import chromium, visit  # noqa: F401  one browser for all tests
from smooth import smooth_images

from bench import plugins
from bench.cli import main
from bench.core.image import write_image
from bench.weights.add import add

THREADS = max(1, 2 // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))  # of a test process
torch.set_num_threads(THREADS)
os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))  # of the commands that tests start
ROOT = Path(__file__).parent.parent
LONG = (
    "cluster/test_isolated.py", "cluster/test_local.py", "grid/test_run.py", "testing/test_conforms.py", "grid/test_damage.py",
    "house/test_docs.py", "house/test_install.py", "reports/test_plots.py", "house/test_examples.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long begin first, so that no process waits for one at the end."""
    places = {ROOT / "tests" / name: index for index, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(scope="session")
def faces() -> Path:
    """The folder of real faces; skips where it is absent."""
    folder = ROOT.parent / "shared" / "faces"
    if not folder.is_dir():
        pytest.skip("needs the real faces in ../shared/faces")
    return folder


@pytest.fixture(scope="module")
def one_thread():
    """Layers this small lose more to waiting for a second thread than it gives them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch) -> Path:
    """Each test has a store of its own."""
    monkeypatch.setenv("BENCH_STORE", str(tmp_path / ".bench"))
    monkeypatch.setenv(
        "BENCH_ISOLATE", "never"
    )  # a process of their own costs seconds; tests/cluster/test_isolated.py has them
    return tmp_path / ".bench"


@pytest.fixture
def bench(capsys, monkeypatch):
    """Call a command in this process: bench("list", "methods") -> (exit code, output, errors)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        monkeypatch.setattr(plugins, "_local", [])
        plugins.catalogue.cache_clear()
        for name in [n for n in sys.modules if n.startswith("bench_plugin_")]:
            del sys.modules[name]
        try:
            code = main([str(a) for a in arguments])
        except SystemExit as stop:  # argparse
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        plugins.catalogue.cache_clear()
        return code, out, err

    return call


@pytest.fixture
def folders(tmp_path) -> tuple[Path, Path]:
    """An HR folder (32x32) and an LR folder (8x8), each with train/ and test/."""
    for what, size, seed in (("hr", 32, 0), ("lr", 8, 1)):
        for split, count in (("train", 12), ("test", 4)):
            folder = tmp_path / what / split
            folder.mkdir(parents=True)
            for index, image in enumerate(smooth_images(count, size, seed + len(split))):
                write_image(folder / f"{split}{index:02d}.png", image)
    return tmp_path / "hr", tmp_path / "lr"


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store of weights with a manifest of its own: store(name, content) puts a file there (a path, or what torch saves)."""
    rows = []
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("BENCH_MANIFEST", str(tmp_path / "manifest.json"))

    def put(name: str, content: object) -> Path:
        file = content if isinstance(content, Path) else tmp_path / f"{name}.pth"
        if not isinstance(content, Path):
            torch.save(content, file)
        rows.append({"name": name, "file": file.name, "purpose": "random values", "url": "", "sha256": "",
                     "bytes": file.stat().st_size, "licence": "", "opens": []})  # fmt: skip
        (tmp_path / "manifest.json").write_text(json.dumps(rows))
        add([str(file)])
        return file

    (tmp_path / "manifest.json").write_text("[]")
    return put


@pytest.fixture
def no_network(monkeypatch):
    """Whatever asks for a download fails."""

    def refuse(*_, **__):
        raise AssertionError("a download")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)


PLUGIN = '''
from dataclasses import dataclass
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
import bench


class Tiny(bench.Method):
    """A tiny network with everything that a resume must restore: momentum, schedule, averages, batch norm, noise."""

    @dataclass(frozen=True)
    class Params:
        width: int = 8
        lr: float = 1e-3
        steps: int = 60
        blow_up_at: int = -1

    variants = {"wide": {"width": 12}}
    quick = {"steps": 40}

    def build(self):
        w = self.params.width
        self.net = nn.Sequential(
            nn.Conv2d(3, w, 3, padding=1), nn.BatchNorm2d(w), nn.ReLU(), nn.Conv2d(w, 3 * self.scale**2, 3, padding=1),
            nn.PixelShuffle(self.scale),
        )

    def stages(self):
        stages = []
        for name in ("first", "second"):
            optimizer = torch.optim.Adam(self.net.parameters(), self.params.lr)
            schedule = torch.optim.lr_scheduler.StepLR(optimizer, 15, 0.5)
            stages.append(bench.Stage(
                name, self.params.steps // 2, self.step, {"net": optimizer}, {"net": schedule}, batch_size=4,
                augment=bench.Augment(zoom=0.1, rotate=10, jitter=0.1), ema={"net": 0.9}))
        return stages

    def step(self, batch, run):
        lr = self.degrade(batch.hr)
        loss = F.l1_loss(self.net(lr + 0.01 * torch.randn_like(lr)), batch.hr)
        if run.step == self.params.blow_up_at:
            loss = loss / 0
        run.minimize(loss, "net")

    def infer(self, lr):
        return self.net(lr).clamp(0, 1)


class Broken(bench.Method):
    """Raises."""

    def infer(self, lr):
        raise RuntimeError("this plugin is broken")


class Mae(bench.Metric):
    """Mean absolute error."""

    needs = ("hr",)

    def protocol(self, outputs):
        return "mean absolute error, 0-255"

    def score(self, outputs):
        values = np.array([np.abs(a.astype(float) - b).mean() for a, b in zip(outputs.sr, outputs.hr)])
        return bench.Score(values.mean(), per_image=values)
'''


@pytest.fixture
def plugin(tmp_path) -> Path:
    """A plugin file with a method that trains, one that raises, and a metric."""
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)
    return file
