"""``bench new``: a plugin file to start from, or a package to publish."""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path
from string import Template

from bench import plugins
from bench.errors import UsageError

TEMPLATES = Path(__file__).parent / "templates"
TRY = {
    "method": "bench run --methods bicubic,$name",
    "degradation": "bench run --methods bicubic --conditions $name",
    "metric": "bench run --methods bicubic,bilinear --metrics $name",
    "report": "bench report RUN --format $name",
}
PACKAGE = {  # file of a package -> its template
    "pyproject.toml": "pyproject.toml", "README.md": "README.md", "$module/__init__.py": "__init__.py",
    "tests/test_$module.py": "test.py", ".github/workflows/test.yml": "ci.yml",
}  # fmt: skip


def command(kind: str, name: str, package: bool = False, **_: object) -> int:
    """Write NAME.py in the current folder, or a folder NAME with a package."""
    module = name.replace("-", "_")
    cls = "".join(part.capitalize() for part in module.split("_"))
    if not re.fullmatch(r"[A-Za-z][\w-]*", name, re.ASCII) or not cls.isidentifier():
        raise UsageError(f"{name!r} is not a plugin's name; use letters, digits and hyphens, a letter first")
    if module in sys.stdlib_module_names or keyword.iskeyword(module) or module in ("bench", "torch", "tests"):
        raise UsageError(f"{name!r} is the name of a module that other code imports; choose another name")
    place = Path(name) if package else Path(f"{module}.py")
    if place.exists():
        raise UsageError(f"{place}: exists already; choose another name")
    file = place / module / "plugin.py" if package else place
    words = {"name": plugins.kebab(cls), "cls": cls, "file": f"{module}/plugin.py" if package else str(file), "kind": kind,
             "module": module, "target": "render" if kind == "report" else cls}  # fmt: skip
    code = filled(f"{kind}.py", words)
    if package:
        code = code.partition("\n\n\n@bench.hookimpl")[0] + (
            "\n" if kind == "report" else ""
        )  # its package has the hook
        code = code.replace(f" --plugin {words['file']}", "")
        code = code.replace("import bench\nfrom bench.api", "from bench.api") if kind == "report" else code
        words |= {"try": Template(TRY[kind]).substitute(words), "summary": summary(code)}
    write(file, code)
    for target, template in PACKAGE.items() if package else ():
        write(place / Template(target).substitute(words), filled(f"package/{template}", words))
    then = f"cd {place}; pip install -e '.[test]'; bench check {words['name']}" if package else f"bench check {place}"
    print(f"{place}: a {'package with a ' if package else ''}{kind} that works; next: {then}")
    return 0


def summary(code: str) -> str:
    """The first line under the plugin's own docstring quotes: the second docstring of its file."""
    return re.findall(r'"""(.*?)"""', code, re.S)[1].partition("\n")[0]


def filled(template: str, words: dict[str, str]) -> str:
    return Template((TEMPLATES / f"{template}.txt").read_text(encoding="utf-8")).substitute(words)


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
