"""report.html: one self-contained page."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from bench.core.files import folder_name

from . import consistency
from .contents import Contents, contents, summary
from .figures import rank_plot, shade, stroke
from .pictures import SIDE, embedded
from .statistics import describe, p_text
from .tables import QUICK, letter, split

FACES = 6  # rows of the picture grid of each condition, fewer where the page would grow past PICTURES
PICTURES = 4_000_000  # bytes of all pictures together, before base64 adds a third
FULL_REFERENCE = ("psnr", "ssim", "lpips", "dists")  # an `ok` value of these proves that a condition has ground truth
POINTS = 200  # of a curve; longer ones are averaged


def render(runs: list[Path], out: Path) -> list[Path]:
    """Write the page of one run or of several side by side."""
    from jinja2 import Environment, PackageLoader

    found = contents(runs)
    rows, records = found.rows, found.records
    colours: dict[str, int] = {}
    page = Environment(loader=PackageLoader("bench.reports"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page.filters |= {
        "thousands": thousands,
        "when": when,
        "duration": duration,
        "shade": shade,
        "stroke": stroke,
        "p": p_text,
        "head": lambda title: (
            title.replace(" ↑", "\u00a0↑").replace(" ↓", "\u00a0↓").replace("-", "\u2011")
        ),  # unbroken
    }
    entries = protocols(rows)
    text = page.get_template("report.html.j2").render(
        tables=found.of("results"),
        domain=found.of("degradations"),
        consistency=by_condition(found, consistency.curves(found.tables, rows, colours)),
        ranks=found.of("ranks"),
        agreement=found.of("agreement"),
        cost=found.of("cost"),
        summary=summary(found.tables),
        rank_plots=rank_plots(found),
        colours=colours,
        published=published(records),
        robustness=consistency.robustness(runs, records),
        grids=grids(runs, records, rows),
        curves=[c for record in records for c in curves(record)],
        records=records,
        several=len(records) > 1,
        quick=QUICK if any(r["preset"] == "quick" for r in records) else "",
        budgets=sorted({r["budget"] for r in records if r["budget"]}),
        failed=gathered(rows, records, "failed"),
        unavailable=gathered(rows, records, "unavailable"),
        protocols=entries,
        anchors={(e["metric"], text): f"p{e['first'] + i}" for e in entries for i, text in enumerate(e["texts"])},
        whole=whole,
        letter=letter,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    return [out]


def published(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each paper's table that a run follows: its heads and rows as published, and what is missing here."""
    found = {r["reproduction"]["name"]: r["reproduction"] for r in records if r.get("reproduction")}
    return [{**t, "heads": [h for h in dict.fromkeys(h for row in t["published"] for h in row) if h != "row"]}
            for t in found.values()]  # fmt: skip


def rank_plots(found: Contents) -> list[dict[str, Any]]:
    """Per condition a plot of the mean ranks by each metric, and the p values of all pairs."""
    made: dict[str, list[dict[str, Any]]] = {}
    for contest in found.contests:
        names, result = contest.names(found.tables), contest.found
        plot = rank_plot(contest.title, names, list(result.ranks), result.difference)
        pairs = [(names[i], names[j], result.p[i, j]) for i in range(len(names)) for j in range(i + 1, len(names))]
        made.setdefault(contest.condition, []).append(
            {"title": contest.title, "svg": plot, "about": describe(result), "pairs": pairs, "n": result.n}
        )
    return [{"condition": condition, "plots": plots} for condition, plots in made.items()]


