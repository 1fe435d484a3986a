"""Distances between sets of faces: against pytorch-fid on the same files, and against plain numpy."""

import tracemalloc
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import torch
from bench.degradations.conditions import Bicubic
from bench.metrics import distribution, inception
from bench.metrics.distribution import Fid, FidLr, Kid, kid, within_set
from bench.metrics.inception import Statistics, frechet_distance, of_features
from bench.metrics.manifold import Precision, Recall
from bench.metrics.patches import Swd, SwdLr, SwdLrGain, laplacian_pyramid, quantiles, scattered, sliced_distances
from scored import outputs, tensors, with_params
from smooth import smooth_images

import bench
from bench import weights
from bench.api.metric import Outputs
from bench.core import stats
from bench.core.image import write_image
from bench.errors import Unavailable


@pytest.fixture
def features(monkeypatch):
    """In place of Inception: 24 features that are cheap and depend on the picture."""
    rng = torch.Generator().manual_seed(0)
    mix = torch.randn(3 * 16, 24, generator=rng)

    def network(*_, **__):
        return lambda x: torch.nn.functional.adaptive_avg_pool2d(x, 4).flatten(1) @ mix

    monkeypatch.setattr(inception, "network", network)
    monkeypatch.setattr(distribution.OfFeatures, "network", lambda self: "a small network")
    monkeypatch.setattr(distribution, "of_outputs", lambda o, dims=0, **_: inception.of_outputs(o, 24))
    monkeypatch.setattr(distribution, "of_reference", lambda o, n, dims=0, **_: inception.of_reference(o, n, 24))
    monkeypatch.setattr(distribution, "of_images", lambda o, i, dims=0, **_: inception.of_images(o, i, 24))
    return lambda images: network()(torch.from_numpy(np.stack(images)).float() / 255).double().numpy()


# ---------------------------------------------------------------- FID


def test_fid_agrees_with_pytorch_fid_on_the_same_files(store, tmp_path, weights_of_fid):
    """End to end, from PNG files; with more images than features, so that scipy's matrix root is exact."""
    from pytorch_fid import inception as package
    from pytorch_fid.fid_score import calculate_fid_given_paths

    store("inception-fid", weights_of_fid)
    dims = 64
    images = [smooth_images(dims + 10, 24, seed) for seed in (1, 2)]
    for name, pictures in zip(("ours", "theirs"), images, strict=True):
        (tmp_path / name).mkdir()
        for index, picture in enumerate(pictures):
            write_image(tmp_path / name / f"{index:03d}.png", picture)
    with patch.object(package, "load_state_dict_from_url", lambda *_, **__: weights_of_fid):
        expected = calculate_fid_given_paths([str(tmp_path / n) for n in ("ours", "theirs")], 50, "cpu", dims, 0)
    given = Outputs(sr=list(images[0]), names=[""] * len(images[0]), reference_hr=list(images[1]))
    metric = with_params(Fid, dims=dims)
    assert metric.score(given).value == pytest.approx(expected, rel=1e-6)
    protocol = metric.protocol(given)
    assert f"{dims + 10} images of 24x24" in protocol and f"{dims} features" in protocol and "biased" in protocol
    assert weights.file_hash("inception-fid") in protocol


