"""Locks: one holder at a time, and nobody waits for the dead."""

import multiprocessing
import os
import time

import pytest

from bench.core import locks


def held_for_a_while(path, started):
    with locks.held(path, quiet=True):
        started.set()
        time.sleep(60)


def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    started = context.Event()
    other = context.Process(target=held_for_a_while, args=(tmp_path / "a.lock", started))
    other.start()
    assert started.wait(60) and locks.taken(tmp_path / "a.lock")
    other.kill()
    other.join()
    assert not locks.taken(tmp_path / "a.lock")
    with locks.held(tmp_path / "a.lock"):
        assert locks.taken(tmp_path / "a.lock")


@pytest.mark.parametrize("ask", [lambda path: locks.held(path).__enter__(), locks.taken])
def test_a_marker_that_its_owner_did_not_live_to_write_holds_nobody_up(ask, tmp_path, capsys):
    path = tmp_path / "b.lock"
    path.touch()
    os.utime(path, (time.time() - 60,) * 2)
    assert not ask(path) or path.stat().st_size


def test_a_marker_just_made_is_not_swept(tmp_path):
    path = tmp_path / "c.lock"
    path.touch()
    assert locks.taken(path) and path.exists()
