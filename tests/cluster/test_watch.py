"""What is seen of a run on a cluster: a live view on a terminal, plain lines in a pipe, `bench status` anywhere."""

import io
import json
import sys
import time
from types import SimpleNamespace

import pytest

pytest.importorskip("rich", reason="needs the extra cluster")
from bench.cluster import watch
from bench.cluster.watch import Watch
from bench.grid.tasks import Done, Task

TASKS = [Task("train", f"train m{i}", "") for i in range(30)]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """A watch on 30 trainings that writes to STREAM: watched(STREAM, quiet=False)."""

    def begin(stream, quiet=False):
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("COLUMNS", "80")
        run = SimpleNamespace(settings=SimpleNamespace(quiet=quiet), out=tmp_path, command="bench run --jobs 2")
        return Watch(run, TASKS, "http://127.0.0.1:8787/status")

    return begin


def happens(seen):
    """Two trainings are at work, one is done, one failed."""
    for index in (0, 1, 2, 3):
        seen.hear({"task": TASKS[index].name, "text": f"train m{index} on node/{index}", "begins": True})
    seen.hear({"task": TASKS[2].name, "text": "m2: step 40/100, 8.0 steps/s, 7 s left, on node/2"})
    seen.ended(TASKS[0], Done(computed=1, seconds=12.4, where="node/0"))
    seen.ended(TASKS[1], Done(failed={"train m1": "not finite at step 4"}))


def test_a_terminal_shows_counts_what_runs_where_and_failures_as_they_come(watched):
    stream = Terminal()
    with watched(stream) as seen:
        happens(seen)
        seen.live.refresh()
        shown = stream.getvalue()
        failed = shown.index("failed: train m1: not finite at step 4")
        assert shown.index("trained m0 in 12 s on node/0") < failed
        view = shown[failed:]  # drawn again below what was said
        assert "━" in view and "2/30 tasks done, 2 report progress, 1 failed, about" in view
        assert "m2: step 40/100, 8.0 steps/s, 7 s left, on node/2" in view and "train m3 on node/3" in view
        for index in range(4, 30):
            seen.hear({"task": TASKS[index].name, "text": f"{'long ' * 30}m{index}", "begins": True})
        stream.truncate(0)
        seen.live.refresh()
        lines = stream.getvalue().splitlines()
        assert "and 8 more" in stream.getvalue() and sum("long" in line for line in lines) == watch.SHOWN - 2
        assert max(map(len, (line for line in lines if "long" in line))) < 100, (
            "a line a task, cut at the terminal's width"
        )


def test_a_pipe_gets_plain_lines_of_what_happens_and_of_the_counts_now_and_then(watched, monkeypatch):
    monkeypatch.setattr(watch, "LINES_EVERY", 0.0)
    stream = io.StringIO()
    with watched(stream) as seen:
        happens(seen)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "dashboard: http://127.0.0.1:8787/status" and "\x1b" not in stream.getvalue()
    assert "trained m0 in 12 s on node/0" in lines and "failed: train m1: not finite at step 4" in lines
    assert any(line.startswith("2/30 tasks done, 2 report progress, 1 failed, about") for line in lines)
    monkeypatch.setattr(watch, "LINES_EVERY", 10.0)
    stream = io.StringIO()
    with watched(stream, quiet=True) as seen:
        happens(seen)
    assert stream.getvalue() == ""


def test_status_is_seen_from_elsewhere_while_it_runs_and_after_it_was_killed(watched, bench, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.grid.status.EVERY", 0.0)
    with watched(io.StringIO()) as seen:
        happens(seen)
        code, out, _ = bench("status", tmp_path)
        assert code == 0 and "running on" in out and "2/30 tasks done" in out and "dashboard: http" in out
        assert "  m2: step 40/100" in out and "failed: train m1: not finite at step 4" in out
        file = tmp_path / "status.json"
        kept = json.loads(file.read_text())
        file.write_text(json.dumps({**kept, "updated": time.time() - 3600}))
        code, out, _ = bench("status", tmp_path)
        assert code == 0 and "silent on" in out and "the same command goes on" in out
    assert json.loads(bench("status", tmp_path, "--json")[1])["state"] == "measured"
    assert bench("status", tmp_path / "nowhere")[0] == 2
