"""What plugins of others do wrong hurts only themselves: a row a kind of misbehaviour, and what the user sees.

docs/misbehaviour.md is this table in words; a test holds them together.
"""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import forked
import numpy as np
import pandas as pd
import psutil
import pytest
from smooth import smooth_images

from bench.cluster.isolated import Guest
from bench.core.image import write_image

ROOT = Path(__file__).parents[2]

PLUGIN = """
import ctypes, os, signal, subprocess, sys, time
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
import bench

def up(lr):
    return F.interpolate(lr, scale_factor=4)

class Base(bench.Method):
    in_all = False
    def infer(self, lr):
        return self.restored(lr)

class Good(bench.Method):
    def infer(self, lr):
        return up(lr)

class Trains(bench.Method):
    in_all = False
    default_degradation = "bicubic"
    def build(self):
        self.net = nn.Conv2d(3, 3, 1)
    def stages(self):
        return [bench.Stage("one", 2, self.step, {"net": torch.optim.SGD(self.net.parameters(), 0.1)}, batch_size=2)]
    def step(self, batch, run):
        run.minimize(F.l1_loss(self.infer(self.degrade(batch.hr)), batch.hr), "net")
    def infer(self, lr):
        return up(self.net(lr)).clamp(0, 1)

class Measured(bench.Metric):
    default = False
    def protocol(self, outputs):
        return "made up"
    def score(self, outputs):
        return bench.Score(1.0, per_image=np.ones(len(outputs.sr)))

class GoodMetric(Measured):
    pass

class Worse(bench.Degradation):
    in_all = False
    def infer(self, hr, generator=None):
        return self.made(hr)
"""