def test_the_whole_network_gives_pytorch_fids_features(store, weights_of_fid):
    from pytorch_fid import inception as package

    store("inception-fid", weights_of_fid)
    with patch.object(package, "load_state_dict_from_url", lambda *_, **__: weights_of_fid):
        theirs = package.InceptionV3([3]).eval()
    images = torch.from_numpy(smooth_images(2, 64)).float() / 255
    with torch.inference_mode():
        expected = theirs(images)[0].flatten(1)
    assert torch.allclose(inception.network()(images), expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


def test_clean_fids_resize_is_pyiqas(store, tmp_path, weights_of_fid):
    """From PNG files, larger and smaller than 299 px: pixels as in pyiqa's clean mode, and the network's features of them."""
    from pyiqa.archs import fid_arch
    from pyiqa.archs import inception as theirs

    store("inception-fid", weights_of_fid)
    for size in (40, 310):
        given, files = outputs(1, size), [tmp_path / f"{size}.png"]
        write_image(files[0], given.sr[0])
        pixels = fid_arch.ResizeDataset(files, "clean")[0][None]
        assert torch.allclose(inception.clean(tensors(given.sr)), pixels, atol=1e-4)
    with patch.object(theirs, "load_pretrained_network", lambda net, *_, **__: net.load_state_dict(weights_of_fid)):
        network = theirs.InceptionV3((3,), resize_input=False).eval()
    expected = fid_arch.get_folder_features(str(tmp_path), network, num_workers=0, device="cpu", verbose=False)
    expected = torch.from_numpy(expected[:1])  # 310.png comes before 40.png
    ours = inception.network(resize="clean")(tensors(given.sr))
    assert torch.allclose(ours, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
    assert "clean-fid" in with_params(Fid, resize="clean").protocol(given)


@pytest.mark.parametrize(("n", "m", "d"), [(500, 400, 24), (20, 30, 64), (20, 300, 64), (300, 20, 64)])
def test_frechet_distance_agrees_with_the_matrix_square_root(n, m, d):
    from scipy.linalg import sqrtm

    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 1, (n, d)) @ rng.normal(0, 1, (d, d)), rng.normal(0.2, 1.3, (m, d))
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = np.trace(sqrtm(s @ t)).real
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s) + np.trace(t) - 2 * root
    first, second = of_features(x), of_features(y)
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-9 if min(n, m) > d else 1e-4)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9 * expected)


def test_features_that_never_vary_do_no_harm():
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 1, (90, 6)), rng.normal(0, 2, (80, 6))
    dead = [np.concatenate([f, np.full((len(f), 2), 3.0)], 1) for f in (x, y)]
    assert frechet_distance(*map(of_features, dead)) == pytest.approx(
        frechet_distance(*map(of_features, (x, y))), rel=1e-9
    )


def test_statistics_are_streamed_in_float64():
    x = (np.random.default_rng(0).normal(0, 1e-3, (1000, 5)) + 1e3).astype(np.float32)
    whole = Statistics(5, limit=300)
    for rows in inception.chunks((x[start : start + 17] for start in range(0, 1000, 17)), least=70):
        whole.add(rows)
    wide = x.astype(np.float64)
    assert whole.n == 1000 and np.allclose(whole.mean, wide.mean(0), rtol=1e-14)
    assert np.allclose(whole.scatter / 999, np.cov(wide, rowvar=False), rtol=1e-9, atol=1e-15)
    assert 300 <= len(whole.features) < 370 + 17


def test_reference_statistics_are_computed_once_in_a_run(features, monkeypatch):
    given, calls = outputs(20), []
    network = inception.network
    monkeypatch.setattr(inception, "network", lambda *_, **__: lambda x: calls.append(len(x)) or network()(x))
    Fid().score(given), Kid().score(given)
    assert sum(calls) == 20 + 60
    other = outputs(20, seed=5, cache=given.cache, reference_hr=given.reference_hr)
    Kid().score(other)
    assert sum(calls) == 20 + 60 + 20


def test_reference_statistics_outlive_the_run(features, store, tmp_path, monkeypatch):
    store("inception-fid", {})
    network, calls = inception.network, []
    monkeypatch.setattr(inception, "network", lambda *_, **__: lambda x: calls.append(len(x)) or network()(x))
    values = [Fid().score(outputs(20, folder=tmp_path / "metrics")).value for _ in range(2)]
    assert values[0] == values[1] and sum(calls) == 20 + 60 + 20
    changed = outputs(20, folder=tmp_path / "metrics")
    changed.reference_hr[0] = 255 - changed.reference_hr[0]
    assert Fid().score(changed).value != values[0] and sum(calls) == 2 * (20 + 60) + 20
    few = Statistics(5).add(np.random.default_rng(0).random((4, 5), np.float32))
    few.write(tmp_path / "few.npz")
    assert frechet_distance(Statistics.read(tmp_path / "few.npz"), few) == pytest.approx(0, abs=1e-12)


