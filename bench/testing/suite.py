"""Which checks a plugin of each kind gets, and how they are run: each alone, so that a failure hides no other."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from bench import plugins
from bench.core.spec import Spec, parse
from bench.core.trail import step
from bench.errors import MissingWeights, Unavailable, UsageError
from bench.testing import metrics, models, reports
from bench.testing.findings import Broken, Finding, Skipped, failed

Check = tuple[str, Callable[[Any], str | None], str]  # what it is called, the check, the section of the guide

CHECKS: dict[str, tuple[Check, ...]] = {
    "methods": (*models.PARAMETERS, *models.METHOD, *models.TRAINING),
    "degradations": (*models.PARAMETERS, *models.DEGRADATION, *models.TRAINING),
    "metrics": metrics.CHECKS,
    "reports": reports.CHECKS,
}


@dataclass(frozen=True)
class Target:
    """What is checked: a plugin's class or function, and the options in brackets."""

    kind: str
    spec: Spec
    plugin: Any


def findings(kind: str, name: str, known: Sequence[Finding] = ()) -> Iterator[Finding]:
    """All checks of a plugin by its name, with options in brackets; one finding each, none stops the others.

    ``known``: what was found already, before a check that ended its process.
    """
    before = {f.check: f for f in known if f.plugin == str(parse(name))}
    spec = parse(name)
    target = Target(kind, spec, plugins.load(kind, spec.name))
    if kind == "metrics" and not spec.options and not target.plugin.in_all:
        yield Finding(str(spec), "is built with its defaults", "skipped", came="runs with options only")
        return
    try:
        with step(f"{name} while it is built"):
            subject = models.Subject.of(target.plugin, spec) if kind in ("methods", "degradations") else target
    except UsageError as error:
        if spec.options or target.plugin.in_all:
            yield failed(str(spec), target.plugin, "is built with its options", error, "parameters")
        else:
            yield Finding(str(spec), "is built with its defaults", "skipped", came=f"runs with options only: {error}")
        return
    except Exception as error:
        yield failed(str(spec), target.plugin, "is built with its defaults", error, "parameters")
        return
    for check, function, section in CHECKS[kind]:
        yield before.get(check) or _finding(str(spec), target.plugin, check, function, subject, section)


def _finding(
    plugin: str, target: Any, check: str, function: Callable[[Any], str | None], subject: Any, section: str
) -> Finding:
    try:
        with random_state_kept(), step(f"check of {plugin}: {check}"):
            return Finding(plugin, check, "ok", came=function(subject) or "")
    except (Skipped, MissingWeights, Unavailable) as reason:
        return Finding(plugin, check, "skipped", came=str(reason))
    except (Exception, SystemExit) as error:
        return failed(plugin, target, check, error, section)


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Checks seed as they like; what comes after them draws as if they had not been."""
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002 (it is put back)
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        random.setstate(states[2])


def conforms(plugin: Any, *, kind: str = "", options: str = "") -> list[Finding]:
    """Check a plugin; raises AssertionError with every failure. For tests: ``conforms("my-net")`` or ``conforms(MyNet)``.

    ``kind``: methods, degradations, metrics or reports, where a name is ambiguous. ``options``: as in brackets.
    """
    if isinstance(plugin, str):
        spec = parse(plugin)
        kinds = [kind] if kind else [k for k in plugins.KINDS if spec.name in plugins.names(k)]
        if not kinds:
            raise UsageError(f"no plugin {spec.name!r}; is its package installed, or its file given to plugins.use?")
        kind = kinds[0]
    else:
        from bench.api.interface import kind_of

        kind = kind or kind_of(plugin)
        spec = Spec(getattr(plugin, "name", "") or plugins.kebab(plugin.__name__))
        known = plugins.catalogue().entries[kind]
        known.setdefault(spec.name, plugins.Entry(spec.name, "", plugin, plugin.__module__))
    if options:
        spec = replace(parse(f"{spec.name}[{options}]"), label="")
    found = list(findings(kind, str(spec)))
    bad = [f for f in found if f.status == "failed"]
    if bad:
        raise AssertionError("\n" + "\n".join(map(str, bad)))
    return found


__all__ = ["Broken", "Check", "Finding", "Skipped", "conforms", "findings"]
