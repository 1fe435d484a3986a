"""Tables for a paper: marks and notes, layout, sentences, bibliography; all of it compiles."""

import dataclasses
import re
import shutil
import subprocess

import pytest
from bench.reports import bibliography, latex, text
from bench.reports.contents import contents
from bench.reports.layout import arrange
from made_reports import METHODS, row

from bench.cli import main
from bench.errors import UsageError

DOCUMENT = r"\documentclass[twocolumn]{article}\usepackage{booktabs,siunitx,graphicx}\begin{document}%s\end{document}"


def body(tex):
    return [line for line in tex.splitlines() if line.endswith(r"\\")]


def cells(tex, method):
    """A row's values without their marks."""
    (line,) = [line for line in body(tex) if line.startswith(latex.escape(method) + " &")]
    return re.findall(r"\\tablenum\[[^\]]*\]\{([^}]*)\}", line)


def test_every_table_is_written_with_as_many_cells_as_columns(run):
    written = {f.stem: f.read_text() for f in latex.latex([run], run / "tables") if f.suffix == ".tex"}
    kinds = ("", "consistency_", "smoothness_", "ranks_", "agreement_")
    assert {f"{k}{c}" for k in kinds for c in ("bicubic", "real")} | {"degradations", "cost", "methods"} == set(written)
    for name, tex in written.items():
        assert tex.isascii()
        if name != "methods":
            assert tex.count(r"\begin{") == tex.count(r"\end{") == 2 and tex.count(r"\label{tab:") == 1
            columns = re.search(r"tabular}\{(\w+)\}", tex).group(1)
            assert all(len(re.findall(r"(?<!\\)&", line)) == len(columns) - 1 for line in body(tex))
    tex = written["bicubic"]
    assert r"$^{\approx}$" in tex and "Holm" in tex and "Protocol." in tex and "psnr, as tested" in tex
    assert tex.startswith("% ") and "24 faces" in tex
    best = max(METHODS, key=lambda m: float(cells(tex, m)[0]))
    assert rf"\textbf{{\tablenum[table-format=2.2,{latex.BOLD}]{{{cells(tex, best)[0]}}}}}" in tex


def test_a_layout_chooses_orders_renames_rounds_and_marks_again(run):
    layout = {"methods": ["lanczos", "bicubic"], "metrics": ["swd", "psnr"], "conditions": ["real"], "tables": ["results"],
              "names": {"lanczos": "Ours & theirs", "psnr": "P"}, "decimals": {"psnr": 1}, "interval": False}  # fmt: skip
    (file,) = (f for f in latex.latex([run], run / "t", layout) if f.name not in ("methods.tex", "references.bib"))
    tex = file.read_text()
    assert file.name == "real.tex" and [line.partition(" &")[0] for line in body(tex)[1:]] == [
        r"Ours \& theirs",
        "bicubic",
    ]
    assert (
        re.findall(r"multicolumn\{1\}\{c\}\{(\w+)", tex) == ["SWD", "P"] and r"$\pm$" not in tex.partition("tabular")[2]
    )
    shown = [c[1] for c in (cells(tex, "Ours & theirs"), cells(tex, "bicubic"))]
    assert all(re.fullmatch(r"\d+\.\d", value) for value in shown)
    assert tex.count(r"\textbf") >= 2, "the best of the two that are left, though neither was the best of all"
    full = arrange(contents([run]).tables, {})
    assert any(len(t.rows) == len(METHODS) for t in full)


