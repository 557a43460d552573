"""Every rule on designs: specs that must name it, and look-alikes that must not."""

import pytest
from design_specs import PATH, asked, designed, judged_text, text_of, told
from faulty_designs import FAULTY
from look_alike_designs import LOOK_ALIKES

from dltool.core.finding import Severity
from dltool.rules.catalogue import RULES
from dltool.specs.edit import changes_of, corrected


def _rows(table):
    return [pytest.param(name, *row, id=f"{name}-{at}") for name, rows in table.items() for at, row in enumerate(rows)]


def test_every_rule_has_its_examples():
    names = [rule.name for rule in RULES if rule.id.startswith("SPC")]
    assert list(FAULTY) == list(LOOK_ALIKES) == names
    assert all(len(rows) >= 3 for rows in (*FAULTY.values(), *LOOK_ALIKES.values()))


@pytest.mark.parametrize(("name", "spec"), [(p.values[0], p.values[1:]) for p in _rows(FAULTY)])
def test_a_faulty_spec_names_the_rule(name, spec):
    findings, _ = asked(designed(*spec))
    mine = [finding for finding in findings if finding.name == name]
    assert mine, told(designed(*spec))
    for finding in mine:
        assert finding.where.key is not None or name in {"learning-rate-out-of-range", "too-few-epochs"}
        assert finding.advice
    others = {f.name for f in findings if f.severity is Severity.ERROR} - {name}
    assert len(others) <= 1, others  # one mistake is not told as three


@pytest.mark.parametrize(("name", "spec"), [(p.values[0], p.values[1:]) for p in _rows(FAULTY)])
def test_the_change_that_a_finding_names_cures_it(name, spec):
    text = text_of(*spec)
    before, _ = asked(judged_text(text))
    changes = [f.evidence["change"] for f in before if f.name == name and "change" in f.evidence]
    for change in changes:
        new = corrected(PATH, text, changes_of(change))
        if new is None:  # an alias that the spec wrote
            assert "poisson" in text
            continue
        after, _ = asked(judged_text(new))
        assert name not in {f.name for f in after}
        assert {f.name for f in after if f.severity is not Severity.INFO} <= {f.name for f in before}


@pytest.mark.parametrize(("name", "spec"), [(p.values[0], p.values[1:]) for p in _rows(LOOK_ALIKES)])
def test_a_look_alike_is_left_alone(name, spec):
    findings, checks = asked(designed(*spec))
    above_info = [f for f in findings if f.name == name and (f.severity is not Severity.INFO or name == "bias-before-norm")]
    assert above_info == []
    assert checks[name].outcome != "skipped", checks[name].reason
