import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dltool.training import running
from dltool.training.running import DECAY, EpochMean, RunningLoss

LOSSES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)


@given(LOSSES)
def test_the_average_is_the_weighted_mean_by_its_definition(losses):
    meter = RunningLoss(len(losses))
    for step, loss in enumerate(losses):
        meter.add(step, loss)
    weights = [DECAY ** (len(losses) - 1 - i) for i in range(len(losses))]
    expected = math.fsum(w * x for w, x in zip(weights, losses, strict=True)) / math.fsum(weights)
    assert meter.smoothed == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_a_constant_loss_is_its_own_average_from_the_first_step_on():
    meter = RunningLoss(10)
    for step in range(10):
        meter.add(step, 3.25)
        assert meter.smoothed == pytest.approx(3.25, rel=1e-12)


def test_before_the_first_step_it_is_nan():
    assert math.isnan(RunningLoss(10).smoothed)
    assert RunningLoss(10).trace().losses == ()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_kept(bad):
    meter = RunningLoss(10)
    meter.add(0, 1.0)
    meter.add(1, bad)
    trace = meter.trace()
    assert not math.isfinite(trace.losses[-1])
    assert not math.isfinite(trace.smoothed[-1])


@pytest.mark.parametrize(
    ("steps", "stride", "points"), [(999, 1, 999), (1000, 2, 500), (1999, 2, 1000), (2000, 4, 500), (8191, 16, 512)]
)
def test_the_trace_stays_short(steps, stride, points):
    losses = np.random.default_rng(0).normal(size=steps).tolist()
    meter = RunningLoss(steps)
    for step, loss in enumerate(losses):
        meter.add(step, loss)
    trace = meter.trace()
    assert trace.stride == stride
    assert len(trace.losses) == len(trace.smoothed) == points <= 1000
    slow = [sum(losses[i : i + stride]) / len(losses[i : i + stride]) for i in range(0, steps, stride)]
    assert trace.losses == pytest.approx(slow, abs=1e-12)
    assert trace.smoothed[-1] == pytest.approx(meter.smoothed)


@given(LOSSES, st.integers(0, 59))
def test_a_copy_of_its_state_goes_on_alike(losses, cut):
    whole, first, second = (RunningLoss(60) for _ in range(3))
    for step, loss in enumerate(losses):
        whole.add(step, loss)
    for step, loss in enumerate(losses[:cut]):
        first.add(step, loss)
    second.load_state_dict(first.state_dict())
    for step, loss in enumerate(losses[cut:], len(losses[:cut])):
        second.add(step, loss)
    assert second.trace() == whole.trace()


def test_an_epochs_mean_weighs_by_samples():
    mean = EpochMean()
    assert math.isnan(mean.mean)
    mean.add(1.0, 30)
    mean.add(4.0, 10)
    assert mean.mean == pytest.approx(1.75)


def test_the_longest_trace_is_what_the_constant_says():
    assert running.MOST_POINTS == 1000
