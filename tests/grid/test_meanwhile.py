"""Results of a run at work: what is done is there at any time, and after a kill; what is to come is named."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from bench import plugins
from bench.core.results import read_table, write_table
from bench.grid.publish import Meanwhile
from bench.grid.run import Run
from bench.grid.settings import Settings
from bench.grid.tasks import graph, in_order, soonest
from bench.training import loop


def use(monkeypatch, plugin):
    monkeypatch.setattr(plugins, "_local", [plugin])
    plugins.catalogue.cache_clear()


@pytest.fixture
def settings(folders, plugin, tmp_path, monkeypatch):
    hr, lr = map(str, folders)
    use(monkeypatch, plugin)
    yield Settings(methods="bicubic,tiny[steps=2],broken,tiny[steps=4]", conditions="noise,real", metrics="mae,swd-lr",
                   hr=hr, lr=lr, device="cpu", out=str(tmp_path / "out"), quiet=True)  # fmt: skip
    plugins.catalogue.cache_clear()


def rows(out) -> pd.DataFrame:
    return read_table(out).drop(columns="seconds").reset_index(drop=True)


@pytest.fixture
def killed(monkeypatch):
    """Run, until the training of this name begins: the process is gone then, as after kill -9."""

    def go(settings, name):
        real = loop.fit
        with monkeypatch.context() as patch:

            def fit(*arguments, label, **options):
                if label == name:
                    patch.setattr(Meanwhile, "write", lambda *_, **__: None)  # what only a living process does
                    raise KeyboardInterrupt
                return real(*arguments, label=label, **options)

            patch.setattr(loop, "fit", fit)
            with pytest.raises(KeyboardInterrupt):
                Run(settings).go()

    return go


def test_a_killed_run_leaves_what_is_done_and_names_what_is_to_come(
    settings, killed, bench, plugin, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    killed(settings, "tiny[steps=4]")
    left, record = rows(out), json.loads((out / "run.json").read_text())
    assert record["pending"] == ["train tiny[steps=4]", "tiny[steps=4] on noise", "tiny[steps=4] on real"]
    code, _, err = bench("report", out)
    page = (out / "report.html").read_text()
    first = page[page.index('<p class="notice">') : page.index("<h1>")]
    assert code == 0 and "Not finished: still to come are train tiny[steps=4], tiny[steps=4] on noise" in first, err
    code, said, _ = bench("status", out)
    assert code == 0 and "stopped on" in said and "18/24 tasks done" in said and "failed: broken on noise" in said, said
    assert "this plugin is broken" in page
    use(monkeypatch, plugin)
    assert Run(settings).go() == 1
    whole, record = rows(out), json.loads((out / "run.json").read_text())
    assert record["pending"] == [] and "Not finished" not in (out / "report.html").read_text()
    done = whole[~((whole.method == "tiny") & (whole.variant == "steps=4"))].reset_index(drop=True)
    assert len(done) < len(whole)
    pd.testing.assert_frame_equal(left, done, check_exact=True)


def test_results_are_written_before_a_training_begins_and_little_time_goes_there(settings, tmp_path, monkeypatch):
    begun, written = [], []
    monkeypatch.setattr("bench.grid.publish.SPARING", 1e9)
    monkeypatch.setattr(
        "bench.grid.publish.write_table", lambda out, rows: written.append(len(rows)) or write_table(out, rows)
    )

    def fit(*_, **__):
        begun.append(written[-1])
        raise RuntimeError("no training here")

    monkeypatch.setattr("bench.training.loop.fit", fit)
    Run(replace(settings, methods="bicubic,tiny,tiny[steps=2]")).go()
    assert len(begun) == 2 and begun[0] > written[0], "the cells of bicubic, and not only the first"
    assert written == [written[0], *begun, written[-1]]


def test_a_finished_runs_results_stay_until_one_is_computed(settings, killed, tmp_path):
    settings, out = replace(settings, methods="bicubic"), tmp_path / "out"
    Run(settings).go()
    kept = {name: (out / name).read_bytes() for name in ("run.json", "results.parquet")}

    def watched(run, tasks):
        in_order(run, tasks)
        assert all((out / name).read_bytes() == content for name, content in kept.items())

    Run(settings).go(watched)
    killed(replace(settings, methods="bicubic,tiny[steps=2],tiny"), "tiny")
    assert json.loads((out / "run.json").read_text())["pending"][0] == "train tiny"


def test_results_of_a_model_come_before_the_next_training(settings):
    run = Run(replace(settings, degradations="noise,jpeg-kernel"))
    tasks = soonest(graph(run.artefacts))
    place = {task.name: index for index, task in enumerate(tasks)}
    assert sorted(place) == sorted(task.name for task in graph(run.artefacts))
    assert all(place[need] < place[task.name] for task in tasks for need in task.needs)
    trainings = [task.name for task in tasks if task.kind == "train"]
    assert len(trainings) == 5 and place[trainings[0]] > place["score: bicubic on noise"]
    for task in tasks:
        if task.kind == "score":
            waits = [i for i, name in enumerate(trainings) if name in " ".join([*task.needs, *next(
                t for t in tasks if t.name == task.needs[0]).needs])]  # fmt: skip
            after = place[trainings[max(waits) + 1]] if waits and max(waits) + 1 < len(trainings) else len(tasks)
            assert place[task.name] < after, task


def test_a_report_before_the_first_result_says_where_to_look(settings, killed, bench, tmp_path):
    killed(replace(settings, methods="tiny", conditions="real", metrics="mae"), "tiny")
    code, _, err = bench("report", tmp_path / "out")
    assert code == 2 and f"bench status {tmp_path / 'out'}" in err
