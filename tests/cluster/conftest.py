"""One small cluster for many tests, and methods that end what they run in: a process, a job, the whole run."""

import contextlib

import pandas as pd
import pytest

from bench.core.results import read_table

FATES = '''

class Mortal(Tiny):
    """Ends what it runs in at every tenth step, once each: what and how often $BENCH_FATE says, its marks are in $BENCH_MARKS."""

    def step(self, batch, run):
        import os, pathlib, signal, subprocess, time
        fate, marks = os.environ.get("BENCH_FATE"), pathlib.Path(os.environ.get("BENCH_MARKS", "."))
        mark = marks / str(run.step)
        if fate and run.step % 10 == 5 and len(list(marks.iterdir())) < int(os.environ["BENCH_TIMES"]) and not mark.exists():
            mark.touch()
            if fate == "process":
                os.kill(os.getpid(), signal.SIGKILL)
            elif fate == "worker":
                os.kill(os.getppid(), signal.SIGKILL)
            elif fate == "run":
                while not pathlib.Path(os.environ["BENCH_AFTER"]).exists():
                    time.sleep(0.1)
                os.kill(os.getppid(), signal.SIGKILL)
            elif fate == "job":
                subprocess.run(["scancel", os.environ["SLURM_JOB_ID"]])
            time.sleep(300)
        return super().step(batch, run)


class Poison(bench.Method):
    """Ends the process that works on it, always."""

    def infer(self, lr):
        import os
        os._exit(9)


class Endless(bench.Method):
    """Never comes back."""

    def infer(self, lr):
        import time
        time.sleep(600)


class Deadly(bench.Metric):
    """Ends the process that measures."""

    default = False

    def protocol(self, outputs):
        return ""

    def score(self, outputs):
        import os
        os._exit(8)
'''


@pytest.fixture
def plugin(plugin):
    plugin.write_text(plugin.read_text() + FATES)
    return plugin


@pytest.fixture
def fate(tmp_path, monkeypatch):
    """fate(WHAT, TIMES): what Mortal ends, and how often; gives how often it did."""

    def choose(what, times):
        marks = tmp_path / "marks"
        marks.mkdir(exist_ok=True)
        monkeypatch.setenv("BENCH_FATE", what)
        monkeypatch.setenv("BENCH_MARKS", str(marks))
        monkeypatch.setenv("BENCH_TIMES", str(times))
        return lambda: len(list(marks.iterdir()))

    return choose


@pytest.fixture
def command(folders, plugin, tmp_path):
    """The arguments of a small run: command(OUT, METHODS, more options...)."""
    hr, lr = folders

    def arguments(out, methods, *more):
        return ["run", "--plugin", plugin, "--methods", methods, "--metrics", "mae,psnr", "--hr", hr, "--lr", lr, "--conditions",
                "noise,real", "--device", "cpu", "--out", tmp_path / out, "--store", tmp_path / f"{out}.store",
                *([] if "--checkpoint-every" in more else ["--checkpoint-every", "5"]), *more]  # fmt: skip

    return arguments


@pytest.fixture
def same(tmp_path):
    """same(OUT, OTHER): their results and checkpoints are equal bit for bit, and these are them."""

    def check(first, second):
        tables = [read_table(tmp_path / out).drop(columns="seconds") for out in (first, second)]
        pd.testing.assert_frame_equal(*tables, check_exact=True)
        models = [sorted((tmp_path / out / "checkpoints").glob("*.pt")) for out in (first, second)]
        assert [f.name for f in models[0]] == [f.name for f in models[1]]
        for one, other in zip(*models, strict=True):
            assert one.read_bytes() == other.read_bytes(), one.name
        return tables[0], [f.name for f in models[0]]

    return check


@pytest.fixture(scope="module")
def processes():
    """Two processes that all tests of a file share."""
    pool = pytest.importorskip("bench.cluster.pool", reason="needs the extra cluster")
    from bench.cluster.engines import Local

    with pool.connected(Local(Local.Params(jobs=2, threads=1))) as client:
        yield client


@pytest.fixture
def jobs(processes, monkeypatch):
    """--jobs uses these processes."""
    monkeypatch.setattr("bench.cluster.pool.connected", lambda cluster: contextlib.nullcontext(processes))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("BENCH_ISOLATE", "never")  # each process would begin another for each run
    return "--jobs", "2"