def test_fid_extrapolates_to_infinitely_many_images_where_there_are_enough(features):
    """Two sets of one distribution: the more of FID is bias, the more the extrapolation takes away."""
    faces = list(smooth_images(260, 16, 1))
    given = Outputs(sr=faces, names=[""] * 260, reference_hr=list(smooth_images(2000, 16, 2)))
    score = with_params(Fid, dims=64).score(given)
    assert abs(score.extra["inf"]) < score.value / 2
    assert score.ci[0] <= score.value <= score.ci[1]
    few = Outputs(sr=faces[:250], names=[""] * 250, reference_hr=given.reference_hr)
    assert "inf" not in with_params(Fid, dims=64).score(few).extra, "250 images are fewer than 4 x 64"


@pytest.mark.parametrize(("n", "m", "d"), [(60, 50, 24), (20, 30, 64), (20, 300, 64), (90, 20, 24)])
def test_the_distance_without_a_group_is_that_of_the_rest(n, m, d):
    rng = np.random.default_rng(0)
    x, y = rng.normal(3, 1, (n, d)), rng.normal(2.8, 1.3, (m, d))
    groups = stats.dealt([str(i) for i in range(n)])
    expected = [frechet_distance(of_features(np.delete(x, g, 0)), of_features(y)) for g in groups]
    assert inception.frechet_without(x, groups, of_features(y)) == pytest.approx(expected, rel=1e-6)


def coverage(draw, measure, trials):
    """How often the interval holds the mean of the values: the expectation at this number of images."""
    found = [measure(draw()) for _ in range(trials)]
    mean = np.mean([value for value, _ in found])
    return np.mean([low <= mean <= high for _, (low, high) in found])


def test_fids_interval_covers_its_expectation_at_this_number_of_images(one_thread):
    """95 % within three standard errors of so many trials; a bootstrap, which repeats images, covers 0 to 60 % here."""
    rng = np.random.default_rng(0)
    d, trials = 6, 500
    second = of_features(rng.normal(0, 1, (300, d)))

    def measure(x):
        value = frechet_distance(of_features(x), second)
        return value, stats.jackknife(value, inception.frechet_without(x, stats.dealt(range(len(x))), second))

    for shift in (0.0, 0.5):
        assert 0.92 <= coverage(lambda s=shift: rng.normal(s, 1.2, (80, d)), measure, trials) <= 0.98


def test_swds_interval_covers_its_expectation_at_this_number_of_images():
    rng = np.random.default_rng(0)
    reference = np.sort(rng.normal(size=(6, 3000)).astype(np.float32), 1)
    labels = np.repeat(np.arange(60) % 10, 4)

    def draw():  # patches of one face are alike
        return (rng.normal(0.2, 0.8, (6, 60, 1)) + rng.normal(0, 0.8, (6, 60, 4))).astype(np.float32).reshape(6, -1)

    def measure(x):
        value, *rest = sliced_distances(x, reference, labels, 10)
        return value, stats.jackknife(value, np.array(rest))

    assert 0.92 <= coverage(draw, measure, 500) <= 0.98


def test_kids_interval_covers_its_expectation(one_thread):
    rng = np.random.default_rng(0)
    y = rng.normal(size=(200, 24))
    within = within_set(y).sum()

    def measure(x):
        value, left = kid(x, y, within)
        return value, stats.jackknife(value, left)

    assert 0.92 <= coverage(lambda: rng.normal(0.4, 1.1, (100, 24)), measure, 500) <= 0.98


