"""Tables as text: LaTeX (booktabs), CSV and Markdown."""

from __future__ import annotations

import csv as csv_module
from pathlib import Path

from .contents import contents
from .tables import QUICK, Cell, Table, letter

ESCAPES = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
           "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "[": "{[}", "]": "{]}",
           "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
           "↑": r"$\uparrow$", "↓": r"$\downarrow$", "±": r"$\pm$", "→": r"$\to$", "—": "--", "≈": r"$\approx$"}  # fmt: skip


def escape(text: str) -> str:
    """Plain text for LaTeX, on one line."""
    return "".join(ESCAPES.get(char, char) for char in " ".join(text.split()))


def latex(runs: list[Path], out: Path) -> list[Path]:
    """One file a table in the folder ``out``; best bold, second underlined, missing values footnoted."""
    found = contents(runs)
    out.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    quick = any(r["preset"] == "quick" for r in found.records)
    for table in found.tables:
        file = out / f"{table.stem}.tex"
        file.write_text(latex_table(table, quick), encoding="utf-8")
        written.append(file)
    return written


def head(table: Table) -> str:
    """What its rows are."""
    return {"degradations": "Degradation", "agreement": "Metric"}.get(table.kind, "Method")


def latex_table(table: Table, quick: bool = False) -> str:
    """A ``table`` environment that needs the package booktabs. ``quick``: its first line and its caption say so."""
    heads = [*(["Run"] if table.several else []), head(table),
             *(["Trained on"] if table.trained else []), *(c.title for c in table.columns)]  # fmt: skip
    said = [f"{table.title}.", *marks(table), f"{table.faces}." if table.faces else "", table.remark, table.left_out(),
            QUICK if quick else ""]  # fmt: skip
    lines = [
        *(["% " + QUICK] if quick else []),
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(' '.join(filter(None, said)))}}}",
        rf"\begin{{tabular}}{{{'l' * (len(heads) - len(table.columns))}{'r' * len(table.columns)}}}",
        r"\toprule",
        " & ".join(map(escape, heads)) + r" \\",
        r"\midrule",
    ]
    for row in table.rows:
        labels = [*([row.run] if table.several else []), row.label, *([row.degradation] if table.trained else [])]
        lines.append(" & ".join([*map(escape, labels), *map(latex_cell, row.cells)]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    if table.notes:
        lines += ["", r"\medskip\footnotesize\raggedright"]
        lines += [rf"\textsuperscript{{{letter(i)}}}~{escape(note)}\par" for i, note in enumerate(table.notes)]
    return "\n".join([*lines, r"\end{table}", ""])


def marks(table: Table) -> list[str]:
    """What the marks of a table mean."""
    if table.kind in ("ranks", "agreement", "cost"):
        return []
    tied = any(c.tied for r in table.rows for c in r.cells)
    return [
        "Best in bold, second underlined; ± half the width of the 95 % interval.",
        *(
            ["≈ not significantly different from the best (Wilcoxon's signed-rank test, Holm's correction)."]
            if tied
            else []
        ),
    ]


def latex_cell(cell: Cell) -> str:
    text = escape(cell.text) + (rf"\textsuperscript{{{cell.note}}}" if cell.note else "")
    text = {1: rf"\textbf{{{text}}}", 2: rf"\underline{{{text}}}"}.get(cell.rank, text)
    text += r"$^{\approx}$" if cell.tied else ""
    return text + (rf" {{\scriptsize$\pm${cell.half}}}" if cell.half else "")


def csv(runs: list[Path], out: Path) -> list[Path]:
    """All tables in one file, a row for each method and condition."""
    tables = [t for t in contents(runs).tables if t.kind in ("results", "consistency", "smoothness", "degradations")]
    metrics = list(dict.fromkeys(c.metric for t in tables for c in t.columns))
    lines: dict[tuple[str, ...], dict[str, str]] = {}
    for table in tables:
        for row in table.rows:
            pairs = zip(table.columns, row.cells, strict=True)
            values = {column.metric: cell.text for column, cell in pairs if cell.value is not None}
            lines.setdefault((table.condition, row.run, row.label, row.degradation), {}).update(values)
    out.parent.mkdir(parents=True, exist_ok=True)
    with open(out, "w", newline="", encoding="utf-8") as file:
        writer = csv_module.writer(file)
        writer.writerow(["condition", "run", "method", "degradation", *metrics])
        for names, values in lines.items():
            writer.writerow([*names, *(values.get(metric, "") for metric in metrics)])
    return [out]


def markdown(runs: list[Path], out: Path) -> list[Path]:
    """The tables as Markdown; best bold, second underlined, the reasons of missing values below."""
    found = contents(runs)
    lines = [QUICK, ""] if any(r["preset"] == "quick" for r in found.records) else []
    for table in found.tables:
        left = [*(["Run"] if table.several else []), head(table),
                *(["Trained on"] if table.trained else [])]  # fmt: skip
        lines += [f"### {table.title}", "", _line([*left, *(c.title for c in table.columns)])]
        lines.append("|" + "---|" * len(left) + "---:|" * len(table.columns))
        for row in table.rows:
            labels = [*([row.run] if table.several else []), row.label, *([row.degradation] if table.trained else [])]
            lines.append(_line([*labels, *map(_markdown_cell, row.cells)]))
        said = " ".join([*marks(table), f"{table.faces}." if table.faces else "", table.remark, table.left_out()])
        lines += ["", said.strip(), "", *(f"- ({letter(i)}) {note}" for i, note in enumerate(table.notes)), ""]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(lines), encoding="utf-8")
    return [out]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _markdown_cell(cell: Cell) -> str:
    text = {1: f"**{cell.text}**", 2: f"<u>{cell.text}</u>"}.get(cell.rank, cell.text)
    text += "≈" if cell.tied else ""
    return text + (f" ({cell.note})" if cell.note else "") + (f" ±{cell.half}" if cell.half else "")
