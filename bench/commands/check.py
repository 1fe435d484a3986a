"""``bench check``: does a plugin keep the interface?"""

from __future__ import annotations

import json
from dataclasses import asdict

from bench import plugins
from bench.core import trail
from bench.core.spec import parse
from bench.errors import UsageError
from bench.testing import Finding, findings


def command(name: str, as_json: bool = False, **_: object) -> int:
    """One line a check; exit code 1 if one fails, 2 if the plugin cannot be loaded."""
    problems: list[str] = []
    if name.endswith(".py"):
        before = {(k, n) for k in plugins.KINDS for n in plugins.names(k)}
        others = set(plugins.catalogue().problems)
        plugins.use(name)
        wanted = [(k, n) for k in plugins.KINDS for n in plugins.names(k) if (k, n) not in before]
        problems = [p for p in plugins.catalogue().problems if p not in others]
        if not wanted:
            raise UsageError("; ".join(problems) or f"{name}: no plugin in it")
    else:
        spec = parse(name)
        wanted = [(k, name) for k in plugins.KINDS if spec.name in plugins.names(k)]
        if not wanted:
            plugins.entry("methods", spec.name)
    found: list[Finding] = []
    known = [Finding(**values) for values in trail.noted()]
    for kind, plugin in wanted:
        for finding in findings(kind, plugin, known):
            found.append(finding)
            if finding not in known:
                trail.note(asdict(finding))
                if not as_json:
                    print(finding, flush=True)
    for problem in problems:
        print(f"failed  {problem}")
    failed = sum(f.status == "failed" for f in found) + len(problems)
    if as_json:
        print(json.dumps([{"name": f.check, **asdict(f)} for f in found], indent=1))
    else:
        print(f"{len(found)} checks: {failed} failed, {sum(f.status == 'skipped' for f in found)} skipped")
    return int(failed > 0)
