"""The grid on a real Slurm, where one is installed: `../shared/slurm/up` starts it on this machine."""

import getpass
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

pytest.importorskip("dask_jobqueue", reason="needs the extra cluster")
pytestmark = pytest.mark.usefixtures("slurm", "one_thread")
SCRIPTS = Path(__file__).parents[3] / "shared" / "slurm"
TIMES = int(os.environ.get("BENCH_KILLS", "3"))


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


@pytest.fixture
def queue(tmp_path):
    """The options that send tasks to it: queue(JOBS, more)."""

    def options(jobs=1, more="walltime=10m"):
        place = f"jobs={jobs},memory=2GB,interface=lo,death_timeout=30,log_directory={tmp_path / 'log'}"
        return "--cluster", f"slurm[{place},{more}]"

    return options


def test_jobs_of_a_queue_give_what_one_process_gives_bit_for_bit(bench, command, queue, same):
    methods = "bicubic,tiny,broken"
    assert bench(*command("alone", methods, "--seeds", "0,1"))[0] == 1
    code, _, err = bench(*command("spread", methods, "--seeds", "0,1", *queue(2)))
    assert code == 1 and "Traceback" not in err, err
    same("alone", "spread")


@pytest.mark.parametrize("what", ["job", "process"])  # scancel, kill -9
def test_what_ends_while_it_trains_is_replaced_and_the_training_goes_on(bench, command, queue, same, fate, what):
    methods = f"mortal[steps={20 + 20 * TIMES}]"
    assert bench(*command("alone", methods))[0] == 0
    ended = fate(what, TIMES)
    code, _, err = bench(*command("out", methods, *queue()))
    assert code == 0 and ended() == TIMES, err
    same("alone", "out")


def test_a_job_that_the_walltime_ends_is_replaced_and_the_training_goes_on(bench, command, queue, same, fate):
    methods = "mortal[steps=30]"
    assert bench(*command("alone", methods))[0] == 0
    ended = fate("walltime", 1)  # its step lasts longer than the job
    code, _, err = bench(*command("out", methods, *queue(more="walltime=1m,warning=20")))
    assert code == 0 and ended() == 1, err
    same("alone", "out")


def test_the_warning_before_the_walltime_writes_a_checkpoint(command, queue, tmp_path):
    methods = "tiny[steps=1000000]"
    arguments = command("out", methods, *queue(), "--checkpoint-every", "10000000")
    run = subprocess.Popen([sys.executable, "-m", "bench", *map(str, arguments)], stderr=subprocess.DEVNULL)
    partial, end = tmp_path / "out.store" / "partial", time.monotonic() + 90
    try:
        while not list((tmp_path / "out" / "log").glob("tiny*/*")) and time.monotonic() < end:  # it trains
            time.sleep(0.1)
        assert not list(partial.glob("*.pt"))
        subprocess.run(["scancel", "--batch", "--signal=TERM", *jobs()], check=True)  # as --signal=B:TERM@60 does
        while not list(partial.glob("*.pt")) and time.monotonic() < end:
            time.sleep(0.1)
        assert list(partial.glob("*.pt"))
    finally:
        run.kill()
        run.wait()
        subprocess.run(["scancel", *jobs()], capture_output=True)


def jobs() -> list[str]:
    """The ids of the jobs that run."""
    done = subprocess.run(["squeue", "-h", "-t", "R", "-o", "%i"], capture_output=True, text=True)
    return done.stdout.split()
