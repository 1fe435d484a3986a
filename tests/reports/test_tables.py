"""Reports: marks, footnotes, escaping, a page that stands alone, and honest pictures."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bench.reports import faces, html, latex, tables, tabular, text
from bench.reports import pictures as pictures_of
from bench.reports.contents import contents
from bench.reports.rows import read
from made_reports import Links, picture, row

ROOT = Path(__file__).parents[2]
QUICK = (
    "Quick preset: small networks, short training (1 model, 1,000 steps); 4 test faces; not comparable with published "
    "numbers. Training time was limited to 3 s for all models together."
)
UNAVAILABLE = "AlexNet (alexnet_owt.pth) is not here; get it with: bench weights fetch alexnet"
FAILED = "loss is not finite at step 4,\n100 % of 3 & 4 <b>"


@pytest.fixture
def make_run(tmp_path):
    """Write a run's folder as `bench run` does: three methods, one of which fails, and one metric without weights."""

    def make(name="out", *, fingerprint="ab12", seed=0, truth=False, record=True, shift=0.0, **changes) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        rows = []
        for condition in ("jpeg[quality=30]", "real"):
            known = truth or condition != "real"
            for index, method in enumerate(("bicubic", "edge_net", "broken")):
                more = {"degradation": "high-to-low", "variant": "width=8"} if method == "edge_net" else {}
                more |= {"seed": seed}
                bad = {"status": "failed", "reason": FAILED} if method == "broken" else {}
                none = {"status": "unavailable", "reason": "needs the ground truth in HR"}
                lacking = bad or ({} if known else none)
                rows += [
                    row(method, condition, "psnr", None if lacking else 20.0 + index + shift, **more, **lacking),
                    row(method, condition, "swd", None if bad else 30.0 - index, direction="lower", **more, **bad),
                    row(method, condition, "lpips", None, direction="lower", status="unavailable", reason=UNAVAILABLE, **more),
                ]  # fmt: skip
        pd.DataFrame(rows).to_csv(folder / "results.csv", index=False)
        models = [{"label": label, "images": label, "degradation": "", "parameters": None, "params": {}, "training": None}
                  for label in ("bicubic", "edge_net[width=8]", "broken")]  # fmt: skip
        curve = {"loss/net": [[step, 1 / step] for step in range(1, 1001)]}
        stages = [{"name": "l1", "steps": 600}, {"name": "gan", "steps": 400}]
        models[1] |= {"parameters": 1234567, "params": {"width": 8},
                      "training": {"steps": 1000, "seconds": 75.2, "stages": stages, "curve": curve}}  # fmt: skip
        if record:
            face = {"source": "hr", "train": 1200, "test": 4, "size": "64x64", "fingerprint": fingerprint}
            values = {"command": "bench run --methods all", "preset": "quick", "budget": "3 s", "seed": seed, "device": "CPU",
                      "precision": "fp32", "versions": {"torch": "2"}, "started": "2026-01-02T03:04:05+00:00", "seconds": 99.0,
                      "data": {"name": "faces", "hr": face}, "methods": models, "conditions": ["jpeg[quality=30]", "real"],
                      "failed": [{"cell": "train broken", "reason": FAILED}], "weightless": ["lpips"]}  # fmt: skip
            (folder / "run.json").write_text(json.dumps(values | changes))
        for index in range(8):
            for place in ("lr/jpeg[quality=30]", "lr/real"):
                picture(folder / f"images/{place}/face{index}.png", 16, index)
            for place in ("bicubic/jpeg[quality=30]", "bicubic/real", "edge_net[width=8]/real", "hr"):
                picture(folder / f"images/{place}/face{index}.png", 64, index)
        return folder

    return make


def page(*runs: Path) -> str:
    (file,) = html.render(list(runs), runs[0] / "report.html")
    return file.read_text()


def marks(values, direction):
    cells = [tabular.Cell(text=v, value=None if v == "—" else float(v)) for v in values]
    tables.rank(cells, direction)
    return [c.rank for c in cells]


def test_best_and_second_follow_the_direction():
    assert marks(["1.0", "3.0", "2.0"], "higher") == [0, 1, 2]
    assert marks(["1.0", "3.0", "2.0"], "lower") == [1, 0, 2]


