"""``bench completion``: what a shell needs to complete commands, options and names of plugins."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from bench import plugins
from bench.errors import UsageError

SHELLS = ("bash", "zsh", "fish")
NAMES = {  # argument -> kinds of plugins whose names it takes
    "methods": ("methods",), "method": ("methods",), "degradations": ("degradations",), "conditions": ("degradations",),
    "metrics": ("metrics",), "format": ("reports",), "cluster": ("clusters",),
}  # fmt: skip


def command(shell: str, **_: object) -> int:
    """Print the lines that a shell's start file takes: ``eval "$(bench completion bash)"``."""
    try:
        import argcomplete
    except ImportError:
        raise UsageError("completion needs argcomplete: pip install 'face-sr-bench[completion]'") from None
    print(argcomplete.shellcode(["bench"], shell=shell))
    return 0


def complete(top: argparse.ArgumentParser) -> None:
    """Answer the shell, which calls the command itself with the line so far."""
    import argcomplete

    for action in top._actions:
        for sub in action.choices.values() if isinstance(action, argparse._SubParsersAction) else ():
            for argument in sub._actions:
                kinds = (
                    plugins.KINDS
                    if (sub.prog.split()[-1], argument.dest) == ("info", "name")
                    else NAMES.get(argument.dest)
                )
                if kinds:
                    argument.completer = _names(kinds)  # type: ignore[attr-defined]
    argcomplete.autocomplete(top)


def _names(kinds: tuple[str, ...]) -> Callable[..., list[str]]:
    """Names after the last comma of what stands there."""

    def completer(prefix: str, **_: Any) -> list[str]:
        before = prefix.rpartition(",")[0]
        head = f"{before}," if before else ""
        return [head + name for kind in kinds for name in plugins.names(kind)]

    return completer
