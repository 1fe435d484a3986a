"""`bench ...` in a process of its own without the seconds that a start takes: a fork of one that has imported what runs need.

What a start itself does, and a launcher that starts the command again, are tested with true ones.
"""

import importlib
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterable
from multiprocessing import forkserver
from pathlib import Path

import torch

from bench.cli import main
from bench.core import trail

ROOT = Path(__file__).parent.parent
MODULES = ("bench.commands.run", "bench.training.loop", "scipy.stats", "pandas", "pyarrow.parquet", "reports.html")
NO_THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
TIMEOUT = 300.0  # seconds


def prepare() -> None:
    """The process that the commands are forks of: with the modules of this checkout, and with no thread."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["forked"])
    kept = dict(os.environ)
    path = [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
    os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, path)), BENCH_FORKED="1", **NO_THREADS)
    try:
        forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(kept)


if os.environ.get("BENCH_FORKED"):
    for name in MODULES:
        importlib.import_module(name)


class Command:
    """`bench WORDS`, begun in ``folder`` with this process's environment. It works when this is made."""

    def __init__(self, words: Iterable[object], folder: Path = ROOT) -> None:
        prepare()
        self.written = tempfile.TemporaryDirectory()
        self.files = [Path(self.written.name, name) for name in ("out", "err")]
        for file in self.files:
            file.touch()
        given = [str(word) for word in words], str(folder), dict(os.environ), *map(str, self.files)
        self.process = multiprocessing.get_context("forkserver").Process(target=_perform, args=given)
        self.process.start()

    def poll(self) -> int | None:
        """Its exit code, -N where signal N killed it; None while it works."""
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.process.pid, number)

    def wait(self, timeout: float = TIMEOUT) -> tuple[int, str, str]:
        """(exit code, output, errors) when it has ended."""
        self.process.join(timeout)
        code, (out, err) = self.process.exitcode, [file.read_text() for file in self.files]
        if code is None:
            self.process.kill()
            raise TimeoutError(f"not done in {timeout:g} s: {err}")
        return code, out, err


def run(words: Iterable[object], folder: Path = ROOT) -> tuple[int, str, str]:
    """(exit code, output, errors) of `bench WORDS`."""
    return Command(words, folder).wait()


def _perform(words: list[str], folder: str, environment: dict[str, str], out: str, err: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_APPEND), number)
    tasks = Path(f"/proc/{os.getppid()}/task")  # a fork of a process with threads could wait forever
    assert not tasks.is_dir() or len(list(tasks.iterdir())) == 1, "what the commands are forks of has threads"
    torch.set_num_threads(int(environment.get("OMP_NUM_THREADS", "1")))
    trail.can_watch = lambda: True  # as where torch is not imported yet
    sys.argv = ["bench", *words]
    sys.exit(main(words))
