import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dltool.reporters.plot import Series, plot, sparkline

ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)
CURVES = st.lists(st.lists(ANY_FLOAT, max_size=30), min_size=1, max_size=4)


def drawn(*curves, width=60, height=10, unicode=True):
    series = [Series(label=f"c{i}", points=list(enumerate(curve)), letter="abcd"[i]) for i, curve in enumerate(curves)]
    lines = plot(series, width=width, height=height, unicode=unicode, x_name="epoch")
    return ["".join(span.text for span in line) for line in lines]


@given(CURVES, st.integers(40, 120), st.booleans())
def test_any_curves_make_lines_of_bounded_width(curves, width, unicode):
    lines = drawn(*curves, width=width, unicode=unicode)
    assert len(lines) in {0, 12}
    assert all(len(line) <= width for line in lines[:10])


def test_a_straight_line_runs_from_corner_to_corner():
    lines = drawn([0.0, 1.0, 2.0, 3.0], unicode=False, height=4, width=20)
    columns = [line.index("a") for line in lines[:4]]
    assert columns == sorted(columns, reverse=True)
    assert lines[0].rstrip().endswith("c0 3.00")


@pytest.mark.parametrize(("unicode", "cross"), [(True, "✖"), (False, "X")])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_crosses_on_the_top_row(unicode, cross, bad):
    lines = drawn([1.0, bad, 2.0, 1.0, bad], unicode=unicode)
    assert lines[0].count(cross) == 2
    assert cross not in "".join(lines[1:])


def test_nothing_finite_is_no_plot():
    assert drawn([math.nan, math.inf]) == []
    assert drawn([]) == []


def test_without_unicode_every_character_is_ascii():
    assert "".join(drawn([1.0, 100.0, math.nan], [3.0, 2.0, 1.0], unicode=False)).isascii()


def test_two_curves_that_end_together_keep_both_names():
    text = "\n".join(drawn([2.0, 1.0], [3.0, 1.0]))
    assert "c0 1.00" in text
    assert "c1 1.00" in text


def test_a_sparkline_falls_with_its_values_and_marks_the_others():
    assert sparkline([4.0, 3.0, 2.0, 1.0], width=4, unicode=True) == "█▆▃▁"
    assert sparkline([1.0, math.nan], width=4, unicode=True)[1] == "✖"
    assert len(sparkline([float(i) for i in range(1, 1000)], width=24, unicode=True)) == 24
    assert sparkline([1.0, 2.0], width=4, unicode=False) == ""