def by_condition(found: Contents, charts: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The curves and the tables of consistency and smoothness of each condition."""
    tables = [*found.of("consistency"), *found.of("smoothness")]
    conditions = dict.fromkeys([*charts, *(t.condition for t in tables)])
    return [{"condition": c, "charts": charts.get(c, []), "tables": [t for t in tables if t.condition == c]}
            for c in conditions]  # fmt: skip


def thousands(n: Any) -> str:
    return f"{n:,}" if isinstance(n, int) else "—"


def when(moment: str) -> str:
    """An ISO time as a person writes it; what is not one as it is."""
    try:
        return datetime.fromisoformat(moment).strftime("%d %B %Y, %H:%M %Z").strip().lstrip("0")
    except ValueError:
        return moment


def duration(seconds: Any) -> str:
    """Seconds as 48 s, 2 min 40 s or 3 h 05 min."""
    if not isinstance(seconds, int | float):
        return "—"
    total = round(seconds)
    if total < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60:02d} s"
    return f"{total // 3600} h {total % 3600 // 60:02d} min"


def whole(metric: str) -> str:
    """The metric that a part belongs to, with its options."""
    name, options, _ = split(metric)
    return f"{name}[{options}]" if options else name


def protocols(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The distinct protocols of each metric; ``first`` numbers them through the page."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row["status"] == "ok":
            kept = found.setdefault(whole(row["metric"]), [])
            if row["protocol"] not in kept:
                kept.append(row["protocol"])
    entries, first = [], 1
    for metric, texts in found.items():
        entries.append({"metric": metric, "texts": texts, "first": first})
        first += len(texts)
    return entries


def gathered(rows: list[dict[str, Any]], records: list[dict[str, Any]], status: str) -> list[dict[str, Any]]:
    """What has no value: each reason once, with everything that it stopped."""
    found: dict[str, list[str]] = {}
    for record in records:
        for failure in record["failed"] if status == "failed" else []:
            found.setdefault(failure["reason"], []).append(failure["cell"])
    recorded = set(found)
    for row in rows:
        if row["status"] == status and row["reason"] not in recorded:
            where = f"{row['method'] or 'LR'} on {row['condition']}: {row['metric']}"
            found.setdefault(row["reason"], []).append(row["metric"] if status == "unavailable" else where)
    return [{"reason": reason, "what": list(dict.fromkeys(what))} for reason, what in found.items()]


def grids(runs: list[Path], records: list[dict[str, Any]], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per run and condition: the same faces as LR, by each method, and in HR where that is known."""
    found = []
    for folder, record in zip(runs, records, strict=True):
        for condition in record["conditions"]:
            place = folder_name(condition)
            columns = [("LR", folder / "images" / "lr" / place)]
            columns += [(m["label"], folder / "images" / m["images"] / place) for m in record["methods"]]
            if truth_is_known(condition, record, rows):
                columns.append(("HR, truth", folder / "images" / "hr"))
            names = sorted(p.name for p in columns[0][1].glob("*.png"))
            columns = [(label, root) for label, root in columns if any((root / name).is_file() for name in names)]
            if len(columns) > 1:
                run = record["run"] if len(runs) > 1 else ""
                found.append({"condition": condition, "run": run, "columns": columns, "names": names})
    cost = sum(weight(root / name) for g in found for name in spread(g["names"], FACES) for _, root in g["columns"])
    count = max(1, min(FACES, FACES * PICTURES // max(cost, 1)))
    for grid in found:
        grid["names"] = spread(grid["names"], count)
        grid["faces"] = [[embedded(root / name) for _, root in grid["columns"]] for name in grid["names"]]
        grid["columns"] = [label for label, _ in grid["columns"]]
    return found


def truth_is_known(condition: str, record: dict[str, Any], rows: list[dict[str, Any]]) -> bool:
    """Real LR has ground truth only where a metric could use it; equal file names do not make a pair."""
    run = {"", record["run"]}
    return condition != "real" or any(
        r["status"] == "ok" and r["condition"] == "real" and r["run"] in run and split(r["metric"])[0] in FULL_REFERENCE
        for r in rows
    )


def spread(names: list[str], count: int) -> list[str]:
    """``count`` of the names, evenly spread."""
    return [names[i * len(names) // count] for i in range(count)] if len(names) > count else names


def weight(file: Path) -> int:
    return min(file.stat().st_size, SIDE * SIDE * 2) if file.is_file() else 0


def curves(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The curves of each trained model, ready to draw."""
    found = []
    for model in [*record["degradations"], *record["methods"]]:
        training = model["training"] or {}
        stages = training.get("stages") or []
        plots = [plot(name, points, stages) for name, points in sorted((training.get("curve") or {}).items())
                 if len(points) > 1]  # fmt: skip
        if plots:
            found.append({"label": model["label"], "run": record["run"], "plots": plots, "stages": stages,
                          "seconds": training.get("seconds"), "stopped": training.get("stopped")})  # fmt: skip
    return found


def plot(name: str, points: list[list[float]], stages: list[dict[str, Any]]) -> dict[str, Any]:
    """One curve as an SVG polyline in a box of 240 x 84, its axes' ends, and where stages end."""
    width, height = 240, 84
    size = -(-len(points) // POINTS)
    chunks = [points[i : i + size] for i in range(0, len(points), size)]
    line = [(sum(s for s, _ in c) / len(c), sum(v for _, v in c) / len(c)) for c in chunks]
    low, high = min(v for _, v in line), max(v for _, v in line)
    last = max(points[-1][0], 1)
    across = [0.0]
    for stage in stages:
        across.append(across[-1] + stage.get("steps", 0))
    return {
        "name": name, "width": width, "height": height, "low": f"{low:.3g}", "high": f"{high:.3g}",
        "start": f"{line[0][1]:.4g}", "end": f"{line[-1][1]:.4g}", "steps": int(last), "averaged": size,
        "line": " ".join(f"{s / last * width:.1f},{height - 4 - (v - low) / ((high - low) or 1) * (height - 8):.1f}"
                         for s, v in line),
        "bounds": [f"{s / last * width:.1f}" for s in across[1:-1] if 0 < s < last],
    }  # fmt: skip
