"""Findings that do not count, in every format: told, and never failed or annotated."""

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from ci_report import GROUND, bare

from dltool.core.finding import Check, Finding, Severity, Where
from dltool.core.report import Report
from dltool.core.suppression import Stale, Suppressed, Suppression, settled
from dltool.reporters.base import Detail, Look
from dltool.reporters.github import GithubReporter
from dltool.reporters.gitlab import GitlabReporter
from dltool.reporters.jsonl import JsonlReporter
from dltool.reporters.junit import JunitReporter
from dltool.reporters.markdown import MarkdownReporter
from dltool.reporters.report_schema import report_schema
from dltool.reporters.sarif import SarifReporter
from dltool.reporters.table.reporter import TableReporter

SCHEMA = json.loads((Path(__file__).parent / "sarif-schema-2.1.0.json").read_text(encoding="utf-8"))


def finding(rule, name, **where):
    return Finding(rule=rule, name=name, severity=Severity.ERROR, message=f"{name} is bad", where=Where(**where))


NEW = finding("NAN106", "non-finite-backward", module="net", file="net.py", line=41)
KNOWN = finding("ACT101", "dead-relu", module="layers.2", key="model.layers.2", file="s.yaml", line=9)
IGNORED = finding("SPC101", "softmax-before-cross-entropy", key="model.layers.6", file="s.yaml", line=20)
LEFT_OUT = finding("DAT112", "class-imbalance", key="classes")
BY_FILE = Suppression(by="baseline", file="ci/dltool-baseline.json")
BY_COMMENT = Suppression(by="comment", reason="a les\x1bson", file="s.yaml", line=20)
SYMPTOM = replace(finding("FIT103", "not-converged"), caused_by=KNOWN.fingerprint)


def gated(*findings):
    suppressed = (
        Suppressed(finding=LEFT_OUT, suppression=Suppression(by="command-line", reason="ignored on the command line")),
        Suppressed(finding=IGNORED, suppression=BY_COMMENT),
        Suppressed(finding=KNOWN, suppression=BY_FILE),
        Suppressed(finding=KNOWN, suppression=BY_FILE),
    )
    failed = {each.rule for each in (*findings, KNOWN, IGNORED)}
    outcomes = {rule: "failed" if rule in failed else "passed" for rule in ("SPC101", "ACT101", "NAN106", "FIT103")}
    checks = [Check(rule=rule, outcome=outcome) for rule, outcome in outcomes.items()]
    checks.append(Check(rule="DAT112", outcome="skipped", reason="ignored on the command line"))
    stale = (
        Stale(rule="dead-relu", suppression=Suppression(by="comment", file="s.yaml", line=3), message="need not be ignored"),
        Stale(rule="overfitting", suppression=BY_FILE, message="no longer occurs", count=3),
    )
    report = bare(*findings, command="train", target="s.yaml", checks=settled(checks, findings, suppressed))
    return replace(report, suppressed=suppressed, stale=stale, baseline="ci/dltool-baseline.json")


GONE = "ci/dltool-baseline.json: 3 of 5 known findings no longer occur (overfitting); refresh it with --write-baseline"


def test_the_report_goes_to_json_and_back_and_fits_its_schema():
    data = gated(NEW, SYMPTOM).to_dict()
    jsonschema.validate(data, report_schema())
    assert [each["name"] for each in data["findings"]] == ["non-finite-backward", "not-converged"]
    assert [each["suppression"]["by"] for each in data["suppressed"]] == ["command-line", "comment", "baseline", "baseline"]
    assert data["suppressed"][3]["fingerprint"] == KNOWN.fingerprint
    assert Report.from_dict(json.loads(json.dumps(data))).to_dict() == data
    head = json.loads(JsonlReporter().render(gated(NEW)).splitlines()[0])
    assert (head["findings_count"], len(head["suppressed"]), head["baseline"]) == (1, 4, "ci/dltool-baseline.json")


def test_a_report_with_nothing_aside_has_no_such_keys():
    assert not {"suppressed", "stale", "baseline"} & bare(NEW).to_dict().keys()


