"""The grid on processes of this machine: the same results as alone, whatever happens to the processes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from bench.core.results import read_table

pytest.importorskip("distributed", reason="needs the extra cluster")
pytestmark = pytest.mark.usefixtures("one_thread")
TIMES = int(os.environ.get("BENCH_KILLS", "1"))


def test_processes_give_what_one_gives_bit_for_bit(bench, command, jobs, same, tmp_path):
    code, _, err = bench(*command("alone", "bicubic,tiny,broken", "--seeds", "0,1"))
    assert code == 1, err  # broken is broken
    code, _, err = bench(*command("spread", "bicubic,tiny,broken", "--seeds", "0..1", *jobs))
    assert code == 1 and "Traceback" not in err and "distributed" not in err, err
    assert same("alone", "spread")[1] == ["tiny,seed=0.pt", "tiny,seed=1.pt"]
    failed = [json.loads((tmp_path / out / "run.json").read_text())["failed"] for out in ("alone", "spread")]
    assert failed[0] == failed[1]
    assert len(list((tmp_path / "spread.store" / "lr").iterdir())) == 1, "both seeds are tested on the same LR"
    status = json.loads((tmp_path / "spread" / "status.json").read_text())
    assert status["state"] == "measured" and status["done"] == status["total"] == 24 and "tiny" not in status["failed"]
    _, _, err = bench(*command("spread", "bicubic,tiny,broken", "--seeds", "0,1"))
    assert "trained" not in err, "what processes made is found by one"


def test_processes_keep_the_memory_that_a_training_frees(processes):
    """Measured by what it does: a step's worth of memory, freed and asked for again, is not cleared by the system again."""
    assert all(faults < 1000 for faults in processes.run(cleared).values())


def cleared() -> int:
    """Pages of 4 kB that the system clears in 20 rounds of 16 MB in small pieces: 80,000 where each round gives them back."""
    import ctypes
    import resource
    from concurrent.futures import ThreadPoolExecutor

    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

    def rounds(count: int) -> None:
        for _ in range(count):
            pieces = [libc.malloc(100_000) for _ in range(160)]
            for piece in pieces:
                ctypes.memset(piece, 1, 100_000)
            for piece in pieces:
                libc.free(piece)

    with ThreadPoolExecutor(1) as thread:  # a worker's tasks run in a thread beside its own
        thread.submit(rounds, 1).result()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        thread.submit(rounds, 20).result()
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.parametrize("what", ["process", "worker"])
def test_a_training_whose_process_is_killed_goes_on_from_its_checkpoint(
    bench, command, jobs, processes, same, fate, what
):
    """With a time limit it trains in a process of the worker's own, which is not to live on when the worker is killed."""
    processes.cluster.scheduler.allowed_failures = 0  # it is killed more often than a task that comes no further may be
    methods = f"mortal[steps={20 + 20 * TIMES}]"
    assert bench(*command("alone", methods))[0] == 0
    killed, more = fate(what, TIMES), [] if what == "process" else ["--time-limit", "4m"]
    code, _, err = bench(*command("killed", methods, *jobs, *more))
    assert code == 0 and killed() == TIMES, err
    same("alone", "killed")


def test_what_kills_its_process_again_and_again_is_a_failed_cell_and_nothing_more(
    bench, command, jobs, processes, tmp_path
):
    processes.cluster.scheduler.allowed_failures = 0
    code, _, err = bench(*command("out", "poison,bicubic", *jobs))
    assert code == 1 and "Traceback" not in err, err
    rows = read_table(tmp_path / "out")
    poison = rows[(rows.method == "poison") & (rows.metric == "mae")]
    assert (
        set(poison.status) == {"failed"} and poison.reason.str.contains("process that worked on it ended 1 time ").all()
    )
    assert (rows[(rows.method == "bicubic") & (rows.metric == "psnr")].status != "failed").all()


@pytest.mark.parametrize(
    "method, options, why",
    [
        ("poison", (), "it ended its process (exit code 9)"),
        ("endless", ("--time-limit", "5s"), "did not end within 5 s"),
    ],
)
def test_what_a_plugin_does_to_a_process_of_its_own_leaves_the_other_cells(
    bench, command, jobs, tmp_path, method, options, why
):
    metrics = ("--metrics", "psnr,deadly,mae", "--conditions", "noise", "--isolate", "auto")
    code, _, err = bench(*command("out", f"{method},bicubic", *jobs, *metrics, *options))
    assert code == 1 and "Traceback" not in err and (tmp_path / "out" / "report.html").is_file(), err
    rows = read_table(tmp_path / "out")
    reasons = rows[rows.status == "failed"].groupby("method").reason.agg(set)
    assert len(reasons[method]) == 1 and why in next(iter(reasons[method]))
    assert reasons["bicubic"] == {"it ended its process (exit code 8)"}
    right = rows[(rows.method == "bicubic") & (rows.status == "ok") & (rows.image == "")]
    assert {"psnr", "mae"} <= set(right.metric) and "deadly" not in set(right.metric)


