"""What a glance at targets counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from dltool.specs.design.targets import _distinct

KINDS = [np.int64, np.uint8, np.bool_, np.float32, np.dtype("U2")]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_distinct_values_are_those_of_numpy(kind):
    @given(st_numpy.arrays(kind, st_numpy.array_shapes(max_dims=2, min_side=0, max_side=6), elements=few(kind)))
    def check(values):
        assert np.array_equal(_distinct(values), np.unique(values), equal_nan=np.dtype(kind).kind == "f")

    check()


def few(kind):
    """Elements of which some are equal, NaN and both zeros among them."""
    if np.dtype(kind).kind == "f":
        return st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, 2.5])
    return st.text("ab", max_size=2) if np.dtype(kind).kind == "U" else st_numpy.from_dtype(np.dtype(kind))
