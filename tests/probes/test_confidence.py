"""Bounds against exact rational binomial sums."""

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dltool.probes.confidence import (
    dead_share,
    most_certain,
    most_possible,
    saturated_share,
    upper_bound_of_none,
)


def at_most(k, n, rate):
    rate = Fraction(rate).limit_denominator(1000)
    return sum(comb(n, i) * rate**i * (1 - rate) ** (n - i) for i in range(k + 1))


@given(n=st.integers(1, 120), rate=st.sampled_from([0.01, 0.1, 0.5]))
def test_most_certain_is_the_exact_clopper_pearson_limit(n, rate):
    k = most_certain(n, rate)
    assert k == -1 or at_most(k, n, rate) < Fraction(1, 20)
    assert at_most(k + 1, n, rate) >= Fraction(1, 20)


@given(n=st.integers(1, 120), rate=st.sampled_from([0.01, 0.1, 0.5]))
def test_most_possible_is_the_exact_clopper_pearson_limit(n, rate):
    k = most_possible(n, rate)
    assert 1 - at_most(k - 1, n, rate) > Fraction(1, 20)
    assert k == n or 1 - at_most(k, n, rate) <= Fraction(1, 20)


@pytest.mark.parametrize(("n", "bound"), [(0, 1.0), (1, 0.95), (298, 0.010002), (299, 0.009969)])
def test_rule_of_three_exactly(n, bound):
    assert upper_bound_of_none(n) == pytest.approx(bound, abs=1e-6)
    assert n == 0 or (1 - upper_bound_of_none(n)) ** n == pytest.approx(0.05)


@pytest.mark.parametrize(("n", "proven"), [(298, 0.0), (299, 0.5)])
def test_death_needs_enough_samples(n, proven):
    share = dead_share([0, 250], n)
    assert (share.share, share.lower, share.upper) == (0.5, proven, 0.5)
    assert share.examples == (0,)


def test_all_samples_prove_at_once():
    share = dead_share([0, 0, 1, 30], 30, all_samples=True)
    assert (share.share, share.lower, share.upper) == (0.5, 0.5, 0.5)


def test_a_sparse_unit_is_not_dead():
    share = dead_share([1, 2, 5], 5000)
    assert (share.share, share.lower) == (0.0, 0.0)
    assert share.upper == 1.0


def test_saturated_is_more_than_half_of_the_samples():
    share = saturated_share([0, 49, 50, 100], 100)
    assert share.share == 0.5
    assert share.lower == 0.25
    assert share.upper == 0.75


@given(st.lists(st.integers(0, 40), min_size=1, max_size=20), st.booleans())
def test_bounds_enclose_the_share(counts, everything):
    for share in (dead_share(counts, 40, all_samples=everything), saturated_share(counts, 40, all_samples=everything)):
        assert share.lower <= share.share <= share.upper
