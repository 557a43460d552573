"""Every number against numpy or scipy, or against a slow and obvious computation."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dltool.core import statistics as ours

finite = st.floats(-1e3, 1e3)
series = st.lists(finite, min_size=3, max_size=30)


@given(series)
def test_line_is_the_one_of_the_normal_equations(values):
    x = np.arange(len(values))
    design = np.stack([x, np.ones(len(values))], axis=1)
    (slope, intercept), *_ = np.linalg.lstsq(design, np.array(values), rcond=None)
    variance = np.sum((values - design @ [slope, intercept]) ** 2) / (len(values) - 2)
    line = ours.fit_line(list(x), values)
    assert line.slope == pytest.approx(slope, abs=1e-7)
    assert line.intercept == pytest.approx(intercept, abs=1e-6)
    assert line.slope_error == pytest.approx(math.sqrt(variance * np.linalg.inv(design.T @ design)[0, 0]), abs=1e-5)


def test_line_of_two_points_has_no_error_bound():
    assert ours.fit_line([0.0, 1.0], [1.0, 3.0]) == ours.Line(2.0, 1.0, math.inf, 1.0)


@pytest.mark.parametrize("x", [[1.0], [2.0, 2.0, 2.0]])
def test_line_needs_two_places(x):
    with pytest.raises(ValueError, match="points"):
        ours.fit_line(x, [0.0] * len(x))


@given(series)
def test_theil_sen_is_the_one_of_scipy(values):
    x = list(range(len(values)))
    assert ours.theil_sen_slope(x, values) == pytest.approx(stats.theilslopes(values, x).slope, abs=1e-9)


@given(series)
def test_robust_std_is_the_one_of_scipy(values):
    assert ours.robust_std(values) == pytest.approx(stats.median_abs_deviation(values, scale="normal"), rel=1e-4, abs=1e-9)


@given(st.lists(st.integers(0, 4), min_size=3, max_size=15))
def test_mann_kendall_follows_its_definition(values):
    n = len(values)
    score = sum(np.sign(values[j] - values[i]) for i in range(n) for j in range(i + 1, n))
    ties = sum(c * (c - 1) * (2 * c + 5) for c in np.unique(values, return_counts=True)[1])
    variance = (n * (n - 1) * (2 * n + 5) - ties) / 18
    expected = 0.0 if score == 0 else (score - np.sign(score)) / math.sqrt(variance)
    assert ours.mann_kendall_z(values) == pytest.approx(expected)


def test_jitter_is_the_noise_whatever_the_trend():
    noise = np.random.default_rng(0).normal(0.0, 0.3, 4000)
    assert ours.jitter_std(list(noise)) == pytest.approx(0.3, rel=0.05)
    assert ours.jitter_std(list(noise + 2.0 * np.arange(4000))) == pytest.approx(0.3, rel=0.05)
    assert ours.jitter_std([1.0, 5.0]) == 0.0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_bootstrap_error_is_the_standard_error_of_a_mean(seed):
    values = list(np.random.default_rng(seed).normal(5.0, 2.0, 60))
    interval = ours.bootstrap_mean(values, resamples=600)
    assert interval.estimate == pytest.approx(np.mean(values))
    assert interval.error == pytest.approx(np.std(values) / math.sqrt(60), rel=0.15)
    assert interval.lower < interval.estimate < interval.upper


def test_bootstrap_interval_covers_as_often_as_it_says():
    draw = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        interval = ours.bootstrap_mean(list(draw.exponential(1.0, 40)), resamples=300)
        covered += interval.lower <= 1.0 <= interval.upper
    assert covered / 200 >= 0.87


def test_bootstrap_weighs_blocks_by_their_samples():
    assert ours.bootstrap_mean([1.0, 3.0], [3.0, 1.0]).estimate == pytest.approx(1.5)


def test_bootstrap_depends_on_its_seed_and_nothing_else():
    values = [0.3, 1.2, 4.0, 2.2, 0.1]
    random.seed(1)
    once = ours.bootstrap_mean(values, seed=3)
    random.seed(2)
    assert ours.bootstrap_mean(values, seed=3) == once
    assert ours.bootstrap_mean(values, seed=4) != once


@pytest.mark.parametrize("values", [[1.0], [1.0, math.nan], [math.inf, 2.0]])
def test_one_block_or_a_broken_one_bounds_nothing(values):
    interval = ours.bootstrap_mean(values)
    assert (interval.lower, interval.upper, interval.error) == (-math.inf, math.inf, math.inf)


def test_difference_of_unpaired_blocks_has_both_variances():
    draw = np.random.default_rng(2)
    first, second = list(draw.normal(0.0, 1.0, 50)), list(draw.normal(1.0, 2.0, 80))
    interval = ours.bootstrap_difference(first, second, resamples=2000)
    assert interval.estimate == pytest.approx(np.mean(second) - np.mean(first))
    assert interval.error == pytest.approx(math.sqrt(np.var(first) / 50 + np.var(second) / 80), rel=0.1)
    assert not math.isfinite(ours.bootstrap_difference([1.0], second).upper)


@pytest.mark.parametrize(("values", "weights"), [([], None), ([1.0], [0.0]), ([1.0], [1.0, 2.0])])
def test_weighted_mean_says_what_it_needs(values, weights):
    with pytest.raises(ValueError, match="weights"):
        ours.weighted_mean(values, weights)
