import math

import pytest
from rule_sections import GOOD, NOTHING, OPTIMISATION, fit, gains, judged, layer, parameter, share, stack

from dltool.core.finding import Severity
from dltool.core.measured.non_finite import NonFinite, NonFiniteEvent
from dltool.core.measured.training import Layers, LossTrace, Parameters, Spike, StepGain, StepGains
from dltool.rules.base import Skip
from dltool.rules.updates.learning_rate_too_high import LearningRateTooHigh
from dltool.rules.updates.learning_rate_too_low import LearningRateTooLow
from dltool.rules.updates.oscillating_loss import OscillatingLoss
from dltool.rules.updates.parameter_not_updated import ParameterNotUpdated

DOWN, OVER, UPHILL = (-0.1, -0.09), (-0.1, 0.3), (0.1, 0.2)


@pytest.mark.parametrize(
    ("steps", "verdict", "first"),
    [
        ((OVER, OVER, DOWN), fit("diverged"), 0),
        ((DOWN, DOWN, DOWN, OVER), NOTHING, 30),  # a quarter: the boundary
        ((DOWN, (-0.1, math.nan)), fit("diverged"), 10),
        ((DOWN, (math.nan, math.nan)), fit("diverged"), 10),
        ((DOWN, (-math.inf, math.inf)), fit("diverged"), 10),
        ((OVER, OVER, *[DOWN] * 40), fit("plateau", 0.1), None),  # 2 of the first 10, and few in all
        ((DOWN, (-0.1, 1.0), *[DOWN] * 40), NOTHING, 10),  # one step that doubled the loss: the boundary
        ((DOWN, (-0.1, 0.99), *[DOWN] * 40), NOTHING, None),
        ((DOWN, (-0.1, math.nan), *[DOWN] * 40), NOTHING, 10),
        ((DOWN, (-0.1, math.inf), *[DOWN] * 40), GOOD, None),  # thrown, and found back
        ((OVER, OVER, OVER, *[DOWN] * 40), fit("plateau", 0.1), 0),  # early overshoots count on their own
        ((DOWN, *[UPHILL] * 20), fit("oscillating"), None),  # momentum goes uphill on purpose
        ((OVER, OVER, OVER), GOOD, None),  # edge of stability
        ((OVER, OVER, OVER), fit("overfitting", 0.9), None),
        (((-0.1, 1e-7), (-0.1, 1e-7)), NOTHING, None),  # rounding, no rise
        ((DOWN,) * 5, NOTHING, None),
    ],
)
def test_too_high_needs_overshoots_and_a_failed_run(steps, verdict, first):
    findings = judged(LearningRateTooHigh, gains(*steps), verdict, OPTIMISATION)
    assert [f.where.step for f in findings] == ([] if first is None else [first])


def test_too_high_without_a_verdict_goes_by_the_first_bad_value():
    event = NonFinite(events=(NonFiniteEvent(phase="forward", step=1, value="nan", count=1),))
    assert judged(LearningRateTooHigh, gains(OVER), event)
    assert judged(LearningRateTooHigh, gains(OVER), NonFinite(events=())) == []


def test_no_downhill_step_decides_nothing():
    assert isinstance(judged(LearningRateTooHigh, gains(UPHILL, (0.0, 0.0)), NOTHING), Skip)
    assert isinstance(judged(LearningRateTooHigh, gains(), NOTHING), Skip)


@pytest.mark.parametrize(
    ("dead", "at_start", "steps", "fires"),
    [
        (1.0, 0.1, (DOWN, OVER, *[DOWN] * 40), True),
        (1.0, 0.1, (DOWN,) * 40, False),  # nothing overshot: something else killed them
        (1.0, 1.0, (DOWN, OVER, *[DOWN] * 40), False),  # dead from the start
        (1.0, None, (DOWN, OVER, *[DOWN] * 40), False),
        (0.94, 0.1, (DOWN, OVER, *[DOWN] * 40), False),
        (math.nan, 0.1, (DOWN, OVER, *[DOWN] * 40), False),
    ],
)
def test_one_overshoot_will_do_where_a_layer_died_on_the_way(dead, at_start, steps, fires):
    section = Layers(layers=(layer(dead=share(dead), idle_at_start=at_start),))
    assert len(judged(LearningRateTooHigh, gains(*steps), fit("ignores-input"), section)) == fires
    assert judged(LearningRateTooHigh, gains(*steps), GOOD, section) == []


