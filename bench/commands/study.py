"""``bench study``: ask people which method is best, and read what they answered."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from bench.commands.report import as_written, readable_runs
from bench.core.files import write_json
from bench.errors import UsageError
from bench.study.make import Choice, make, read_record
from bench.study.score import score
from bench.study.votes import read_key, read_votes


def command(action: str, paths: list[str], **options: Any) -> int:
    """``make RUN`` writes the page and its key; ``score VOTES...`` prints ranks and adds them to the run."""
    if action == "make":
        return _make(paths, **options)
    return _score(paths, **options)


def _make(
    paths: list[str], out: str | None, methods: str, by: str, count: int, faces: int, condition: str, checks: int, seed: int,
    **_: object,
) -> int:  # fmt: skip
    if len(paths) != 1:
        raise UsageError("bench study make takes one RUN")
    if count < 2 or count > 9 or faces < 1 or checks < 0:
        raise UsageError("--count is 2 to 9 methods, --faces 1 or more, --checks 0 or more")
    run = Path(paths[0])
    named = tuple(name.strip() for name in methods.split(",") if name.strip())
    choice = Choice(condition, by, named, count, faces, checks, seed)
    with as_written(paths):
        readable_runs(paths)
        made = make(run, Path(out) if out else run / "study", choice)
    for file in made:
        print(file)
    return 0


def _score(paths: list[str], study: str | None, run: str | None, **_: object) -> int:
    if not paths:
        raise UsageError("bench study score takes the vote files that people saved")
    folder = Path(study) if study else Path(run or "bench-run") / "study"
    key = read_key(folder)
    home = Path(run) if run else folder.parent
    files = [file for path in map(Path, paths) for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    votes = read_votes(files, key)
    for line in votes.said:
        print(f"note: {line}", file=sys.stderr)
    record = read_record(home) if (home / "run.json").is_file() else None
    found = score(votes, home if record else None, key["condition"], record)
    print(in_words(found))
    target = (home if record else folder) / "study.json"
    write_json(target, found)
    if record:
        print(f"\nkept in {target}; `bench report {home}` shows it")
    return 1 if votes.bad else 0


def in_words(found: dict[str, Any]) -> str:
    """The score for a person."""
    width = max(len(m["method"]) for m in found["methods"])
    lines = [
        f"{found['people']} people, {found['faces']} faces, {found['rankings']} rankings, on {found['condition']}",
        "",
    ]
    lines += [
        f"{m['method']:<{width}}  MOR {m['mor']:.2f}  [{m['ci_low']:.2f}, {m['ci_high']:.2f}]" for m in found["methods"]
    ]
    agreed = found["agreement"]
    parts = [f"within faces {agreed['within_faces']:.2f}"] if agreed["within_faces"] is not None else []
    parts += [f"of people's mean ranks {agreed['of_means']:.2f}"] if agreed["of_means"] is not None else []
    lines += ["", f"Kendall's W: {', '.join(parts) or 'one person only'}"]
    lines += ["", "pairs (Wilcoxon over faces, Holm):"]
    lines += [f"  {t['first']} - {t['second']}: p = {t['p']:.3g}" for t in found["pairs"]]
    if found["correlations"]:
        lines += ["", "metrics against people (Spearman; over methods, within faces):"]
        lines += [
            f"  {c['metric']:<24} {_number(c['methods'])}  {_number(c['within_faces'])}" for c in found["correlations"]
        ]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "   - " if value is None else f"{value:+.2f}"
