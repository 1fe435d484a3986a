"""bench store: what is there, whether it is as it was written, what may go."""

import json
import time
from pathlib import Path

import pytest

from bench.core.locks import held, taken
from bench.core.store import Store


def filled(store: Path) -> Store:
    found = Store(store)
    for kind, key, size in (("train", "a" * 16, 1000), ("score", "b" * 16, 10), ("score", "c" * 16, 20)):
        found.put(kind, key, lambda folder, size=size: (folder / "x.bin").write_bytes(b"x" * size))
    return found


def test_info_counts_entries_by_kind(bench, own_store):
    filled(own_store)
    code, out, _ = bench("store", "info", "--json")
    kinds = {row["kind"]: row["entries"] for row in json.loads(out)["kinds"]}
    assert code == 0 and kinds == {"train": 1, "score": 2}
    assert (own_store / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")
    assert (own_store / ".gitignore").read_text() == "*\n"


def test_verify_drops_what_is_damaged_and_says_so(bench, own_store):
    store = filled(own_store)
    assert bench("store", "verify")[0] == 0
    (store.path("score", "b" * 16) / "x.bin").write_bytes(b"y" * 10)
    code, out, err = bench("store", "verify")
    assert code == 1 and "x.bin is not what was written" in err and "2 entries" in out
    assert bench("store", "verify")[0] == 0 and not store.has("score", "b" * 16)


def test_gc_removes_what_the_conditions_name_and_keeps_what_a_run_needs(bench, own_store, tmp_path):
    store = filled(own_store)
    assert bench("store", "gc")[0] == 2
    assert "1 entries, 1" in bench("store", "gc", "--larger-than", "1k", "--dry-run")[1] and store.has(
        "train", "a" * 16
    )
    assert "0 entries" in bench("store", "gc", "--older-than", "1d")[1]
    (tmp_path / "run.json").write_text(json.dumps({"entries": {"train": ["a" * 16], "score": ["b" * 16]}}))
    assert "1 entries" in bench("store", "gc", "--not-used-by", tmp_path)[1]
    fresh = Store(own_store)
    assert fresh.has("train", "a" * 16) and fresh.has("score", "b" * 16) and not fresh.has("score", "c" * 16)
    (tmp_path / "run.json").write_text("[]")
    assert bench("store", "gc", "--not-used-by", tmp_path)[0] == 2


def test_gc_keeps_what_a_run_at_work_uses(bench, own_store):
    store = filled(own_store)
    time.sleep(1.1)
    with store.in_use():
        time.sleep(1.1)
        Store(own_store).find("train", "a" * 16)
        assert "2 entries" in bench("store", "gc", "--older-than", "0h")[1]
        assert Store(own_store).has("train", "a" * 16)


def test_a_finished_entry_is_never_replaced_and_fresh_adds_another(own_store):
    store = filled(own_store)
    old = store.path("train", "a" * 16)
    fresh = Store(own_store, fresh=time.time())
    assert not fresh.has("train", "a" * 16)
    new = fresh.obtain("train", "a" * 16, lambda folder: (folder / "x.bin").write_bytes(b"new"))
    assert old != new and (old / "x.bin").read_bytes() == b"x" * 1000
    assert Store(own_store).path("train", "a" * 16) == new == fresh.path("train", "a" * 16)


def test_a_failure_leaves_nothing(own_store):
    with pytest.raises(ZeroDivisionError):
        Store(own_store).obtain("train", "d" * 16, lambda folder: 1 / 0)
    assert not list((own_store / "tmp").iterdir()) and not (own_store / "train").exists()
    assert not taken(own_store / "locks" / f"train-{'d' * 16}.lock")


def test_what_ended_processes_left_behind_is_swept(own_store):
    store = filled(own_store)
    import socket

    gone, mine = (own_store / "tmp" / f"{socket.gethostname()}.{pid}.abcd" for pid in (2**22 + 1, 1))
    gone.mkdir(), mine.mkdir()
    store.sweep()
    assert not gone.exists() and mine.exists()


def test_no_store_is_one_line(bench, tmp_path):
    code, _, err = bench("store", "info", "--store", tmp_path / "none")
    assert code == 2 and "no such store" in err and len(err.splitlines()) == 1
    with held(tmp_path / "x.lock"):
        assert taken(tmp_path / "x.lock")
