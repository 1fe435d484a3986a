"""The grid on processes of this machine: the same results as alone, whatever happens to the processes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

pytest.importorskip("distributed", reason="needs the extra cluster")
ROOT = Path(__file__).parents[2]

POISON = '''

class Poison(bench.Method):
    """Ends the process that works on it."""

    def infer(self, lr):
        import os
        os._exit(9)
'''


def table(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out / "results.parquet").drop(columns="seconds")


def command(out: Path, folders, plugin, methods: str, *more: object) -> list[str]:
    hr, lr = folders
    return [sys.executable, "-m", "bench", "run", "--plugin", str(plugin), "--methods", methods, "--metrics", "mae,psnr",
            "--hr", str(hr), "--lr", str(lr), "--conditions", "noise,real", "--device", "cpu", "--out", str(out),
            "--store", str(out) + ".store", *map(str, more)]  # fmt: skip


def bench_run(*arguments, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=300, env=one_thread(), **options
    )


def one_thread() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def test_processes_give_what_one_gives_bit_for_bit(folders, plugin, tmp_path):
    alone = bench_run(tmp_path / "alone", folders, plugin, "bicubic,tiny,broken", "--seeds", "0,1")
    spread = bench_run(tmp_path / "spread", folders, plugin, "bicubic,tiny,broken", "--seeds", "0..1", "--jobs", "2")
    assert alone.returncode == spread.returncode == 1, alone.stderr + spread.stderr  # broken is broken
    assert "Traceback" not in spread.stderr and "distributed" not in spread.stderr
    pd.testing.assert_frame_equal(table(tmp_path / "alone"), table(tmp_path / "spread"), check_exact=True)
    models = sorted(f.name for f in (tmp_path / "alone" / "checkpoints").iterdir())
    assert models == ["tiny,seed=0.pt", "tiny,seed=1.pt"]
    for name in models:
        assert (tmp_path / "alone/checkpoints" / name).read_bytes() == (
            tmp_path / "spread/checkpoints" / name
        ).read_bytes()
    records = [json.loads((tmp_path / out / "run.json").read_text()) for out in ("alone", "spread")]
    assert records[0]["failed"] == records[1]["failed"]
    lr = sorted((tmp_path / "spread.store" / "lr").iterdir())
    assert len(lr) == 1, "both seeds are tested on the same LR"
    again = bench_run(tmp_path / "spread", folders, plugin, "bicubic,tiny,broken", "--seeds", "0,1")
    assert "trained" not in again.stderr, "what processes made is found by one"


def workers(run: subprocess.Popen) -> list[psutil.Process]:
    """The processes that work on tasks: started by the nannies in the run's own process."""
    found = []
    for process in psutil.Process(run.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has just ended
            if "spawn_main" in " ".join(process.cmdline()):
                found.append(process)
    return found


def test_a_training_whose_process_is_killed_goes_on_from_its_checkpoint(folders, plugin, tmp_path):
    methods, more = "tiny[steps=1500]", ("--checkpoint-every", "20")
    alone = bench_run(tmp_path / "alone", folders, plugin, methods, *more)
    assert alone.returncode == 0, alone.stderr
    arguments = command(tmp_path / "killed", folders, plugin, methods, *more, "--jobs", "1")
    run = subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=one_thread())
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(run.stderr), daemon=True)
    reader.start()
    partial, kills, end = tmp_path / "killed.store" / "partial", 0, time.monotonic() + 120
    seen = None
    while kills < 4 and run.poll() is None and time.monotonic() < end:  # more often than a task may fail
        now = [p.stat().st_mtime_ns for p in partial.glob("*.pt")] if partial.is_dir() else []
        if now and seen is not None and now != seen:  # it came further
            for process in workers(run):
                process.send_signal(signal.SIGKILL)
            kills, now = kills + 1, None
        seen = now or seen
        time.sleep(0.02)
    assert run.wait(timeout=120) == 0, "".join(lines)
    assert kills == 4, "the training ended too early to mean anything"
    name = "checkpoints/tiny[steps=1500].pt"
    assert (tmp_path / "alone" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()
    pd.testing.assert_frame_equal(table(tmp_path / "alone"), table(tmp_path / "killed"), check_exact=True)


def test_what_kills_its_process_again_and_again_is_a_failed_cell_and_nothing_more(folders, plugin, tmp_path):
    plugin.write_text(plugin.read_text() + POISON)
    done = bench_run(tmp_path / "out", folders, plugin, "bicubic,poison", "--jobs", "1")
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    rows = table(tmp_path / "out")
    poison = rows[(rows.method == "poison") & (rows.metric == "mae")]
    assert set(poison.status) == {"failed"} and poison.reason.str.contains("ended 3 times").all()
    assert (rows[(rows.method == "bicubic") & (rows.metric == "psnr")].status != "failed").all()


def test_a_lost_run_goes_on_with_the_same_command(folders, plugin, tmp_path):
    arguments = command(tmp_path / "out", folders, plugin, "tiny[steps=600]", "--checkpoint-every", "20", "--jobs", "2")
    run = subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.DEVNULL, env=one_thread())
    partial, end = tmp_path / "out.store" / "partial", time.monotonic() + 60
    while not list(partial.glob("*.pt")) and time.monotonic() < end:
        time.sleep(0.02)
    children = workers(run)
    run.kill()
    run.wait()
    psutil.wait_procs(children, timeout=60)  # they notice that nobody wants them
    assert list(partial.glob("*.pt"))
    done = bench_run(tmp_path / "out", folders, plugin, "tiny[steps=600]", "--checkpoint-every", "20", "--jobs", "2")
    assert done.returncode == 0, done.stderr
    alone = bench_run(tmp_path / "alone", folders, plugin, "tiny[steps=600]")
    assert alone.returncode == 0
    pd.testing.assert_frame_equal(table(tmp_path / "alone"), table(tmp_path / "out"), check_exact=True)
