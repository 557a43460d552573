from xml.dom import minidom
from xml.etree import ElementTree as ET

import pytest
from ci_report import GROUND, HOSTILE, REPORTS, bare, fixed, hostile, many
from hypothesis import given

from dltool.core.finding import Check, Severity
from dltool.reporters.junit import JunitReporter
from dltool.reporters.visible import visible


def suite(report, fail_from=Severity.ERROR):
    text = JunitReporter(GROUND, fail_from=fail_from).render(report)
    minidom.parseString(text.encode())  # expat by another way
    root = ET.fromstring(text.encode())
    assert root.tag == "testsuites"
    (only,) = root
    for kind, count in (("testcase", "tests"), ("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        assert int(root.get(count)) == int(only.get(count)) == len(list(only.iter(kind)))
    return only


def by_rule(report, fail_from=Severity.ERROR):
    return {case.get("name").split()[0]: case for case in suite(report, fail_from)}


def test_every_rule_is_a_test_that_passed_failed_or_was_skipped():
    cases = by_rule(fixed())
    assert list(cases) == ["DAT102", "NAN106", "GRD103", "ACT101", "NAN105", "OPT102", "FIT103"]
    assert cases["NAN106"].attrib == {
        "name": "NAN106 non-finite-backward",
        "classname": "train",
        "time": "0",
        "file": "nets/net.py",
        "line": "41",
    }
    assert cases["NAN106"].find("failure").get("message") == "SqrtBackward0 of frontend gives inf"
    assert "cause: sqrt at 0 has an infinite slope" in cases["NAN106"].find("failure").text
    assert list(cases["ACT101"]) == []
    assert cases["NAN105"].find("skipped").get("message") == "no loss was measured"


@pytest.mark.parametrize(
    ("fail_from", "failed"),
    [
        (Severity.ERROR, {"DAT102", "NAN106", "GRD103"}),
        (Severity.WARNING, {"DAT102", "NAN106", "GRD103", "OPT102"}),
        (Severity.INFO, {"DAT102", "NAN106", "GRD103", "OPT102", "FIT103"}),
        (None, set()),
    ],
)
def test_what_fails_is_what_the_exit_code_counts(fail_from, failed):
    cases = by_rule(fixed(), fail_from)
    assert {rule for rule, case in cases.items() if case.find("failure") is not None} == failed
    told = {rule for rule, case in cases.items() if case.find("system-out") is not None}
    assert told == {"DAT102", "NAN106", "GRD103", "OPT102", "FIT103"} - failed


def test_a_rule_fails_for_its_gravest_finding():
    report = many(2, Severity.INFO)
    mixed = bare(*report.findings, *many(1).findings, checks=report.checks)
    assert by_rule(mixed)["DAT102"].find("failure").get("type") == "error"


def test_all_findings_of_a_rule_are_in_its_test():
    failure = by_rule(many(10_000))["DAT102"].find("failure")
    assert failure.get("message") == "0.png: the file is empty (and 9,999 more)"
    assert sum(line.startswith("error: ") for line in failure.text.splitlines()) == 10_000


def test_an_interrupted_run_is_not_green():
    report = bare(checks=(Check(rule="DAT102", outcome="passed"),), interrupted=True)
    assert suite(report).get("errors") == "1"


def test_a_report_without_rules_is_an_empty_suite():
    assert len(suite(bare())) == 0


def test_hostile_text_reads_as_it_is():
    text = by_rule(hostile(), Severity.INFO)["DAT102"].find("failure").text
    for said in HOSTILE:
        assert f"warning: {visible(said)}\n" in text


@given(REPORTS)
def test_any_text_is_read_back(report):
    cases = list(suite(report, Severity.INFO))
    failures = [case for case in cases if case.find("failure") is not None]
    assert len(failures) == len({finding.rule for finding in report.findings})
    for finding in report.findings:
        assert any(f"{finding.severity}: {visible(finding.message)}" in case.find("failure").text for case in failures)
    assert {case.get("classname") for case in cases} <= {visible(report.command)}
