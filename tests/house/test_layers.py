"""The architecture: which way imports may point, who may name whom, and habits that tools check."""

import ast
import os
import shutil
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("methods", "degradations", "metrics", "reports")
SOURCES = [file for folder in ("bench", *FOLDERS) for file in (ROOT / folder).rglob("*.py")]


def tool(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)


def contracts(root: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(cache_dir=None))"
    return subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, env=clean(root))


def clean(root: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(root)}


def test_every_arrow_points_down_and_there_is_no_circle():
    done = contracts(ROOT)
    assert done.returncode == 0 and "0 broken" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("bench/core/store.py", "from bench.faces.faceset import FaceSet"),
        (
            "bench/api/metric.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from bench.grid.run import Run",
        ),
        ("metrics/cost.py", "def hidden():\n    from bench.training.loop import fit"),
        ("bench/kit/tile.py", "from methods import interpolation"),
        ("metrics/versions.py", "from . import consistency"),
        ("metrics/cost.py", "from bench.faces.faceset import Data"),
        ("methods/esrgan.py", "from bench.plugins import facts"),
    ],
    ids=[
        "up",
        "for types alone",
        "in a function",
        "a plugin folder",
        "a circle",
        "faces by the back door",
        "a manager",
    ],
)
def test_the_contracts_notice(file, line, tmp_path):
    for folder in ("bench", *FOLDERS):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with open(tmp_path / file, "a") as target:
        target.write(f"\n{line}\n")
    done = contracts(tmp_path)
    assert done.returncode == 1 and "BROKEN" in done.stdout, done.stdout + done.stderr


def imported(file: Path) -> list[str]:
    """The modules that a file imports by their whole names, with the names it takes from them."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    whole = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    parts = [node for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    return whole + [f"{node.module}.{alias.name}" for node in parts for alias in node.names]


def test_no_plugin_folder_is_named_through_bench():
    wrong = [
        (file.relative_to(ROOT), name)
        for file in SOURCES
        for name in imported(file)
        if name.startswith(tuple(f"bench.{folder}" for folder in FOLDERS))
    ]
    assert not wrong


def test_private_names_stay_in_their_file():
    wrong = []
    for file in SOURCES:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        ours = [
            n
            for n in ast.walk(tree)
            if isinstance(n, ast.ImportFrom) and (n.level or str(n.module).startswith("bench"))
        ]
        taken = chain.from_iterable((alias.name for alias in n.names) for n in ours)
        modules = {alias.asname or alias.name for n in ours for alias in n.names}
        used = (
            f"{n.value.id}.{n.attr}"
            for n in ast.walk(tree)
            if isinstance(n, ast.Attribute)
            and isinstance(n.value, ast.Name)
            and n.value.id in modules
            and private(n.attr)
        )
        wrong += [(str(file.relative_to(ROOT)), name) for name in (*filter(private, taken), *used)]
    assert not wrong


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_nothing_is_recognised_by_a_string_or_exchanged_behind_a_librarys_back():
    for file in SOURCES:
        text = file.read_text(encoding="utf-8")
        assert "unittest" not in text and '__module__ == "' not in text and '__name__ == "' not in text, file


def test_types_and_style_hold():
    style = tool("ruff", "check", "--quiet", ".")
    assert style.returncode == 0, style.stdout
    form = tool("ruff", "format", "--check", "--quiet", ".")
    assert form.returncode == 0, form.stdout + form.stderr
    types = tool("mypy")
    assert types.returncode == 0, types.stdout
