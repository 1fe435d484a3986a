"""Make a study: which methods and faces, the page that people open, and the key that says what they saw."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, cast

import numpy as np

from bench import plugins
from bench.core.files import folder_name, write_atomically, write_json
from bench.core.image import read_image
from bench.core.pictures import of_run
from bench.core.results import read_table, split, unsound, whole
from bench.errors import UsageError

TEMPLATES = Path(__file__).parent / "templates"
SIDE = 512  # px; larger outputs are shown reduced


@dataclass(frozen=True)
class Choice:
    """What a study is made of. ``by``: the metric whose best methods take part, unless ``methods`` names them."""

    condition: str = "real"
    by: str = "nima"
    methods: tuple[str, ...] = ()
    count: int = 5
    faces: int = 20
    checks: int = 2
    seed: int = 0


def make(run: Path, out: Path, choice: Choice) -> list[Path]:
    """Write ``page/index.html``, which holds all it needs, and ``key.json``, which stays at home.

    Methods stand in the page under codes. Raises UsageError where the run lacks what was asked for.
    """
    record = read_record(run)
    models = {m["label"]: m for m in record["methods"]}
    labels = chosen_methods(run, record, choice)
    place, belongs = folder_name(choice.condition), of_run(run, record)
    roots = {label: run / "images" / str(models[label].get("images", label)) / place for label in labels}
    lr = run / "images" / "lr" / place
    known = [{f.stem for f in root.glob("*.png") if belongs(f)} for root in (lr, *roots.values())]
    names = sorted(set.intersection(*known))
    if not names:
        lacking = [str(root) for root, have in zip((lr, *roots.values()), known, strict=True) if not have]
        raise UsageError(f"no faces that LR and all methods have in common; empty: {', '.join(lacking) or 'none'}")
    rng = np.random.default_rng(choice.seed)
    picked = sorted(str(n) for n in rng.choice(names, min(choice.faces, len(names)), replace=False))
    study = hashlib.sha256(
        json.dumps([record.get("key"), choice.condition, labels, picked, choice.seed]).encode()
    ).hexdigest()[:12]
    codes = {label: hashlib.sha256(f"{study}|{label}".encode()).hexdigest()[:8] for label in labels}
    items = [{"image": name, "lr": as_uri(read_image(lr / f"{name}.png")),
              "choices": {codes[label]: as_uri(read_image(root / f"{name}.png")) for label, root in roots.items()}}
             for name in picked]  # fmt: skip
    for number in range(min(choice.checks, len(picked))):
        name = picked[(number + 1) * len(picked) // (choice.checks + 1) % len(picked)]
        items.append(check(number, name, lr, next(iter(roots.values())), len(labels), study))
    orders = {i["image"]: i.pop("answer") for i in items if "answer" in i}
    page = (TEMPLATES / "study.html").read_text(encoding="utf-8")
    data = json.dumps({"study": study, "seed": choice.seed, "items": items}).replace("<", "\\u003c")
    script = (TEMPLATES / "study.js").read_text(encoding="utf-8")
    target = out / "page" / "index.html"
    text = page.replace("/*script*/", script).replace("{data}", data)
    write_atomically(target, lambda path: path.write_text(text, encoding="utf-8"))
    key = {"study": study, "run": record.get("key", ""), "condition": choice.condition, "seed": choice.seed,
           "methods": {code: label for label, code in codes.items()}, "faces": picked, "checks": orders}  # fmt: skip
    write_json(out / "key.json", key)
    return [target, out / "key.json"]


def read_record(run: Path) -> dict[str, Any]:
    """A run's run.json. Raises UsageError where there is none."""
    try:
        return dict(json.loads((run / "run.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        raise UsageError(f"{run}: no run.json that can be read; name the folder of a finished run") from None


def chosen_methods(run: Path, record: dict[str, Any], choice: Choice) -> list[str]:
    """The labels of the methods named, or of the ``count`` best by the metric under the condition."""
    labels = [m["label"] for m in record["methods"]]
    if choice.methods:
        unknown = [m for m in choice.methods if m not in labels]
        if unknown:
            raise UsageError(f"{run}: no method {unknown[0]!r}; there are {', '.join(labels)}")
        found = list(choice.methods)
    else:
        ranked, unfit = best_of(run, record, choice)
        found = [label for label in ranked if label not in unfit][: choice.count]
        if out := ", ".join(label for label in ranked if label in unfit):
            print(
                f"note: not among the best by {choice.by}, since below its floor: {out}; --methods asks about any",
                file=sys.stderr,
            )
    if len(found) < 2:
        raise UsageError(f"{run}: a study needs two methods or more; there are {len(found)}")
    return found


def best_of(run: Path, record: dict[str, Any], choice: Choice) -> tuple[list[str], set[str]]:
    """The labels of the methods that have a value under the condition, best first, and those whom a ``guard`` keeps out.

    A method's value is the mean over its seeds, as in reports.
    """
    table = read_table(run)
    table = table[(table["image"].fillna("") == "") & (table["status"] == "ok") & (table["method"] != "")]
    table = table[table["condition"] == choice.condition]
    values = table[table["metric"] == choice.by]
    if not len(values):
        known = ", ".join(dict.fromkeys(m for m in table["metric"] if not split(m)[2]))
        raise UsageError(
            f"{run}: no values of {choice.by} on {choice.condition}; name another metric with --by "
            f"({known or 'none there'}), or methods with --methods"
        )
    kept, rows = record.get("metric_facts", {}), cast(list[dict[str, Any]], table.to_dict("records"))

    def who(row: Any) -> tuple[str, ...]:
        return str(row["method"]), str(row["variant"]), str(row["degradation"])

    def guard(name: str) -> Sequence[str]:
        return (plugins.facts("metrics", name) or kept.get(name, {})).get("guard", ())

    scores: dict[tuple[str, ...], list[float]] = {}
    for row in values.to_dict("records"):
        scores.setdefault(who(row), []).append(float(row["value"]))
    unfit = {key for key, _, head in unsound(rows, who, guard) if head == whole(choice.by)[0]}
    sign = -1 if values["direction"].iloc[0] == "higher" else 1
    keys = {m["label"]: (m.get("name", m["label"]), m.get("variant", ""), m["degradation"]) for m in record["methods"]}
    ranked = sorted((sign * fmean(scores[key]), label) for label, key in keys.items() if key in scores)
    return [label for _, label in ranked], {label for label, key in keys.items() if key in unfit}


def check(number: int, name: str, lr: Path, root: Path, count: int, study: str) -> dict[str, Any]:
    """An attention check: one output, more and more spoilt; whoever looks puts it first and the worst last."""
    from PIL import Image, ImageFilter

    image = Image.fromarray(read_image(root / f"{name}.png").transpose(1, 2, 0))
    choices, order = {}, []
    for step in range(count):
        code = hashlib.sha256(f"{study}|check|{number}|{step}".encode()).hexdigest()[:8]
        blurred = image.filter(ImageFilter.GaussianBlur(step * image.width / 24))
        choices[code] = as_uri(np.asarray(blurred).transpose(2, 0, 1))
        order.append(code)
    lr_uri = as_uri(read_image(lr / f"{name}.png"))
    shuffled = dict(sorted(choices.items()))
    known = hashlib.sha256(f"{study}|check|{number}".encode()).hexdigest()[:12]
    return {"image": known, "lr": lr_uri, "choices": shuffled, "answer": [order[0], order[-1]]}


def as_uri(image: np.ndarray) -> str:
    """(3, H, W) uint8 as a data URI, losslessly."""
    from PIL import Image

    picture, buffer = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))), io.BytesIO()
    if max(picture.size) > SIDE:
        picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    picture.save(buffer, "WEBP", lossless=True, method=2)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
