"""Tables for a paper: booktabs and siunitx, a caption, a label and the protocol in words; methods paragraph and bibliography."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from pathlib import Path
from typing import Any

from bench.core.files import write_text
from bench.core.results import split

from . import bibliography, published
from .contents import contents
from .layout import arrange, checked
from .notice import notice
from .prose import paragraph
from .tabular import Cell, Column, Row, Table, letter

ESCAPES = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
           "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "[": "{[}", "]": "{]}",
           "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''", "`": r"\textasciigrave{}",
           "↑": r"$\uparrow$", "↓": r"$\downarrow$", "±": r"$\pm$", "→": r"$\to$", "—": "--", "≈": r"$\approx$"}  # fmt: skip
BY_NAME = {  # of Unicode: what needs a command of its own
    "MULTIPLICATION SIGN": r"$\times$", "INFINITY": r"$\infty$", "SQUARE ROOT": r"$\surd$", "LESS-THAN OR EQUAL TO": r"$\leq$",
    "GREATER-THAN OR EQUAL TO": r"$\geq$", "DEGREE SIGN": r"$^\circ$", "MIDDLE DOT": r"$\cdot$", "SUPERSCRIPT TWO": "$^2$",
    "SUPERSCRIPT THREE": "$^3$", "MINUS SIGN": "$-$", "EN DASH": "--", "NON-BREAKING HYPHEN": "-", "NO-BREAK SPACE": "~",
    "HORIZONTAL ELLIPSIS": r"\ldots{}", "LEFT DOUBLE QUOTATION MARK": "``", "RIGHT DOUBLE QUOTATION MARK": "''",
    "DAGGER": r"$\dagger$", "LEFT SINGLE QUOTATION MARK": "`", "RIGHT SINGLE QUOTATION MARK": "'", "MICRO SIGN": r"$\mu$",
    "LATIN SMALL LETTER SHARP S": r"\ss{}", "GREEK SMALL LETTER OMICRON": "o", "GREEK SMALL LETTER LAMDA": r"$\lambda$",
}  # fmt: skip
GREEK = re.compile("GREEK (SMALL|CAPITAL) LETTER (GAMMA|DELTA|THETA|XI|PI|SIGMA|PHI|PSI|OMEGA|ALPHA|BETA|EPSILON|ZETA|ETA|"
                   "IOTA|KAPPA|MU|NU|RHO|TAU|CHI)")  # fmt: skip
LATIN_CAPITALS = {"ALPHA": "A", "BETA": "B", "EPSILON": "E", "ZETA": "Z", "ETA": "H", "IOTA": "I", "KAPPA": "K", "MU": "M",
                  "NU": "N", "RHO": "P", "TAU": "T", "CHI": "X"}  # fmt: skip
ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0308": '"',
    "\u0327": "c",
    "\u030a": "r",
    "\u030c": "v",
}
GROUPS = {
    "fidelity": ("psnr", "ssim", "ms-ssim", "nlpd", "lr-psnr", "lpips", "dists", "identity"),
    "distribution": ("fid", "kid", "swd", "precision", "recall"),
    "consistency": ("consistency", "consistency-lpips", "consistency-identity", "smoothness"),
}  # how "split" divides columns; the others are "quality"
NEEDS = r"% needs \usepackage{booktabs}, \usepackage{siunitx} (3) and, but for fit = none, \usepackage{graphicx}"
BOLD = "mode=text,reset-text-series=false"  # siunitx prints numbers upright and medium unless told
NUMBER = re.compile(r"-?\d+(\.\d+)?")


def latex(runs: list[Path], out: Path, layout: dict[str, Any] | None = None) -> list[Path]:
    """One file a table in the folder ``out``, published tables where asked, methods.tex and references.bib."""
    layout = checked(layout or {})
    found = contents(runs)
    tables, said = arrange(found.tables, layout), notice(found.records)
    files = {}
    for table in tables:
        for part in split_up(table, layout.get("columns", 1)) if layout.get("fit") == "split" else [table]:
            files[f"{part.stem}.tex"] = latex_table(part, said, layout)
    for one in published.chosen(str(layout.get("published", ""))):
        files[f"published_{one.id}.tex"] = published_table(one, layout)
    used = {c.metric for t in tables if t.kind not in ("agreement", "cost") for c in t.columns}
    papers = bibliography.papers(found.records, sorted(used), bool(found.contests))
    files["methods.tex"] = paragraph(found, lambda name: bibliography.cite(papers, name), escape) + "\n"
    files["references.bib"] = bibliography.bibtex(papers, escape)
    for name, text in files.items():
        write_text(out / name, text)
    return [out / name for name in files]


def escape(text: str) -> str:
    """Plain text for pdflatex, in ASCII and on one line; a letter that LaTeX has no name for becomes its code point."""
    return "".join(map(_escaped, " ".join(text.split())))


def _escaped(char: str) -> str:
    if char in ESCAPES:
        return ESCAPES[char]
    if " " <= char <= "~":
        return char
    name = unicodedata.name(char, "")
    if name in BY_NAME:
        return BY_NAME[name]
    if match := GREEK.fullmatch(name):
        size, letter_ = match.groups()
        if size == "CAPITAL" and letter_ in LATIN_CAPITALS:
            return LATIN_CAPITALS[letter_]
        return rf"$\{letter_.lower() if size == 'SMALL' else letter_.capitalize()}$"
    base, *marks_ = list(unicodedata.normalize("NFD", char))
    if len(marks_) == 1 and marks_[0] in ACCENTS and base.isascii():
        return rf"\{ACCENTS[marks_[0]]}{{{base}}}"
    return f"U+{ord(char):04X}"


def split_up(table: Table, columns: int = 1) -> list[Table]:
    """A table of results by groups of metrics, and any table that is wider than its float in parts that are not."""
    parts: dict[str, list[int]] = {}
    for index, column in enumerate(table.columns):
        name = split(column.metric)[0]
        group = next((g for g, names in GROUPS.items() if name in names), "quality") if table.kind == "results" else ""
        parts.setdefault(group, []).append(index)
    found = [(group, some) for group, places in parts.items() for some in _fitting(table, places, LETTERS[columns])]
    if len(found) == 1:
        return [table]
    names = [f"{group}{number}" if sum(g == group for g, _ in found) > 1 else group
             for number, (group, _) in enumerate(found, 1)]  # fmt: skip
    return [_part(table, name, places) for name, (_, places) in zip(names, found, strict=True)]


LETTERS = {1: 46, 2: 96}  # that fit beside each other in a float over so many columns, about


def _fitting(table: Table, places: list[int], room: float) -> list[list[int]]:
    """The columns in as few parts of about equal number as are no wider than ``room`` letters, if one column fits."""
    names = [[r.run for r in table.rows], [r.label for r in table.rows], [r.degradation for r in table.rows]]
    room -= sum(max(map(len, column)) + 2.4 for column in names if any(column))
    widths = []
    for index in places:
        cells = [r.cells[index] for r in table.rows]
        values = max(
            len(c.text) + 0.7 * (len(c.half) + 2 if c.half else 0) + len(c.note) + c.tied + c.dagger for c in cells
        )
        widths.append(max(values, len(table.columns[index].brief)) + 2.4)
    for count in range(1, len(places) + 1):
        size = -(-len(places) // count)
        starts = range(0, len(places), size)
        if all(sum(widths[i : i + size]) <= room for i in starts) or size == 1:
            return [places[i : i + size] for i in starts]
    return [places]


@dataclasses.dataclass
class _Part(Table):
    """Some columns of a table."""

    group: str = ""

    @property
    def stem(self) -> str:
        return f"{super().stem}_{self.group}"


def _part(table: Table, group: str, places: list[int]) -> _Part:
    rows = [dataclasses.replace(r, cells=[r.cells[i] for i in places]) for r in table.rows]
    kept = {f.name: getattr(table, f.name) for f in dataclasses.fields(Table)}
    changes = {"columns": [table.columns[i] for i in places], "title": f"{table.title}: {group}", "rows": rows}
    return _Part(**kept | changes, group=group)


def latex_table(table: Table, said: str = "", layout: dict[str, Any] | None = None) -> str:
    """A ``table`` (``table*`` over two columns). ``said``: what is small about the runs, in first line and caption."""
    layout = layout or {}
    labels = [*(["Run"] if table.several else []), head(table), *(["Trained on"] if table.trained else [])]
    columns = [numbers([r.cells[i] for r in table.rows]) for i in range(len(table.columns))]
    parts = [f"{table.title}.", *legend(table), *marks(table), f"{table.faces}." if table.faces else "",
             table.remark]  # fmt: skip
    caption = [*parts, table.left_out(briefly=True), said]
    body = []
    for row in table.rows:
        names = [*([row.run] if table.several else []), row.label, *([row.degradation] if table.trained else [])]
        cells = [latex_cell(cell, form) for cell, form in zip(row.cells, columns, strict=True)]
        body.append(" & ".join([*map(escape, names), *cells]) + r" \\")
    heads = [rf"\multicolumn{{1}}{{c}}{{{escape(c.brief)}}}" for c in table.columns]
    under = [rf"\textsuperscript{{{letter(i)}}}~{escape(note)}." for i, note in enumerate(table.notes)]
    if words := protocols(table):
        under.append(rf"\textit{{Protocol.}} {words}")
    return floating(
        table.stem, " ".join(filter(None, caption)), "l" * len(labels) + "".join("l" if form else "r" for form in columns),
        " & ".join([*map(escape, labels), *heads]) + r" \\", body, under, said, layout,
    )  # fmt: skip


def floating(
    stem: str, caption: str, spec: str, heading: str, body: list[str], under: list[str], said: str, layout: dict[str, Any]
) -> str:  # fmt: skip
    """The float around a tabular, as wide as the layout says."""
    star = "*" if layout.get("columns", 1) == 2 else ""
    width = r"\textwidth" if star else r"\columnwidth"
    tabular = [
        rf"\begin{{tabular}}{{{spec}}}",
        r"\toprule",
        heading,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if layout.get("fit") != "none":  # of a table that is split, too: one column may be too wide
        tabular = [rf"\resizebox{{\ifdim\width>{width}{width}\else\width\fi}}{{!}}{{%", *tabular, "}"]
    label = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-").lower()
    return "\n".join([
        *(["% " + " ".join(said.split())] if said else []), NEEDS, rf"\begin{{table{star}}}", r"\centering",
        rf"\caption{{{escape(caption)}}}", rf"\label{{tab:{label}}}", *tabular,
        *(["", r"\medskip\footnotesize\raggedright", *(rf"{line}\par" for line in under)] if under else []),
        rf"\end{{table{star}}}", "",
    ])  # fmt: skip


def numbers(cells: list[Cell]) -> str:
    """A column's siunitx format, places before and after the point, where its values are numbers; else nothing."""
    texts = [c.text for c in cells if c.value is not None]
    if not texts or not all(NUMBER.fullmatch(t) or t in ("inf", "-inf", "nan") for t in texts):
        return ""
    plain = [t for t in texts if NUMBER.fullmatch(t)] or ["0"]
    before = max(len(t.lstrip("-").partition(".")[0]) for t in plain)
    after = max(len(t.partition(".")[2]) for t in plain)
    sign = "-" if any(t.startswith("-") for t in plain) else ""
    return f"table-format={sign}{before}.{after}"


