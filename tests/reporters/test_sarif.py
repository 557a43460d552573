import json
import re
from pathlib import Path

import jsonschema
import pytest
from ci_report import GROUND, REPORTS, bare, fixed, hostile, many
from hypothesis import given, settings

from dltool.core.finding import Check, Finding, Severity, Where
from dltool.reporters import sarif
from dltool.reporters.sarif import SarifReporter
from dltool.rules.catalogue import RULES

SCHEMA = json.loads((Path(__file__).parent / "sarif-schema-2.1.0.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft4Validator(SCHEMA)
URI = re.compile(r"(file:///)?([A-Za-z0-9_.~/-]|%[0-9A-F]{2})+")


def run(report, exit_code=1):
    text = SarifReporter(GROUND, exit_code=exit_code).render(report)
    log = json.loads(text, parse_constant=pytest.fail)
    (only,) = log["runs"]
    return only, log


def test_the_schema_is_one_and_refuses_what_it_should():
    jsonschema.Draft4Validator.check_schema(SCHEMA)
    _, log = run(fixed())
    log["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(log)


@pytest.mark.parametrize("make", [fixed, bare, hostile, lambda: many(50), lambda: bare(interrupted=True)])
def test_the_log_fits_the_official_schema(make):
    VALIDATOR.validate(run(make())[1])


def test_every_rule_of_the_catalogue_can_be_described():
    only, log = run(bare(checks=tuple(Check(rule=rule.id, outcome="passed") for rule in reversed(RULES))))
    VALIDATOR.validate(log)
    rules = only["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [rule.id for rule in RULES]
    assert all(rule["help"]["text"] and rule["help"]["markdown"].startswith(f"# {rule['id']} ") for rule in rules)
    assert all(len(rule["shortDescription"]["text"]) <= 1024 for rule in rules)  # GitHub's limit


def test_a_result_points_at_the_line_and_at_the_module():
    only, _ = run(fixed())
    first, image, step, warning, note = only["results"]
    place = step["locations"][0]
    assert place["physicalLocation"] == {
        "artifactLocation": {"uri": "nets/net.py", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 41},
    }
    assert place["logicalLocations"] == [{"name": "frontend", "fullyQualifiedName": "frontend", "kind": "module"}]
    uri = image["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "data/a%7Cb/50%25%2C%20%60x%60%3A%0A%3C1%3E.png"
    assert "region" not in image["locations"][0]["physicalLocation"]
    assert [result["level"] for result in (first, warning, note)] == ["error", "warning", "note"]
    assert first["partialFingerprints"] == {"dltool/v1": fixed().findings[0].fingerprint}
    rules = only["tool"]["driver"]["rules"]
    assert [rules[result["ruleIndex"]]["id"] for result in only["results"]] == [f.rule for f in fixed().findings]


def test_a_target_that_is_no_file_leaves_the_module_only():
    finding = Finding(rule="ACT101", name="dead-relu", severity=Severity.ERROR, message="m", where=Where(module="a.b"))
    (result,) = run(bare(finding, command="train", target="pkg.net:make"))[0]["results"]
    assert list(result["locations"][0]) == ["logicalLocations"]


def test_what_lies_outside_of_the_repository_has_an_absolute_uri():
    finding = Finding(rule="DAT102", name="n", severity=Severity.ERROR, message="m", where=Where(file="/mnt/set 1/a.png"))
    (result,) = run(bare(finding))[0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": "file:///mnt/set%201/a.png"}


def test_skipped_rules_and_the_exit_code_are_in_the_invocation():
    (invocation,) = run(fixed())[0]["invocations"]
    assert invocation["exitCode"] == 1
    assert invocation["executionSuccessful"]
    (skip,) = invocation["toolExecutionNotifications"]
    assert skip["associatedRule"]["id"] == "NAN105"
    assert skip["message"]["text"] == "NAN105 was skipped: no loss was measured"


def test_an_interrupted_run_says_so():
    (invocation,) = run(bare(interrupted=True), exit_code=130)[0]["invocations"]
    assert not invocation["executionSuccessful"]
    assert invocation["exitCode"] == 130
    assert invocation["toolExecutionNotifications"][0]["level"] == "error"


def test_targets_do_not_replace_each_other_on_github():
    targets = ("a.yaml", "sub/b.yaml", "/repo/nets/c.py:make", "data\\x")
    ids = [run(bare(target=target))[0]["automationDetails"]["id"] for target in targets]
    assert ids == [f"dltool/scan/{name}/" for name in ("a.yaml", "sub/b.yaml", "nets/c.py:make", "data/x")]


def test_a_message_cannot_make_a_link():
    finding = Finding(rule="DAT102", name="n", severity=Severity.ERROR, message="[click](http://evil.example)")
    (result,) = run(bare(finding))[0]["results"]
    assert result["message"]["text"] == r"\[click\](http://evil.example)"


def test_no_more_results_than_github_takes_and_the_rest_is_counted(monkeypatch):
    assert sarif.MOST_RESULTS == 25_000
    monkeypatch.setattr(sarif, "MOST_RESULTS", 30)
    only, _ = run(many(37))
    assert len(only["results"]) == 30
    assert "7 more findings" in only["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]


@settings(max_examples=40, deadline=None)
@given(REPORTS)
def test_any_text_gives_a_valid_log(report):
    only, log = run(report)
    VALIDATOR.validate(log)
    json.dumps(log, ensure_ascii=False).encode()
    assert len(only["results"]) == len(report.findings)
    for result in only["results"]:
        for location in result.get("locations", []):
            if "physicalLocation" in location:
                assert URI.fullmatch(location["physicalLocation"]["artifactLocation"]["uri"])
                assert location["physicalLocation"].get("region", {"startLine": 1})["startLine"] >= 1
