from typing import get_args

import pytest
from rule_sections import judged

from dltool.core.codec import dumps
from dltool.core.finding import Phase, Severity
from dltool.core.measured.hunt import BadInputs, FixTrial, FixTrials
from dltool.core.measured.non_finite import NonFinite, NonFiniteEvent
from dltool.rules.catalogue import every_rule
from dltool.rules.nonfinite.first_event import FirstEvent

BY_PHASE = {rule.phase: rule for rule in every_rule() if issubclass(rule, FirstEvent)}


def test_every_phase_has_its_rule():
    assert list(BY_PHASE) == list(get_args(Phase))


@pytest.mark.parametrize("phase", get_args(Phase))
def test_each_rule_reports_its_own_phase_and_the_first_event_only(phase):
    events = tuple(
        NonFiniteEvent(
            phase=p, step=step, value="nan", count=3, module="m", parameter=None, op="SqrtBackward0", samples=(5,)
        )
        for step in (3, 4)
        for p in get_args(Phase)
    )
    (finding,) = judged(BY_PHASE[phase], NonFinite(events=events))
    assert (finding.where.phase, finding.where.step, finding.where.samples) == (phase, 3, (5,))
    assert finding.evidence["events"] == 2
    assert finding.severity is Severity.ERROR


@pytest.mark.parametrize("rule", BY_PHASE.values(), ids=lambda rule: rule.name)
def test_a_healthy_run_has_no_event(rule):
    assert judged(rule, NonFinite(events=())) == []


def event(phase, op=None, **more):
    return NonFiniteEvent(**{"phase": phase, "step": 3, "value": "nan", "count": 2, "op": op, **more})


MESSAGES = {
    "Inf in loss term aux at step 0 (1 value)": event("loss", step=0, value="inf", count=1, term="aux"),
    "NaN from log in flow.2 at step 3, sample 5 (2 values)": event("forward", "log", module="flow.2", samples=(5,)),
    "NaN from log at step 3, samples 1, 4 (2 values)": event("forward", "log", module="", samples=(1, 4)),
    "NaN at step 3 (2 values)": event("forward"),
    "NaN in the target as delivered at step 3, sample 0 (2 values)": event("input", source="target", samples=(0,)),
    "NaN in the batch as delivered at step 3 (2 values)": event("input"),
    "NaN in head.weight before step 3 (2 values)": event("parameter", module="head", parameter="head.weight"),
    "NaN in bn.running_var before step 3 (2 values)": event(
        "buffer", module="bn", parameter="bn.running_var", source="buffer"
    ),
    "NaN written to bn.running_var by batch_norm at step 3 (2 values)": event(
        "buffer", "batch_norm", parameter="bn.running_var"
    ),
    "NaN from SqrtBackward0 in dist at step 3 (2 values)": event("backward", "SqrtBackward0", module="dist"),
    "NaN from SqrtBackward0 in dist, in the gradient of dist.w, at step 3 (2 values)": event(
        "backward", "SqrtBackward0", module="dist", parameter="dist.w"
    ),
    "NaN in the gradient of dist.w at step 3 (2 values)": event("backward", parameter="dist.w"),
    "NaN written to w by addcdiv at step 3 (2 values)": event("optimizer", "addcdiv", parameter="w"),
    "NaN in exp_avg of w at step 3 (2 values)": event("optimizer", parameter="w", source="exp_avg"),
    "NaN in w at step 3 (2 values)": event("optimizer", parameter="w", source="unrepeatable"),
}


@pytest.mark.parametrize(("message", "seen"), MESSAGES.items(), ids=MESSAGES)
def test_message_names_the_place_and_the_kind(message, seen):
    assert judged(BY_PHASE[seen.phase], NonFinite(events=(seen,)))[0].message == message


def test_without_a_step_the_message_counts_batches():
    passed = BadInputs(samples=8, batches=(), batches_passed=2)
    (finding,) = judged(BY_PHASE["loss"], NonFinite(events=(event("loss", "log"),)), passed)
    assert finding.message == "NaN from log at batch 3 (2 values)"


@pytest.mark.parametrize(
    ("phase", "op", "cause"),
    [
        ("forward", "log", "log is -inf at 0 and NaN below"),
        ("loss", "softmax", "a row that is masked everywhere, or inputs that are not finite"),
        ("backward", "SqrtBackward0", "sqrt at 0 has an infinite slope"),
        ("backward", "LinalgVectorNormBackward0", "a norm has no slope at 0: every component is 0"),
        ("backward", "WhereBackward0", "the branch that where did not choose is non-finite, and 0 times it is NaN"),
        ("backward", "PowBackward0", "a power below 1 has an infinite slope at 0"),
        ("backward", "UnheardOfBackward0", None),
        ("backward", None, None),
        ("optimizer", "div", "a division by 0, or 0 / 0"),
        ("buffer", None, None),
    ],
)
def test_a_live_run_knows_the_operator_at_most(phase, op, cause):
    (finding,) = judged(BY_PHASE[phase], NonFinite(events=(event(phase, op),)))
    assert finding.cause == cause
    assert finding.advice


def test_a_traced_event_fills_place_evidence_and_json():
    seen = event(
        "backward", "SqrtBackward0", forward_op="sqrt", aten="aten.div.Tensor", operands=(1.0, 0.0), file="net.py", line=41,
        proof="healed", module="dist", value="inf",
    )  # fmt: skip
    (finding,) = judged(BY_PHASE["backward"], NonFinite(events=(seen,)))
    assert (finding.where.file, finding.where.line, finding.where.op) == ("net.py", 41, "SqrtBackward0")
    assert finding.cause == "sqrt at 0 has an infinite slope"
    assert finding.evidence["mechanism"] == "infinite-slope"
    assert (finding.evidence["operands"], finding.evidence["proof"]) == ([1.0, 0.0], "healed")
    assert "NaN" not in dumps(finding)


def test_a_cure_that_worked_comes_first():
    trials = FixTrials(
        trials=(
            FixTrial(fix="the gradient norm clipped at 1", healed=False, steps=2),
            FixTrial(fix="a tenth of the rate", healed=True, steps=53),
        )
    )
    (finding,) = judged(BY_PHASE["loss"], NonFinite(events=(event("loss", "log"),)), trials)
    assert finding.advice[0] == "a tenth of the rate: tried, and all 53 steps stayed finite"
    assert not any("clipped at 1" in advice for advice in finding.advice)
