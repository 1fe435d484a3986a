"""Tables as text: LaTeX (booktabs), CSV and Markdown."""

from __future__ import annotations

import csv as csv_module
import re
from pathlib import Path

from .tables import Cell, Table, build, read

QUICK = "Quick preset: small networks, short training; not comparable with published numbers."
ESCAPES = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
           "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "—": "--"}  # fmt: skip


def escape(text: str) -> str:
    """Plain text for LaTeX."""
    return "".join(ESCAPES.get(char, char) for char in text)


def latex(runs: list[Path], out: Path) -> list[Path]:
    """One file a table in the folder ``out``; best bold, second underlined, missing values footnoted."""
    rows, records = read(runs)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    preset = "quick" if any(r.get("preset") == "quick" for r in records) else ""
    for table in build(rows):
        file = out / f"{re.sub(r'[^A-Za-z0-9.-]+', '_', table.condition or 'degradations').strip('_')}.tex"
        file.write_text(latex_table(table, preset))
        written.append(file)
    return written


def latex_table(table: Table, preset: str = "") -> str:
    """A ``table`` environment that needs the package booktabs."""
    several = any(row.run for row in table.rows)
    trained = table.trained
    heads = [
        *(["Run"] if several else []),
        "Method",
        *(["Trained on"] if trained else []),
        *(c.title for c in table.columns),
    ]
    lines = [
        *(["% " + QUICK] if preset == "quick" else []),
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(table.title)}. Best in bold, second underlined.}}",
        rf"\begin{{tabular}}{{{'l' * (len(heads) - len(table.columns))}{'r' * len(table.columns)}}}",
        r"\toprule",
        " & ".join(map(escape, heads)) + r" \\",
        r"\midrule",
    ]  # fmt: skip
    for row in table.rows:
        names = [*([row.run] if several else []), row.label, *([row.degradation] if trained else [])]
        lines.append(" & ".join([*map(escape, names), *map(latex_cell, row.cells)]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    reasons = {f"{c.metric}: {cell.reason}" for row in table.rows for c, cell in zip(table.columns, row.cells, strict=True)
               if cell.reason}  # fmt: skip
    lines += [f"% -- {reason}" for reason in sorted(reasons)]
    return "\n".join([*lines, r"\end{table}", ""])


def latex_cell(cell: Cell) -> str:
    text = escape(cell.text)
    return {1: rf"\textbf{{{text}}}", 2: rf"\underline{{{text}}}"}.get(cell.rank, text)


def csv(runs: list[Path], out: Path) -> list[Path]:
    """All tables in one file, a row for each method and condition."""
    rows, _ = read(runs)
    tables = build(rows)
    metrics = list(dict.fromkeys(c.metric for t in tables for c in t.columns))
    with open(out, "w", newline="") as file:
        writer = csv_module.writer(file)
        writer.writerow(["condition", "run", "method", "degradation", *metrics])
        for table in tables:
            for row in table.rows:
                values = {
                    c.metric: cell.text
                    for c, cell in zip(table.columns, row.cells, strict=True)
                    if cell.value is not None
                }
                writer.writerow(
                    [table.condition, row.run, row.label, row.degradation, *(values.get(m, "") for m in metrics)]
                )
    return [out]


def markdown(runs: list[Path], out: Path) -> list[Path]:
    """The tables as Markdown; best bold, second underlined."""
    rows, records = read(runs)
    lines = []
    if any(r.get("preset") == "quick" for r in records):
        lines += [QUICK, ""]
    for table in build(rows):
        lines += [f"### {table.title}", "", f"| Method | Trained on | {' | '.join(c.title for c in table.columns)} |"]
        lines.append("|---|---|" + "---:|" * len(table.columns))
        for row in table.rows:
            cells = [{1: f"**{c.text}**", 2: f"<u>{c.text}</u>"}.get(c.rank, c.text) for c in row.cells]
            lines.append(f"| {row.label} | {row.degradation} | {' | '.join(cells)} |")
        lines.append("")
    out.write_text("\n".join(lines))
    return [out]
