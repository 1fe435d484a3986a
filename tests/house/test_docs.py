"""The documentation says what is: generated parts are up to date, links lead somewhere, shell lines run."""

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.core.image import write_image
from bench.faces import embedded
from bench.faces.procedural import portrait

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
MARKS = ("# needs a GPU", "# needs downloads", "# needs a cluster", "# needs ", "# hours")
ELSEWHERE = (
    "pip",
    "pytest",
    "mkdocs",
    "pre-commit",
    "git",
    "cd",
    "ruff",
    "mypy",
    "lint-imports",
    "python",
    "source",
)  # not ours


def shell_lines() -> list[tuple[str, str]]:
    """(page, line) of every shell line that is not marked; lines that end in a backslash are joined."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```(?:bash|shell|console|sh)\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
            for line in block.replace("\\\n", " ").splitlines():
                if line.strip() and not line.strip().startswith("#") and not any(mark in line for mark in MARKS):
                    found.append((page.name, line.strip()))
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with the faces that the documentation's lines name, few and small."""
    folder = tmp_path_factory.mktemp("docs")
    hr, _ = portrait.faces(16, 1, seed=1)
    for name, images in (("hr64", hr), ("lr16", portrait.wild(hr, 4))):
        for index, image in enumerate(images):
            target = folder / "faces" / name / ("train" if index < 12 else "test") / f"{index:02d}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            write_image(target, image)
    return folder


def test_generated_pages_are_what_the_code_says():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    pages = generate.pages()
    there = {f"commands/{file.name}" for file in (ROOT / "docs" / "commands").glob("*.md")}
    assert there == {path for path in pages if path.startswith("commands/")}
    for path, text in pages.items():
        written = (ROOT / "docs" / path).read_text(encoding="utf-8")
        assert written.split() == text.split(), f"docs/{path} is old: python docs/generate.py"


def test_links_of_the_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_plugin_is_documented():
    """By its name in the page of its kind."""
    from bench import plugins

    for kind, page in (("methods", "methods.md"), ("degradations", "methods.md"), ("metrics", "metrics.md")):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        missing = [
            n for n in plugins.names(kind) if plugins.entry(kind, n).source.startswith("bench.") and f"`{n}" not in text
        ]
        assert not missing, (page, missing)


def test_every_shell_line_runs(place, bench, monkeypatch):
    """With few, small faces, two methods instead of all, and a second of training."""
    monkeypatch.setattr(embedded, "IDENTITIES", {"train": 4, "wild": 4, "test": 4})
    monkeypatch.chdir(place)
    done = set()
    for page, line in shell_lines():
        for command in line.partition("  #")[0].split("&&"):
            words = shlex.split(command)
            assert words[0] == "bench" or words[0] in ELSEWHERE, (page, line)
            if words[0] == "bench" and tuple(words) not in done:
                done.add(tuple(words))
                run_line(bench, page, words[1:])


def run_line(bench, page: str, words: list[str]) -> None:
    if words[0] == "run":
        data = [] if "--hr" in words else ["--hr", "faces/hr64", "--lr", "faces/lr16"]
        words = ["bicubic,low-to-high" if word == "all" else word for word in words]
        words += [] if {"--methods", "--config", "--reproduce"} & {*words} else ["--methods", "bicubic,low-to-high"]
        few = [] if "--conditions" in words else ["--conditions", "bicubic"]
        words = [*words, *data, *few, "--budget", "0.5s", "--quiet"]
        if "--metrics" not in words:
            words += ["--metrics", "psnr,swd-lr"]
    for name in ("run-a", "run-b"):
        if name in words and not Path(name).exists():
            shutil.copytree("bench-run", name)
    code, out, err = bench(*words)
    assert code == 0, (page, words, out[-500:], err[-1000:])


def test_the_site_builds(tmp_path):
    pytest.importorskip("mkdocs", reason="needs the extra `docs`")
    pytest.importorskip("mkdocstrings", reason="needs the extra `docs`")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path / "site")],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    reference = (tmp_path / "site" / "reference" / "index.html").read_text(encoding="utf-8")
    for name in ("Method.infer", "Stage", "Step.minimize", "Outputs", "Score", "per_face"):
        assert f".{name}" in reference, name