def test_the_page_tells_them_dimmed_and_counts_new_ones():
    text = TableReporter(Look(width=140)).render(gated(NEW, SYMPTOM))
    assert "known       dead-relu (ACT101), 2 findings at s.yaml:9: in ci/dltool-baseline.json" in text
    assert "ignored     softmax-before-cross-entropy (SPC101) at s.yaml:20: a les\\x1bson (s.yaml:20)" in text
    assert "● s.yaml:3: dead-relu need not be ignored" in text
    assert f"● {GONE}" in text
    assert "because of  dead-relu (ACT101)" in text, "a known cause explains a new symptom"
    assert text.splitlines()[-1].startswith("✖ 2 new errors  2 known, 2 ignored  2 of the 4 rules that apply passed")
    clean = TableReporter(Look(width=140)).render(gated())
    assert clean.splitlines()[-1].startswith("✔ no new findings  2 known, 2 ignored  all 4 rules that apply passed")
    assert "dead-relu is bad" not in clean
    quiet = TableReporter(Look(width=140, detail=Detail.QUIET)).render(gated())
    assert "Known and ignored" not in quiet
    assert GONE in quiet


def test_long_lists_are_cut_unless_all_is_asked_for():
    suppressed = tuple(Suppressed(finding=finding(f"XYZ{i}", f"rule-{i}"), suppression=BY_FILE) for i in range(100, 130))
    report = replace(gated(), suppressed=suppressed)
    assert "and 22 more, all with --verbose" in TableReporter(Look()).render(report)
    assert "rule-129" in TableReporter(Look(detail=Detail.VERBOSE)).render(report)


def test_sarif_has_states_and_suppressions_and_fits_the_schema():
    log = json.loads(SarifReporter(GROUND, exit_code=1).render(gated(NEW)))
    jsonschema.Draft4Validator(SCHEMA).validate(log)
    (run,) = log["runs"]
    told = [(r["ruleId"], r.get("baselineState"), "suppressions" in r) for r in run["results"]]
    assert told == [
        ("NAN106", "new", False),
        ("DAT112", "new", True),
        ("SPC101", "new", True),
        ("ACT101", "unchanged", False),
        ("ACT101", "unchanged", False),
    ]
    (external,), (in_source,) = (result["suppressions"] for result in run["results"][1:3])
    assert external == {"kind": "external", "justification": "ignored on the command line"}
    assert in_source["kind"] == "inSource"
    assert in_source["justification"] == "a les\\x1bson"
    assert in_source["location"]["physicalLocation"]["region"] == {"startLine": 20}
    notes = [note["message"]["text"] for note in run["invocations"][0]["toolExecutionNotifications"]]
    assert GONE in notes
    assert all(run["tool"]["driver"]["rules"][r["ruleIndex"]]["id"] == r["ruleId"] for r in run["results"])


def test_junit_passes_them_and_tells_them():
    root = ET.fromstring(JunitReporter(GROUND, fail_from=Severity.ERROR).render(gated(NEW)))
    assert (root.get("failures"), root.get("skipped")) == ("1", "1")
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert "2 findings" in cases["ACT101 dead-relu"].findtext("system-out")
    assert cases["SPC101 softmax-before-cross-entropy"].find("failure") is None
    assert cases["DAT112 class-imbalance"].find("skipped") is not None
    assert GONE in root.findtext("testsuite/system-out")


@pytest.mark.parametrize("reporter", [GithubReporter(GROUND), GitlabReporter(GROUND)])
def test_code_hosts_annotate_new_ones_alone(reporter):
    text = reporter.render(gated(NEW))
    assert text.count("non-finite-backward is bad") == 1
    assert "dead-relu is bad" not in text
    assert "softmax-before-cross-entropy is bad" not in text
    if isinstance(reporter, GithubReporter):
        assert "1 new error, 2 known, 2 ignored" in text
        assert f"\n{GONE}\n" in text
        assert sum(line.startswith("::") for line in text.splitlines()) == 1


def test_markdown_folds_them():
    text = MarkdownReporter(GROUND).render(gated())
    assert text.startswith("## ✔ dltool train: no new findings, 2 known, 2 ignored")
    assert "<summary>Known and ignored</summary>" in text
    assert "dead-relu (ACT101), 2 findings at s.yaml:9" in text.replace("\\", "")
