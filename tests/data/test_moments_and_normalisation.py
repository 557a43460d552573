import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dltool.data.layout import Layout, layout_of
from dltool.data.moments import Moments
from dltool.data.transforms import fit_normalizer

BLOCKS = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 12), st.integers(1, 3)),
    elements=st.floats(-1e6, 1e6) | st.sampled_from([np.nan, np.inf, -np.inf]),
)


def moments_of(*blocks):
    moments = Moments(blocks[0].shape[1])
    for block in blocks:
        moments.add(block)
    return moments


@given(BLOCKS, st.integers(0, 12))
def test_against_numpy_whatever_the_blocks(values, cut):
    parts = [part for part in (values[:cut], values[cut:]) if len(part)]
    moments = moments_of(*parts)
    for column in range(values.shape[1]):
        finite = values[:, column][np.isfinite(values[:, column])]
        assert moments.count[column] == len(finite)
        if len(finite):
            assert math.isclose(moments.mean[column], finite.mean(), rel_tol=1e-9, abs_tol=1e-6)
            assert math.isclose(moments.std[column], finite.std(), rel_tol=1e-6, abs_tol=1e-6)
            assert (moments.minimum[column], moments.maximum[column]) == (finite.min(), finite.max())
        else:
            assert moments.constant[column]


@given(BLOCKS)
def test_pooled_is_that_of_all_values_together(values):
    finite = values[np.isfinite(values)]
    pooled = moments_of(values).pooled()
    if not len(finite):
        assert pooled is None
        return
    np.testing.assert_allclose(pooled, [finite.mean(), finite.std(), finite.min(), finite.max()], rtol=1e-6, atol=1e-5)


def test_a_far_mean_loses_no_digits():
    values = np.random.default_rng(0).normal(1e8, 1.0, (10_000, 1))
    moments = moments_of(*np.array_split(values, 13))
    assert moments.std[0] == pytest.approx(values.std(), rel=1e-9)


def test_standard_equals_numpy_and_constant_columns_are_divided_by_one():
    rng = np.random.default_rng(0)
    values = np.column_stack([rng.normal(5, 3, 50), np.full(50, 7.0), rng.uniform(0, 1e-3, 50)]).astype(np.float32)
    normalizer = fit_normalizer("standard", moments_of(values), Layout.FEATURES)
    result = normalizer.apply(torch.from_numpy(values), 1).numpy()
    wide = values.astype(np.float64)
    expected = (wide - wide.mean(0)) / np.where(wide.std(0) > 0, wide.std(0), 1)
    np.testing.assert_allclose(result, expected, atol=1e-4)
    assert (result[:, 1] == 0).all()
    assert normalizer.scale[1] == 1


def test_minmax_reaches_from_zero_to_one():
    values = np.array([[-3.0, 5.0], [1.0, 5.0], [5.0, 5.0]])
    result = fit_normalizer("minmax", moments_of(values), Layout.FEATURES).apply(torch.from_numpy(values), 1)
    assert result.tolist() == [[0, 0], [0.5, 0], [1, 0]]


def test_values_that_are_not_finite_do_not_count():
    values = np.array([[1.0, np.nan], [np.inf, np.nan], [3.0, np.nan]])
    normalizer = fit_normalizer("standard", moments_of(values), Layout.FEATURES)
    assert normalizer.shift.tolist() == [2, 0]
    assert normalizer.scale.tolist() == [1, 1]


def test_none_is_none():
    assert fit_normalizer("none", moments_of(np.ones((2, 1))), Layout.FEATURES) is None


@pytest.mark.parametrize(
    ("shape", "dtype", "layout", "axes"),
    [
        ((3,), np.float32, Layout.FEATURES, (0,)),
        ((5, 3), np.float32, Layout.SEQUENCE, (0, 1)),
        ((5, 3), np.uint8, Layout.GREY, (0, 1, 2)),
        ((2, 5, 3), np.float32, Layout.CHANNELS, (0, 2, 3)),
        ((2, 4, 5, 3), np.float32, Layout.CHANNELS, (0, 2, 3, 4)),
    ],
)
def test_what_a_statistic_is_taken_over(shape, dtype, layout, axes):
    assert layout_of(shape, np.dtype(dtype), tokens=False) is layout
    values = np.random.default_rng(0).integers(0, 200, (7, *shape)).astype(dtype)
    normalizer = fit_normalizer("standard", moments_of(layout.columns(values)), layout)
    result = normalizer.apply(torch.from_numpy(values).float(), len(shape)).numpy()
    wide = values.astype(np.float64)
    expected = (wide - wide.mean(axes, keepdims=True)) / wide.std(axes, keepdims=True)
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_moved_moments_are_those_of_the_moved_values():
    values = np.random.default_rng(0).normal(3, 2, (40, 2))
    shift, scale = np.array([1.0, -2.0]), np.array([2.0, 5.0])
    moved, direct = moments_of(values).moved(shift, scale), moments_of((values - shift) / scale)
    np.testing.assert_allclose(moved.pooled(), direct.pooled())
