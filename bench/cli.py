"""The command ``bench``: its options, and the file of ``bench.commands`` that they go to. Nothing heavy is imported here."""

from __future__ import annotations

import errno
import io
import os
import shlex
import sys
from argparse import Namespace
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points

from bench import plugins
from bench.core import trail
from bench.errors import BenchError, UsageError
from bench.options import parsed, parser

PATHS = (
    "hr",
    "lr",
    "reference",
    "out",
    "store",
    "weights",
    "config",
    "study",
    "run",
    "show",
)  # options that name a place
# Commands that say so where a plugin ends the process, and go on where they can.
WATCHED = ("run", "check", "report", "train", "infer", "degrade", "score")


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code (2 with one line for what the user can mend)."""
    arguments = sys.argv[1:] if argv is None else argv
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names that are no text, terminals that cannot show them
    if "_ARGCOMPLETE" in os.environ:  # a shell asks
        import_module("bench.commands.completion").complete(parser())
    try:
        given = parsed(arguments)
        if empty := next((name for name in PATHS if getattr(given, name, None) == ""), None):
            raise UsageError(f"--{empty} takes a path, not an empty text")
        if given.command in WATCHED and (given.plugin or _installed(given)) and trail.can_watch():
            return trail.watched(partial(_perform, given, arguments), getattr(given, "time_limit", None))
        return _perform(given, arguments)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.code


def _installed(given: Namespace) -> bool:
    """Whether plugins of others are at hand without --plugin."""
    return bool(entry_points(group="bench")) or (given.command == "check" and given.name.endswith(".py"))


def _perform(given: Namespace, arguments: list[str]) -> int:
    """The command, and what it means where it fails."""
    options = dict(vars(given))
    try:
        plugins.use(*options.pop("plugin"))
        if options["command"] not in ("new", "check", "run", "completion"):
            for problem in plugins.catalogue().problems:
                print(f"warning: {problem}", file=sys.stderr)
        options["line"] = shlex.join(["bench", *arguments])
        module = import_module(f"bench.commands.{options.pop('command')}")
        return int(module.command(**options))
    except KeyboardInterrupt:
        print("bench: stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.code
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO):
            raise
        place = error.filename or options.get("out") or "the output"
        print(f"bench: {place}: {error.strerror}; free space or choose another folder", file=sys.stderr)
        return 2
