import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from forked import Command
from forked import run as done

from bench.core.results import COLUMNS

ROOT = Path(__file__).parents[2]


def table(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out / "results.parquet").drop(columns="seconds")


@pytest.fixture
def run(bench, folders, plugin, tmp_path):
    """bench run on small folders with the test's plugin: run(METHODS, more options...) -> (code, out, err)."""
    hr, lr = folders

    def call(methods, *more, out="out", conditions="bicubic,noise,real"):
        common = ["--plugin", plugin, "--hr", hr, "--lr", lr, "--conditions", conditions, "--device", "cpu"]
        return bench("run", "--methods", methods, *common, "--out", tmp_path / out, *more)

    return call


def test_a_run_writes_everything_that_the_contract_lists(run, tmp_path):
    code, _, err = run("bicubic,tiny", "--metrics", "psnr,swd,mae")
    out = tmp_path / "out"
    assert code == 0, err
    for name in ("report.html", "results.csv", "results.parquet", "run.json", "checkpoints/tiny.pt", "tables/bicubic.tex",
                 "images/tiny/noise/test00.png", "images/lr/real/test00.png", "images/hr/test00.png"):  # fmt: skip
        assert (out / name).is_file(), name
    rows = pd.read_parquet(out / "results.parquet")
    assert tuple(rows.columns) == COLUMNS
    again = pd.read_csv(
        out / "results.csv", keep_default_na=False, na_values={"value": [""], "ci_low": [""], "ci_high": [""]}
    )
    assert len(again) == len(rows) and (again["metric"] == rows["metric"]).all()
    ok = rows[rows.status == "ok"]
    assert set(ok.method) == {"bicubic", "tiny"} and (ok.protocol != "").all() and ok.value.notna().all()
    whole = ok[(ok.image == "") & (ok.metric == "mae")]
    assert ((whole.ci_low <= whole.value) & (whole.value <= whole.ci_high) & (whole.n == 4)).all()
    mean = ok[(ok.method == "tiny") & (ok.metric == "mae") & (ok.condition == "noise") & (ok.image != "")].value.mean()
    assert mean == pytest.approx(whole[(whole.method == "tiny") & (whole.condition == "noise")].value.item())
    real = rows[(rows.condition == "real") & (rows.metric == "mae")]
    assert (real.status == "unavailable").all() and real.reason.str.contains("ground truth").all()
    record = json.loads((out / "run.json").read_text())
    assert record["methods"][1]["training"]["steps"] == 40 and record["data"]["hr"]["train"] == 12
    assert set(record["metric_facts"]) >= {"mae"}, "what a report needs to know where the plugin is not loaded"


def test_a_second_run_computes_nothing_and_a_new_metric_only_itself(run, tmp_path):
    run("bicubic,tiny", "--metrics", "mae")
    report = tmp_path / "out" / "report.html"
    before = report.stat().st_mtime_ns
    assert "trained" not in run("bicubic,tiny[width=8]", "--metrics", "mae")[2], (
        "a default written out is the same model"
    )
    run("bicubic,tiny", "--metrics", "mae")
    model = (tmp_path / "out/checkpoints/tiny.pt").stat()
    _, _, err = run("bicubic,tiny", "--metrics", "mae")
    assert "nothing to compute" in err
    scores = tmp_path / ".bench" / "score"
    kept = {p.name: p.stat().st_mtime_ns for p in scores.iterdir()}
    run("bicubic,tiny", "--metrics", "mae,psnr")
    assert (tmp_path / "out/checkpoints/tiny.pt").stat().st_mtime_ns == model.st_mtime_ns
    assert all((scores / name).stat().st_mtime_ns == at for name, at in kept.items())
    assert len(list(scores.iterdir())) == len(kept) + 4
    assert report.stat().st_mtime_ns > before


def test_a_run_with_new_results_says_what_shows_its_earlier_ones(run, bench, tmp_path):
    assert "earlier" not in run("bicubic", "--metrics", "mae")[2]
    assert bench("report", tmp_path / "out", "--format", "md")[0] == 0
    assert "earlier" not in run("bicubic", "--metrics", "mae")[2], "nothing changed"
    _, _, err = run("bicubic", "--metrics", "mae,psnr")
    assert f"{tmp_path / 'out' / 'report.md'} is of earlier results, see bench report --format md" in err


def test_the_order_of_options_changes_nothing(run, tmp_path):
    run("tiny[width=6,lr=2e-3]", "--metrics", "mae")
    _, _, err = run("tiny[lr=2e-3,width=6]", "--metrics", "mae")
    assert "nothing to compute" in err


