"""Statistics: numbers against scipy, published tables and counting by hand."""

from itertools import combinations, product

import numpy as np
import pytest
import scipy.stats

from bench.core import stats


def scores(n=30, k=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 1)) * 3 + rng.normal(size=(n, k)) + np.linspace(0, 1.5, k)


def test_the_bootstrap_interval_is_that_of_the_mean():
    values = np.random.default_rng(1).gamma(2, size=400)
    low, high = stats.bootstrap_mean(values, seed=3)
    wanted = scipy.stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=5).confidence_interval
    assert (low, high) == pytest.approx(wanted, abs=0.015)
    assert stats.bootstrap_mean(values, seed=3) == (low, high)


def test_wilcoxon_agrees_with_counting_all_signs():
    first, second = scores(9, 2).T
    change = first - second
    ranks = scipy.stats.rankdata(np.abs(change))
    seen = (ranks * (change > 0)).sum()
    sums = np.array([(ranks * signs).sum() for signs in product((0, 1), repeat=9)])
    tail = min((sums <= seen).mean(), (sums >= seen).mean())
    assert stats.wilcoxon(first, second) == pytest.approx(min(1, 2 * tail))


@pytest.mark.parametrize("n", [8, 40, 200])
def test_wilcoxon_is_scipys(n):
    first, second = scores(n, 2).T
    assert stats.wilcoxon(first, second) == pytest.approx(scipy.stats.wilcoxon(first, second).pvalue)


def test_equal_pairs_say_nothing():
    assert stats.wilcoxon(np.ones(9), np.ones(9)) == 1
    a, b = scores(12, 2).T
    assert stats.wilcoxon(np.r_[a, 1, 1], np.r_[b, 1, 1]) == stats.wilcoxon(a, b)


@pytest.mark.parametrize("n, method", [(30, "exact"), (90, "approx")])
def test_many_pairs_at_once_are_each_scipys(n, method):
    """Some with values missing, one with ties and equal pairs, one without any difference."""
    rng = np.random.default_rng(n)
    first, second = rng.normal(size=(2, n, 6)) + np.array([0.4, 0])[:, None, None]
    first[:9, 1], second[4, 2], first[2, 2] = np.nan, np.inf, -np.inf
    first[:, 3], second[:, 3] = rng.integers(0, 4, (2, n))
    first[:, 4] = second[:, 4]
    found = stats.wilcoxons(first, second)
    for i in range(6):
        there = np.isfinite(first[:, i]) & np.isfinite(second[:, i]) & (first[:, i] != second[:, i])
        how = "approx" if i == 3 else method
        wanted = scipy.stats.wilcoxon(first[there, i], second[there, i], method=how).pvalue if there.any() else 1
        assert found[i] == pytest.approx(wanted), i
    assert found[0] == stats.wilcoxon(first[:, 0], second[:, 0])


def test_holms_correction_by_hand():
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([0.5, 0.9]).tolist() == [1, 1] and stats.holm([]).tolist() == []


def test_friedman_and_ranks_are_scipys_in_either_direction():
    values = scores()
    assert stats.friedman(values) == pytest.approx(scipy.stats.friedmanchisquare(*values.T).pvalue)
    ranks = stats.mean_ranks(values, "lower")
    assert ranks == pytest.approx(np.mean([scipy.stats.rankdata(row) for row in values], 0))
    assert stats.mean_ranks(values, "higher") == pytest.approx(5 - ranks)
    assert stats.mean_ranks(np.array([[1.0, 1.0, 2.0]]), "lower").tolist() == [1.5, 1.5, 3]
    assert np.isnan(stats.friedman(values[:, :2])) and stats.friedman(np.ones((5, 3))) == 1


@pytest.mark.parametrize(("k", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_critical_differences_are_those_of_demsars_table_5(k, q):
    assert stats.critical_difference(k, 14) == pytest.approx(q * np.sqrt(k * (k + 1) / 84), rel=3e-4)


def test_groups_are_the_largest_sets_within_the_difference():
    ranks = np.array([3.0, 1.0, 1.4, 2.2, 5.0])
    assert stats.groups(ranks, 1.0) == [(1, 2), (2, 3), (3, 0)]
    assert stats.groups(ranks, 1.3) == [(1, 2, 3), (3, 0)]
    assert stats.groups(ranks, 0.1) == [] and stats.groups(ranks, 9) == [(1, 2, 3, 0, 4)]
    for group in stats.groups(ranks, 1.3):
        assert all(abs(ranks[i] - ranks[j]) < 1.3 for i, j in combinations(group, 2))


def test_a_comparison_corrects_every_pair_and_leaves_incomplete_faces_out():
    values = scores(60)
    found = stats.compare(np.vstack([values, [np.nan, 1, 1, 1]]), "higher")
    raw = [scipy.stats.wilcoxon(values[:, i], values[:, j]).pvalue for i in range(4) for j in range(i)]
    assert found.n == 60 and found.remark == ""
    assert [found.p[i, j] for i in range(4) for j in range(i)] == pytest.approx(list(stats.holm(raw)))
    assert np.array_equal(found.p, found.p.T) and found.ahead(0, 3) and not found.ahead(1, 1)
    assert found.ranks.argmin() == 3 and found.friedman < 1e-6


def test_too_few_faces_are_said_to_be_too_few():
    few = np.arange(10.0).reshape(5, 2) * [[1, 2]] + [[0, 1]]
    found = stats.compare(few, "higher")
    assert "5 faces are too few for 1 comparison: no p can be below 0.062" in found.remark
    assert found.p[0, 1] == pytest.approx(2 / 2**5) and not found.ahead(0, 1)
    assert "too few" not in stats.compare(scores(6, 2), "higher").remark
    assert "too few for 6 comparisons" in stats.compare(scores(6, 4), "higher").remark
    none = stats.compare(np.full((3, 2), np.nan), "higher")
    assert none.n == 0 and none.groups == [] and "0 faces are too few" in none.remark


def test_agreement_is_scipys_after_turning_metrics_the_same_way():
    rng = np.random.default_rng(0)
    psnr = rng.normal(size=7)
    lpips = -psnr + 0.5 * rng.normal(size=7)
    nima = np.array([1.0, np.nan, 3, 2, 5, 4, 9])
    found = stats.agreement(np.stack([psnr, lpips, nima, np.ones(7)], 1), ["higher", "lower", "higher", "lower"])
    assert found.spearman[0, 1] == pytest.approx(-scipy.stats.spearmanr(psnr, lpips).statistic)
    tau = scipy.stats.kendalltau(psnr, -lpips)
    assert (found.kendall[0, 1], found.p[0, 1]) == pytest.approx((tau.statistic, tau.pvalue))
    keep = np.isfinite(nima)
    assert found.spearman[0, 2] == pytest.approx(scipy.stats.spearmanr(psnr[keep], nima[keep]).statistic)
    assert np.isnan(found.spearman[:, 3]).all() and found.spearman[0, 0] == pytest.approx(1) and not found.remark
    assert "fewer than 5" in stats.agreement(np.ones((3, 2)), ["lower"] * 2).remark
