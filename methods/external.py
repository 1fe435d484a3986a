"""Another program as a method: the harness writes LR, runs a command, reads what it wrote."""

import contextlib
import os
import shlex
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import bench
from bench.core.files import folder_name
from bench.core.hashing import content_hash, key_of
from bench.core.image import to_float, to_uint8, write_image
from bench.errors import CellFailed, UsageError

from .images import matched

NOT_CODE = {".git", "__pycache__", ".venv", "venv"}


class External(bench.Method):
    """A command that restores a folder of LR faces: ``external[command="python infer.py --in {lr} --out {sr}"]``.

    The command is run without a shell, once for each condition and for each batch that a metric asks for: {lr} is a folder
    of PNG files, {sr} the folder where outputs of the same names are read from, {scale} and {condition} what they
    say. The content of every file and folder that it names is part of what the outputs depend on. What it prints goes to
    the run's log. What needs the network itself (`cost`) is unavailable.
    """

    in_all = False
    scales = (4, 2, 8)
    offers = ("upscale",)

    @dataclass(frozen=True)
    class Params:
        command: str = ""  # with {lr} and {sr}, in quotes where it has commas or brackets
        cwd: str = "."  # where it runs; the files that it names are found from there
        env: tuple[str, ...] = ()  # NAME=VALUE, joined by +: its environment beside the harness's
        timeout: float = 3600.0  # seconds for one call
        name: str = "{name}"  # an output's file name without suffix, such as {name}_out

    @classmethod
    def fingerprint(cls, params: Any, scale: int) -> str:
        if not params.command:
            raise UsageError(
                'external: give the command, as in external[command="python infer.py --in {lr} --out {sr}"]'
            )
        for mark in ("{lr}", "{sr}"):
            if mark not in params.command:
                raise UsageError(f"external: {params.command!r} lacks {mark}")
        if not Path(params.cwd).is_dir():
            raise UsageError(f"external: cwd={params.cwd}: no such folder")
        if odd := next((e for e in params.env if "=" not in e), None):
            raise UsageError(f"external: env={odd} is not NAME=VALUE")
        return key_of([content_hash(file) for file in files_named(words(params.command), Path(params.cwd))])

    def build(self) -> None:
        self.fingerprint(self.params, self.scale)  # refuses what cannot be meant

    def restore_all(self, given: bench.Inputs) -> list[np.ndarray | str]:
        with tempfile.TemporaryDirectory(prefix="bench-external-") as folder:
            lr, sr = Path(folder) / "lr", Path(folder) / "sr"
            lr.mkdir()
            sr.mkdir()
            for name, image in zip(given.names, given.images, strict=True):
                write_image(lr / f"{folder_name(name)}.png", image)
            self.call({"lr": str(lr), "sr": str(sr), "scale": str(self.scale), "condition": given.condition})
            return matched(sr, given, self.scale, self.params.name)

    def infer(self, lr: Tensor) -> Tensor:
        """The same for a batch, as 8-bit files."""
        names = [f"{index:06d}" for index in range(len(lr))]
        found = self.restore_all(bench.Inputs(names, list(to_uint8(lr).cpu().numpy()), "batch", lambda text: None))
        if bad := next((image for image in found if isinstance(image, str)), None):
            raise CellFailed(bad)
        return to_float(torch.from_numpy(np.stack(found))).to(lr.device)  # type: ignore[arg-type]

    def call(self, places: dict[str, str]) -> None:
        """Run the command once. Raises CellFailed, with the last line that it printed, where it does not end well."""
        p = self.params
        arguments = [fill(word, places) for word in words(p.command)]
        log = (self.log or Path(places["lr"]).parent) / "command.txt"
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as lines:
            lines.write(f"$ {shlex.join(arguments)}\n".encode())
            lines.flush()
            begin = lines.tell()
            environment = {**os.environ, **dict(e.split("=", 1) for e in p.env)}
            try:
                process = subprocess.Popen(arguments, cwd=p.cwd, env=environment, stdin=subprocess.DEVNULL, stdout=lines,
                                           stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip
            except OSError as error:
                raise CellFailed(f"{arguments[0]}: cannot be run ({error.strerror})") from None
            try:
                code = process.wait(p.timeout)
            except subprocess.TimeoutExpired:
                raise CellFailed(f"{arguments[0]} did not end within {p.timeout:g} s (timeout=SECONDS)") from None
            finally:
                end(process)
        if code:
            printed = log.read_bytes()[begin:].decode(errors="replace").strip().splitlines()
            how = f"ended with code {code}" if code > 0 else f"was killed by signal {-code}"
            raise CellFailed(f"{arguments[0]} {how}{': ' + printed[-1][:200] if printed else ''}")


def end(process: subprocess.Popen[bytes]) -> None:
    """Nothing of it stays, its children neither."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise UsageError(f"external: {command!r}: {error}") from None


def fill(word: str, places: dict[str, str]) -> str:
    for mark, value in places.items():
        word = word.replace(f"{{{mark}}}", value)
    return word


def files_named(words: list[str], cwd: Path) -> list[Path]:
    """The files that the words of a command name, also after ``=``, and those below the folders that they name."""
    found: dict[Path, None] = {}
    for word in words:
        for text in {word, word.partition("=")[2]} - {""}:
            path = cwd / text
            if path.is_file():
                found[path] = None
            elif path.is_dir() and path.resolve() not in (Path("/"), Path.home(), cwd.resolve()):
                inside = (f for f in sorted(path.rglob("*")) if not NOT_CODE & set(f.parts))
                found.update((f, None) for f in inside if f.is_file())
    return list(found)
