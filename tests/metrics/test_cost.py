"""Cost of inference: counts by hand, memory that does not depend on the run."""

import functools
import json

import numpy as np
import pandas as pd
import pytest
import torch
from bench.metrics.cost import Cost, PeakMemory
from torch import nn

from bench.api.metric import Outputs

KIB = 1024


def score(upscale, parameters=0, side=16, **options):
    lr = [np.zeros((3, side, side), np.uint8)] * 3
    given = Outputs(sr=[], names=["a", "b", "c"], lr=lr, upscale=upscale, parameters=parameters)
    with torch.inference_mode():
        return Cost(Cost.Params(**options)).score(given)


def test_multiply_adds_and_memory_are_those_counted_by_hand():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 48, 1), nn.PixelShuffle(4))
    weights = 3 * 8 * 9 + 8 + 8 * 48 + 48
    found = score(net, weights, batch=2, seconds=0)
    assert found.value == 16 * 16 * (3 * 8 * 9 + 8 * 48)
    assert found.extra["parameters"] == weights
    side = 16 * 16 * 4  # bytes of a channel
    most = 4 * (8 * 48 + 48) + 4 * (3 * 8 * 9 + 8) + side * (3 + 48 + 48)  # the shuffle, with its input and the LR
    assert most * 0.9 <= found.extra["memory"] <= most * 1.1


def test_memory_is_the_peak_of_what_is_alive_and_the_same_each_time():
    with PeakMemory() as memory:
        x = torch.zeros(KIB // 4)
        y = x + 1
        assert memory.now == 2 * KIB
        z = y.view(2, -1)[0] * 2
        del y
        assert memory.now == 1.5 * KIB and memory.peak == 2.5 * KIB
        del x, z
    net = nn.Conv2d(3, 48, 3, padding=1)
    assert score(net, seconds=0).extra == score(net, seconds=0, batch=4).extra

    table = functools.cache(lambda: (torch.rand(512, 512) @ torch.rand(512, 512)).sum())
    first, second = (score(lambda x: x * table(), seconds=0) for _ in range(2))
    assert first.value == 0 and first.extra == second.extra, "whether or not the method has worked before"


def test_speed_is_measured_apart_from_what_every_run_repeats():
    calls = []
    found = score(lambda x: calls.append(len(x)) or x, batch=5, seconds=0)
    assert calls == [1, 1, 5, 5], "one to fill caches, one to count, one to warm up, one to measure"
    assert found.measured["faces_per_second"] > 0 and found.measured["batch"] == 5
    assert not set(found.measured) & set(found.extra) and found.value == 0
    assert found.extra["memory"] == pytest.approx(0)


def test_two_runs_give_the_same_table_and_keep_their_times_in_run_json(bench, folders, tmp_path):
    tables, speeds = [], []
    for out in (tmp_path / "one", tmp_path / "two"):
        common = ["--methods", "bicubic,lanczos", "--conditions", "bicubic,real", "--metrics", "cost,consistency",
                  "--store", tmp_path / f"{out.name}.store"]  # fmt: skip
        code, _, err = bench("run", *common, "--hr", folders[0], "--lr", folders[1], "--out", out, "--device", "cpu")
        assert code == 0, err
        tables.append(pd.read_parquet(out / "results.parquet").drop(columns="seconds"))
        record = json.loads((out / "run.json").read_text())
        speeds.append([m["measured"]["cost"]["faces_per_second"] for m in record["methods"]])
        assert (out / "figures/consistency/lanczos/real/figures.json").is_file()
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert speeds[0] != speeds[1]
    cost = tables[0][tables[0].metric.str.startswith("cost")]
    assert list(cost.method) == ["bicubic"] * 3 + ["lanczos"] * 3 and (cost.condition == "").all(), "once a method"
    bench("run", *common, "--hr", folders[0], "--lr", folders[1], "--out", out, "--device", "cpu", "--seed", "0")
    again = json.loads((out / "run.json").read_text())
    assert [m["measured"]["cost"]["faces_per_second"] for m in again["methods"]] == speeds[1], "timed once"