def test_doubling_a_loss_that_was_small_by_then_throws_nothing():
    small = StepGain(step=99, loss_before=1e-6, predicted_change=-1e-6, actual_change=1e-3)
    calm = gains(*[DOWN] * 40)
    assert judged(LearningRateTooHigh, StepGains(gains=(*calm.gains, small)), NOTHING) == []


def test_advice_names_the_rate():
    finding = judged(LearningRateTooHigh, gains(OVER), fit("diverged"), OPTIMISATION)[0]
    assert "0.01" in finding.advice[0]


SHORT = (-1e-3, -1e-3)


@pytest.mark.parametrize(
    ("steps", "update", "verdict", "fires"),
    [
        ((SHORT,) * 9, 1e-6, NOTHING, True),
        ((SHORT,) * 9, 1e-6, fit("not-converged", 0.1), True),
        (((-1e-9, 5e-8),) * 9, 1e-8, NOTHING, True),  # too short to see
        ((*[SHORT] * 9, OVER), 1e-6, NOTHING, True),  # nine in ten: the boundary
        ((*[SHORT] * 8, OVER), 1e-6, NOTHING, False),
        ((SHORT,) * 9, 1e-4, NOTHING, False),
        ((SHORT,) * 9, 0.99e-4, NOTHING, True),
        ((SHORT,) * 9, 1e-6, GOOD, False),  # fine-tuning
        ((SHORT,) * 9, 0.0, NOTHING, False),  # nothing moves at all: another rule
        ((SHORT,) * 9, [1e-8, 1e-8, 1e-8, 1e-3], NOTHING, False),  # the last layer moves: vanishing gradient
        (((-1e-3, -3e-4),) * 9, 1e-6, NOTHING, False),  # curved: longer steps would not do
    ],
)
def test_too_low(steps, update, verdict, fires):
    assert len(judged(LearningRateTooLow, gains(*steps), stack([1e-3] * 4, update), verdict, OPTIMISATION)) == fires


def test_too_low_needs_steps_and_updates():
    assert isinstance(judged(LearningRateTooLow, gains(), stack([1e-3] * 4), NOTHING), Skip)
    assert isinstance(judged(LearningRateTooLow, gains(SHORT), Parameters(parameters=(), steps=9), NOTHING), Skip)


def section(*records, steps=10):
    return Parameters(parameters=records, steps=steps)


def test_everything_frozen():
    frozen = [parameter(f"{n}.weight", requires_grad=False, in_optimizer=False, moved=False) for n in "ab"]
    findings = judged(ParameterNotUpdated, section(*frozen, steps=0))
    assert len(findings) == 1
    assert "nothing is trainable" in findings[0].message


def test_none_moved_is_one_finding():
    still = [parameter(f"{n}.weight", moved=False) for n in "ab"]
    assert [f.where.parameter for f in judged(ParameterNotUpdated, section(*still))] == [None]


def test_some_that_never_moved():
    records = (
        parameter("a.weight", moved=False),
        parameter("b.weight", moved=False, gradient="zero"),
        parameter("c.weight", moved=False, gradient="none"),
        parameter("d.weight", moved=False, requires_grad=False, in_optimizer=False),
        parameter("e.weight", moved=False, in_optimizer=False),
        parameter("f.weight"),
    )
    findings = judged(ParameterNotUpdated, section(*records))
    assert [(f.where.module, f.severity) for f in findings] == [("a", Severity.ERROR), ("b", Severity.WARNING)]


def test_partly_frozen_nets_are_healthy():
    frozen = parameter("a.weight", requires_grad=False, in_optimizer=False, moved=False)
    assert judged(ParameterNotUpdated, section(frozen, parameter("b.weight"))) == []


def test_not_updated_cannot_be_told_without_steps():
    assert isinstance(judged(ParameterNotUpdated, section(parameter("a.weight", moved=False), steps=0)), Skip)


def test_a_model_without_parameters_trains_nothing():
    assert "no parameters" in judged(ParameterNotUpdated, section())[0].message


@pytest.mark.parametrize("status", ["oscillating", "plateau", "good-fit", "diverged"])
def test_oscillation_is_the_verdict_s(status):
    spikes = LossTrace(stride=1, losses=(1.0,), smoothed=(1.0,), spikes=(Spike(step=0, loss=9.0, expected=1.0),))
    findings = judged(OscillatingLoss, fit(status), spikes)
    assert len(findings) == (status == "oscillating")
    assert all(f.evidence["spikes"] == 1 for f in findings)
