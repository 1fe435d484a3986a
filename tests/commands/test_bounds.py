"""Numbers outside their bounds, and folders that are no runs, are answered in one line."""

import dataclasses
import json
import typing

import pandas as pd
import pytest

from bench import plugins
from bench.core.results import write_table
from bench.core.spec import Spec
from bench.errors import UsageError
from bench.grid.resolve import parameters


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--conditions", "blur[sigma=0]"], "sigma=0.0 is not from 0.01 to 100"),
        (["--conditions", "jpeg[quality=101]"], "quality=101 is not from 1 to 100"),
        (["--conditions", "jpeg[quality=0]"], "quality=0 is not"),
        (["--conditions", "noise[sigma=inf]"], "sigma=inf is not a number"),
        (["--conditions", "noise[sigma=-1]"], "sigma=-1.0 is not from 0 to 255"),
        (["--conditions", "jpeg-kernel[probability=2]"], "probability=2.0 is not from 0 to 1"),
        (["--methods", "selfsr[batch=0]"], "batch=0 is not 1 or more"),
        (["--methods", "selfsr[steps=-1]"], "steps=-1 is not 0 or more"),
        (["--devices", "0"], "0 is less than 1"),
        (["--seed", "-1"], ""),
        (["--condition-seed", "-1"], "-1 is less than 0"),
        (["--hr", ""], "--hr takes a path, not an empty text"),
        (["--store", ""], "--store takes a path"),
        (["--jobs", "0"], "0 is less than 1"),
        (["--checkpoint-every", "-1"], "-1 is less than 0"),
        (["--budget", "0"], "not a length of time"),
        (["--methods", "edsr[degradation=noise[sigma=300]]"], "sigma=300.0 is not from 0 to 255"),
        (["--methods", "esrgan[halve=0.5+1.5]"], "halve=1.5 is not from 0 to 1"),
        (["--degradations", "jpeg-kernel[kernelgan.width=0]"], "kernelgan.width=0 is not 1 or more"),
        (["--methods", "low-to-high[augment.zoom=2]"], "augment.zoom=2.0 is not from 0 to 0.99"),
        (["--metrics", "psnr[border=-1]"], "border=-1 is not 0 or more"),
    ],
)
def test_bounds(bench, tmp_path, arguments, words):
    code, out, err = bench("run", "--methods", "bicubic", "--out", tmp_path / "out", *arguments)
    assert code == 2 and words in err and len(err.strip().splitlines()) == 1 and out == ""


@pytest.mark.parametrize(
    "line", ["devices = 0", "seeds = [-1]", "condition-seed = -1", 'devices = "two"', "budget = -1"]
)
def test_bounds_hold_in_a_configuration_too(bench, tmp_path, line):
    (tmp_path / "run.toml").write_text(f'methods = "bicubic"\n{line}\n')
    code, _, err = bench("run", "--config", tmp_path / "run.toml", "--out", tmp_path / "out")
    assert code == 2 and len(err.strip().splitlines()) == 1 and line.partition(" ")[0].replace("-", "_") in err


PLUGINS = [(kind, name) for kind in ("methods", "degradations", "metrics") for name in plugins.names(kind)]


@pytest.mark.parametrize(("kind", "name"), PLUGINS)
def test_every_number_has_a_bound_that_published_settings_keep(kind, name):
    cls = plugins.load(kind, name)
    for preset in ("quick", "paper"):
        for variant in ("", *cls.variants):
            parameters(cls, Spec(name, (("variant", variant),) if variant else ()), preset)

    def refused(params: object, before: str = "") -> None:
        for field, hint in typing.get_type_hints(type(params)).items():
            if dataclasses.is_dataclass(hint):
                refused(getattr(params, field), f"{before}{field}.")
            elif {int, float} & {hint, *typing.get_args(hint)}:
                value = (
                    "+".join(["-1"] * len(getattr(params, field) or (0,))) if typing.get_origin(hint) is tuple else "-1"
                )
                with pytest.raises(UsageError, match=r"is not|has to be"):
                    parameters(cls, Spec(name, ((f"{before}{field}", value),)), "paper")

    refused(cls.Params())


ROW = {"method": "m", "condition": "noise", "metric": "psnr", "value": 1.0, "status": "ok", "direction": "higher"}
DAMAGE = {
    "an empty table": lambda f: (f / "results.parquet").write_bytes(b""),
    "a table cut short": lambda f: (f / "results.parquet").write_bytes((f / "results.parquet").read_bytes()[:200]),
    "another program's table": lambda f: pd.DataFrame({"a": [1]}).to_parquet(f / "results.parquet"),
    "a record cut short": lambda f: (f / "run.json").write_text('{"methods": ['),
    "a record that is a list": lambda f: (f / "run.json").write_text("[]"),
    "a record of other types": lambda f: (f / "run.json").write_text(json.dumps({"methods": 3, "data": "x"})),
    "a record that is no text": lambda f: (f / "run.json").write_bytes(b"\xff\xfe\x00"),
    "methods that are no records": lambda f: (f / "run.json").write_text(json.dumps({"methods": ["x"]})),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("form", ["html", "md"])
def test_reports_of_damaged_and_foreign_folders_are_one_line(bench, tmp_path, damage, form):
    write_table(tmp_path, [ROW])
    DAMAGE[damage](tmp_path)
    code, _, err = bench("report", tmp_path, "--format", form)
    assert code == 2 and len(err.strip().splitlines()) == 1 and str(tmp_path) in err


def test_no_place_in_a_record_leads_out_of_the_run(bench, tmp_path):
    from PIL import Image

    secret = tmp_path / "secret"
    (secret / "noise").mkdir(parents=True)
    Image.new("RGB", (8, 8), (1, 2, 3)).save(secret / "noise" / "a.png")
    run = tmp_path / "run"
    (run / "images" / "lr" / "noise").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(run / "images" / "lr" / "noise" / "a.png")
    write_table(run, [ROW])
    model = {"label": "m", "name": "m", "images": "../../secret"}
    (run / "run.json").write_text(json.dumps({"conditions": ["noise"], "methods": [model]}))
    import base64

    assert bench("report", run)[0] == 0
    shown = base64.b64encode((secret / "noise" / "a.png").read_bytes()).decode()
    assert shown not in (run / "report.html").read_text()


@pytest.mark.parametrize("text", ["0..1000000000", "2..0", "-1", "1e3", "", "a"])
def test_seeds_that_cannot_be_are_refused_at_once(bench, text):
    code, _, err = bench("run", "--methods", "bicubic", f"--seeds={text}")
    assert code == 2 and err.startswith("bench: --seeds") and err.count("\n") == 1
