import json

from ci_report import REPORTS, fixed, many
from hypothesis import given

from dltool.core.report import Report
from dltool.reporters.jsonl import JsonlReporter
from dltool.reporters.visible import well_formed


def lines(report):
    return [json.loads(line, parse_constant=str) for line in JsonlReporter().render(report).splitlines()]


def test_the_first_line_is_the_report_and_each_other_a_finding():
    head, *found = lines(fixed())
    assert head.pop("type") == "report"
    assert head.pop("findings_count") == 5
    assert [line.pop("type") for line in found] == ["finding"] * 5
    assert {**head, "findings": found} == fixed().to_dict()


def test_a_report_comes_back_from_its_lines():
    head, *found = lines(fixed())
    assert Report.from_dict(head | {"findings": found}).to_dict() == fixed().to_dict()


def test_a_reader_can_take_findings_one_by_one():
    found = iter(JsonlReporter().render(many(10_000)).splitlines())
    assert json.loads(next(found))["findings_count"] == 10_000
    assert [json.loads(line)["where"]["key"] for line in found] == [f"{i}.png" for i in range(10_000)]


@given(REPORTS)
def test_any_text_comes_back(report):
    text = JsonlReporter().render(report)
    assert text.isascii()
    head, *found = lines(report)
    expected = well_formed(report.to_dict())
    assert [{k: v for k, v in line.items() if k != "type"} for line in found] == expected.pop("findings")
    assert {k: v for k, v in head.items() if k not in {"type", "findings_count"}} == expected
