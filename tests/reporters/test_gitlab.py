import json
import re

from ci_report import GROUND, HOSTILE, REPORTS, bare, fixed, hostile, many, said_everywhere
from hypothesis import given

from dltool.reporters.gitlab import GitlabReporter
from dltool.reporters.visible import visible, well_formed


def entries(report):
    return json.loads(GitlabReporter(GROUND).render(report), parse_constant=str)


def test_an_entry_says_what_where_and_how_grave():
    first, image, step, *others = entries(fixed())
    assert first["location"] == {"path": "nets/sigmoid.yaml", "lines": {"begin": 12}}
    assert image["location"] == {"path": "data/a|b/50%, `x`:\n<1>.png", "lines": {"begin": 1}}
    assert step["check_name"] == "non-finite-backward"
    assert [e["severity"] for e in (first, *others)] == ["critical", "major", "info"]


def test_no_findings_are_an_empty_list():
    assert entries(bare()) == []


def test_what_has_the_same_fingerprint_is_told_apart_and_stays_the_same():
    twice = [said_everywhere("a"), said_everywhere("b"), said_everywhere("a"), said_everywhere("a")]
    prints = [entry["fingerprint"] for entry in entries(bare(*twice))]
    assert len(set(prints)) == 4
    assert prints[0] == twice[0].fingerprint
    assert [entry["fingerprint"] for entry in entries(bare(*twice[:3]))] == prints[:3]


def test_ten_thousand_findings_are_ten_thousand_entries():
    assert len({entry["fingerprint"] for entry in entries(many(10_000))}) == 10_000


def test_hostile_names_are_told_on_one_line():
    assert [entry["description"] for entry in entries(hostile())] == [visible(text) for text in HOSTILE]


@given(REPORTS)
def test_any_text_gives_the_entries_that_gitlab_asks_for(report):
    found = entries(report)
    assert len({entry["fingerprint"] for entry in found}) == len(found) == len(report.findings)
    for entry, finding in zip(found, report.findings, strict=True):
        assert list(entry) == ["description", "check_name", "fingerprint", "severity", "location"]
        assert entry["check_name"] == well_formed(finding.name)
        assert re.fullmatch("[0-9a-f]{16}", entry["fingerprint"])
        assert entry["location"]["lines"]["begin"] >= 1
        json.dumps(entry, ensure_ascii=False).encode()
