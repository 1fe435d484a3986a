"""What progress says, on a clock that the test sets."""

import pytest

from bench.core import progress


@pytest.mark.parametrize(
    ("done", "said"), [(10, "1.0 steps/s, 90 s left"), (2, "5.0 s/step, 490 s left"), (0, "10.0 s/step")]
)
def test_rate_and_time_left_are_those_of_what_is_done(monkeypatch, done, said):
    """Nothing done says nothing about the time left."""
    lines, clock = [], iter([100.0, 110.0])
    monkeypatch.setattr(progress, "listener", lines.append)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    progress.Progress("train x", 100).advance(done)
    assert lines == [f"train x: step {done}/100, {said}"]
