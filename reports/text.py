"""Tables as text: LaTeX (booktabs), CSV and Markdown."""

from __future__ import annotations

import csv as csv_module
import re
from pathlib import Path

from .tables import QUICK, Cell, Table, build, letter, read

ESCAPES = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
           "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "[": "{[}", "]": "{]}",
           "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
           "↑": r"$\uparrow$", "↓": r"$\downarrow$", "±": r"$\pm$", "→": r"$\to$", "—": "--"}  # fmt: skip


def escape(text: str) -> str:
    """Plain text for LaTeX, on one line."""
    return "".join(ESCAPES.get(char, char) for char in " ".join(text.split()))


def latex(runs: list[Path], out: Path) -> list[Path]:
    """One file a table in the folder ``out``; best bold, second underlined, missing values footnoted."""
    rows, records = read(runs)
    out.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    quick = any(r["preset"] == "quick" for r in records)
    for table in build(rows):
        stem = re.sub(r"[^A-Za-z0-9.-]+", "_", table.condition or table.title.replace("'", "")).strip("_")
        file = out / f"{'degradations' if stem.startswith('How_close') else stem}.tex"
        file.write_text(latex_table(table, quick), encoding="utf-8")
        written.append(file)
    return written


def latex_table(table: Table, quick: bool = False) -> str:
    """A ``table`` environment that needs the package booktabs. ``quick``: its first line and its caption say so."""
    heads = [*(["Run"] if table.several else []), "Method" if table.condition else "Name",
             *(["Trained on"] if table.trained else []), *(c.title for c in table.columns)]  # fmt: skip
    said = [f"{table.title}.",
            f"Best in bold, second underlined; ± half the width of the 95 % interval. {table.faces}.",
            table.remark, QUICK if quick else ""]  # fmt: skip
    lines = [
        *(["% " + QUICK] if quick else []),
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(' '.join(said).replace(' .', ''))}}}",
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


def latex_cell(cell: Cell) -> str:
    text = escape(cell.text) + (rf"\textsuperscript{{{cell.note}}}" if cell.note else "")
    text = {1: rf"\textbf{{{text}}}", 2: rf"\underline{{{text}}}"}.get(cell.rank, text)
    return text + (rf" {{\scriptsize$\pm${cell.half}}}" if cell.half else "")


def csv(runs: list[Path], out: Path) -> list[Path]:
    """All tables in one file, a row for each method and condition."""
    rows, _ = read(runs)
    tables = build(rows)
    metrics = list(dict.fromkeys(c.metric for t in tables for c in t.columns))
    out.parent.mkdir(parents=True, exist_ok=True)
    with open(out, "w", newline="", encoding="utf-8") as file:
        writer = csv_module.writer(file)
        writer.writerow(["condition", "run", "method", "degradation", *metrics])
        for table in tables:
            for row in table.rows:
                pairs = zip(table.columns, row.cells, strict=True)
                values = {column.metric: cell.text for column, cell in pairs if cell.value is not None}
                names = [table.condition, row.run, row.label, row.degradation]
                writer.writerow([*names, *(values.get(metric, "") for metric in metrics)])
    return [out]


def markdown(runs: list[Path], out: Path) -> list[Path]:
    """The tables as Markdown; best bold, second underlined, the reasons of missing values below."""
    rows, records = read(runs)
    lines = [QUICK, ""] if any(r["preset"] == "quick" for r in records) else []
    for table in build(rows):
        left = [*(["Run"] if table.several else []), "Method" if table.condition else "Name",
                *(["Trained on"] if table.trained else [])]  # fmt: skip
        lines += [f"### {table.title}", "", _line([*left, *(c.title for c in table.columns)])]
        lines.append("|" + "---|" * len(left) + "---:|" * len(table.columns))
        for row in table.rows:
            labels = [*([row.run] if table.several else []), row.label, *([row.degradation] if table.trained else [])]
            lines.append(_line([*labels, *map(_markdown_cell, row.cells)]))
        said = " ".join([f"± half the width of the 95 % interval. {table.faces}.".replace(" .", ""), table.remark])
        lines += ["", said.strip(), "", *(f"- ({letter(i)}) {note}" for i, note in enumerate(table.notes)), ""]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(lines), encoding="utf-8")
    return [out]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _markdown_cell(cell: Cell) -> str:
    text = {1: f"**{cell.text}**", 2: f"<u>{cell.text}</u>"}.get(cell.rank, cell.text)
    return text + (f" ({cell.note})" if cell.note else "") + (f" ±{cell.half}" if cell.half else "")
