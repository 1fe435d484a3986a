"""What is small or unfinished about a run, said exactly. The first line of every report."""

from __future__ import annotations

from typing import Any

ENOUGH = 1000  # faces; the smallest test set of the papers, below which set distances are far from their values
NAMED = 4  # things that are still to come; the report lists all


def notice(records: list[dict[str, Any]]) -> str:
    """One line on what keeps the numbers from being comparable with published ones; empty where nothing does."""
    said = list(dict.fromkeys(filter(None, map(_one, records))))
    return " ".join(said) if len(said) < 2 else " ".join(f"{r['run']}: {_one(r)}" for r in records if _one(r))


def _one(record: dict[str, Any]) -> str:
    return f"{_small(record)} {to_come(record)}".strip()


def to_come(record: dict[str, Any]) -> str:
    """What a run that has not come to its end still lacks, in one sentence; empty for a finished one."""
    names = record["pending"]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"Not finished: still to come are {', '.join(names[:NAMED])}{more}." if names else ""


def _small(record: dict[str, Any]) -> str:
    quick = record["preset"] == "quick"
    trained = [m for m in [*record["degradations"], *record["methods"]] if m["training"]]
    parts = []
    if quick and trained:
        steps = sorted(int(m["training"].get("steps") or 0) for m in trained)
        span = f"{steps[0]:,}" if steps[0] == steps[-1] else f"{steps[0]:,} to {steps[-1]:,}"
        models = f"{len(trained)} model{'s' * (len(trained) > 1)}"
        parts.append(f"small networks, short training ({models}, {span} steps)")
    if few := faces(record):
        parts.append(few)
    if not parts and not record["budget"]:
        return ""
    head = "Quick preset: " if quick and trained else "No model was trained here: " if quick else ""
    text = f"{head}{'; '.join(parts)}{'; not comparable with published numbers' if parts else ''}."
    text = "" if not parts else text[0].upper() + text[1:]
    budget = f"Training time was limited to {record['budget']} for all models together." if record["budget"] else ""
    return f"{text} {budget}".strip()


def faces(record: dict[str, Any]) -> str:
    """How few test faces there are; empty where they are enough or unknown."""
    counts = {what: record["data"][what]["test"] for what in ("hr", "lr") if what in record["data"]}
    few = {what: n for what, n in counts.items() if n < ENOUGH}
    if not few:
        return ""
    if len(set(few.values())) == 1:
        return f"{next(iter(few.values())):,} test faces"
    return " and ".join(f"{n:,} {what.upper()}" for what, n in few.items()) + " test faces"