def chunks_of(faces):
    from bench.grid import shards

    shards.CHUNK = faces


def test_processes_share_one_large_cell_and_give_what_one_gives(
    bench, command, jobs, processes, same, tmp_path, monkeypatch
):
    monkeypatch.setattr("bench.grid.shards.CHUNK", 1)
    assert bench(*command("alone", "bicubic", "--metrics", "psnr,swd"))[0] == 0
    processes.run(chunks_of, 1)
    code, _, err = bench(*command("spread", "bicubic", "--metrics", "psnr,swd", *jobs))
    processes.run(chunks_of, 4096)
    assert code == 0, err
    same("alone", "spread")
    assert json.loads((tmp_path / "spread" / "status.json").read_text())["total"] == 15  # 8 of them chunks


@pytest.mark.skipif(
    not os.environ.get("BENCH_DEVICES_TESTS"), reason="half a minute for four processes: BENCH_DEVICES_TESTS=1"
)
def test_a_training_on_two_devices_is_the_same_in_a_process_of_a_cluster(bench, command, jobs, same, tmp_path):
    assert bench(*command("alone", "tiny[steps=20]", "--devices", "2"))[0] == 0
    code, _, err = bench(*command("spread", "tiny[steps=20]", "--devices", "2", *jobs))
    assert code == 0 and "Traceback" not in err, err
    same("alone", "spread")
    assert bench(*command("one", "tiny[steps=20]"))[0] == 0
    with pytest.raises(AssertionError):  # two draw other batches than one
        same("alone", "one")


def test_a_lost_run_leaves_its_results_and_goes_on_with_the_same_command(
    bench, command, jobs, fate, same, tmp_path, monkeypatch
):
    methods = "bicubic,mortal[steps=30]"
    assert bench(*command("alone", methods))[0] == 0
    lost = fate("run", 1)
    monkeypatch.setenv("BENCH_AFTER", str(tmp_path / "out" / "results.parquet"))
    run = subprocess.Popen(
        [sys.executable, "-m", "bench", *map(str, command("out", methods, *jobs))], stderr=subprocess.DEVNULL
    )
    workers = []
    while run.poll() is None:
        with contextlib.suppress(psutil.Error):  # it has just ended
            workers = psutil.Process(run.pid).children(recursive=True) or workers
        time.sleep(0.2)
    assert run.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL) and lost() == 1  # a process may watch over it
    assert set(read_table(tmp_path / "out").method) == {"bicubic"}, "what was done is there"
    assert json.loads((tmp_path / "out" / "run.json").read_text())["pending"][0] == "train mortal[steps=30]"
    for process in workers:  # one sleeps in its training; those that work notice that nobody wants them
        with contextlib.suppress(psutil.Error):
            process.kill()
    code, _, err = bench(*command("out", methods, *jobs))
    assert code == 0, err
    same("alone", "out")


def test_a_lost_scheduler_ends_the_run_with_one_line_and_the_same_command_goes_on(
    bench, command, processes, same, fate
):
    """The last one here: it ends the processes that all tests share."""
    methods = "mortal[steps=30]"
    assert bench(*command("alone", methods))[0] == 0
    waits, end = fate("nothing", 1), time.monotonic() + 240

    def lose():
        while not waits() and time.monotonic() < end:
            time.sleep(0.05)
        processes.cluster.close()

    thread = threading.Thread(target=lose)
    thread.start()
    code, _, err = bench(*command("out", methods, "--cluster", processes.cluster.scheduler_address))
    thread.join()
    assert code == 130 and "bench: the cluster's scheduler is lost; the same command goes on" in err, err
    assert "Traceback" not in err
    assert bench(*command("out", methods))[0] == 0
    same("alone", "out")


def test_parts_that_left_the_store_with_their_score_are_not_waited_for(monkeypatch):
    from types import SimpleNamespace

    from bench.cluster import pool
    from bench.grid.tasks import Done

    asked = []
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: pytest.fail("waited for a part"))
    monkeypatch.setattr(pool, "time", clock)
    store = SimpleNamespace(has=lambda kind, key: asked.append(kind) or kind != "part")
    pool.seen(SimpleNamespace(store=store), Done(entries=[("part", "a"), ("score", "b")]))
    assert asked == ["score"]
