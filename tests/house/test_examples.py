"""The examples are installed and run: the package by its entry point, the others as files."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from bench import plugins
from bench.testing import conforms

EXAMPLES = Path(__file__).parents[2] / "examples"


def installed(source: Path, site: Path) -> dict[str, str]:
    """An environment in which a package is installed beside this checkout."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*pip, "--target", str(site), str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {**os.environ, "PYTHONPATH": f"{EXAMPLES.parent}{os.pathsep}{site}", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def sources(tmp_path):
    """A copy of the package's folder, so that a build leaves nothing in the checkout."""
    return Path(shutil.copytree(EXAMPLES / "package", tmp_path / "package"))


def test_every_example_is_a_row_or_a_column_of_one_run(folders, sources, tmp_path):
    environment = installed(sources, tmp_path / "site")
    program = EXAMPLES / "external" / "upscale.py"
    edged = f'edged=external[command="{sys.executable} {program} {{lr}} {{sr}}"]'
    methods = f"bicubic,sharpen[variant=strong],wrapped[steps=4],{edged}"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "run", "--plugin", EXAMPLES / "wrapped" / "wrapped.py", "--plugin", EXAMPLES / "edges.py",
         "--methods", methods, "--conditions", "bicubic,motion", "--metrics", "psnr,edges", "--hr", folders[0], "--device", "cpu",
         "--out", tmp_path / "out", "--quiet"], cwd=tmp_path, env=environment, capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = pd.read_parquet(tmp_path / "out" / "results.parquet")
    means = rows[(rows["image"] == "") & (rows.status == "ok")].pivot_table("value", ["condition", "method"], "metric")
    assert len(means) == 8 and not means.isna().any(axis=None)
    assert means.psnr["motion"]["bicubic"] < means.psnr["bicubic"]["bicubic"] - 0.5  # it blurs
    assert means.edges["motion"]["sharpen"] < means.edges["motion"]["bicubic"]  # it gives edges back
    assert len(set(means.psnr["bicubic"].round(6))) == 4


def test_the_examples_conform(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES / "package"))
    monkeypatch.setattr(plugins, "_local", [])
    plugins.use(EXAMPLES / "edges.py", EXAMPLES / "wrapped" / "wrapped.py")
    from bench_sharpen.plugins import Motion, Sharpen

    for plugin in ("edges", "wrapped", Motion, Sharpen):
        conforms(plugin)
    plugins.catalogue.cache_clear()


def test_the_notebook_runs(folders, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    book = json.loads((EXAMPLES / "notebook.ipynb").read_text(encoding="utf-8"))
    names: dict = {}
    shown = []
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            source = "".join(cell["source"]).replace("hr=None", f"hr={str(folders[0])!r}")
            *statements, last = ast.parse(source).body
            exec(compile(ast.Module(statements, []), "cell", "exec"), names)
            shown.append(eval(ast.unparse(last), names))
    assert "<table" in shown[0]._repr_html_() and list(shown[1].columns) == ["psnr", "ssim"]
    assert shown[2] == ((32, 32, 3), (8, 8, 3)) and shown[3] == (32, 32, 3)
    assert names["ran"].code == 0
