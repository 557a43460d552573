import math

import pytest
from rule_sections import judged

from dltool.core.finding import Severity
from dltool.core.measured.gradcheck import (
    CheckedParameters,
    CheckedPoint,
    CheckedPoints,
    Culprit,
    Culprits,
    Element,
    GradientRecord,
    Kink,
    verdict_of,
)
from dltool.rules.base import Skip
from dltool.rules.gradients.gradient_mismatch import GradientMismatch
from dltool.rules.gradients.nondifferentiable_point import NondifferentiablePoint


def record(error, **changes):
    plain = {
        "relative_error": error,
        "verdict": verdict_of(error),
        "method": "elements",
        "module": "a",
        "shape": (2, 2),
        "elements": 4,
        "compared": 4,
        "analytic_norm": 1.0,
        "numeric_norm": 1.0,
        "resolution": 1e-9,
    }
    return GradientRecord(**plain | changes)


def point(**changes):
    plain = {
        "after_steps": 0,
        "loss": 1.0,
        "noise": 1e-16,
        "repeat_difference": 0.0,
        "deterministic": True,
        "evaluations": 10,
        "projections": 2,
        "miss_probability": 1e-7,
        "relative_errors": {"a.w": 0.0},
    }
    return CheckedPoints(points=(CheckedPoint(**plain | changes),), samples=8, full=False)


def parameters(**records):
    return CheckedParameters(parameters={name.replace("_", "."): each for name, each in records.items()})


@pytest.mark.parametrize(
    ("error", "severity"),
    [
        (0.0, None),
        (9.9e-8, None),
        (1e-5, None),
        (1.01e-5, Severity.WARNING),
        (1e-3, Severity.WARNING),
        (1.01e-3, Severity.ERROR),
        (1.0, Severity.ERROR),
        (math.nan, Severity.ERROR),
        (math.inf, Severity.ERROR),
    ],
)
def test_mismatch_by_its_size(error, severity):
    found = judged(GradientMismatch, parameters(a_w=record(error)), point())
    assert [finding.severity for finding in found] == ([] if severity is None else [severity])


def test_what_is_cut_on_purpose_is_no_finding():
    assert judged(GradientMismatch, parameters(a_w=record(1.0, expected=True)), point()) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"deterministic": False, "repeat_difference": 0.1, "unsteady_module": "noise"}, "not deterministic"),
        ({"loss": math.nan}, "not finite"),
        ({"loss": math.inf}, "not finite"),
        ({}, "ended before"),
    ],
)
@pytest.mark.parametrize("rule", [GradientMismatch, NondifferentiablePoint])
def test_nothing_compared_is_a_skip_with_its_reason(rule, changes, reason):
    answer = judged(rule, parameters(), point(relative_errors={}, **changes))
    assert isinstance(answer, Skip)
    assert reason in answer.reason


@pytest.mark.parametrize(
    ("ratio", "said"), [(-1.0, "its sign is turned"), (2.0, "2 times the true one"), (0.5, "0.5 times the true one")]
)
def test_a_factor_is_told(ratio, said):
    worst = tuple(Element(index=(i,), analytic=ratio * i, numeric=float(i), step=1e-6) for i in (1, 2, 3))
    culprit = Culprit(
        module="act", function="Act", relative_error=0.5, arguments=("x",), gradient="present", parameters=("a.w",)
    )
    (finding,) = judged(GradientMismatch, parameters(a_w=record(0.5, worst=worst)), Culprits(culprits=(culprit,)), point())
    assert said in finding.cause
    assert (finding.where.module, finding.where.op, finding.where.parameter) == ("act", "ActBackward", None)


def test_one_finding_for_each_culprit_and_for_each_module_without_one():
    culprit = Culprit(
        module="act", function=None, relative_error=0.5, arguments=("x",), gradient="none", parameters=("a.w", "a.b")
    )
    wrong = parameters(a_w=record(0.5), a_b=record(0.2), c_w=record(0.1, module="c"), d_w=record(0.1, module="d"))
    found = judged(GradientMismatch, wrong, Culprits(culprits=(culprit,)), point())
    assert [finding.where.module for finding in found] == ["act", "c", "d"]
    assert found[0].evidence["parameters"] == ["a.w", "a.b"]


def test_kinks_are_told_by_module():
    kink = Kink(index=(0,), left=-1.0, right=1.0, analytic=0.0)
    kinked = record(0.0, kinks=2, kink_examples=(kink,))
    found = judged(
        NondifferentiablePoint,
        parameters(a_w=kinked, a_b=record(0.0), c_w=record(0.0, only_at_point=True, module="c")),
        point(),
    )
    assert [(f.where.module, f.evidence["elements"]) for f in found] == [("a", 2), ("c", 0)]
    assert judged(NondifferentiablePoint, parameters(a_w=record(0.5)), point()) == []
