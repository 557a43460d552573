"""The target's own rate, judged by how it trained beside the rates that were found."""

import math

import pytest
from rule_sections import judged

from dltool.core.finding import Severity
from dltool.core.measured.lr_find import LrRange, LrTrial, LrTrials, OwnLr, SuggestedLr
from dltool.rules.base import Skip
from dltool.rules.updates.learning_rate_too_high import LearningRateTooHigh
from dltool.rules.updates.learning_rate_too_low import LearningRateTooLow


def sections(lr, loss, ended="finished", *, planned_ratio=1.0, scheduled=False, found=0.01, ends=(0.003, 0.03)):
    best = LrTrial(lr=0.01, origin="valley", stage="short", steps=100, loss=0.5, ended="finished", gain_ratio=1.0)
    return (
        SuggestedLr(lr=found),
        LrRange(ends=ends),
        LrTrials(split="val", samples=100, start_loss=1.5, resolution=0.01, trials=(best,)),
        OwnLr(
            lr=lr,
            optimizer="sgd",
            schedule=None,
            scheduled=scheduled,
            planned_ratio=planned_ratio,
            loss=loss,
            ended=ended,
        ),
    )


@pytest.mark.parametrize(
    ("given", "severity"),
    [
        (sections(1.0, math.nan, "diverged"), Severity.ERROR),
        (sections(1.0, math.nan, "diverged", scheduled=True), Severity.ERROR),
        (sections(1.0, 1.49), Severity.WARNING),
        (sections(1.0, 7.0), Severity.WARNING),
    ],
)
def test_a_rate_above_the_range_that_does_not_train_is_too_high(given, severity):
    (finding,) = judged(LearningRateTooHigh, *given)
    assert finding.severity is severity
    assert finding.evidence["suggested_lr"] == 0.01
    assert "0.01" in finding.advice[0]
    assert judged(LearningRateTooLow, *given) == []


@pytest.mark.parametrize(
    "given",
    [
        sections(0.01, 0.5),
        sections(1.0, 1.48),  # gained exactly 2 % of the best gain
        sections(0.03, math.nan, "diverged"),  # the range itself ends there: luck of one run
        sections(1.0, 1.49, scheduled=True),  # a warmup that has not arrived yet
        sections(0.1, 0.9),
    ],
)
def test_a_rate_that_trains_is_left_alone(given):
    assert judged(LearningRateTooHigh, *given) == []
    assert judged(LearningRateTooLow, *given) == []


def test_a_rate_is_too_low_when_the_whole_run_cannot_make_up_for_it():
    (finding,) = judged(LearningRateTooLow, *sections(1e-5, 1.499, planned_ratio=20.0))
    assert finding.severity is Severity.WARNING
    assert judged(LearningRateTooHigh, *sections(1e-5, 1.499, planned_ratio=20.0)) == []


@pytest.mark.parametrize(
    "given",
    [
        sections(1e-5, 1.499, planned_ratio=300.0),  # exactly as far as a trial at the lowest usable rate
        sections(1e-3, 1.4),  # gained exactly a tenth of the best
        sections(1e-5, math.nan, "diverged"),
    ],
)
def test_a_long_run_at_a_low_rate_is_left_alone(given):
    assert judged(LearningRateTooLow, *given) == []


@pytest.mark.parametrize("rule", [LearningRateTooHigh, LearningRateTooLow])
def test_without_a_rate_that_works_there_is_nothing_to_compare_with(rule):
    answer = judged(rule, *sections(1.0, math.nan, "diverged", found=None, ends=None))
    assert isinstance(answer, Skip)
    answer = judged(rule, SuggestedLr(lr=None))
    assert isinstance(answer, Skip)
    assert isinstance(judged(rule), Skip)
