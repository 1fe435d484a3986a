"""Real LR faces with their ground truth, from two folders with the same file names: ``--pairs LR HR``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from bench.errors import UsageError
from bench.faces.decode import usable
from bench.faces.faceset import FaceSet
from bench.faces.read import MIN_LR, images_under, read_list, unique_names


def read_pairs(lr: str, hr: str, strict: bool, skipped: list[str]) -> tuple[FaceSet, FaceSet]:
    """LR faces and aligned HR of the same names, which has one whole multiple of their sides.

    ``lr`` and ``hr``: folders, or CSV lists, all of whose faces are tested on. What has no counterpart or does not fit goes
    into ``skipped``, or raises UsageError where ``strict``; so do two scales in one set, and a set without a pair.
    """
    found = {what: _read(source, what, strict, skipped) for what, source in (("LR", lr), ("HR", hr))}
    wrong, scales = [], dict[str, int]()
    for name in sorted(found["LR"].keys() | found["HR"].keys()):
        if what := next((what for what, faces in found.items() if name not in faces), ""):
            wrong.append(f"{lr if what == 'LR' else hr}: no {what} face of the name {name}")
            continue
        small, large = (found[what][name].shape[1:] for what in ("LR", "HR"))
        scales[name] = large[0] // small[0]
        if large != tuple(scales[name] * side for side in small):
            del scales[name]
            wrong.append(f"{name}: HR of {large[1]}x{large[0]} px is no whole multiple of LR of {small[1]}x{small[0]}")
    if strict and wrong:
        raise UsageError(f"--pairs: {wrong[0]} (--strict)")
    if wrong:
        print(f"pairs: {len(wrong)} faces left out, the first: {wrong[0]}", file=sys.stderr)
    skipped += wrong
    if not scales:
        raise UsageError(f"--pairs {lr} {hr}: no pair of faces{f'; {wrong[0]}' if wrong else ''}")
    if len(set(scales.values())) > 1:
        first, other = (next(n for n in scales if scales[n] == s) for s in sorted(set(scales.values()))[:2])
        raise UsageError(
            f"--pairs: {first} is a pair of scale {scales[first]}, {other} of {scales[other]}; give one scale"
        )
    names = list(scales)
    return (
        FaceSet.of([found["LR"][name] for name in names], names, lr),
        FaceSet.of([found["HR"][name] for name in names], names, hr),
    )


def _read(source: str, what: str, strict: bool, skipped: list[str]) -> dict[str, np.ndarray]:
    path = Path(source)
    if not path.exists():
        raise UsageError(f"--pairs: {source}: no such file or folder")
    files = read_list(path) if path.is_file() else images_under(path)
    root = path if path.is_dir() else path.parent
    called = sorted((name, file) for file, name in unique_names(files, root).items())
    return dict(usable(called, 1, MIN_LR, strict, skipped, f"{what} of pairs"))
