"""``bench new``: a plugin file to start from."""

from __future__ import annotations

from pathlib import Path
from string import Template

from bench import plugins
from bench.errors import UsageError

TEMPLATES = Path(__file__).parent / "templates"


def command(kind: str, name: str, **_: object) -> int:
    """Write NAME.py in the current folder."""
    file = Path(f"{name.replace('-', '_')}.py")
    cls = "".join(part.capitalize() for part in name.replace("_", "-").split("-"))
    if not cls.isidentifier():
        raise UsageError(f"{name!r} is not a plugin's name; use letters, digits and hyphens")
    if file.exists():
        raise UsageError(f"{file}: exists already; choose another name")
    template = Template((TEMPLATES / f"{kind}.py.txt").read_text(encoding="utf-8"))
    file.write_text(template.substitute(name=plugins.kebab(cls), cls=cls, file=file), encoding="utf-8")
    print(f"{file}: a {kind} that works; next: bench check {file}")
    return 0
