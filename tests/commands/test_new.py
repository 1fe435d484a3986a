"""What `bench new` writes works as it is: a file by --plugin, a package by its entry point; shells complete names."""

import importlib
import os
import subprocess
import sys

import pytest

from bench.core.files import read_toml
from bench.testing import conforms

KINDS = ("method", "degradation", "metric", "report")


@pytest.mark.parametrize("kind", ["metric", "report"])  # the others train: tests/testing/test_conforms.py has them
def test_a_new_file_conforms(bench, monkeypatch, tmp_path, kind):
    monkeypatch.chdir(tmp_path)
    assert bench("new", kind, "my-first")[0] == 0
    code, out, err = bench("check", "my_first.py")
    assert code == 0 and "0 failed" in out and "my-first" in out, out + err


def test_a_new_report_renders_a_run(bench, folders, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    bench(
        "run",
        "--methods",
        "bicubic,lanczos",
        "--hr",
        folders[0],
        "--conditions",
        "bicubic",
        "--metrics",
        "psnr",
        "--device",
        "cpu",
    )
    bench("new", "report", "my-page")
    code, out, err = bench("report", "bench-run", "--plugin", "my_page.py", "--format", "my-page")
    assert code == 0, err
    page = (tmp_path / out.strip()).read_text()
    assert "lanczos" in page and "psnr" in page


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_names_its_plugin_and_tests_it(bench, monkeypatch, tmp_path, kind):
    monkeypatch.chdir(tmp_path)
    assert bench("new", kind, f"my-{kind}", "--package")[0] == 0
    place = tmp_path / f"my-{kind}"
    project = read_toml(place / "pyproject.toml")
    assert project["project"]["entry-points"]["bench"] == {f"my-{kind}": f"my_{kind}"}
    assert project["tool"]["setuptools"]["packages"] == [f"my_{kind}"]
    monkeypatch.syspath_prepend(str(place))
    offered = getattr(importlib.import_module(f"my_{kind}"), f"bench_{kind}s")()
    ((name, (target, summary)),) = offered.items()
    module, _, attribute = target.partition(":")
    plugin = getattr(importlib.import_module(module), attribute)
    assert (
        name == f"my-{kind}"
        and summary
        and plugin.__doc__.startswith(summary)
        and "--plugin" not in (place / "README.md").read_text()
    )
    if kind == "metric":
        conforms(plugin)
    made = {str(f.relative_to(place)) for f in place.rglob("*") if f.is_file() and f.suffix != ".pyc"}
    assert made == {"pyproject.toml", "README.md", ".github/workflows/test.yml", f"my_{kind}/__init__.py", f"my_{kind}/plugin.py",
                    f"tests/test_my_{kind}.py"}  # fmt: skip
    compile((place / "tests" / f"test_my_{kind}.py").read_text(), "test", "exec")


@pytest.mark.parametrize("name", ["json", "class", "1st", "a/b", "..", "torch", ""])
def test_names_that_would_hide_a_module_are_refused(bench, monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    code, _, err = bench("new", "method", name)
    assert code == 2 and err.count("\n") == 1 and not [*tmp_path.rglob("*.py")]


def completed(line: str, tmp_path) -> set[str]:
    """What a shell would offer at the end of a line, as bash asks."""
    answer = tmp_path / "answer"
    environment = {**os.environ, "_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_SHELL": "bash", "COMP_LINE": line,
                   "COMP_POINT": str(len(line)), "_ARGCOMPLETE_STDOUT_FILENAME": str(answer)}  # fmt: skip
    code = "import sys; from bench.cli import main; assert 'torch' not in sys.modules; main([])"
    subprocess.run([sys.executable, "-c", code], env=environment, check=False, capture_output=True)
    return {part.strip() for part in answer.read_text().split("\n")}


def test_a_shell_completes_commands_options_and_names(tmp_path):
    assert {"run", "report", "check"} <= completed("bench ", tmp_path)
    assert "--conditions" in completed("bench run --cond", tmp_path)
    assert "bicubic,lanczos" in completed("bench run --methods bicubic,lan", tmp_path)
    assert "psnr" in completed("bench run --metrics ps", tmp_path)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_lines_of_its_own(bench, shell):
    code, out, err = bench("completion", shell)
    assert code == 0 and "bench" in out and "_ARGCOMPLETE" in out, err