def test_changing_the_plugin_trains_again_but_a_comment_does_not(run, plugin, tmp_path):
    run("tiny", "--metrics", "mae")
    plugin.write_text(plugin.read_text() + "\n# a comment\n")
    assert "trained tiny" not in run("tiny", "--metrics", "mae")[2]
    plugin.write_text(plugin.read_text().replace("0.01 * torch", "0.02 * torch"))
    assert "trained tiny" in run("tiny", "--metrics", "mae")[2]


def test_a_failing_cell_stops_no_other_and_gives_exit_code_1(run, tmp_path):
    code, _, err = run("bicubic,broken,tiny[blow_up_at=3]", "--metrics", "mae")
    assert code == 1 and "Traceback" not in err
    rows = table(tmp_path / "out")
    failed = rows[rows.status == "failed"]
    assert set(failed.method) == {"broken", "tiny"} and (rows[rows.method == "bicubic"].status != "failed").all()
    assert failed[failed.method == "broken"].reason.str.contains("this plugin is broken").all()
    assert failed[failed.method == "tiny"].reason.str.contains("not finite at step 4").all()
    assert not list((tmp_path / ".bench/train").glob("*")), "a failed training is not kept"
    assert "this plugin is broken" in (tmp_path / "out/report.html").read_text()
    assert "this plugin is broken" in (tmp_path / "out/log/errors.txt").read_text()


def test_missing_weights_are_unavailable_and_count_only_where_asked_for(run, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path / "none"))
    code, _, err = run("bicubic")
    assert code == 0 and "bench weights fetch alexnet" in err
    code, _, err = run("bicubic", "--metrics", "psnr,lpips")
    rows = table(tmp_path / "out")
    assert code == 1 and (rows[rows.metric == "lpips"].status == "unavailable").all()
    assert json.loads((tmp_path / "out" / "run.json").read_text())["weightless"] == ["lpips"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--methods", "bicubc"], "did you mean 'bicubic'"),
        (["--methods", "tiny[widht=3]"], "did you mean 'width'"),
        (["--methods", "tiny[width=x]"], "not a whole number"),
        (["--methods", "tiny[variant=wid]"], "did you mean 'wide'"),
        (["--methods", "bicubic[scale=3]"], "scale 3 is not one of"),
        (["--methods", "bicubic[degradation=jpeg]"], "not trained"),
        (["--conditions", "fog"], "no degradation 'fog'"),
        (["--conditions", "jpeg[scale=2]"], "leave scale out"),
        (["--metrics", "pnsr"], "did you mean 'psnr'"),
        (["--hr", "nowhere"], "no such file or folder"),
        (["--device", "tpu"], "one of auto, cpu, cuda"),
        (["--budget", "soon"], "length of time"),
    ],
)
def test_a_wrong_command_is_answered_in_one_line_before_any_work(bench, folders, plugin, tmp_path, arguments, words):
    hr, lr = folders
    common = ["--plugin", plugin, "--methods", "bicubic", "--hr", hr, "--lr", lr, "--out", tmp_path / "out"]
    code, out, err = bench("run", *common, *arguments)
    assert code == 2 and words in err and len(err.strip().splitlines()) == 1 and out == ""
    assert not (tmp_path / "out" / "results.csv").exists()


def test_empty_and_unusable_folders_are_errors(bench, tmp_path):
    (tmp_path / "empty").mkdir()
    code, _, err = bench("run", "--hr", tmp_path / "empty", "--out", tmp_path / "o")
    assert code == 2 and "no image files" in err and len(err.strip().splitlines()) == 1


def test_an_output_folder_that_cannot_be_written_is_an_error(bench, folders):
    code, _, err = bench("run", "--methods", "bicubic", "--hr", folders[0], "--out", "/proc/bench-run")
    assert code == 2 and "cannot be written" in err and len(err.strip().splitlines()) == 1


def test_a_full_disk_is_one_line_and_loses_nothing(run, tmp_path, monkeypatch):
    assert run("bicubic", "--metrics", "mae")[0] == 0
    kept = sorted(p.name for p in (tmp_path / ".bench/sr").iterdir())
    from bench.grid import artefacts

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artefacts, "write_faces", full)
    code, _, err = run("bicubic,bilinear", "--metrics", "mae")
    assert code == 2 and "No space left on device" in err and len(err.strip().splitlines()) == 1
    assert sorted(p.name for p in (tmp_path / ".bench/sr").iterdir()) == kept, "neither lost nor half-written"


