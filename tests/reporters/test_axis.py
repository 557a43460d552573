import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dltool.reporters.axis import fit_axis, whole_ticks

FINITE = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20)


@given(FINITE, st.integers(2, 8))
def test_every_value_has_a_place_and_ticks_rise_inside_the_axis(values, ticks):
    axis = fit_axis(values, ticks=ticks)
    assert all(0 <= axis.place(value) <= 1 for value in values)
    assert list(axis.ticks) == sorted(axis.ticks)
    assert all(0 <= axis.place(tick) <= 1 for tick in axis.ticks)


@given(FINITE)
def test_order_is_kept(values):
    axis = fit_axis(values, ticks=4)
    places = [axis.place(value) for value in sorted(values)]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("values", "log"),
    [([1.0, 30.0], False), ([1.0, 31.0], True), ([0.0, 1.0, 31.0], True), ([-1.0, 1.0, 1e6], False), ([0.0, 0.0], False)],
)
def test_a_logarithmic_axis_where_it_helps_and_is_possible(values, log):
    assert fit_axis(values, ticks=4).log is log


def test_values_that_are_not_finite_are_passed_over():
    assert fit_axis([math.nan, 1.0, math.inf, 2.0], ticks=4) == fit_axis([1.0, 2.0], ticks=4)


def test_ticks_of_a_linear_axis_are_round():
    assert fit_axis([0.1, 0.9], ticks=5).ticks == pytest.approx((0.2, 0.4, 0.6, 0.8))


def test_ticks_of_a_logarithmic_axis_are_powers_of_ten_or_their_halves():
    assert fit_axis([1e-4, 1.0], ticks=5).ticks == pytest.approx((1e-4, 1e-3, 1e-2, 1e-1, 1.0))
    assert fit_axis([0.09, 4.0], ticks=5).ticks == pytest.approx((0.1, 0.2, 0.5, 1.0, 2.0))


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(2, 10))
def test_whole_ticks_hold_both_ends_and_rise(one, other, count):
    low, high = sorted((one, other))
    ticks = whole_ticks(low, high, count)
    assert (ticks[0], ticks[-1]) == (low, high)
    assert list(ticks) == sorted(set(ticks))