# kind: what infer does, what the user reads
INFER = {
    "raises": ("raise ValueError('no such thing')", "ValueError: no such thing (wrong.py:"),
    "raises-deep-in-torch": ("return F.interpolate(lr, scale_factor='x')", "Error: ", "(wrong.py:"),
    "exits": ("sys.exit(3)", "SystemExit: 3 (wrong.py:"),
    "exits-with-words": ("sys.exit('I give up')", "SystemExit: I give up"),
    "ends-its-process": ("os._exit(0)", "it ended its process (exit code 0)"),
    "segfaults": ("ctypes.string_at(0)", "its process was killed by SIGSEGV"),
    "hangs": ("subprocess.Popen(['sleep', '6543'])\n        time.sleep(600)", "did not end within 9 s (--time-limit)"),
    "wrong-shape": ("return lr", "returned (4, 3, 8, 8) for (4, 3, 8, 8), expected (4, 3, 32, 32)"),
    "grey": ("return up(lr)[:, :1]", "expected (4, 3, 32, 32)"),
    "one-face": ("return up(lr)[:1]", "expected (4, 3, 32, 32)"),
    "nan": ("return up(lr) * float('nan')", "values that are not finite"),
    "infinite": ("return up(lr) / 0", "values that are not finite"),
    "levels": ("return up(lr) * 255", "expected the range [0, 1]"),
    "signed": ("return up(lr) * 4 - 3", "expected the range [0, 1]"),
    "bytes": ("return (up(lr) * 255).byte()", "returned torch.uint8"),
    "array": ("return up(lr).numpy()", "returned ndarray"),
    "nothing": ("return None", "returned NoneType"),
    "out-of-memory": ("raise RuntimeError('DefaultCPUAllocator: not enough memory')", "out of memory for one image"),
    "recursion": ("return self.infer(lr)", "RecursionError"),
    "no-exception-of-python": ("class Mine(BaseException): pass\n        raise Mine('odd')", "Mine: odd"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "long-words": ("raise ValueError('x' * 10000)", "ValueError: xxx"),
    "html": ("raise ValueError('<blink>odd</blink>')", "<blink>odd</blink>"),
    "prints": ("print('noise'); os.write(2, b'noise'); return up(lr)", ""),
    "in-place": ("lr.zero_(); return up(lr + 0.5)", ""),
    "chdir": ("os.chdir('/'); return up(lr)", ""),
}  # fmt: skip

TRAINS = {
    "build-raises": ("def build(self):\n        raise KeyError('gone')", "KeyError: 'gone' (wrong.py:"),
    "stages-raise": ("def stages(self):\n        raise KeyError('gone')", "KeyError: 'gone' (wrong.py:"),
    "prepare-raises": ("def prepare(self, data, run):\n        raise KeyError('gone')", "KeyError: 'gone' (wrong.py:"),
    "step-raises": ("def step(self, batch, run):\n        raise KeyError('gone')", "KeyError: 'gone' (wrong.py:"),
    "loss-is-nan": ("def step(self, batch, run):\n        run.minimize(self.net.weight.sum() / 0 * 0, 'net')", "not finite"),
    "step-is-killed": ("def step(self, *given):\n        os.kill(os.getpid(), 9)", "killed by SIGKILL (too little memory?)"),
}  # fmt: skip

METRICS = {
    "score-raises": ("def score(self, outputs):\n        raise KeyError('gone')", "KeyError: 'gone' (wrong.py:"),
    "score-exits": ("def score(self, outputs):\n        sys.exit(0)", "SystemExit: 0 (wrong.py:"),
    "score-ends-its-process": ("def score(self, outputs):\n        os._exit(0)", "it ended its process (exit code 0)"),
    "score-is-nan": ("def score(self, outputs):\n        return bench.Score(float('nan'))", "nan"),
    "score-is-text": ("def score(self, outputs):\n        return 'good'", "returned str, not a bench.Score"),
    "protocol-raises": ("def protocol(self, outputs):\n        raise KeyError('gone')", "KeyError: 'gone' (wrong.py:"),
    "weights-raise": ("def required_weights(self):\n        raise KeyError('gone')", "KeyError: 'gone' (wrong.py:"),
}

CONDITIONS = {
    "degradation-raises": ("raise KeyError('gone')", "KeyError: 'gone' (wrong.py:"),
    "degradation-wrong-shape": ("return hr", "(4, 3, 32, 32)"),
}


def class_of(name: str, base: str, body: str) -> str:
    title = "".join(part.capitalize() for part in name.split("-"))
    return f"\nclass {title}({base}):\n    {body}\n"


def source() -> str:
    """The plugin file with a class a kind."""
    made = [PLUGIN]
    made += [class_of(n, "Base", f"def restored(self, lr):\n        {row[0]}") for n, row in INFER.items()]
    made += [class_of(n, "Trains", row[0]) for n, row in TRAINS.items()]
    made += [class_of(n, "Measured", row[0]) for n, row in METRICS.items()]
    made += [class_of(n, "Worse", f"def made(self, hr):\n        {row[0]}") for n, row in CONDITIONS.items()]
    return "".join(made)


class Ended(NamedTuple):
    """What a command in a process of its own left."""

    code: int
    out: str
    err: str


def ended(*words: object) -> Ended:
    return Ended(*forked.run(words))


def in_process_of_its_own(folder: Path, *options: object) -> Ended:
    return ended("run", *options, "--hr", folder / "hr", "--device", "cpu", "--isolate", "auto", "--out", folder / "out",
                 "--store", folder / "store", "--quiet")  # fmt: skip


def few_faces(folder: Path) -> None:
    for split in ("train", "test"):
        (folder / "hr" / split).mkdir(parents=True)
        for index, image in enumerate(smooth_images(4, 32)):
            write_image(folder / "hr" / split / f"{split}{index}.png", image)


def left(done: Ended, folder: Path) -> tuple:
    out = folder / "out"
    assert (out / "report.html").is_file(), done.err
    return done, pd.read_parquet(out / "results.parquet"), json.loads((out / "run.json").read_text()), out


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """One run of every kind of wrong cell, beside bicubic: (process, results, record, folder)."""
    folder = tmp_path_factory.mktemp("wrong")
    few_faces(folder)
    file = folder / "wrong.py"
    file.write_text(source())
    done = in_process_of_its_own(
        folder, "--plugin", file, "--methods", ",".join(["bicubic", *INFER, *TRAINS, "good"]), "--conditions", "noise",
        "--metrics", "psnr", "--time-limit", "9s")  # fmt: skip
    return left(done, folder)


def said_once(done: Ended, record: dict, cell: str, words: tuple[str, ...]) -> None:
    lines = [line for line in done.err.splitlines() if re.search(rf"(failed: |, ){re.escape(cell)}[:, ]", line)]
    assert len(lines) == 1 and all(w in lines[0] for w in words) and len(lines[0]) < 1000, (cell, done.err)
    assert done.code == 1 and "Traceback" not in done.err
    assert [f for f in record["failed"] if cell in f["cell"] and all(w in f["reason"] for w in words)]


def test_what_a_method_that_hangs_has_started_ends_with_it(ran):
    left = [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "6543"]]
    for process in left:
        process.kill()
    assert not left


