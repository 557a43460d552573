import pytest
from rule_sections import fit, judged

from dltool.core.finding import Severity
from dltool.rules.catalogue import every_rule

FIT = {rule.name: rule for rule in every_rule() if rule.id.startswith("FIT")}
STATUSES = [*FIT, "good-fit", "oscillating"]


@pytest.mark.parametrize("name", FIT)
@pytest.mark.parametrize("status", STATUSES)
def test_a_rule_speaks_for_its_own_verdict_only(name, status):
    findings = judged(FIT[name], fit(status, 0.1))
    assert [f.message for f in findings] == ["because"] * (status == name)


@pytest.mark.parametrize(
    ("explained", "severity"),
    [
        (None, Severity.WARNING),
        (0.0, Severity.WARNING),
        (0.49, Severity.WARNING),
        (0.5, Severity.INFO),
        (0.9, Severity.INFO),
    ],
)
def test_still_improving_and_far_better_than_trivial_is_information(explained, severity):
    assert judged(FIT["not-converged"], fit("not-converged", explained))[0].severity is severity


def test_nan_does_not_lower_the_severity():
    assert judged(FIT["not-converged"], fit("not-converged", float("nan")))[0].severity is Severity.WARNING


def test_limits_are_shown():
    assert judged(FIT["overfitting"], fit("overfitting"))[0].limit == {"gap": 0.25, "rise": 0.05, "confidence": 0.99}