@pytest.mark.parametrize(
    "layout, said",
    [
        ({"methods": ["nobody"]}, "no table has the method 'nobody'; there are bicubic"),
        ({"columns": 3}, "columns = 3; one of 1, 2"),
        ({"colums": 1}, "no 'colums'; there are"),
        ({"decimals": {"psnr": -1}}, "whole numbers"),
        ({"published": "nowhere1999"}, "no published table 'nowhere1999'"),
    ],
)
def test_a_layout_that_cannot_be_kept_is_said_in_a_line(run, layout, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        latex.latex([run], run / "t", layout)


def test_flags_stand_above_the_file_and_formats_share_them(run, tmp_path, capsys):
    file = tmp_path / "layout.toml"
    file.write_text('methods = ["twin"]\nfit = "split"\n[names]\ntwin = "T"\n')
    flags = [
        "--layout",
        str(file),
        "--methods",
        "bicubic,twin",
        "--names",
        "psnr=P,bicubic=B",
        "--published",
        "goswami2020",
    ]
    assert main(["report", str(run), "--format", "latex", "--out", str(tmp_path / "t"), *flags]) == 0
    names = {f.name for f in (tmp_path / "t").iterdir()}
    assert {"bicubic_fidelity.tex", "bicubic_distribution.tex", "published_goswami2020-real.tex"} <= names
    tex = (tmp_path / "t/bicubic_fidelity.tex").read_text()
    assert [line.partition(" &")[0] for line in body(tex)[1:]] == ["B", "T"]
    assert main(["report", str(run), "--format", "md", "--out", str(tmp_path / "r.md"), *flags]) == 0
    page = (tmp_path / "r.md").read_text()
    assert "| T |" in page and "77.1359" in page and "Goswami 2020" in page
    file.write_text("methods = [")
    assert main(["report", str(run), "--format", "md", "--layout", str(file)]) == 2
    assert "not TOML" in capsys.readouterr().err


def test_escaping_leaves_ascii_that_reads_the_same():
    assert latex.escape("a_b % & # $ {} ~ ^ \\") == (
        r"a\_b \% \& \# \$ \{\} \textasciitilde{} \textasciicircum{} \textbackslash{}"
    )
    assert latex.escape("\u03c3 = 2, √x ≤ ∞, Ärger, “so”") == (
        r"$\sigma$ = 2, $\surd$x $\leq$ $\infty$, \" {A}rger, ``so''".replace('" {', '"{')
    )
    assert latex.escape("漢\n\tx") == "U+6F22 x"


def test_papers_become_entries_with_keys_that_the_paragraph_cites(run):
    paper = "Bulat, Yang, Tzimiropoulos: To learn image super-resolution, use a GAN to learn, ECCV 2018"
    assert bibliography.key_of(paper) == "bulat2018learn"
    made = bibliography.entry(paper)
    assert "author = {Bulat and Yang and Tzimiropoulos}" in made and "booktitle = {ECCV}" in made
    assert "{{To learn image super-resolution, use a GAN to learn}}" in made
    latex.latex([run], run / "tables")
    said, bib = ((run / "tables" / name).read_text() for name in ("methods.tex", "references.bib"))
    cited = {key for keys in re.findall(r"\\cite\{([^}]+)\}", said) for key in keys.split(",")}
    assert cited and cited <= set(re.findall(r"@\w+\{(\w+),", bib)) and "Holm" in said and "psnr, as tested" in said


def test_published_numbers_are_said_to_be_published(run):
    (file,) = (f for f in latex.latex([run], run / "t", {"published": "bulat2018-real"}) if "published" in f.name)
    tex = file.read_text()
    assert "As published by Bulat 2018, Table 1a" in tex and cells(tex, "High-to-Low + Low-to-High") == ["14.89"]
    assert r"\textbf" not in tex, "no best among numbers that were not measured together"


def test_everything_compiles(run, tmp_path):
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    import pandas as pd

    frame = pd.read_csv(run / "results.csv", keep_default_na=False)
    odd = [
        row('"\u03c3_√∞%" [x=1,y={2}] \\n <b> ^~ é', "bicubic", "psnr", 21.0, ci_low=None),
        row("NaN", "bicubic", "psnr", float("inf")),
        row("a name as long as a whole line of the column in which it stands", "bicubic", "psnr", 20.0),
    ]
    pd.concat([frame, pd.DataFrame(odd)]).to_csv(run / "results.csv", index=False)
    for fit, columns in (({}, 1), ({"fit": "split"}, 1), ({"fit": "split"}, 2)):  # whatever the layout, but for none
        out = tmp_path / f"{len(fit)}{columns}"
        files = latex.latex([run], out, {**fit, "columns": columns, "published": "zeng2022"})
        names = [f.name for f in files if f.suffix == ".tex"]
        inputs = r"\clearpage ".join(rf"\input{{{name}}}" for name in names)
        end = r"\bibliographystyle{plain}\bibliography{references}"
        (out / "all.tex").write_text(DOCUMENT % (inputs + end))
        made = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all"], cwd=out, capture_output=True
        )
        said = made.stdout.decode(errors="replace")
        assert made.returncode == 0, said[-1500:]
        wide = re.findall(r"Overfull \\hbox[^\n]*\n *(?:\[\])+ *\n", said)
        assert not wide, "no table is wider than its column"
        if shutil.which("bibtex"):
            bib = subprocess.run(["bibtex", "all"], cwd=out, capture_output=True, text=True)
            assert bib.returncode == 0 and "Warning" not in bib.stdout, bib.stdout


def test_a_table_wider_than_its_float_is_split_in_order_and_a_narrow_one_is_not(run):
    table = next(t for t in contents([run]).of("consistency"))
    assert latex.split_up(table, 2) == [table]
    wide = dataclasses.replace(
        table, columns=table.columns * 3, rows=[dataclasses.replace(r, cells=r.cells * 3) for r in table.rows]
    )
    parts = latex.split_up(wide, 2)
    assert [c for part in parts for c in part.columns] == wide.columns and len({p.stem for p in parts}) == len(
        parts
    ) > 1
    assert [c for part in parts for c in part.rows[2].cells] == wide.rows[2].cells
    assert len(latex.split_up(wide, 1)) > len(parts)


def test_csv_and_markdown_know_the_layout(run, tmp_path):
    text.csv([run], tmp_path / "r.csv", {"methods": ["tw*"]})
    assert {line.split(",")[2] for line in (tmp_path / "r.csv").read_text().splitlines()[1:]} - {"twin"} <= {
        "bicubic",
        "noise",
    }
