"""Whatever happens to a store or a run's folder, the same command ends at the same results."""

import json
import os
import random
import re
import shutil
import signal
import time
from pathlib import Path

import forked
import pandas as pd
import pytest


def numbers(name: str, default: str) -> range:
    """``300``, or ``100-200`` for a part of them; docs/reliability.md says what more than the default ones found."""
    first, _, last = os.environ.get(name, default).rpartition("-")
    return range(int(first or 0), int(last))


TRIALS, KILLS = numbers("BENCH_TRIALS", "20"), numbers("BENCH_KILLS", "2")
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "1"))


def table(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out / "results.parquet").drop(columns="seconds")


def seen(out: Path) -> dict[str, bytes]:
    """Everything that a reader sees of a run, but for times: pictures, weights, tables."""
    files = [
        f for folder in ("images", "checkpoints", "tables") for f in sorted((out / folder).rglob("*")) if f.is_file()
    ]
    return {str(f.relative_to(out)): f.read_bytes() for f in files if not f.name.startswith(".")}


def shown(out: Path) -> str:
    """The report, but for times and the name of the run."""
    text = (out / "report.html").read_text().replace(out.name, "RUN")
    return re.sub(r"\d+(\.\d+)? (ms|s|min|h)\b|\d\d:\d\d\b|\d\d\d\d-\d\d-\d\d[T ]?[\d:+]*|s[12]\b", "", text)


def flip(file: Path, rng: random.Random) -> None:
    data = bytearray(file.read_bytes())
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    file.write_bytes(data)


