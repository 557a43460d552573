"""Slopes along lines, against functions whose slopes are known."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dltool.probes.numeric_gradient import EPSILON, measure, noise_of


def slope(function, at, expected, *, scale=1.0):
    """The slope of a scalar function at a point."""

    def values(lines, offsets):
        return torch.stack([torch.as_tensor(function(at + float(offset)), dtype=torch.float64) for offset in offsets])

    base = float(function(at))
    noise = EPSILON * max(abs(base), 1e-3)
    one = torch.ones(1, dtype=torch.float64)
    return measure(values, expected * one, max(abs(at), 0.1) * one, base=base, noise=noise, scale=scale)


@pytest.mark.parametrize(
    ("function", "at", "true"),
    [
        (math.sin, 1.0, math.cos(1.0)),
        (math.exp, 3.0, math.exp(3.0)),
        (lambda x: x**3, 0.0, 0.0),
        (lambda x: 1e-6 * x, 2.0, 1e-6),
        (lambda x: math.tanh(50 * x), 0.0, 50.0),
    ],
)
def test_smooth_functions(function, at, true):
    found = slope(function, at, true)
    assert abs(float(found.numeric) - true) <= max(1e-8 * abs(true), 2e-9)
    assert not bool(found.kink)


def test_a_wrong_expectation_changes_nothing_but_how_closely_is_looked():
    found = slope(math.sin, 1.0, 7.0)
    assert float(found.numeric) == pytest.approx(math.cos(1.0), rel=1e-9)
    assert abs(float(found.numeric) - math.cos(1.0)) <= float(found.resolution)
    assert not bool(found.kink)


@pytest.mark.parametrize(
    ("function", "left", "right"),
    [(abs, -1.0, 1.0), (lambda x: max(x, 0.0), 0.0, 1.0), (lambda x: 2 * x + abs(x) + x * x, 1.0, 3.0)],
)
@pytest.mark.parametrize("expected", [0.0, 1.0])
def test_a_kink_at_the_point_is_seen_with_both_slopes(function, left, right, expected):
    found = slope(function, 0.0, expected)
    assert bool(found.kink)
    assert float(found.left) == pytest.approx(left, abs=1e-4)
    assert float(found.right) == pytest.approx(right, abs=1e-4)


@pytest.mark.parametrize("distance", [1e-4, 1e-6, 3e-7, 1e-8])
def test_a_kink_nearby_is_stepped_under(distance):
    found = slope(lambda x: max(x, 0.0) + 0.1 * x, distance, 1.1)
    assert not bool(found.kink)
    assert float(found.numeric) == pytest.approx(1.1, rel=1e-5)


def test_sharp_curvature_is_no_kink():
    found = slope(lambda x: math.sqrt(x * x + 1e-6), 0.0, 0.0)
    assert not bool(found.kink)
    assert abs(float(found.numeric)) < 1e-9


def test_a_value_that_is_not_finite_gives_no_slope():
    assert not math.isfinite(float(slope(lambda x: math.nan if x != 1.0 else 0.0, 1.0, 0.0).numeric))


@given(st.integers(0, 10_000), st.floats(1e-12, 1e-3))
def test_noise_is_found_beneath_a_smooth_function(seed, size):
    generator = torch.Generator().manual_seed(seed)
    smooth = 1e-4 * torch.linspace(0, 1, 8, dtype=torch.float64) ** 2
    noise = size * torch.randn(8, generator=generator, dtype=torch.float64)
    assert noise_of(noise) == pytest.approx(noise_of(noise + smooth), rel=1e-6, abs=1e-15)
    assert size / 20 < noise_of(noise) < 5 * size


def test_noise_is_at_least_that_of_one_value():
    assert noise_of(torch.full((8,), 3.0, dtype=torch.float64)) == pytest.approx(0.75 * EPSILON)
