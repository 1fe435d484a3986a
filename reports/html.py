"""report.html: one self-contained page."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from bench.core.files import write_text
from bench.core.results import split

from . import faces, overview, published, severity
from .contents import Contents, contents, summary
from .figures import rank_plot, shade, stroke
from .notice import notice
from .statistics import describe, p_text
from .tables import FAMILIES
from .tabular import OTHERS, Table, letter

POINTS = 200  # of a curve; longer ones are averaged
CLOSED = ("ranks", "agreement")  # kinds of tables whose cells do not open
GLANCE = 9  # columns of the first table that leave room for a plane beside it
SCRIPTS = ("tables.js", "detail.js", "viewer.js")


def render(runs: list[Path], out: Path, layout: dict[str, Any] | None = None) -> list[Path]:
    """Write the page of one run or of several side by side; ``layout``: see layout.py."""
    from jinja2 import Environment, PackageLoader

    found = contents(runs).arranged(layout or {})
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
    galleries = faces.galleries(runs, found.loaded)
    shown = faces.take_pictures(galleries, out)
    keys: dict[tuple[str, ...], int] = {}
    results = found.of("results")
    summed = overview.overview(found.tables)
    drawn = by_condition(found, severity.curves(found.tables, rows, colours))
    planes = overview.planes(found.tables, colours)
    source = page.loader.get_source if page.loader else None
    assert source is not None
    text = page.get_template("report.html.j2").render(
        css=Markup(source(page, "report.css")[0]),
        scripts=[Markup(source(page, name)[0]) for name in SCRIPTS],
        data=data(found, galleries, keys, out, shown),
        keys=keys,
        notice=notice(records),
        heading=heading(found),
        overview=summed,
        tied=overview.tied(summed),
        seeded=overview.seeded(summed),
        guarded=overview.guarded(summed),
        glance=glance(summed, planes),
        strips=strips(galleries),
        galleries=galleries,
        shown=shown,
        real=[t for t in results if t.condition == "real"],
        synthetic=[t for t in results if t.condition != "real"],
        domain=found.of("degradations"),
        consistency=drawn,
        planes=planes,
        prices=overview.prices(found.tables, colours),
        ranks=found.of("ranks"),
        agreement=found.of("agreement"),
        cost=found.of("cost"),
        published=published.chosen(str((layout or {}).get("published", ""))),
        summary=summary(found.tables),
        rank_plots=rank_plots(found),
        colours=colours,
        reproduced=reproduced(records),
        studies=studies(runs, records),
        robustness=severity.robustness(runs, records),
        curves=[c for record in records for c in curves(record)],
        records=records,
        several=len(records) > 1,
        failed=gathered(rows, records, "failed"),
        unavailable=gathered(rows, records, "unavailable"),
        protocols=entries,
        anchors={(e["metric"], text): f"p{e['first'] + i}" for e in entries for i, text in enumerate(e["texts"])},
        whole=whole,
        letter=letter,
        closed=CLOSED,
        families=families(found.tables),
    )
    write_text(out, text)
    return [out]


def reproduced(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each paper's table that a run follows: its heads and rows as published, and what is missing here."""
    found = {r["reproduction"]["name"]: r["reproduction"] for r in records if r.get("reproduction")}
    return [{**t, "heads": [h for h in dict.fromkeys(h for row in t["published"] for h in row) if h != "row"]}
            for t in found.values()]  # fmt: skip


def heading(found: Contents) -> str:
    """What was compared on which data, as a title."""
    methods = {r.key[2:] for t in found.of("results") for r in t.rows if r.kind != "floor"}
    names = list(dict.fromkeys(r["data"].get("name", "") for r in found.records))
    on = f" on {' and '.join(filter(None, names))}" if any(names) else ""
    return f"{len(methods)} method{'s' * (len(methods) != 1)}{on}" if methods else "Face super-resolution benchmark"


def studies(runs: list[Path], records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What people said of each run, where `bench study score` has written it."""
    found = []
    for folder, record in zip(runs, records, strict=True):
        try:
            found.append({"run": record["run"], **json.loads((folder / "study.json").read_text(encoding="utf-8"))})
        except (OSError, ValueError, TypeError):
            continue
    return found


def glance(summed: overview.Overview | None, planes: dict[str, list[dict[str, Any]]]) -> dict[str, Any] | None:
    """The plane that stands beside a first table that leaves room for it: of the real LR, else of the first condition."""
    if summed is None or sum(len(g.columns) for g in summed.groups) > GLANCE:
        return None
    return next((planes[c][0] | {"on": c} for c in ("real", *planes) if planes.get(c)), None)


def strips(galleries: list[faces.Gallery]) -> tuple[list[str], list[tuple[int, int, dict[str, int]]]]:
    """For the first screen a face of the real LR and one of the first synthetic condition: the columns' labels, and for each
    face its gallery's number, its own, and the place of each column by its label.
    """
    chosen = [next((n for n, g in enumerate(galleries) if g.columns and g.rows and (g.condition == "real") == real), None)
              for real in (True, False)]  # fmt: skip
    found = []
    for number in (n for n in chosen if n is not None):
        one = galleries[number]
        places = {column.label: place for place, column in enumerate(one.columns)}
        found.append((number, one.rows[min(1, len(one.rows) - 1)][0], places))
    heads = list(dict.fromkeys(label for *_, places in found for label in places))
    last = [label for label in heads if label == faces.TRUTH]
    return [label for label in heads if label not in last] + last, found


def data(
    found: Contents, galleries: list[faces.Gallery], keys: dict[tuple[str, ...], int], out: Path, shown: dict[str, Any]
) -> Markup:
    """What the page's script knows, as JSON that is safe inside a page."""
    made = faces.as_data(galleries, keys, out, shown["outside"])
    labels = severity.line_names(found.tables)
    tests = []
    for contest in found.contests:
        tested = [keys.setdefault(k, len(keys)) for k in contest.keys]
        p = [[float(f"{v:.3g}") for v in row] for row in contest.found.p.tolist()]
        tests.append({"condition": contest.condition, "metric": contest.metric, "keys": tested, "p": p})
    columns = {c.metric: c for t in found.tables if t.kind not in CLOSED for c in t.columns}
    metrics = {m: {"title": columns[m].title if m in columns else m, "digits": faces.decimals(m)}
               for m in dict.fromkeys([*columns, *(m for g in galleries for m in g.values)])}  # fmt: skip
    named = [labels.get(k, k[2] if len(k) > 2 else "") for k in keys]
    text = json.dumps({"labels": named, "metrics": metrics, "galleries": made, "tests": tests}, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


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


def families(tables: list[Table]) -> dict[str, list[Table]]:
    """The tables of the families that only plugins know, by family."""
    found: dict[str, list[Table]] = {}
    for table in tables:
        if table.kind not in (*OTHERS, *FAMILIES):
            found.setdefault(table.kind, []).append(table)
    return found


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
