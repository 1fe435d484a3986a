"""What a check finds: what was expected, what came, and where in the plugin to look."""

from __future__ import annotations

import inspect
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.blame import in_one_line
from bench.errors import PluginFailed

GUIDE = "docs/plugins.md"


class Broken(AssertionError):
    """A plugin does not keep the interface. ``member``: the one of its class that the check is about."""

    def __init__(self, expected: str, came: str, member: str = "") -> None:
        super().__init__(f"expected {expected}; came {came}")
        self.expected, self.came, self.member = expected, came, member


class Skipped(Exception):
    """A check that has no meaning for this plugin, or cannot be made here; the message is the reason."""


@dataclass(frozen=True)
class Finding:
    """One check of one plugin. ``status``: ok, failed or skipped."""

    plugin: str
    check: str
    status: str
    expected: str = ""
    came: str = ""  # or why it was skipped, or a figure of a check that passed
    line: str = ""  # FILE:LINE of the plugin
    page: str = ""  # of the guide

    def __str__(self) -> str:
        head = f"{self.status:<8}{self.plugin}: {self.check}"
        if self.status != "failed":
            return f"{head} ({self.came})" if self.came else head
        return f"{head}: expected {self.expected}, came {self.came} ({self.line}; see {self.page})"


def failed(plugin: str, target: Any, check: str, error: BaseException, section: str) -> Finding:
    """A finding from what a check raised: its own complaint, or an error of the plugin's."""
    page = f"{GUIDE}#{section}"
    if isinstance(error, Broken):
        return Finding(plugin, check, "failed", error.expected, error.came, line_of(target, error.member), page)
    came = in_one_line(error)
    if isinstance(error, PluginFailed):  # it ended the process of the check
        came = str(error).rpartition(": ")[2]
    return Finding(plugin, check, "failed", "no error", came, line_in(target, error) or line_of(target, ""), page)


def line_of(target: Any, member: str) -> str:
    """Where a member is defined, or the plugin itself."""
    for found in (getattr(target, member, None) if member else None, target):
        try:
            return f"{Path(inspect.getfile(found)).name}:{inspect.getsourcelines(found)[1]}"  # type: ignore[arg-type]
        except (TypeError, OSError):
            continue
    return "unknown line"


def line_in(target: Any, error: BaseException) -> str:
    """The last line of the plugin's own file that an error came through."""
    try:
        file = inspect.getfile(target)
    except (TypeError, OSError):
        return ""
    inside = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{Path(file).name}:{inside[-1].lineno}" if inside else ""
