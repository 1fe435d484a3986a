"""The grid on a real Slurm, where one is installed: `../shared/slurm/up` starts it on this machine."""

import getpass
import os
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pandas as pd
import pytest

pytest.importorskip("dask_jobqueue", reason="needs the extra cluster")
from test_local import ROOT, bench_run, command, one_thread, table

SCRIPTS = ROOT.parent / "shared" / "slurm"
CLUSTER = "slurm[jobs=2,memory=2GB,walltime=10m,interface=lo,death_timeout=30,log_directory={}]"


@pytest.fixture(scope="module")
def slurm():
    """A cluster of one node; ends with the tests."""
    if not os.environ.get("BENCH_SLURM_TESTS"):
        pytest.skip("takes minutes and starts a Slurm of its own: BENCH_SLURM_TESTS=1 runs it")
    if not shutil.which("slurmctld") or not (SCRIPTS / "up").is_file() or getpass.getuser() != "root":
        pytest.skip("needs Slurm (slurm-wlm), ../shared/slurm and root")
    folder = tempfile.mkdtemp(prefix="slurm")
    up = subprocess.run([SCRIPTS / "up", folder], capture_output=True, text=True, timeout=180)
    if up.returncode:
        pytest.skip(f"Slurm does not start here: {up.stderr.strip()}")
    old = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = f"{folder}/slurm.conf"
    yield
    subprocess.run([SCRIPTS / "down", folder], capture_output=True)
    os.environ.pop("SLURM_CONF") if old is None else os.environ.update(SLURM_CONF=old)
    shutil.rmtree(folder, ignore_errors=True)


def jobs() -> list[str]:
    """The ids of the jobs that run."""
    done = subprocess.run(["squeue", "-h", "-t", "R", "-o", "%i"], capture_output=True, text=True)
    return done.stdout.split()


def test_jobs_of_a_queue_give_what_one_process_gives_bit_for_bit(slurm, folders, plugin, tmp_path):
    methods = "bicubic,tiny,broken"
    alone = bench_run(tmp_path / "alone", folders, plugin, methods, "--seeds", "0,1")
    cluster = CLUSTER.format(tmp_path / "log")
    spread = bench_run(tmp_path / "spread", folders, plugin, methods, "--seeds", "0,1", "--cluster", cluster)
    assert alone.returncode == spread.returncode == 1 and "Traceback" not in spread.stderr, spread.stderr
    pd.testing.assert_frame_equal(table(tmp_path / "alone"), table(tmp_path / "spread"), check_exact=True)


def cancel(times: int, run: subprocess.Popen, partial: Path, *signal: str) -> int:
    """scancel the jobs each time that the training has come further; returns how often."""
    seen, cancelled, end = None, 0, time.monotonic() + 240
    while cancelled < times and run.poll() is None and time.monotonic() < end:
        now = [p.stat().st_mtime_ns for p in partial.glob("*.pt")] if partial.is_dir() else []
        if now and seen is not None and now != seen and (found := jobs()):
            subprocess.run(["scancel", *signal, *found], capture_output=True)
            cancelled, now = cancelled + 1, None
            time.sleep(1)
        seen = now or seen
        time.sleep(0.05)
    return cancelled


def test_cancelled_jobs_are_replaced_and_their_training_goes_on(slurm, folders, plugin, tmp_path):
    methods, more = "tiny[steps=3000]", ("--checkpoint-every", "20")
    alone = bench_run(tmp_path / "alone", folders, plugin, methods, *more)
    assert alone.returncode == 0, alone.stderr
    cluster = CLUSTER.format(tmp_path / "log").replace("jobs=2", "jobs=1")
    arguments = command(tmp_path / "out", folders, plugin, methods, *more, "--cluster", cluster)
    run = subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=one_thread())
    lines: list[str] = []
    threading.Thread(target=lambda: lines.extend(run.stderr), daemon=True).start()
    cancelled = cancel(3, run, tmp_path / "out.store" / "partial")
    assert run.wait(timeout=240) == 0, "".join(lines)
    assert cancelled == 3, "the training ended too early to mean anything"
    name = f"checkpoints/{methods}.pt"
    assert (tmp_path / "alone" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    pd.testing.assert_frame_equal(table(tmp_path / "alone"), table(tmp_path / "out"), check_exact=True)


def test_the_warning_before_the_walltime_writes_a_checkpoint(slurm, folders, plugin, tmp_path):
    cluster = CLUSTER.format(tmp_path / "log").replace("jobs=2", "jobs=1")
    more = ("--checkpoint-every", "10000000", "--cluster", cluster)
    arguments = command(tmp_path / "out", folders, plugin, "tiny[steps=1000000]", *more)
    run = subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.DEVNULL, env=one_thread())
    try:
        end = time.monotonic() + 90
        while not list((tmp_path / "out" / "log").glob("tiny*/*")) and time.monotonic() < end:  # it trains
            time.sleep(0.1)
        partial = tmp_path / "out.store" / "partial"
        assert not list(partial.glob("*.pt"))
        subprocess.run(["scancel", "--batch", "--signal=TERM", *jobs()], check=True)  # as --signal=B:TERM@60 does
        while not list(partial.glob("*.pt")) and time.monotonic() < end:
            time.sleep(0.1)
        assert list(partial.glob("*.pt"))
    finally:
        run.kill()
        run.wait()
        subprocess.run(["scancel", *jobs()], capture_output=True)
