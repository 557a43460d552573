import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dltool.training.recorder_series import ParameterSeries, summarise


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=40))
def test_summary_against_numpy(values):
    found = summarise(values)
    assert (found.first, found.last, found.count) == (values[0], values[-1], len(values))
    assert (found.minimum, found.maximum) == (min(values), max(values))
    assert found.median == pytest.approx(float(np.median(values)))


@pytest.mark.parametrize("place", [0, 1, 4])
def test_nan_is_kept(place):
    values = [1.0, 2.0, 3.0, 4.0, 5.0]
    values[place] = math.nan
    found = summarise(values)
    assert math.isnan(found.minimum)
    assert math.isnan(found.maximum)
    assert found.median in values
    assert math.isnan(found.first) == (place == 0)
    assert math.isnan(found.last) == (place == 4)


def test_infinity_and_nothing():
    assert summarise([1.0, math.inf]).maximum == math.inf
    assert summarise([]) is None


def test_series_survive_a_checkpoint():
    series, other = ParameterSeries(), ParameterSeries()
    other.load_state_dict(series.state_dict())
    assert other == series
    series.add(3, gradients=[1.0, -1.0], weights=[0.1, math.inf], updates=[1e-30, 0.0])
    other.load_state_dict(series.state_dict())
    assert other == series