@pytest.mark.parametrize("name", [*INFER, *TRAINS])
def test_a_method_that_misbehaves_is_a_failed_cell_that_says_why(ran, name):
    done, rows, record, out = ran
    _, *words = {**INFER, **TRAINS}[name]
    found = rows[(rows.method == name) & (rows.image == "")].iloc[0]
    if words == [""]:
        assert found.status == "ok" and np.isfinite(found.value)
        return
    assert found.status == "failed" and all(w in found.reason for w in words) and len(found.reason) < 1000, found.reason
    said_once(done, record, f"{name} on noise", tuple(words))
    assert "<blink>" not in (out / "report.html").read_text()


def test_the_cells_of_others_are_there_and_right(ran):
    _, rows, _, out = ran
    for method in ("bicubic", "good"):
        mine = rows[(rows.method == method) & (rows.status == "ok")]
        assert len(mine) == 5 and (out / "images" / method / "noise" / "test0.png").is_file()


# what happens before any cell: files beside wrong.py, and classes of it that fail when they are asked
HOOK = "import bench\n@bench.hookimpl\ndef bench_methods():\n"
FILES = {
    "import-raises": ("\nimport no_such_module", "ModuleNotFoundError: No module named 'no_such_module' (import_raises.py:2)"),
    "import-exits": ("import sys; sys.exit(0)", "SystemExit: 0 (import_exits.py:1)"),
    "import-ends-its-process": ("import os; os._exit(0)", "it ended its process (exit code 0)"),
    "import-segfaults": ("import ctypes; ctypes.string_at(0)", "its process was killed by SIGSEGV"),
    "syntax-error": ("x = 1\ndef broken(:", "SyntaxError: invalid syntax (syntax_error.py"),
    "no-plugin": ("x = 1", "no hook and no subclass"),
    "binary": ("\x00", "null bytes"),
    "hook-raises": (HOOK + "    raise KeyError('x')", "KeyError: 'x' (hook_raises.py:4)"),
    "hook-exits": (HOOK + "    import sys; sys.exit(0)", "SystemExit: 0 (hook_exits.py:4)"),
    "hook-gives-a-list": (HOOK + "    return ['a']", "TypeError: bench_methods gives a list"),
    "imported-late-raises": (
        HOOK + "    return {'imported-late-raises': ('no_such.place:A', 'x')}",
        "ModuleNotFoundError: No module named 'no_such'"),
}  # fmt: skip
ASKED = {
    "fingerprint-raises": ("fingerprint", "raise KeyError('lost')", "KeyError: 'lost' (asked.py:"),
    "fingerprint-ends-its-process": ("fingerprint", "os._exit(0)", "it ended its process (exit code 0)"),
    "needs-raise": ("needs_for", "raise KeyError('lost')", "KeyError: 'lost' (asked.py:"),
    "scales-raise": ("scales_for", "raise KeyError('lost')", "KeyError: 'lost' (asked.py:"),
}


