import math

import numpy as np
import pytest

from dltool.training.running import RunningLoss
from dltool.training.spikes import SMALLEST_RISE_RATIO, WINDOW, SpikeDetector

STEPS = 1000


def per_sample(rng, n, wrong=0.05):
    """Cross-entropy of single samples: most nearly right, a few quite wrong."""
    return np.where(rng.random(n) < wrong, rng.uniform(0.7, 6, n), rng.lognormal(-4, 1.5, n))


HEALTHY = {
    "gaussian": lambda rng: 1 + 0.1 * rng.standard_normal(STEPS),
    "decaying": lambda rng: np.exp(-np.arange(STEPS) / 250) * (1 + 0.1 * rng.standard_normal(STEPS)),
    "smooth": lambda rng: np.exp(-np.arange(STEPS) / 250),
    "constant": lambda rng: np.full(STEPS, 0.7),
    "rounding": lambda rng: 0.7 + 1e-7 * rng.standard_normal(STEPS),
    "exponential": lambda rng: rng.exponential(size=STEPS),
    "lognormal": lambda rng: rng.lognormal(0, 1, STEPS),
    "student3": lambda rng: 1 + 0.1 * rng.standard_t(3, STEPS),
    "squared error": lambda rng: rng.standard_normal(STEPS) ** 2,
    "single samples": lambda rng: per_sample(rng, STEPS),
    "batches of 32": lambda rng: per_sample(rng, STEPS * 32).reshape(STEPS, 32).mean(1),
    "negative": lambda rng: -5 + 0.3 * rng.standard_normal(STEPS),
    "rate drop": lambda rng: np.where(np.arange(STEPS) < 500, 1, 0.3) + 0.05 * rng.standard_normal(STEPS),
}


def spikes_in(losses):
    detector = SpikeDetector(len(losses))
    for step, loss in enumerate(losses):
        detector.add(step, float(loss))
    return detector.spikes


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_noise_raises_no_alarm(name):
    """At most one false alarm in 40 runs of each kind, where theory allows 0.4."""
    runs = [spikes_in(HEALTHY[name](np.random.default_rng(seed))) for seed in range(40)]
    assert sum(bool(spikes) for spikes in runs) <= 1


@pytest.mark.parametrize(
    ("name", "factor"), [("gaussian", 10), ("decaying", 20), ("smooth", 2), ("rounding", 2), ("batches of 32", 200)]
)
def test_a_real_spike_is_seen_where_it_is(name, factor):
    for seed in range(5):
        losses = HEALTHY[name](np.random.default_rng(seed)).copy()
        before = float(np.median(losses[600:700]))
        losses[700] = before * factor
        (spike,) = [s for s in spikes_in(losses) if s.step == 700]
        assert spike.loss == losses[700]
        assert spike.expected == pytest.approx(before, rel=0.2)


def test_steps_in_a_row_are_one_spike_as_high_as_its_highest():
    losses = [1.0 + 0.01 * (i % 7) for i in range(300)]
    losses[200:204] = [5.0, 9.0, 7.0, 6.0]
    (spike,) = spikes_in(losses)
    assert (spike.step, spike.loss) == (200, 9.0)


def test_nothing_is_judged_before_the_window_is_full():
    losses = [1.0] * WINDOW
    losses[50] = 100.0
    assert spikes_in(losses) == []


def test_the_smallest_rise_is_the_boundary():
    at, above = 1.0 + SMALLEST_RISE_RATIO, math.nextafter(1.0 + SMALLEST_RISE_RATIO, 2)
    assert spikes_in([1.0] * 200 + [at]) == []
    assert [spike.loss for spike in spikes_in([1.0] * 200 + [above])] == [above]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_no_spike_and_does_not_blind_the_detector(bad):
    meter = RunningLoss(300)
    for step in range(300):
        meter.add(step, bad if step == 150 else 5.0 if step == 250 else 1.0 + 0.01 * (step % 7))
    assert [spike.step for spike in meter.trace().spikes] == [250]


def test_a_ragged_last_batch_is_not_judged():
    meter = RunningLoss(1000)
    rng = np.random.default_rng(0)
    for step in range(1000):
        ragged = step % 20 == 19
        meter.add(step, rng.exponential(5.0) if ragged else 0.6 + 0.05 * rng.standard_normal(), full_batch=not ragged)
    assert meter.trace().spikes == ()


def test_an_explosion_does_not_overflow():
    assert spikes_in([math.exp(min(step, 650)) for step in range(300)]) == []
    spikes_in([1e300 * (-1) ** step * (1 + step / 300) for step in range(300)])
