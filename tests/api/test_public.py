"""What plugin authors are promised: every public member says what it is, and every public name is where the docs say."""

import ast
from pathlib import Path

import pytest

import bench
import bench.api

ROOT = Path(__file__).parents[2]
FILES = [*sorted((ROOT / "bench" / "api").glob("*.py")), ROOT / "bench" / "faces" / "faceset.py"]


def undocumented(file: Path) -> list[str]:
    """Public members of a file's public classes and functions that say nothing: no docstring, no comment beside them."""
    lines, wrong = file.read_text(encoding="utf-8").splitlines(), []
    for node in ast.parse("\n".join(lines)).body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef) or node.name.startswith("_"):
            continue
        members = node.body if isinstance(node, ast.ClassDef) else []
        for member in (node, *members):
            if isinstance(member, ast.AnnAssign):
                name = ast.unparse(member.target)
                said = "  # " in "".join(lines[member.lineno - 1 : member.end_lineno])
                said = said or f"``{name}" in (ast.get_docstring(node) or "")
            elif isinstance(member, ast.ClassDef | ast.FunctionDef):
                name, said = member.name, bool(ast.get_docstring(member))
            else:
                continue
            if not said and not name.startswith("_"):
                wrong.append(f"{node.name}.{name}")
    return wrong


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_public_member_says_what_it_is(file):
    assert undocumented(file) == []


def test_what_bench_offers_is_what_its_api_offers():
    for name in bench.__all__:
        assert getattr(bench, name) is not None
    assert set(bench.api.__all__) >= {name for name in bench.__all__ if name not in (*bench.SESSION, "hookimpl")}
    assert not [name for name in bench.api.__all__ if not hasattr(bench.api, name)]


def test_the_reference_shows_where_each_public_name_is_defined():
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    shown = tuple(line.removeprefix("::: ") for line in text.splitlines() if line.startswith("::: "))
    for name in bench.api.__all__:
        value = getattr(bench.api, name)
        if name == "Images":  # a type of the standard library
            continue
        assert f"{value.__module__}.{name}".startswith(shown), name