def truncate(file: Path, rng: random.Random) -> None:
    os.truncate(file, rng.randrange(file.stat().st_size + 1) // 2)


def delete(file: Path, rng: random.Random) -> None:
    file.unlink()


def edit(file: Path, rng: random.Random) -> None:
    """Another digit in a text, at the same size and time; noise in a file that is none."""
    status, data = file.stat(), bytearray(file.read_bytes())
    digits = [i for i, byte in enumerate(data) if 48 <= byte <= 57]
    for i in rng.sample(digits, min(3, len(digits))):
        data[i] = 48 + (data[i] - 47) % 10
    file.write_bytes(data)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def replace(file: Path, rng: random.Random) -> None:
    """Another file of the same name, from another entry where there is one."""
    others = [f for f in file.parents[2].rglob(file.name) if f != file and f.is_file()]
    content = rng.choice(others).read_bytes() if others else b"something else"
    file.unlink()
    file.write_bytes(content)


def swap(file: Path, rng: random.Random) -> None:
    """A whole entry in the place of another one."""
    others = [f for f in file.parent.parent.parent.glob("*/*") if f.is_dir() and f != file.parent]
    if others and (file.parent / "entry.json").is_file():
        shutil.rmtree(file.parent)
        shutil.copytree(rng.choice(others), file.parent)
    else:
        delete(file, rng)


def link(file: Path, rng: random.Random) -> None:
    """A link in the place of a file."""
    other = file.with_name(".elsewhere")
    other.write_bytes(b"not yours")
    file.unlink()
    file.symlink_to(other)


def nest(file: Path, rng: random.Random) -> None:
    """A folder in the place of a file."""
    file.unlink()
    (file / "inside").mkdir(parents=True)


def flatten(file: Path, rng: random.Random) -> None:
    """A file in the place of the folder around it."""
    if (file.parent / "run.json").exists() or file.parent.name == ".bench":
        return delete(file, rng)
    shutil.rmtree(file.parent)
    file.parent.write_bytes(b"no folder")


def add(file: Path, rng: random.Random) -> None:
    """Another file, and another folder, beside it."""
    file.with_name(f"odd-file{file.suffix}").write_bytes(file.read_bytes())
    (file.parent / "odd-folder").mkdir(exist_ok=True)


def garble(file: Path, rng: random.Random) -> None:
    """Something else that can be read: JSON of another shape, or bytes that are no text."""
    file.write_bytes(rng.choice([b"[]", b"{}", b"null", b"[" * 3000, b"\xff\xfe\x00", b""]))


FAULTS = (flip, truncate, delete, edit, replace, swap, link, nest, flatten, add, garble)


@pytest.fixture
def finished(bench, folders, plugin, tmp_path):
    """A finished run, and run() that gives the same command again: (code, errors)."""
    hr, lr = folders

    def run() -> tuple[int, str]:
        code, _, err = bench(
            "run", "--plugin", plugin, "--methods", "bicubic,tiny[steps=4]", "--metrics", "mae,psnr", "--hr", hr, "--lr", lr,
            "--conditions", "noise", "--device", "cpu", "--out", tmp_path / "out", "--quiet",
        )  # fmt: skip
        return code, err

    assert run()[0] == 0
    return run


def test_any_damage_is_healed(finished, tmp_path, monkeypatch):
    out, store = tmp_path / "out", tmp_path / ".bench"
    before, values = seen(out), table(out)
    for trial in TRIALS:
        rng = random.Random(trial)
        places = (store,) if trial % 4 else (out,)
        files = [
            f
            for p in places
            for f in sorted(p.rglob("*"))
            if f.is_file() and not f.is_symlink() and "log" not in f.parts
        ]
        file, fault = rng.choice(files), rng.choice(FAULTS)
        fault(file, rng)
        code, err = finished()
        what = f"trial {trial}: {fault.__name__} of {file}: {err}"
        assert code == 0 and "Traceback" not in err, what
        pd.testing.assert_frame_equal(table(out), values, check_exact=True, obj=what)
        assert seen(out) == before, what
        assert json.loads((out / "run.json").read_text())["key"], what


def command(out: Path, store: Path, folders, plugin: Path) -> list[str]:
    hr, lr = folders
    return ["run", "--plugin", str(plugin), "--methods", "bicubic,tiny[steps=40]", "--metrics", "mae,psnr", "--hr", str(hr),
            "--lr", str(lr), "--conditions", "noise", "--device", "cpu", "--out", str(out), "--store", str(store),
            "--checkpoint-every", "5"]  # fmt: skip


def test_kills_at_any_moment_change_nothing(folders, plugin, tmp_path):
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    process, begin = forked.Command(command(alone, tmp_path / "s1", folders, plugin)), time.monotonic()
    assert process.wait()[0] == 0
    whole = time.monotonic() - begin
    for kill in KILLS:
        process = forked.Command(command(killed, tmp_path / "s2", folders, plugin))
        time.sleep(whole * random.Random(kill).random())
        process.send_signal(signal.SIGKILL)
        process.wait()
        if kill % 6 == 5 or kill == KILLS[-1]:  # to the end, and from the beginning again
            assert forked.run(command(killed, tmp_path / "s2", folders, plugin))[0] == 0
            pd.testing.assert_frame_equal(table(alone), table(killed), check_exact=True)
            assert seen(alone) == seen(killed) and shown(alone) == shown(killed)
            assert not list((tmp_path / "s2" / "tmp").glob("*")) and not [f for f in killed.rglob(".*.part")]
            shutil.rmtree(killed)
            shutil.rmtree(tmp_path / "s2")


def test_processes_that_share_a_store_compute_each_artefact_once(folders, plugin, tmp_path):
    alone = tmp_path / "alone"
    assert forked.run(command(alone, tmp_path / "s1", folders, plugin))[0] == 0
    count = sum(1 for _ in (tmp_path / "s1").rglob("entry.json"))
    for turn in range(ROUNDS):
        store = tmp_path / f"shared{turn}"
        commands = [command(tmp_path / f"out{turn}-{i}", store, folders, plugin) for i in range(4)]
        processes = [forked.Command(words) for words in commands]
        codes, _, errors = zip(*[process.wait() for process in processes], strict=True)
        assert codes == (0,) * 4, errors
        assert sum("trained tiny" in e for e in errors) == 1
        assert sum(1 for _ in store.rglob("entry.json")) == count and not list((store / "tmp").glob("*"))
        for i in range(4):
            pd.testing.assert_frame_equal(table(alone), table(tmp_path / f"out{turn}-{i}"), check_exact=True)
            assert seen(alone) == seen(tmp_path / f"out{turn}-{i}")