def test_values_that_look_equal_share_a_mark_and_missing_ones_have_none():
    assert marks(["2.0", "2.0", "—", "1.0", "0.5"], "higher") == [1, 1, 0, 2, 0]
    assert marks(["2.0", "—"], "higher") == [0, 0], "one value is neither best nor worst"
    assert marks(["inf", "30.0"], "higher") == [1, 2]


@pytest.mark.parametrize(("metric", "parts"), [
    ("psnr", ("psnr", "", "")), ("swd.level0", ("swd", "", "level0")), ("fid[p=0.5]", ("fid", "p=0.5", "")),
    ("fid[p=0.5].to_clean", ("fid", "p=0.5", "to_clean")),
])  # fmt: skip
def test_a_metric_with_dots_in_its_options_is_split_rightly(metric, parts):
    assert tabular.split(metric) == parts


def test_a_table_has_a_row_a_method_and_says_why_values_are_missing(make_run):
    rows, _ = read([make_run()])
    table = tables.build(rows)[0]
    assert table.title == "Tested on jpeg[quality=30]" and table.faces == "n = 4 faces"
    assert [c.title for c in table.columns] == ["PSNR ↑", "SWD ↓"] and table.absent == {"LPIPS": UNAVAILABLE}
    assert table.left_out() == f"Not shown: LPIPS ({UNAVAILABLE})."
    assert table.left_out(briefly=True) == "Not shown: LPIPS (a pretrained file is not here)."
    (old,) = read([make_run("old", weightless=[])])[:1]
    assert tables.build(old)[0].left_out(briefly=True) == table.left_out(), "whatever the reason says"
    assert [(r.label, r.degradation) for r in table.rows] == [
        ("bicubic", ""),
        ("edge_net (width=8)", "high-to-low"),
        ("broken", ""),
    ]
    assert [[c.text + c.note for c in r.cells] for r in table.rows] == [
        ["20.00", "30.0"], ["21.00", "29.0"], ["—a", "—a"]]  # fmt: skip
    assert [c.rank for c in table.rows[1].cells] == [1, 1]
    assert table.rows[0].cells[0].half == "0.50" and "as tested" in table.rows[0].cells[0].detail
    assert table.notes == [" ".join(FAILED.split())]


def test_markdown_and_csv_hold_the_same_values(make_run):
    run = make_run()
    (md,), (csv,) = text.markdown([run], run / "r.md"), text.csv([run], run / "r.csv")
    assert md.read_text().splitlines()[0] == QUICK
    assert "| edge_net (width=8) | high-to-low | **21.00** ±0.50 | **29.0** ±0.5 |" in md.read_text()
    assert "| broken |  | — (a) | — (a) |" in md.read_text() and f"Not shown: LPIPS ({UNAVAILABLE})." in md.read_text()
    found = pd.read_csv(csv, keep_default_na=False)
    assert found[(found.method == "bicubic") & (found.condition == "real")].swd.item() in (30.0, "30.0")


def test_the_page_stands_alone_and_every_link_in_it_arrives(make_run):
    source = page(make_run())
    found = Links(source)
    assert not found.open and len(set(found.ids)) == len(found.ids)
    assert all(a.startswith(("#", "data:image/png;base64,", "data:image/webp;base64,")) for a in found.addresses)
    assert {a[1:] for a in found.addresses if a.startswith("#")} <= set(found.ids)
    assert "@import" not in source and "url(" not in source


def test_the_first_line_of_the_page_says_quick_preset_and_budget(make_run):
    body = re.sub(r"<[^>]+>", "", page(make_run()).partition("<body>")[2]).strip()
    assert body.splitlines()[0] == QUICK
    many = {"hr": {"source": "hr", "train": 9, "test": 1000, "size": "64x64", "fingerprint": "1"}}
    full = page(make_run("full", preset="paper", budget=None, data=many)).partition("<body>")[2]
    assert re.sub(r"<[^>]+>", "", full).strip().splitlines()[0] == "3 methods"