def latex_cell(cell: Cell, form: str = "") -> str:
    r"""A cell: bold or underlined by its rank, with its notes. ``form``: of ``\tablenum``, which gives every number of the
    column one width, so that points stand below each other whatever follows the number; see `numbers`.
    """
    tail = rf"\textsuperscript{{{cell.note}}}" if cell.note else ""
    tail += r"$^{\approx}$" if cell.tied else ""
    tail += r"$^{\dagger}$" if cell.dagger else ""
    tail += rf" {{\scriptsize$\pm${cell.half}}}" if cell.half else ""
    text = {"inf": r"$\infty$", "-inf": r"$-\infty$", "nan": "--"}.get(cell.text) or escape(cell.text)
    if form and NUMBER.fullmatch(cell.text):
        text = rf"\tablenum[{form}{',' + BOLD if cell.rank == 1 else ''}]{{{text}}}"
    return {1: rf"\textbf{{{text}}}", 2: rf"\underline{{{text}}}"}.get(cell.rank, text) + tail


def head(table: Table) -> str:
    """What its rows are."""
    return {"degradations": "Degradation", "agreement": "Metric"}.get(table.kind, "Method")


def legend(table: Table) -> list[str]:
    """Colour, border and reference of the columns, in sentences: the metrics that share them together."""
    groups: dict[str, list[str]] = {}
    for column in table.columns:
        if column.heading:
            groups.setdefault(column.heading, []).append(column.short)
    return [f"{', '.join(names)}: {said}." for said, names in groups.items()]


