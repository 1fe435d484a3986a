"""Large sets measured in chunks give what they give at once, in one process and in many; memory holds one chunk."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from bench.metrics import distribution, inception, patches
from bench.metrics.distribution import Fid, Kid
from bench.metrics.fidelity import LrPsnr, Psnr, Ssim
from bench.metrics.identity import Identity
from bench.metrics.manifold import Precision, Recall
from bench.metrics.patches import Swd, SwdLrGain
from scored import outputs, with_params

from bench import plugins
from bench.core import stats
from bench.core.image import write_image
from bench.core.results import read_table
from bench.errors import Unavailable
from bench.grid import shards
from bench.grid.run import Run
from bench.grid.scores import evaluate
from bench.grid.settings import Settings


@pytest.fixture
def features(store, monkeypatch):
    """In place of Inception: fixed random sums of a face's pixels."""
    store("inception-fid", {})

    def network(dims=2048, *_):
        weights = torch.randn(3 * 8 * 8, dims, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        return lambda x: (torch.nn.functional.adaptive_avg_pool2d(x, 8).flatten(1).double() @ weights).relu().float()

    monkeypatch.setattr(inception, "network", network)


def faces(n=40):
    """Of two sizes, the smaller ones all in one chunk."""
    large, small = outputs(n - 6, 64), outputs(6, 48, 5)
    joined = {
        what: [*getattr(large, what)[:20], *getattr(small, what), *getattr(large, what)[20:]]
        for what in ("sr", "hr", "lr")
    }
    return replace(large, names=[f"{i:02d}" for i in range(n)], held_out_hr=large.hr[:11], **joined)


METRICS = [Psnr, Ssim, LrPsnr, Swd, Kid, Precision, Recall]


@pytest.mark.parametrize(
    "metric", [*(cls() for cls in METRICS), with_params(Fid, dims=64)], ids=lambda m: type(m).__name__
)
def test_chunks_give_what_all_faces_give_at_once_bit_for_bit(metric, features, monkeypatch):
    at_once = evaluate(metric, "m", faces())
    chunks = []
    part = type(metric).part
    monkeypatch.setattr(shards, "CHUNK", 16)
    monkeypatch.setattr(
        type(metric), "part", lambda self, given: chunks.append((given.first, len(given.sr))) or part(self, given)
    )
    in_chunks = evaluate(metric, "m", faces())
    assert chunks == [(0, 16), (16, 16), (32, 8)]
    assert in_chunks[:2] == at_once[:2], "rows with their intervals, and the protocol"


def test_what_compares_faces_with_others_in_its_own_way_is_measured_at_once(monkeypatch):
    monkeypatch.setattr(shards, "CHUNK", 16)
    assert not shards.splits(SwdLrGain(), faces()) and not shards.splits(Identity(), faces())
    assert shards.splits(Psnr(), faces()) and not shards.splits(Psnr(), faces(16))


def test_fid_of_more_faces_than_memory_holds_merges_the_statistics_of_groups(features, monkeypatch):
    rng = np.random.default_rng(0)
    found = rng.normal(0, 1, (3000, 64)).astype(np.float32) @ rng.normal(0, 1, (64, 64)).astype(np.float32) + 1
    digests = rng.integers(0, 256, (3000, 16), np.uint8)
    parts = [{"features": found[i : i + 700], "digests": digests[i : i + 700]} for i in range(0, 3000, 700)]
    given = replace(outputs(2), sr=[None] * 3000, reference_hr=outputs(90, 64, 3).sr)
    fid = with_params(Fid, dims=64)
    held = fid.whole(given, parts)
    monkeypatch.setattr(distribution, "KEPT", 1000)
    score = fid.whole(given, iter(parts))
    reference = inception.of_reference(given, fid.theirs(given), 64)

    def plain(rows):
        root = np.linalg.eigvals(np.cov(rows.T.astype(float)) @ reference.covariance).real.clip(0)
        mean = rows.mean(0, dtype=float) - reference.mean
        return (
            mean @ mean + np.cov(rows.T.astype(float)).trace() + reference.covariance.trace() - 2 * np.sqrt(root).sum()
        )

    assert score.value == pytest.approx(plain(found), rel=1e-6) and score.value == pytest.approx(held.value, rel=1e-9)
    dealt = digests.view("<u8")[:, 0] % stats.GROUPS
    left_out = np.array([plain(found[dealt != group]) for group in range(stats.GROUPS)])
    assert score.ci == pytest.approx(stats.jackknife(score.value, left_out, least=0.0), rel=1e-4)
    assert score.extra["inf"] == pytest.approx(held.extra["inf"], rel=0.02) and score.extra["inf"] < score.value


def test_swd_of_more_faces_than_patches_takes_one_of_each_face_spread_evenly(monkeypatch):
    monkeypatch.setattr(patches, "MOST", 10)
    monkeypatch.setattr(shards, "CHUNK", 16)
    used = []
    real = Swd.projected
    monkeypatch.setattr(Swd, "projected", lambda self, ours, *more: used.append(len(ours)) or real(self, ours, *more))
    score = evaluate(Swd(), "m", faces())[2]
    assert used[:3] == [4, 4, 2] and np.isfinite(score.value) and score.n == 40


def test_a_chunk_without_a_measurable_face_is_no_failure_unless_all_are(monkeypatch):
    monkeypatch.setattr(shards, "CHUNK", 16)
    given = faces()
    given.sr[16:32] = given.hr[16:32] = [image[:, :9, :9] for image in given.sr[16:32]]
    score = evaluate(Ssim(), "m", given)[2]
    assert np.isnan(score.per_image[16:32]).all() and np.isfinite(score.per_image).sum() == 24
    given.sr[:] = given.hr[:] = [image[:, :9, :9] for image in given.sr]
    with pytest.raises(Unavailable, match="SSIM's window does not fit"):
        evaluate(Ssim(), "m", given)


def test_a_large_cell_is_measured_chunk_by_chunk_and_the_store_keeps_its_score_alone(
    folders, plugin, tmp_path, monkeypatch
):
    monkeypatch.setattr(plugins, "_local", [plugin])
    plugins.catalogue.cache_clear()
    hr, lr = map(str, folders)
    settings = Settings(methods="bicubic,broken", conditions="noise,real", metrics="psnr,swd,mae,niqe", hr=hr, lr=lr,
                        device="cpu", quiet=True, out=str(tmp_path / "once"), store=str(tmp_path / "once.store"))  # fmt: skip
    Run(settings).go()
    monkeypatch.setattr(shards, "CHUNK", 3)
    run = Run(replace(settings, out=str(tmp_path / "chunks"), store=str(tmp_path / "chunks.store")))
    run.go()
    assert [t.start for t in run.tasks if t.kind == "part"] == [0, 3] * 4
    tables = [read_table(tmp_path / out).drop(columns="seconds") for out in ("once", "chunks")]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert not list((tmp_path / "chunks.store").glob("part/*/*")) and "part" not in run.entries()
    plugins.catalogue.cache_clear()


def test_images_of_any_program_are_scored_chunk_by_chunk(bench, tmp_path, monkeypatch):
    given = outputs(10, 32)
    for what in ("sr", "hr"):
        (tmp_path / what).mkdir()
        for name, image in zip(given.names, getattr(given, what), strict=True):
            write_image(tmp_path / what / f"{name}.png", image)
    arguments = [
        "score",
        tmp_path / "sr",
        "--hr",
        tmp_path / "hr",
        "--metrics",
        "psnr,ssim,swd,nima",
        "--reference",
        tmp_path / "hr",
    ]
    assert bench(*arguments, "--out", tmp_path / "once")[0] == 1  # nima's weights are not here
    monkeypatch.setattr(shards, "CHUNK", 4)
    assert bench(*arguments, "--out", tmp_path / "chunks")[0] == 1
    tables = [read_table(tmp_path / out).drop(columns="seconds") for out in ("once", "chunks")]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