def test_the_notice_says_exactly_what_is_small(make_run):
    models = [{"label": "bicubic", "training": None}]
    untrained = page(make_run("untrained", methods=models, budget=None))
    assert "No model was trained here: 4 test faces; not comparable" in untrained and "small networks" not in untrained


def test_what_failed_or_is_unavailable_is_named_with_its_reason(make_run):
    missing = page(make_run()).partition('id="missing"')[2].partition("<h2")[0]
    assert "train broken" in missing and "100 % of 3 &amp; 4 &lt;b&gt;" in missing
    assert "<code>bench weights fetch alexnet</code>" in missing and "needs the ground truth" in missing


def test_every_value_leads_to_its_protocol(make_run):
    source = page(make_run())
    anchor = re.search(r'href="#(p\d+)" class="best">21.00<', source).group(1)
    assert f'<p id="{anchor}">psnr, as tested</p>' in source


def pictures(source: str, condition: str) -> list[str]:
    """The captions of a condition's pictures."""
    return re.findall(r'<img[^>]* alt="([^"]+)"', source.partition(f'id="f-{condition}"')[2].partition("</figure>")[0])


def test_real_faces_show_no_truth_that_is_not_theirs(make_run):
    unpaired = page(make_run())
    assert "face0.png, HR, truth" in pictures(unpaired, "jpeg[quality=30]"), "known for the degraded HR faces"
    assert "face0.png, LR" in pictures(unpaired, "real") and "face0.png, HR, truth" not in pictures(unpaired, "real")
    assert "have no ground truth" in unpaired
    paired = page(make_run("paired", truth=True))
    assert "face0.png, HR, truth" in pictures(paired, "real") and "have no ground truth" not in paired


def test_pictures_are_spread_over_the_faces_and_bounded_in_number_and_size(make_run, monkeypatch):
    run = make_run()
    found = re.findall(r'<img[^>]* alt="([^"]+)"', page(run).partition('id="faces"')[2])
    found = [name for name in found if name.endswith(", LR")]
    assert found == [f"face{i}.png, LR" for i in (0, 2, 4, 6)] * 2, "four of eight, under two conditions"
    monkeypatch.setattr(faces, "PICTURES", 3)
    source = page(run)
    assert source.count("data:image/") <= 3 + 2 and '"root":"images/bicubic/real"' in source, (
        "the others from the folder"
    )
    picture(run / "large.png", 600, 9)
    data = base64.b64decode(pictures_of.embedded(run / "large.png").partition(",")[2])
    assert int.from_bytes(data[16:20], "big") == pictures_of.SIDE


def test_curves_are_drawn_within_their_box_and_stages_are_marked(make_run):
    source = page(make_run())
    points = re.search(r'<polyline points="([^"]+)"', source).group(1).split()
    xy = np.array([p.split(",") for p in points], float)
    assert len(xy) <= html.POINTS and (xy >= 0).all() and (xy <= (240, 84)).all()
    assert (np.diff(xy[:, 0]) > 0).all() and (np.diff(xy[:, 1]) >= 0).all(), "a falling loss goes down"
    assert 'x1="144.0"' in source, "600 of 1000 steps"


def test_runs_on_other_faces_have_a_table_of_their_own(make_run):
    twice = read([make_run("a/out"), make_run("b/out")])[0]
    table = tables.build(twice)[0]
    assert [r.run for r in table.rows][::3] == ["a/out", "b/out"] and not table.remark, "the same seed is no replicate"
    other = read([make_run("c/out"), make_run("d/out", fingerprint="cd34")])[0]
    first, second = tables.build(other)[:2]
    assert first.title == "Tested on jpeg[quality=30], faces of c/out" and "do not compare" in second.remark
    assert [c.rank for c in second.rows[1].cells] == [1, 1] and len({t.stem for t in tables.build(other)}) == 4
    assert len(read([make_run("e"), make_run("f", record=False)])[1]) == 2