def asked() -> str:
    head = "import os\nimport bench\n"
    made = [
        class_of(n, "bench.Method", f"def infer(self, lr): pass\n    def stages(self): return []\n    @classmethod\n"
                 f"    def {member}(cls, *given):\n        {body}")
        for n, (member, body, _) in ASKED.items()
    ]  # fmt: skip
    return head + "".join(made)


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """One run in which every kind fails while it is planned, and metrics and conditions in their cells."""
    folder = tmp_path_factory.mktemp("planned")
    few_faces(folder)
    files = {
        **{f"{n.replace('-', '_')}.py": text for n, (text, _) in FILES.items()},
        "asked.py": asked(),
        "wrong.py": source(),
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    given = [part for name in files for part in ("--plugin", folder / name)]
    done = in_process_of_its_own(
        folder, *given, "--methods", ",".join(["bicubic", *FILES, *ASKED]), "--conditions", ",".join(["noise", *CONDITIONS]),
        "--metrics", ",".join(["psnr", *METRICS, "good-metric"]))  # fmt: skip
    return left(done, folder)


@pytest.mark.parametrize("name", [*FILES, *ASKED])
def test_what_fails_before_any_cell_is_a_failed_method_beside_the_others(planned, name):
    done, rows, record, _ = planned
    words = {**FILES, **ASKED}[name][-1]
    mine = rows[(rows.method == name) & (rows.condition == "noise") & (rows.metric == "psnr")]
    assert list(mine.status) == ["failed"] and words in mine.iloc[0].reason, mine.reason
    said_once(done, record, f"method {name}", (words,))
    assert done.err.count(f"{name.replace('-', '_')}.py") <= 2, done.err  # one line; no warning beside it


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_that_misbehaves_leaves_the_other_values(planned, name):
    done, rows, record, _ = planned
    found = rows[(rows.method == "bicubic") & (rows.condition == "noise") & (rows.metric == name)]
    assert list(found.status) == ["failed"] and METRICS[name][1] in found.iloc[0].reason, found
    said_once(done, record, f"{name} of bicubic on noise", (METRICS[name][1],))


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_degradation_that_misbehaves_fails_under_its_condition_alone(planned, name):
    done, rows, record, _ = planned
    found = rows[(rows.method == "bicubic") & (rows.condition == name)]
    assert set(found.status) == {"failed"} and CONDITIONS[name][1] in found.iloc[0].reason, found
    said_once(done, record, f"bicubic on {name}", (CONDITIONS[name][1],))


def test_what_was_finished_is_in_the_report_of_such_a_run(planned):
    _, rows, _, out = planned
    for metric in ("psnr", "good-metric"):
        mine = rows[(rows.method == "bicubic") & (rows.metric == metric) & (rows.condition == "noise")]
        assert len(mine) == 5 and set(mine.status) == {"ok"}
    assert (out / "images" / "bicubic" / "noise" / "test0.png").is_file()


def test_nothing_left_to_try_is_exit_code_2(folders, tmp_path):
    file = tmp_path / "bad.py"
    file.write_text("import os; os._exit(0)")
    done = ended("run", "--plugin", file, "--methods", "bad", "--hr", folders[0], "--out", tmp_path / "out")
    assert done.code == 2 and done.err.count("\n") == 1 and "it ended its process (exit code 0)" in done.err


def test_a_check_goes_on_after_what_ends_its_process(tmp_path):
    file = tmp_path / "bad.py"
    file.write_text(
        "import os\nimport torch\nimport bench\nclass Bad(bench.Method):\n    def infer(self, lr):\n"
        "        return torch.nn.functional.interpolate(lr, scale_factor=4) if len(lr) != 8 else os._exit(0)\n"
    )
    done = ended("check", file)
    lines = done.out.splitlines()
    checks = [line.partition(": ")[2].partition(":")[0].partition(" (")[0] for line in lines[:-1]]
    assert done.code == 1 and len(checks) == len(set(checks)) > 10, done.out
    assert "came it ended its process (exit code 0) (bad.py:" in done.out and "ok" in done.out


REPORTS = {
    "report-raises": ("raise KeyError('gone')", "report 'report-raises': KeyError: 'gone' (formats.py:"),
    "report-exits": ("import sys; sys.exit(0)", "report 'report-exits': SystemExit: 0 (formats.py:"),
    "report-writes-nothing": ("return out", "wrote no such file"),
    "report-ends-its-process": (
        "import os; os._exit(0)",
        "report 'report-ends-its-process': it ended its process (exit code 0)",
    ),
}


@pytest.fixture(scope="module")
def formats(tmp_path_factory):
    """A finished run's folder, and a plugin file with a wrong format a kind."""
    from bench.testing.reports import a_run

    folder = tmp_path_factory.mktemp("formats")
    made = "".join(f"def f{i}(runs, out):\n    {body}\n" for i, (body, _) in enumerate(REPORTS.values()))
    names = ", ".join(f"{name!r}: f{i}" for i, name in enumerate(REPORTS))
    hook = f"import bench\n@bench.hookimpl\ndef bench_reports():\n    return {{{names}}}\n"
    (folder / "formats.py").write_text(made + hook)
    return a_run(folder / "run"), folder / "formats.py"


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_format_that_misbehaves_is_one_line_and_no_success(bench, formats, tmp_path, name):
    run, file = formats
    words = ["report", str(run), "--plugin", str(file), "--format", name, "--out", str(tmp_path / "out")]
    code, out, err = ended(*words) if "process" in name else bench(*words)
    assert code == (2 if "nothing" in name else 1) and not out and err.count("\n") == 1 and REPORTS[name][1] in err, err


def test_a_command_whose_plugin_ends_the_process_does_not_succeed(tmp_path):
    file = tmp_path / "bad.py"
    file.write_text(
        "import os\nimport bench\nclass Bad(bench.Method):\n    def infer(self, lr):\n        os._exit(0)\n"
    )
    write_image(tmp_path / "in.png", smooth_images(1, 16)[0])
    words = ["infer", "bad", "--plugin", str(file), str(tmp_path / "in.png"), str(tmp_path / "out"), "--device", "cpu"]
    done = ended(*words)
    assert done.code == 1 and "it ended its process (exit code 0) before the command was done" in done.err


def test_the_page_says_what_these_tests_see():
    page = (ROOT / "docs" / "misbehaviour.md").read_text(encoding="utf-8")
    told = {kind: rest for kind, rest in re.findall(r"^\| `([\w-]+)` \| (.*) \|$", page, re.M)}
    everything = {**INFER, **TRAINS, **METRICS, **CONDITIONS, **FILES, **ASKED, **REPORTS}
    assert list(told) == list(everything) and len(told) >= 25
    for kind, row in everything.items():
        code = told[kind].rpartition("| ")[2]
        assert code == ("0" if row[-1] == "" else "2" if kind == "report-writes-nothing" else "1"), kind


def test_isolated_results_are_those_of_one_process(bench, folders, plugin, tmp_path):
    tables = []
    for way in ("never", "always"):
        code, _, err = bench("run", "--plugin", plugin, "--methods", "bicubic,tiny[steps=6]", "--hr", folders[0],
                             "--conditions", "noise", "--metrics", "psnr,mae", "--device", "cpu", "--isolate", way,
                             "--out", tmp_path / way, "--store", tmp_path / f"store-{way}")  # fmt: skip
        assert code == 0, err
        tables.append(pd.read_parquet(tmp_path / way / "results.parquet").drop(columns="seconds"))
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_what_is_in_the_store_begins_no_process(bench, folders, plugin, tmp_path, monkeypatch):
    begun = []
    begin = Guest.begin
    monkeypatch.setattr(Guest, "begin", lambda guest: (begun.append(guest), begin(guest)))
    given = ("run", "--plugin", plugin, "--methods", "tiny[steps=1]", "--hr", folders[0], "--lr", folders[1], "--conditions",
             "noise,real", "--device", "cpu", "--isolate", "auto", "--out", tmp_path / "out")  # fmt: skip
    for metrics, processes in (("psnr,mae", 1), ("psnr,mae", 0), ("psnr,mae,ssim", 1), ("psnr,mae,ssim,lpips", 0)):
        begun.clear()
        bench(*given, "--metrics", metrics)
        assert len(begun) == processes, metrics
        rows = pd.read_parquet(tmp_path / "out" / "results.parquet")
        ok = rows[(rows.condition == "noise") & (rows.status == "ok") & (rows.image == "")]
        assert {"psnr", "mae"} <= set(ok.metric)


def test_a_signal_reaches_the_training_in_its_process(folders, plugin, tmp_path):
    command = [sys.executable, "-m", "bench", "run", "--plugin", str(plugin), "--methods", "tiny[steps=100000]", "--hr",
               str(folders[0]), "--conditions", "noise", "--metrics", "psnr", "--device", "cpu", "--isolate", "always",
               "--out", str(tmp_path / "out"), "--checkpoint-every", "1000000"]  # fmt: skip
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    log = tmp_path / "out" / "log" / "tiny[steps=100000]"
    deadline = time.monotonic() + 240
    while not log.is_dir() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 130 and "stopped" in err and "Traceback" not in err, err
    assert list((tmp_path / ".bench").glob("partial/*.pt")), "the checkpoint was written first"