def test_a_floor_is_what_as_many_real_faces_reach(features):
    given = outputs(20, held_out_hr=list(smooth_images(33, 64, 9)))
    for metric in (Fid, Kid, Swd):
        score = metric().score(given)
        real = [given.held_out_hr[i * 33 // 20] for i in range(20)]
        alone = metric().score(Outputs(sr=real, names=given.names, reference_hr=given.reference_hr))
        assert score.extra["floor"] == pytest.approx(alone.value, rel=1e-5) and score.counts["floor"] == 20


# ---------------------------------------------------------------- KID, precision and recall


def test_kid_agrees_with_a_computation_in_numpy(features):
    given = outputs(14)
    x, y = features(given.sr), features(given.reference_hr)
    k = lambda a, b: (a @ b / 24 + 1) ** 3
    expected = (
        np.mean([k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
        + np.mean([k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
        - 2 * np.mean([k(a, b) for a in x for b in y])
    )
    score = Kid().score(given)
    assert score.value == pytest.approx(expected, rel=1e-4)
    rest = [given.sr[:i] + given.sr[i + 1 :] for i in range(14)]
    without = [Kid().score(Outputs(sr=r, names=given.names[1:], reference_hr=given.reference_hr)).value for r in rest]
    spread = np.sqrt(13 / 14 * ((np.array(without) - np.mean(without)) ** 2).sum())
    assert score.ci == pytest.approx((expected - 2.1604 * spread, expected + 2.1604 * spread), rel=1e-3)


def test_two_images_have_a_distance_and_no_interval(features):
    two = outputs(2)
    assert np.isfinite(Kid().score(two).value) and Kid().score(two).ci is None and Fid().score(two).value > 0
    with pytest.raises(Unavailable, match="at least two"):
        Fid().score(outputs(1))


def test_kid_is_unbiased(features):
    faces = smooth_images(600, 16, 3)
    values = [Kid().score(Outputs(sr=list(faces[i : i + 20]), names=[""] * 20, reference_hr=list(faces[300:]))).value
              for i in range(0, 300, 20)]  # fmt: skip
    far = Kid().score(Outputs(sr=list(255 - faces[:20] // 2), names=[""] * 20, reference_hr=list(faces[300:]))).value
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(15) and far > 5 * np.std(values)


def test_precision_and_recall_agree_with_their_definition(features):
    given = outputs(20)
    x, y = features(given.sr), features(given.reference_hr)
    apart = lambda a, b: np.linalg.norm(a[:, None] - b, axis=2)
    reach = lambda a: np.sort(apart(a, a), axis=1)[:, 3]  # the 0th is itself
    assert Precision().score(given).value == (apart(x, y) <= reach(y)).any(1).mean()
    assert Recall().score(given).value == (apart(y, x) <= reach(x)).any(1).mean()
    same = Outputs(sr=given.reference_hr, names=[""] * 60, reference_hr=given.reference_hr)
    assert Precision().score(same).value == Recall().score(same).value == 1
    one_face = Outputs(sr=[given.reference_hr[0]] * 5, names=[""] * 5, reference_hr=given.reference_hr)
    assert Precision().score(one_face).value == 1 and Recall().score(one_face).value < 0.1
    with pytest.raises(Unavailable, match="more than k = 3"):
        Precision().score(outputs(3))


# ---------------------------------------------------------------- SWD


def test_swd_agrees_with_a_computation_in_numpy():
    given = outputs(5, 32)
    metric = with_params(Swd, per_image=6, directions=9, smallest=16)
    score = metric.score(given)
    mine = [p.numpy() for _, _, p in metric.patches(given.sr, 6, 0)]
    other = [p.numpy() for _, _, p in metric.patches(given.reference_hr, 2, 0)]
    rng = torch.Generator().manual_seed(0)
    for level, (a, b) in enumerate(zip(mine, other, strict=True)):
        a, b = a.reshape(-1, 3, 49), b.reshape(-1, 3, 49)
        mean, std = b.mean((0, 2), keepdims=True), b.std((0, 2), keepdims=True, ddof=1)
        directions = torch.randn(9, 147, generator=rng).numpy().T
        directions = directions / np.linalg.norm(directions, axis=0)
        projected = [np.sort(((x - mean) / (std + 1e-8)).reshape(len(x), -1) @ directions, axis=0) for x in (a, b)]
        expected = 1000 * np.abs(projected[0] - projected[1]).mean()
        assert len(a) == len(b) and score.extra[f"level{level}"] == pytest.approx(expected, rel=1e-4)
    assert score.value == pytest.approx(np.mean(list(score.extra.values())))


def test_swd_compares_one_direction_at_a_time_and_keeps_one_set_of_projections_of_the_reference():
    rng = np.random.default_rng(0)
    values, labels = rng.normal(size=(128, 20_000)).astype(np.float32), rng.integers(0, 10, 20_000)
    sliced_distances(values[:1], values[:1], labels, 10)
    tracemalloc.start()
    sliced_distances(values, np.sort(values, 1), labels, 10)  # the sorted ones are as large as the values
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.2 * values.nbytes
    given = outputs(9, 32)
    for count in (9, 7, 5):  # conditions of other numbers of faces
        Swd().score(replace(given, sr=given.sr[:count], names=given.names[:count]))
    kept = [value for key, value in given.cache.items() if key[0] == "swd"]
    assert len(kept) == 1 and Swd().score(replace(given, cache={})).value == Swd().score(given).value


def test_patches_are_taken_from_the_levels_at_scattered_places():
    image = np.arange(3 * 16 * 16, dtype=np.uint8).reshape(3, 16, 16)
    metric = with_params(Swd, smallest=16)
    ((_, _, patches),) = metric.patches([image], 400, 0)
    windows = (
        np.lib.stride_tricks.sliding_window_view(image, (7, 7), axis=(1, 2)).transpose(1, 2, 0, 3, 4).reshape(100, -1)
    )
    found = {tuple(p) for p in (patches[0].reshape(400, -1) * 255).round().byte().numpy()}
    assert found <= {tuple(w) for w in windows} and len(found) > 90
    draws = scattered(np.array([7, 8], np.uint64), 100_000, 0) % np.uint64(10)
    assert np.bincount(draws[0].astype(int)).min() > 9_500 and (draws[0] != draws[1]).mean() > 0.85
    assert quantiles(6, 3).tolist() == [1, 3, 5] and quantiles(3, 3).tolist() == [0, 1, 2]


def test_the_pyramids_levels_add_up_to_the_image():
    image = torch.rand(1, 3, 64, 64)
    levels = laplacian_pyramid(image, 16)
    assert [level.shape[-1] for level in levels] == [64, 32, 16]
    whole = levels[-1]
    for level in reversed(levels[:-1]):
        back = torch.nn.functional.interpolate(whole, size=level.shape[-2:], mode="bilinear", align_corners=False)
        whole = level + back
    assert torch.allclose(whole, image, atol=1e-6)


def test_swd_prefers_what_looks_like_the_reference():
    hr = list(smooth_images(40, 32, 1))
    alike = Outputs(sr=list(smooth_images(40, 32, 2)), names=[""] * 40, reference_hr=hr)
    assert Swd().score(alike).value < Swd().score(outputs(40, 32, reference_hr=hr)).value


def test_swd_gain_is_a_paired_difference_to_bicubic_lr():
    hr, wild = smooth_images(40, 64, 1), smooth_images(60, 16, 2)
    clean = list((Bicubic().infer(torch.from_numpy(hr) / 255) * 255).round().byte().numpy())
    dark, real = [(0.6 * x).astype(np.uint8) for x in clean], [(0.6 * x).astype(np.uint8) for x in wild]

    def given(sr):
        return Outputs(sr=sr, names=[""] * 40, hr=list(hr), reference_lr=real)

    assert SwdLrGain().score(given(clean)).ci == (0.0, 0.0)
    gain, near, far = SwdLrGain().score(given(dark)), SwdLr().score(given(dark)), SwdLr().score(given(clean))
    assert gain.value == pytest.approx(far.value - near.value, rel=1e-6) and gain.ci[0] > 0
    assert gain.ci[1] - gain.ci[0] < near.ci[1] - near.ci[0] + far.ci[1] - far.ci[0]


# ---------------------------------------------------------------- all of them


@pytest.mark.parametrize("metric", [Fid, FidLr, Kid, Precision, Recall, Swd, SwdLr])
def test_values_depend_neither_on_the_batch_nor_on_the_order(metric, features, monkeypatch):
    given = outputs(30)
    lr = {"reference_lr": [image[:, ::-1].copy() for image in given.lr]}
    sr = given.lr if getattr(metric, "about", "sr") == "lr" else given.sr
    first = metric().score(Outputs(sr=sr, names=given.names, reference_hr=given.reference_hr, **lr))
    order = np.random.default_rng(0).permutation(30)
    batches = bench.batches
    monkeypatch.setattr(bench, "batches", lambda *images, **o: batches(*images, **{**o, "size": 7}), raising=False)
    again = metric().score(
        Outputs(sr=[sr[i] for i in order], names=given.names, reference_hr=given.reference_hr[::-1], **lr)
    )
    assert again.value == pytest.approx(first.value, rel=1e-5, abs=1e-9)
    assert again.extra == pytest.approx(first.extra, rel=1e-4, abs=1e-6)
    assert again.ci == pytest.approx(first.ci, rel=1e-4, abs=1e-6)