def test_seeds_are_replicates(make_run):
    """Mean and standard deviation of one method's seeds in one row, in the table and in the tests."""
    runs = [make_run(f"s{seed}", seed=seed, shift=shift) for seed, shift in ((0, 0.0), (1, 1.0), (2, 5.0))]
    table = tables.build(read(runs)[0])[0]
    assert [(r.label, r.run) for r in table.rows] == [("bicubic", ""), ("edge_net (width=8)", ""), ("broken", "")]
    cell = table.rows[0].cells[0]
    assert (cell.text, cell.half, cell.seeds) == ("22.00", "2.65", 3) and "standard deviation 2.65" in cell.detail
    assert "the standard deviation over 3 seeds" in " ".join(latex.marks(table))
    other = read([runs[0], make_run("p", seed=7, preset="paper")])[0]
    assert len(tables.build(other)[0].rows) == 6, "another preset is another method, not a replicate"


def test_a_run_of_several_seeds_counts_its_methods_once_and_tells_its_models_apart(make_run):
    run = make_run()
    frame = pd.read_csv(run / "results.csv", keep_default_na=False)
    pd.concat([frame, frame.assign(seed=1)]).to_csv(run / "results.csv", index=False)
    record = json.loads((run / "run.json").read_text())
    models = [{**m, "seed": seed, "images": f"{m['label']},seed={seed}"} for m in record["methods"] for seed in (0, 1)]
    (run / "run.json").write_text(json.dumps({**record, "seeds": [0, 1], "methods": models}))
    source = page(run)
    assert "<h1>3 methods on faces</h1>" in source and ">3 methods \u00d7 2 conditions" in source
    assert "seeds 0, 1" in source and source.count('<span class="soft">seed 1</span>') == 1, "one method is trained"
    assert "of several seeds their standard deviation" in source


def test_a_faces_value_is_the_mean_over_seeds_and_belongs_to_its_row(make_run):
    """By pandas alone; what the page shows of a face is found by the key of the table's row."""
    runs = [make_run(f"s{seed}", seed=seed) for seed in (0, 1, 2)]
    rng, given = np.random.default_rng(0), []
    for seed, run in enumerate(runs):
        frame = pd.read_csv(run / "results.csv", keep_default_na=False)
        rows = [row(m, c, "psnr", float(v), image=f"face{i}", n=1, seed=seed)
                for m in ("bicubic", "broken") for c in ("real", "jpeg[quality=30]") for i, v in enumerate(rng.normal(20, 1, 5))
                if (m, i, seed) != ("bicubic", 4, 1)]  # fmt: skip
        given += rows
        pd.concat([frame, pd.DataFrame(rows)]).to_csv(run / "results.csv", index=False)
    found = contents(runs)
    wanted = pd.DataFrame(given).groupby(["condition", "method", "image"]).value.mean()
    assert len(found.loaded.singles) == 2
    for one in found.loaded.singles:
        for number, key in enumerate(one.keys):
            mine = wanted[one.condition, key[2]]
            assert dict(zip(one.names, one.values[:, number], strict=True)) == pytest.approx(mine.to_dict())
            assert one.runs[number] == {r["run"] for r in found.records}
    keys = {(t.condition, r.key) for t in found.of("results") for r in t.rows}
    for gallery in faces.galleries(runs, found.loaded):
        assert {(gallery.condition, c.key) for c in gallery.columns if c.label == "bicubic"} <= keys
        assert all((gallery.condition, key) in keys for by in gallery.values.values() for key in by) and gallery.values


def measured(make_run, name, values, *, protocol="psnr, as tested", scale=4, n=4, **more):
    """A run of one method with values of single faces, by name."""
    run = make_run(name, **more)
    known = pd.read_csv(run / "results.csv", keep_default_na=False)
    rows = [
        row(
            name, "jpeg[quality=30]", "psnr", float(np.nanmean(list(values.values()))), n=len(values), protocol=protocol
        )
    ]
    rows += [row(name, "jpeg[quality=30]", "psnr", v, image=k, n=1, protocol=protocol) for k, v in values.items()]
    known = pd.DataFrame(rows)
    known.to_csv(run / "results.csv", index=False)
    record = json.loads((run / "run.json").read_text())
    model = {
        "label": name,
        "name": name,
        "variant": "",
        "degradation": "",
        "scale": scale,
        "images": name,
        "params": {},
    }
    (run / "run.json").write_text(json.dumps({**record, "methods": [model]}))
    return run


