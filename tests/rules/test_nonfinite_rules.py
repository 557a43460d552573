from typing import get_args

import pytest
from rule_sections import judged

from dltool.core.finding import Phase, Severity
from dltool.core.measurements import NonFinite, NonFiniteEvent
from dltool.rules.catalogue import RULES
from dltool.rules.nonfinite.first_event import FirstEvent

BY_PHASE = {rule.phase: rule for rule in RULES if issubclass(rule, FirstEvent)}


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


def test_message_names_the_place_and_the_kind():
    event = NonFiniteEvent(phase="loss", step=0, value="inf", count=1, term="aux")
    message = judged(BY_PHASE["loss"], NonFinite(events=(event,)))[0].message
    assert message == "Inf in loss term aux at step 0 (1 value)"
