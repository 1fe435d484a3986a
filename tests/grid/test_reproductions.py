"""The catalogue of tables: names that exist, values as printed, and a run that follows one."""

import json

import pytest

from bench import plugins
from bench.commands.run import reproduced
from bench.core.spec import parse_list
from bench.errors import UsageError
from bench.grid.reproductions import ALL, named, split
from bench.grid.resolve import parameters
from bench.grid.settings import PRESETS, Settings


@pytest.mark.parametrize("table", ALL, ids=lambda t: t.name)
def test_every_name_exists_with_its_options_in_every_preset(table):
    for kind, text in (("methods", table.methods), ("degradations", table.conditions), ("metrics", table.metrics)):
        for spec in parse_list(text):
            known = plugins.names(kind)
            assert spec.name in known or spec.name == "real", spec
            if spec.name in known:
                for preset in PRESETS:
                    parameters(plugins.load(kind, spec.name), spec, preset)


def test_values_are_as_the_papers_print_them():
    values = {(t.name, row): cells for t in ALL for row, cells in t.published}
    assert values["bulat-table1", "Ours"] == {"FID": 14.89, "PSNR": 19.30}
    assert values["bulat-table1", "High-to-Low's LR"] == {"FID-LR": 15.27}
    assert values["goswami-table1", "Ours"] == {"FID": 77.1359}
    assert values["selfsr-table1", "Ours-P"] == {"PSNR": 26.59, "SSIM": 0.7696, "LPIPS": 0.0726, "FID": 30.25}
    assert values["selfsr-table3", "Cyc"] == {"FID": 33.73, "FID-LR": 14.12}
    assert values["selfsr-table4", "unpaired: SCB, Prog."]["PSNR"] == 23.64
    assert "MOR" not in values["aakerberg-table1", "EDSR"] and values["aakerberg-table1", "Ours"]["MOR"] == 1.43
    assert values["aakerberg-table2", "Ours"]["LPIPS"] == 0.25
    assert len(values) == sum(len(t.published) for t in ALL), "no row twice"


def test_what_is_not_installed_is_named():
    there, missing = split(named("goswami-table1"), ["low-to-high", "smooth-features"])
    assert there == "low-to-high,smooth-features" and missing == ["esrgan: no method esrgan is installed"]
    with pytest.raises(UsageError, match="selfsr-table1"):
        named("selfsr-tabel1")


def test_what_the_command_names_wins(capsys):
    taken = reproduced(Settings(reproduce="aakerberg-table2"))
    assert taken.conditions == "jpeg-kernel[variant=test]" and taken.metrics == "psnr,ssim,ms-ssim,nlpd,lpips,dists"
    assert "esrgan-jpeg-kernel" in taken.methods and any("MZSR" in text for text in taken.missing)
    assert "not reproduced: MZSR" in capsys.readouterr().err
    own = reproduced(Settings(reproduce="aakerberg-table2", methods="bicubic", metrics="psnr", conditions="noise"))
    assert (own.methods, own.metrics, own.conditions) == ("bicubic", "psnr", "noise")


def test_a_run_shows_published_values_as_published(bench, folders, tmp_path):
    hr, lr = folders
    code, _, err = bench("run", "--reproduce", "selfsr-table1", "--methods", "bicubic", "--metrics", "psnr", "--hr", hr,
                         "--lr", lr, "--out", tmp_path / "run")  # fmt: skip
    assert code == 0, err
    record = json.loads((tmp_path / "run" / "run.json").read_text())["reproduction"]
    assert record["name"] == "selfsr-table1" and {"row": "Ours-P", "PSNR": 26.59, "SSIM": 0.7696, "LPIPS": 0.0726,
                                                  "FID": 30.25} in record["published"]  # fmt: skip
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Published: Zeng 2022, table I" in page and "26.59" in page and "not measured here" in page
    assert "DIC, FSRGAN, PFSR, DICGAN: no such methods here" in page
    assert "26.59" not in (tmp_path / "run" / "results.csv").read_text(), "published values are no results"


def test_tables_are_listed(bench):
    code, out, _ = bench("list", "reproductions", "--json")
    listed = json.loads(out)
    assert (
        code == 0 and [row["name"] for row in listed] == [t.name for t in ALL] and all(row["summary"] for row in listed)
    )
