import random
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from dltool.core.finding import Finding, Severity, Where
from dltool.rules.catalogue import every_rule
from dltool.rules.rank import PHASES, rank

RULES = every_rule()
BY_NAME = {rule.name: rule for rule in RULES}


def found(name, severity=None, **where):
    rule = BY_NAME[name]
    return Finding(rule=rule.id, name=name, severity=severity or rule.severity, message=name, where=Where(**where))


def told(findings):
    """(name, name of its cause) from the top."""
    ranked = rank(findings, RULES)
    by_print = {f.fingerprint: f.name for f in ranked}
    return [(f.name, by_print.get(f.caused_by)) for f in ranked]


def test_a_rate_too_high_stands_above_all_that_it_brought_about():
    findings = [
        found("no-better-than-trivial"),
        found("non-finite-forward", phase="forward", step=7, module="a"),
        found("exploding-gradient", phase="backward", step=5),
        found("dead-relu", module="relu"),
        found("learning-rate-too-high", phase="optimizer", step=2),
    ]
    for order in permutations(findings):
        ranked = told(list(order))
        assert ranked[0] == ("learning-rate-too-high", None)
        assert {cause for _, cause in ranked[1:]} <= {"learning-rate-too-high", "exploding-gradient"}


def test_a_gradient_that_explodes_before_the_first_update_is_the_cause_of_the_overshoot():
    findings = [
        found("learning-rate-too-high", phase="optimizer", step=0),
        found("exploding-gradient", phase="backward", step=0),
        found("diverged"),
    ]
    assert told(findings)[:2] == [("exploding-gradient", None), ("learning-rate-too-high", "exploding-gradient")]


def test_what_was_wrong_before_the_first_step_is_no_symptom_of_what_came_later():
    rate = found("learning-rate-too-high", phase="optimizer", step=3)
    for step, first in ((0, "saturated-activation"), (99, "learning-rate-too-high")):
        flat = found("saturated-activation", phase="forward", step=step)
        assert told([rate, flat, found("no-better-than-trivial")])[0] == (first, None)
    for dead, vanishing, first in ((0, 0, "dead-relu"), (99, 0, "vanishing-gradient"), (99, None, "dead-relu")):
        findings = [
            found("dead-relu", phase="forward", step=dead),
            found("vanishing-gradient", phase="backward", step=vanishing),
        ]
        assert told(findings)[0] == (first, None)


def test_a_gradient_that_is_nan_says_nothing_of_the_rate():
    bad = found("non-finite-backward", phase="backward", step=0)
    rate = found("learning-rate-too-high", phase="optimizer", step=0)
    assert told([rate, bad])[0] == ("non-finite-backward", None)


def test_a_start_that_is_far_off_explains_the_overshoot_and_is_explained_by_the_explosion():
    start, rate = found("surprising-initial-loss", phase="loss"), found("learning-rate-too-high", phase="optimizer", step=0)
    assert told([rate, start])[0] == ("surprising-initial-loss", None)
    assert told([rate, start, found("exploding-gradient", phase="backward", step=0)])[0] == ("exploding-gradient", None)


def test_what_is_only_worth_knowing_explains_no_disease():
    findings = [found("dead-relu", Severity.INFO), found("ignores-input")]
    assert told(findings) == [("ignores-input", None), ("dead-relu", None)]


def test_the_earliest_non_finite_value_explains_the_later_ones():
    findings = [
        found("non-finite-update", phase="optimizer", step=4),
        found("non-finite-backward", phase="backward", step=4),
        found("non-finite-loss", phase="loss", step=5),
    ]
    assert told(findings) == [
        ("non-finite-backward", None),
        ("non-finite-update", "non-finite-backward"),
        ("non-finite-loss", "non-finite-backward"),
    ]


def test_a_value_that_went_bad_before_the_overshoot_is_not_its_doing():
    findings = [
        found("learning-rate-too-high", phase="optimizer", step=9),
        found("non-finite-input", phase="input", step=3),
        found("non-finite-forward", phase="forward", step=3),
    ]
    assert ("non-finite-forward", "non-finite-input") in told(findings)


def test_a_parameter_explains_only_its_own_module():
    findings = [
        found("parameter-without-gradient", module="a", parameter="a.weight"),
        found("parameter-not-updated", module="a", parameter="a.weight"),
        found("parameter-not-updated", module="b", parameter="b.weight"),
    ]
    causes = {(f.name, f.where.module): f.caused_by for f in rank(findings, RULES)}
    assert causes["parameter-not-updated", "a"] == findings[0].fingerprint
    assert causes["parameter-not-updated", "b"] is None


def test_a_warning_that_explains_an_error_comes_before_an_unrelated_warning():
    findings = [
        found("missing-class"),
        found("learning-rate-too-low", Severity.WARNING),
        found("no-better-than-trivial"),
    ]
    assert [name for name, _ in told(findings)] == ["learning-rate-too-low", "no-better-than-trivial", "missing-class"]


def test_errors_come_before_warnings_and_data_before_training():
    findings = [found("overfitting"), found("batch-mixing"), found("label-out-of-range")]
    assert [name for name, _ in told(findings)] == ["label-out-of-range", "batch-mixing", "overfitting"]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(BY_NAME)),
            st.one_of(st.none(), st.integers(0, 5)),
            st.one_of(st.none(), st.sampled_from(PHASES)),
            st.sampled_from([None, "a", "b"]),
        ),
        max_size=12,
        unique_by=lambda row: (row[0], row[3]),
    ),
    st.randoms(use_true_random=False),
)
def test_no_symptom_above_its_cause_no_circle_nothing_lost(rows: list, shuffle: random.Random):
    findings = [found(name, step=step, phase=phase, module=module) for name, step, phase, module in rows]
    ranked = rank(findings, RULES)
    assert sorted(f.fingerprint for f in ranked) == sorted(f.fingerprint for f in findings)
    place = {f.fingerprint: i for i, f in enumerate(ranked)}
    by_print = {f.fingerprint: f for f in ranked}
    for finding in ranked:
        if finding.caused_by is not None:
            assert place[finding.caused_by] < place[finding.fingerprint]
            assert finding.name in BY_NAME[by_print[finding.caused_by].name].explains
    assert rank(findings, RULES) == ranked