def test_a_budget_bounds_the_training_and_is_reported(run, tmp_path):
    code, _, _ = run("tiny[steps=100000]", "--metrics", "mae", "--budget", "3s")
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    training = record["methods"][0]["training"]
    assert code == 0 and training["seconds"] < 6 and training["steps"] < 100000
    assert "limited to 3 s" in (tmp_path / "out" / "report.html").read_text()


BENCH = (sys.executable, "-m", "bench")


def command(out: Path, hr: Path, lr: Path, plugin: Path) -> list[str]:
    return ["run", "--plugin", str(plugin), "--methods", "bicubic,tiny[steps=300]", "--metrics", "mae,psnr", "--hr", str(hr),
            "--lr", str(lr), "--conditions", "noise", "--device", "cpu", "--out", str(out), "--store",
            str(out.with_suffix(".store")), "--checkpoint-every", "10"]  # fmt: skip


def test_killed_runs_end_where_an_undisturbed_one_does_bit_for_bit(folders, plugin, tmp_path):
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    assert done(command(alone, *folders, plugin))[0] == 0
    during_training = 0
    for kills in range(3):
        process = Command(command(killed, *folders, plugin))
        partial, deadline = killed.with_suffix(".store") / "partial", time.monotonic() + 240
        seen = None
        while process.poll() is None and time.monotonic() < deadline:
            now = [p.stat().st_mtime_ns for p in partial.glob("*.pt")] if partial.is_dir() else []
            if now and seen is not None and now != seen and kills < 2:  # a new checkpoint of this very process
                break
            if kills == 2 and (killed.with_suffix(".store") / "train").is_dir():  # after training
                break
            seen = now
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        during_training += kills < 2 and partial.is_dir() and any(partial.glob("*.pt"))
    assert during_training == 2, "the kills came too late to mean anything"
    assert done(command(killed, *folders, plugin))[0] == 0
    label = "checkpoints/tiny[steps=300].pt"
    assert (alone / label).read_bytes() == (killed / label).read_bytes()
    pd.testing.assert_frame_equal(table(alone), table(killed), check_exact=True)


def test_a_signal_writes_a_checkpoint_and_the_next_run_goes_on(folders, plugin, tmp_path):
    arguments = [*BENCH, *command(tmp_path / "out", *folders, plugin), "--checkpoint-every", "100000"]
    process = subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    log = tmp_path / "out" / "log"
    while not log.is_dir() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 130 and "stopped at step" in err and "Traceback" not in err
    assert len(list((tmp_path / "out.store/partial").glob("*.pt"))) == 1
    shutil.rmtree(log)
    code, _, err = done(command(tmp_path / "out", *folders, plugin))
    assert code == 0 and "trained tiny" in err


@pytest.fixture
def inside_a_job(tmp_path, monkeypatch):
    """The variables of a Slurm job of two tasks, and srun on the path."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "srun").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    slurm = {
        "SLURM_NTASKS": "2",
        "SLURM_JOB_NAME": "grid",
        "SLURM_PROCID": "1",
        "SLURM_LOCALID": "1",
        "SLURM_NODEID": "1",
    }
    for name, value in slurm.items():
        monkeypatch.setenv(name, value)


def test_the_variables_of_a_surrounding_job_do_not_disturb(run, inside_a_job):
    code, _, err = run("tiny", "--metrics", "mae")
    assert code == 0 and "trained tiny" in err, err
    assert "srun" not in err, "a warning at every training"


@pytest.mark.parametrize("name", ["RANK", "SLURM_PROCID"])
def test_a_jobs_variable_without_a_number_does_not_end_a_training(name):
    made = "import bench.training.loop; from lightning_fabric import Fabric; Fabric(accelerator='cpu', devices=1)"
    done = subprocess.run(
        [sys.executable, "-c", made], env={**os.environ, name: ""}, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_two_processes_train_as_one(inside_a_job, folders, plugin, tmp_path, monkeypatch):
    if not torch.distributed.is_available():
        pytest.skip("this torch has no torch.distributed")
    for name, value in {"LOCAL_RANK": "1", "RANK": "1", "WORLD_SIZE": "2", "MASTER_PORT": "1"}.items():  # of a launcher
        monkeypatch.setenv(name, value)
    arguments = [*BENCH, *command(tmp_path / "out", *folders, plugin), "--devices", "2", "--precision", "fp32"]
    arguments[arguments.index("bicubic,tiny[steps=300]")] = "tiny[steps=20]"
    both = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert both.returncode == 0, both.stderr
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["methods"][0]["training"]["steps"] == 20
