"""Vote files: read, checked, and turned into ranks."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import UsageError


@dataclass
class Votes:
    """``ranks``: (people, faces, methods), 1 the best, NaN where somebody did not rank a face."""

    people: list[str]
    faces: list[str]
    methods: list[str]
    ranks: np.ndarray
    said: list[str] = field(default_factory=list)  # one line on every file that is not used, or not in full
    bad: int = 0  # files that could not be used


def read_key(folder: Path) -> dict[str, Any]:
    """A study's key.json. Raises UsageError where there is none."""
    try:
        key = dict(json.loads((folder / "key.json").read_text(encoding="utf-8")))
        if {"study", "methods", "faces", "checks"} <= set(key):
            return key
    except (OSError, ValueError, TypeError):
        pass
    raise UsageError(f"{folder}: no key.json of a study in this folder; `bench study make` writes it")


def read_votes(files: list[Path], key: dict[str, Any]) -> Votes:
    """All votes of a study. A file that cannot be used is named with the reason. Raises UsageError where none can."""
    found = Votes([], list(key["faces"]), list(key["methods"].values()), np.zeros((0, 0, 0)))
    answers: dict[str, tuple[Path, dict[str, list[str]]]] = {}
    for file in files:
        try:
            person, given = _answers(file, key)
        except UsageError as error:
            found.said.append(f"{error}; left out")
            found.bad += not isinstance(error, Careless)
            continue
        if person in answers:
            first, known = answers[person]
            worse = file if len(given) <= len(known) else first
            found.said.append(f"{worse}: {person} voted in {first.name} and {file.name}; the fuller file counts")
            if worse is file:
                continue
        answers[person] = file, given
    codes, ranks = list(key["methods"]), []
    for person, (file, given) in answers.items():
        mine = np.array(
            [[given[face].index(code) + 1 if face in given else np.nan for code in codes] for face in found.faces]
        )
        count = int(np.isfinite(mine).all(1).sum())
        if count < len(found.faces):
            found.said.append(f"{file}: {count} of {len(found.faces)} faces ranked; these count")
        found.people.append(person)
        ranks.append(mine)
    if not ranks:
        raise UsageError(f"no vote file can be used: {'; '.join(found.said)}")
    found.ranks = np.stack(ranks)
    return found


class Careless(UsageError):
    """Whoever voted failed attention checks: votes that are left out on purpose, in a file without fault."""


def _answers(file: Path, key: dict[str, Any]) -> tuple[str, dict[str, list[str]]]:
    """Who voted, and the codes of each face, best first. Raises UsageError, in a line, for a file that cannot be used."""
    try:
        votes = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    except ValueError:
        raise UsageError(f"{file}: not JSON, so no vote file") from None
    if not isinstance(votes, dict) or not isinstance(votes.get("answers"), list) or not votes.get("person"):
        raise UsageError(f"{file}: not a vote file; it needs person, study and answers")
    if votes.get("study") != key["study"]:
        raise UsageError(f"{file}: votes of another study ({votes.get('study')}, not {key['study']})")
    given: dict[str, list[str]] = {}
    failed = 0
    for answer in votes["answers"]:
        about = answer if isinstance(answer, dict) else {}
        image, ranking = str(about.get("image")), about.get("ranking")
        if image in key["checks"]:
            best, worst = key["checks"][image]
            failed += not (isinstance(ranking, list) and ranking and ranking[0] == best and ranking[-1] == worst)
        elif (
            image not in key["faces"]
            or not isinstance(ranking, list)
            or sorted(map(str, ranking)) != sorted(key["methods"])
        ):
            raise UsageError(
                f"{file}: the answer on {image!r} is no ranking of this study's {len(key['methods'])} methods"
            )
        else:
            given[image] = ranking
    if failed:
        raise Careless(f"{file}: {failed} of {len(key['checks'])} attention checks failed")
    if not given:
        raise UsageError(f"{file}: no face ranked")
    return str(votes["person"]), given
