"""The protocol of a run in sentences, as a paper's methods section wants them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.core.results import split

from .contents import Contents
from .tabular import headline
from .told import facts


def paragraph(found: Contents, cite: Callable[[str], str] = lambda name: "", plain: Callable[[str], str] = str) -> str:
    """Methods, data, conditions, training, metrics with their protocols, statistics. ``plain`` escapes what users wrote."""
    said = []
    for record in found.records:
        names = [f"{plain(m['label'])}{cite(m.get('name', m['label']))}" for m in record["methods"]]
        scales = sorted({m["scale"] for m in record["methods"] if m.get("scale")})
        factor = f" by a factor of {scales[0]}" if len(scales) == 1 else ""
        if names:
            said.append(f"We compare {listed(names)}, which enlarge faces{factor}.")
        said += _data(record, plain)
        said += _training(record, cite, plain)
    said += _metrics(found, cite, plain)
    return " ".join(said)


def _data(record: dict[str, Any], plain: Callable[[str], str]) -> list[str]:
    said, data = [], record["data"]
    if "hr" in data:
        said.append(f"The high-resolution test set has {data['hr']['test']:,} faces of {data['hr']['size']} pixels "
                    f"({plain(str(data.get('name') or data['hr'].get('source', '')))}).")  # fmt: skip
    synthetic = [c for c in record["conditions"] if c != "real"]
    if synthetic:
        said.append(f"Their low-resolution versions are made by {listed([plain(c) for c in synthetic])}.")
    if "real" in record["conditions"] and "lr" in data:
        said.append(
            f"{data['lr']['test']:,} real low-resolution faces of {data['lr']['size']} pixels are restored as they are."
        )
    return said


def _training(record: dict[str, Any], cite: Callable[[str], str], plain: Callable[[str], str]) -> list[str]:
    said = []
    trained = [m for m in record["methods"] if m["training"]]
    on: dict[str, list[str]] = {}
    for model in trained:
        on.setdefault(model["degradation"], []).append(plain(model["label"]))
    for degradation, labels in on.items():
        known = next((m for m in record["degradations"] if m["label"] == degradation), {"label": degradation})
        where = (
            f" on low-resolution faces that {plain(degradation)}{cite(known.get('name', degradation))} makes"
            if degradation
            else ""
        )
        said.append(f"{listed(labels)} {'is' if len(labels) == 1 else 'are'} trained here{where}.")
    if trained:
        steps = [int(m["training"].get("steps") or 0) for m in trained]
        span = f"{min(steps):,}" if min(steps) == max(steps) else f"between {min(steps):,} and {max(steps):,}"
        faces = record["data"].get("hr", {}).get("train")
        said.append(f"Training takes {span} steps{f' on {faces:,} faces' if faces else ''}, in the {record['preset']} preset, "
                    f"with seed {record['seed']}.")  # fmt: skip
    return said


def _metrics(found: Contents, cite: Callable[[str], str], plain: Callable[[str], str]) -> list[str]:
    protocols: dict[str, list[str]] = {}
    for row in found.rows:
        if row["status"] == "ok" and row["method"] and not split(row["metric"])[2] and headline(row["metric"]):
            texts = protocols.setdefault(row["metric"], [])
            texts += [row["protocol"]] if row["protocol"] not in texts else []
    said = []
    for metric, texts in protocols.items():
        title = facts("metrics", split(metric)[0]).get("title") or metric
        said.append(
            f"{plain(str(title))}{cite(split(metric)[0])}: {plain('; or '.join(filter(None, texts)) or 'as defined')}."
        )
    if found.contests:
        said.append(f"Differences are tested over single faces with Wilcoxon's signed-rank test{cite('wilcoxon1945')}, corrected "
                    f"for the number of pairs by Holm's procedure{cite('holm1979')}; mean ranks are compared by Nemenyi's "
                    f"critical difference{cite('demsar2006')}. Intervals are of 95 per cent.")  # fmt: skip
    return said


def listed(names: list[str]) -> str:
    """a, b and c."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""