def first_table(runs):
    return next(t for t in contents(runs).tables if t.kind == "results")


def test_values_of_other_scales_and_protocols_do_not_compete(make_run):
    faces = {f"f{i}": 20.0 + i for i in range(8)}
    better = {k: v + 3 for k, v in faces.items()}
    four, two = measured(make_run, "four", faces), measured(make_run, "two", better, scale=2)
    assert [t.title for t in tables.build(read([four, two])[0])] == [
        "Tested on jpeg[quality=30], x4", "Tested on jpeg[quality=30], x2"]  # fmt: skip
    rgb = measured(make_run, "rgb", better, protocol="psnr, RGB")
    table = first_table([four, rgb])
    assert [r.cells[0].rank for r in table.rows] == [0, 0] and "measured in different ways" in table.remark
    same = measured(make_run, "same", better, protocol="psnr, as tested, seed 3")
    assert [r.cells[0].rank for r in first_table([four, same]).rows] == [2, 1], "a seed is no difference of protocol"


def test_the_best_is_that_on_the_faces_which_all_methods_have(make_run):
    """One left the hard faces out: its mean is higher, on the common faces it is lower."""
    hard = {**{f"f{i}": 25.0 + 0.1 * i for i in range(8)}, "g0": 10.0, "g1": 11.0}
    easy = {f"f{i}": 24.0 + 0.1 * i for i in range(8)}
    table = first_table([measured(make_run, "whole", hard), measured(make_run, "picky", easy)])
    assert table.rows[0].cells[0].value < table.rows[1].cells[0].value
    assert [r.cells[0].rank for r in table.rows] == [
        1,
        2,
    ] and "the best on the 8 faces that all methods have" in table.remark


def test_headings_and_captions_carry_colour_border_and_reference(make_run):
    faces = {f"f{i}": 20.0 + i for i in range(8)}
    run = measured(make_run, "one", faces, protocol="[Y, border 4] PSNR of something")
    table = first_table([run])
    assert table.columns[0].title == "PSNR (Y, border 4) ↑" and table.columns[0].short == "PSNR"


def test_what_real_faces_reach_is_a_row_that_is_no_method(make_run):
    run = make_run()
    rows = pd.read_csv(run / "results.csv", keep_default_na=False)
    floor = row("bicubic", "real", "swd.floor", 12.0, direction="lower", n=3)
    pd.concat([rows, pd.DataFrame([floor])]).to_csv(run / "results.csv", index=False)
    table = next(t for t in tables.build(read([run])[0]) if t.condition == "real")
    last = table.rows[-1]
    assert (
        (last.label, last.kind) == (tables.REAL, "floor") and last.cells[-1].text == "12.0" and last.cells[-1].rank == 0
    )
    assert [r.cells[-1].rank for r in table.rows[:2]] == [2, 1] and "the floor" in table.remark


def test_untested_columns_are_said_to_be_untested(make_run):
    table = first_table([make_run()])
    assert "not tested for PSNR, SWD" in " ".join(latex.marks(table)), "there are no values of single faces"


def test_a_folder_without_run_json_still_renders(make_run):
    run = make_run(record=False)
    source = page(run)
    assert "21.00" in source and "get it with" in source
    assert "Quick preset" not in source
    bare = make_run(
        "old", methods=[{"label": "bicubic"}, {"label": "x", "training": {"curve": {"l": [[1, 2], [2, 1]]}}}]
    )
    assert "21.00" in page(bare)


def test_several_runs_share_a_page_and_no_anchor(make_run):
    found = Links(page(make_run("a"), make_run("b", seed=3)))
    assert len(set(found.ids)) == len(found.ids)
    assert {a[1:] for a in found.addresses if a.startswith("#")} <= set(found.ids)


def test_a_report_needs_no_torch(make_run):
    run = make_run()
    code = ("import sys; from bench.cli import main\n"
            "for form in ('html', 'latex', 'md', 'csv'): assert main(['report', sys.argv[1], '--format', form]) == 0\n"
            "assert 'torch' not in sys.modules")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code, str(run)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
