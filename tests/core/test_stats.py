"""Statistics: numbers against scipy, published tables and counting by hand."""

import os
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


# ---------------------------------------------------------------- simulations

TRIALS = int(os.environ.get("BENCH_TRIALS", 400))  # 4000 were run by hand


def within(share, level, trials=TRIALS):
    """Whether a share of so many trials agrees with ``level``: within three standard errors and a hundredth."""
    return abs(share - level) <= 3 * np.sqrt(level * (1 - level) / trials) + 0.01


@pytest.mark.parametrize("n", [3, 10, 29, 30, 100])
@pytest.mark.parametrize("draw", ["normal", "uniform"])
def test_the_interval_of_a_mean_covers_it(n, draw):
    """Below 30 values Student's; from 30 on the bootstrap's, expanded: its plain percentiles cover 93.5 % at 30."""
    rng = np.random.default_rng(n)
    sample = {"normal": lambda: rng.normal(size=n), "uniform": lambda: rng.uniform(-1, 1, n)}[draw]
    found = [stats.mean_interval(sample(), seed=i) for i in range(TRIALS)]
    level = 0.95 if n > 3 or draw == "normal" else 0.93  # three uniform values are too few for Student's
    assert within(np.mean([low <= 0 <= high for low, high in found]), level)


def test_the_bootstraps_percentiles_are_expanded_for_few_values():
    values = np.random.default_rng(0).gamma(2, size=30)
    plain, found = stats.bootstrap_mean(np.sort(values)), stats.mean_interval(values)
    student = scipy.stats.t.interval(0.95, 29, values.mean(), values.std(ddof=1) / 30**0.5)
    assert found[0] < plain[0] and found[1] > plain[1]
    assert found[1] - found[0] == pytest.approx(student[1] - student[0], rel=0.03)
    assert found[1] - values.mean() > values.mean() - found[0], "skewed as the values are"


@pytest.mark.parametrize("n", [8, 30, 100])
def test_methods_that_are_alike_are_rarely_told_apart(n):
    """Type I error of the whole family of comparisons, of Friedman's test and of the critical difference, at most 5 %."""
    rng = np.random.default_rng(n)
    wrong = np.zeros(3)
    for _ in range(TRIALS):
        found = stats.compare(rng.normal(size=(n, 1)) * 3 + rng.normal(size=(n, 4)), "higher")
        apart = found.ranks.max() - found.ranks.min() >= found.difference
        wrong += [(found.p <= stats.LEVEL).any(), found.friedman <= stats.LEVEL, apart]
    holm, friedman, nemenyi = wrong / TRIALS
    assert holm <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / TRIALS) and (holm > 0.01 or n < 10)
    assert within(friedman, 0.05) and nemenyi <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / TRIALS)


@pytest.mark.parametrize("n", [7, 20, 60])
def test_wilcoxon_is_wrong_as_often_as_it_says(n):
    """Symmetric differences of no median; some of them equal pairs and rounding noise."""
    rng = np.random.default_rng(n)
    found = []
    for _ in range(TRIALS):
        first = rng.normal(25, 3, n)
        second = first + rng.normal(0, 1, n)
        second[0] = first[0] * (1 + 1e-7)
        found.append(stats.wilcoxon(first, second) <= 0.05)
    assert np.mean(found) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / TRIALS) and np.mean(found) > 0.01


def test_differences_are_found_where_there_are_some():
    rng = np.random.default_rng(0)
    found = [
        stats.compare(rng.normal(size=(40, 1)) * 3 + rng.normal(size=(40, 3)) + [0, 0, 1], "higher") for _ in range(50)
    ]
    assert np.mean([f.ahead(0, 2) and f.ahead(1, 2) for f in found]) > 0.9
    assert np.mean([f.friedman <= 0.05 for f in found]) > 0.9


# ---------------------------------------------------------------- rounding, and faces that were not measured


def test_rounding_noise_is_no_difference():
    rng = np.random.default_rng(0)
    values = rng.normal(25, 3, 30)
    noisy = values * (1 + 1e-7 * np.abs(rng.normal(size=30)))  # always the same side: without care p is 2e-9
    assert scipy.stats.wilcoxon(values, noisy).pvalue < 1e-6 and stats.wilcoxon(values, noisy) == 1
    assert stats.wilcoxon(values, values * (1 + 1e-3 * np.abs(rng.normal(size=30)))) < 1e-6, "small, but no rounding"
    assert stats.mean_ranks(np.stack([values, noisy, values + 1], 1), "lower").tolist() == [1.5, 1.5, 3]
    assert stats.friedman(np.stack([values, noisy, values], 1)) == 1


def test_a_pair_is_compared_on_the_faces_that_both_have():
    """A third method that lacks most faces takes nothing from the comparison of the other two."""
    values = scores(40, 3)
    values[8:, 2] = np.nan
    found = stats.compare(values, "higher")
    raw = [scipy.stats.wilcoxon(values[:m, i], values[:m, j]).pvalue for i, j, m in ((1, 0, 40), (2, 0, 8), (2, 1, 8))]
    assert [found.p[1, 0], found.p[2, 0], found.p[2, 1]] == pytest.approx(list(stats.holm(raw)))
    assert found.n == 8, "ranks are of the faces that all have"
