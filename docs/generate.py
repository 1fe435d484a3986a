"""Write the parts of the documentation that come from the code: a page a command, and the lists of plugins.

    python docs/generate.py

tests/house/test_docs.py fails where what is written here is not what the code says.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from bench.commands.list import KINDS, rows
from bench.options import parser

HERE = Path(__file__).parent
NOTE = "<!-- written by docs/generate.py from the code -->\n"


def pages() -> dict[str, str]:
    """Path below docs/ -> text."""
    os.environ["COLUMNS"] = "110"  # argparse wraps to the terminal otherwise
    (commands,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    about = {choice.dest: choice.help for choice in commands._choices_actions}
    found = {f"commands/{name}.md": page(name, sub, about[name]) for name, sub in commands.choices.items()}
    lines = [f"- [`bench {name}`]({name}.md): {about[name]}" for name in commands.choices]
    found["commands/index.md"] = f"{NOTE}# Commands\n\n" + "\n".join(lines) + "\n"
    found["lists.md"] = f"{NOTE}# What there is\n\nAs `bench list` prints it.\n" + "".join(map(listed, KINDS))
    return found


def page(name: str, sub: argparse.ArgumentParser, about: str | None) -> str:
    return f"{NOTE}# bench {name}\n\n{str(about).capitalize()}.\n\n```text\n{sub.format_help().rstrip()}\n```\n"


def listed(kind: str) -> str:
    lines = [f"| `{row['name']}` | {row['summary'].replace('|', '/')} |" for row in rows(kind)]
    star = "\nMetrics with * are measured where `--metrics` is not given.\n" if kind == "metrics" else ""
    return f"\n## {kind.capitalize()}\n{star}\n| name | what it is |\n|---|---|\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    for old in (HERE / "commands").glob("*.md"):
        old.unlink()
    for path, text in pages().items():
        (HERE / path).write_text(text, encoding="utf-8")
