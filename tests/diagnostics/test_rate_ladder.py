"""Ladders and what is read from them, against slow and obvious computations."""

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dltool.diagnostics.rate.candidates import SPREAD, Candidate, candidates, readings, slopes, to_try, two_digits, valley
from dltool.diagnostics.rate.ladder import RUNGS, Climb, Divergence, Smoother, rates

LOSSES = st.lists(st.floats(-5.0, 5.0), min_size=20, max_size=60)


def test_rungs_are_evenly_spaced_in_log_lr():
    ladder = rates(1e-7, 10.0)
    assert len(ladder) == RUNGS
    assert ladder[0] == pytest.approx(1e-7)
    assert ladder[-1] == pytest.approx(10.0)
    factors = [b / a for a, b in itertools.pairwise(ladder)]
    assert factors == pytest.approx([factors[0]] * len(factors))


@given(LOSSES)
def test_smoothing_is_the_weighted_mean_that_it_says(losses):
    smoother = Smoother(0.9)
    for seen in range(1, len(losses) + 1):
        weights = [0.9 ** (seen - 1 - i) for i in range(seen)]
        expected = sum(w * x for w, x in zip(weights, losses, strict=False)) / sum(weights)
        assert smoother.add(losses[seen - 1]) == pytest.approx(expected, abs=1e-9)


def test_smoothing_starts_without_bias():
    smoother = Smoother()
    assert [smoother.add(2.5) for _ in range(5)] == pytest.approx([2.5] * 5)


def test_slopes_are_by_log_lr():
    ladder = rates(1e-6, 1.0, 50)
    assert slopes(ladder, [-3.0 * math.log10(lr) for lr in ladder]) == pytest.approx([-3.0] * 50)


def test_noise_at_tiny_rates_is_not_the_steepest_place():
    """The case in which d loss / d lr, as Lightning takes it, suggests 1e-7."""
    draw = random.Random(0)
    ladder = rates(1e-8, 1.0)
    losses = [2.3 - 1.5 / (1.0 + (5e-3 / lr) ** 1.5) + draw.gauss(0.0, 0.002) for lr in ladder]
    found = readings(Climb(ladder, tuple(losses), diverged=False))
    assert 3e-3 < found["steepest"] < 3e-2


@given(st.lists(st.integers(0, 8), min_size=1, max_size=30))
def test_the_valley_lies_where_fastai_has_it(losses):
    """The loops of fastai's own function, word for word."""
    n = len(losses)
    max_start, max_end = 0, 0
    lds = [1] * n
    for i in range(1, n):
        for j in range(i):
            if losses[i] < losses[j] and lds[i] < lds[j] + 1:
                lds[i] = lds[j] + 1
            if lds[max_end] < lds[i]:
                max_end = i
                max_start = max_end - lds[max_end]
    sections = (max_end - max_start) / 3
    assert valley(losses) == max_start + int(sections) + int(sections / 2)


def climbed(losses):
    divergence = Divergence()
    return next((i for i, loss in enumerate(losses) if divergence.reached(loss)), None)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("at", [0, 5, 30])
def test_a_loss_that_is_no_number_is_an_end(bad, at):
    assert climbed([1.0] * at + [bad]) == at


@pytest.mark.parametrize("shift", [0.0, -1.0, -100.0])
def test_a_ladder_ends_when_it_stands_as_far_above_its_start_as_it_fell(shift):
    losses = [1.0] * 20 + [1.0 - 0.05 * i for i in range(16)] + [0.3 + 0.3 * i for i in range(20)]
    assert climbed([loss + shift for loss in losses]) == climbed(losses) is not None


@given(st.integers(0, 1000))
def test_noise_alone_is_no_divergence(seed):
    draw = random.Random(seed)
    assert climbed([2.0 + draw.gauss(0.0, 0.1) for _ in range(RUNGS)]) is None


def test_a_fall_is_no_divergence_however_jagged():
    draw = random.Random(0)
    assert climbed([5.0 - 0.04 * i + draw.gauss(0.0, 0.3) for i in range(RUNGS)]) is None


def test_candidates_that_agree_are_one():
    ladder = rates(1e-7, 10.0)
    losses = [2.3 - 1.5 / (1.0 + (5e-3 / lr) ** 1.5) for lr in ladder if lr < 0.5] + [50.0]
    found = candidates([Climb(ladder, tuple(losses), diverged=True)] * 3)
    origins = ", ".join(one.origin for one in found)
    assert all(reading in origins for reading in ("steepest", "valley", "minimum / 10", "diverged / 10"))
    assert all(b.lr > 1.6 * a.lr for a, b in itertools.pairwise(found))
    tried = to_try(found)
    assert {one.lr for one in found} <= {one.lr for one in tried}
    for one, factor in itertools.product(found, SPREAD):
        assert any(1 / 1.7 < other.lr / (one.lr * factor) < 1.7 for other in tried)
    assert [one.lr for one in tried] == sorted(one.lr for one in tried)


def test_what_is_tried_is_what_is_written():
    assert two_digits(0.0123456) == 0.012
    assert to_try([Candidate(1e-3, "valley")]) == [
        Candidate(3.3e-4, "0.33 x valley"),
        Candidate(1e-3, "valley"),
        Candidate(3e-3, "3 x valley"),
    ]
