import math

import pytest
from rule_sections import FACTS, GOOD, OUTPUT, TASK, gains, stack

from dltool.core.errors import UserError
from dltool.core.measured.training import Baseline, EpochRecord, History
from dltool.core.measurements import Measurements
from dltool.rules.catalogue import RULES
from dltool.rules.select import choose, judge

NAMES = {rule.id: rule.name for rule in RULES}


def names(selection):
    asked = [rule.name for rule in selection.rules if rule.id not in selection.ignored]
    return asked, [NAMES[i] for i in selection.ignored]


@pytest.mark.parametrize(
    ("select", "ignore", "asked", "ignored"),
    [
        (["GRD103"], [], ["vanishing-gradient"], []),
        (["vanishing-gradient"], [], ["vanishing-gradient"], []),
        (["ACT"], [], ["dead-relu", "saturated-activation", "collapsed-representation"], []),
        (["ACT"], ["dead-relu"], ["saturated-activation", "collapsed-representation"], ["dead-relu"]),
        (["ACT"], ["ACT102"], ["dead-relu", "collapsed-representation"], ["saturated-activation"]),
        (["ACT102"], ["ACT"], ["saturated-activation"], []),
        (["ACT102"], ["ACT102"], [], ["saturated-activation"]),
        (["ACT10"], ["ACT"], ["dead-relu", "saturated-activation", "collapsed-representation"], []),
        (["ACT"], ["ACT10"], [], ["dead-relu", "saturated-activation", "collapsed-representation"]),
        (["ACT101", "OPT104"], ["OPT"], ["dead-relu", "oscillating-loss"], []),
        (["ACT103"], ["FIT"], ["collapsed-representation"], []),
    ],
)
def test_longest_prefix_wins_and_a_tie_ignores(select, ignore, asked, ignored):
    assert names(choose(select, dict.fromkeys(ignore, "why"), {})) == (asked, ignored)


def test_everything_is_asked_by_default():
    asked, ignored = names(choose([], {"OPT": "why"}, {}))
    assert len(asked) == len(RULES) - 4
    assert len(ignored) == 4


def test_all_mistakes_are_reported_at_once_with_what_was_meant():
    with pytest.raises(UserError) as raised:
        choose(
            ["vanishing-gradiant", "GRD999", ""],
            {"dead-rlu": ""},
            {"dead-relu.fracton": 0.3, "nonsense": 1, "FIT102.gap": "x"},
        )
    text = str(raised.value)
    assert len(raised.value.problems) == 7
    for meant in ("vanishing-gradient", "dead-relu", "dead-relu.fraction"):
        assert f"did you mean {meant!r}" in text


@pytest.mark.parametrize("value", [math.nan, math.inf, True, "0.3", None])
def test_a_threshold_is_a_finite_number(value):
    with pytest.raises(UserError, match="finite number"):
        choose([], {}, {"dead-relu.fraction": value})


def test_thresholds_go_by_name_or_id_and_reach_rule_and_verdict():
    assert choose([], {}, {"ACT101.fraction": 1, "FIT102.gap": 0.9}).limits == {
        "dead-relu": {"fraction": 1.0},
        "overfitting": {"gap": 0.9},
    }
    measured = overfitted()
    assert [f.name for f in judge(measured)[0]] == ["overfitting"]
    findings, _ = judge(measured, thresholds={"overfitting.gap": 0.95, "overfitting.rise": 10.0})
    assert findings == []


def test_checks_list_every_selected_rule_with_its_outcome():
    measured = Measurements([FACTS, TASK, OUTPUT, GOOD, stack([1e-3] * 5), gains((-0.1, -0.1))])
    findings, checks = judge(measured, select=["GRD", "OPT"], ignore={"batch-mixing": "a contrastive head"})
    assert findings == []
    assert [(c.rule, c.outcome, c.reason) for c in checks] == [
        ("GRD101", "skipped", "not measured: parameters, points"),
        ("GRD102", "skipped", "not measured: parameters, points"),
        ("GRD103", "passed", None),
        ("GRD104", "passed", None),
        ("GRD105", "passed", None),
        ("GRD106", "passed", None),
        ("GRD107", "skipped", "a contrastive head"),
        ("OPT101", "passed", None),
        ("OPT102", "passed", None),
        ("OPT103", "passed", None),
        ("OPT104", "passed", None),
    ]


def test_what_was_not_measured_is_skipped_with_that_reason():
    _, checks = judge(Measurements([]))
    assert len(checks) == len(RULES)
    assert {c.outcome for c in checks} == {"skipped"}
    assert next(c for c in checks if c.rule == "OPT102").reason == "not measured: step_gains, parameters, fit"


def test_a_failed_check_has_findings_and_the_verdict_is_derived_anew():
    findings, checks = judge(Measurements([*overfitted(), GOOD]), select=["FIT"])
    assert [f.rule for f in findings] == ["FIT102"]
    assert [c.rule for c in checks if c.outcome == "failed"] == ["FIT102"]


def test_a_saved_report_is_judged_the_same():
    measured = overfitted()
    assert judge(Measurements.from_dict(measured.to_dict())) == judge(measured)


def overfitted() -> Measurements:
    epochs = tuple(
        EpochRecord(
            epoch=t,
            step=16 * (t + 1),
            lr=0.1,
            running_loss=0.5**t,
            train_loss=0.5**t,
            val_loss=0.9,
            train_blocks=(0.5**t * 0.9, 0.5**t * 1.1) * 5,
            val_blocks=(0.88, 0.92) * 5,
        )
        for t in range(20)
    )
    return Measurements([History(epochs=epochs, best_epoch=0), Baseline(description="mean", train_loss=1.0, val_loss=1.0)])
