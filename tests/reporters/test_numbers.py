import doctest
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dltool.reporters import numbers


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(numbers).failed == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, "NaN"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (0.0, "0"),
        (-0.0123, "-0.0123"),
        (0.00123, "0.00123"),
        (0.000999, "9.99e-04"),
        (0.9999, "1.00"),
        (999.9, "1,000"),
        (999_999.0, "1.00e+06"),
        (5e-324, "4.94e-324"),
        (1.7e308, "1.70e+308"),
    ],
)
def test_three_significant_digits(value, text):
    assert numbers.significant(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_is_printed_is_within_half_a_unit_of_the_third_digit(value):
    printed = float(numbers.significant(value).replace(",", ""))
    assert math.isinf(printed) or math.isclose(printed, value, rel_tol=0.0051, abs_tol=1e-322)


@given(st.floats(min_value=0, max_value=1))
def test_only_none_and_all_are_printed_as_such(ratio):
    assert (numbers.percent(ratio) == "0 %") == (ratio == 0)
    assert (numbers.percent(ratio) == "100 %") == (ratio == 1)
