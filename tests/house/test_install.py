"""An installed copy works away from the checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_an_installed_copy_runs_from_another_folder(tmp_path):
    """What `pip install .` puts into an environment, unpacked; the environment's own packages serve as they are."""
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    made = subprocess.run([*build, str(copy_of_the_sources(tmp_path / "src"))], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    (wheel,) = tmp_path.glob("*.whl")
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    zipfile.ZipFile(wheel).extractall(site)
    elsewhere.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    where = "import bench, bench.methods; print(bench.__file__, bench.methods.__file__)"

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *words]
        return subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True)

    assert run("-c", where).stdout.split() == [f"{site}/bench/__init__.py", f"{site}/bench/methods/__init__.py"]
    grid = ("--methods", "bicubic", "--conditions", "bicubic", "--metrics", "psnr")
    done = run("-m", "bench", "run", *grid)
    assert done.returncode == 0 and (elsewhere / "bench-run" / "report.html").is_file(), done.stderr
    assert run("-m", "bench", "new", "method", "my-net").returncode == 0 and (elsewhere / "my_net.py").is_file()


def copy_of_the_sources(target: Path) -> Path:
    """The tracked files' folders, so that a build leaves nothing in the checkout."""
    for name in ("bench", "methods", "degradations", "metrics", "reports"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, target)
    return target