def marks(table: Table) -> list[str]:
    """What the marks of a table mean, and which columns have no test."""
    if table.kind in ("ranks", "agreement", "cost"):
        return []
    cells = [c for r in table.rows for c in r.cells]
    seeds = sorted({c.seeds for c in cells if c.seeds > 1})
    halves = ["half the width of the 95 % interval"] if any(c.half and c.seeds == 1 for c in cells) else []
    halves += [f"the standard deviation over {' or '.join(map(str, seeds))} seeds"] if seeds else []
    interval = f" ± {' or '.join(halves)}." if halves else ""
    best = "Best in bold, second underlined." if any(c.rank for c in cells) else ""
    found = [f"{best}{interval}".strip()]
    if any(c.tied for c in cells):
        found.append("≈ not significantly different from the best (Wilcoxon's signed-rank test, Holm's correction).")
    found += [table.guarded] if table.guarded else []
    untested = [c.short for i, c in enumerate(table.columns) if not c.tested and not split(c.metric)[2]
                and sum(r.cells[i].value is not None and not r.kind for r in table.rows) > 1]  # fmt: skip
    if untested and table.kind == "results":
        found.append(
            f"Differences are not tested for {', '.join(dict.fromkeys(untested))} (no values of single faces)."
        )
    return found


def protocols(table: Table) -> str:
    """How the numbers of each column were made, in words, in LaTeX."""
    if table.kind in ("ranks", "agreement", "cost"):
        return ""
    said = []
    for index, column in enumerate(table.columns):
        texts = list(dict.fromkeys(r.cells[index].protocol for r in table.rows if r.cells[index].protocol))
        if texts and not split(column.metric)[2]:
            said.append(f"{escape(column.short)}: {'; or '.join(map(escape, texts))}.")
    return " ".join(said)


def published_table(one: published.Published, layout: dict[str, Any]) -> str:
    """A table of a paper, as it prints it, said to be so."""
    columns = [Column(m, d) for m, d in zip(one.columns, one.direction, strict=True)]
    rows = [Row(name, "", [Cell("--" if v != v else f"{v:g}", None if v != v else v) for v in values])
            for name, _, values in one.rows]  # fmt: skip
    specs = [numbers([r.cells[i] for r in rows]) for i in range(len(columns))]
    body = [
        " & ".join([escape(r.label), *(latex_cell(c, s) for c, s in zip(r.cells, specs, strict=True))]) + r" \\"
        for r in rows
    ]
    heading = " & ".join(["Method", *(rf"\multicolumn{{1}}{{c}}{{{escape(c.title)}}}" for c in columns)]) + r" \\"
    return floating(f"published_{one.id}", f"{one.about} Not measured here.",
                    "l" * (1 + len(columns)), heading, body, [], "", layout)  # fmt: skip
