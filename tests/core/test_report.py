"""The report's public shape (DESIGN §4) and what may and may not move a fingerprint."""

import math

import pytest

from dltool.core.errors import Location, Problem, UserError, closest
from dltool.core.finding import Check, Finding, Severity, Where
from dltool.core.report import Report, RunInfo


def finding(**changes: object) -> Finding:
    fields = {"rule": "NAN106", "name": "non-finite-backward", "severity": Severity.ERROR, "message": "sqrt at 0"}
    return Finding(**(fields | changes))


def report(*findings: Finding) -> Report:
    return Report(
        command="train",
        target="spec.yaml",
        tool_version="0.1.0",
        run=RunInfo(seed=0, torch="2.13.0", device="cpu", spec_sha256=None, seconds=1.5, deterministic=True),
        findings=findings,
        checks=(Check(rule="NAN106", outcome="failed"), Check(rule="GRD103", outcome="skipped", reason="not measured")),
        measurements={"fit_status": "diverged"},
    )


def test_keys_stand_in_the_documented_order() -> None:
    data = report(finding()).to_dict()
    assert list(data) == ["schema_version", "tool", "command", "target", "run", "findings", "checks", "measurements"]
    assert list(data["findings"][0]) == [
        "rule", "name", "severity", "message", "fingerprint", "caused_by", "where", "cause", "evidence", "limit", "advice",
    ]  # fmt: skip
    assert list(data["findings"][0]["where"]) == [
        "phase", "op", "module", "parameter", "step", "samples", "rank", "file", "line", "key",
    ]  # fmt: skip


def test_a_report_comes_back_from_its_dict() -> None:
    original = report(finding(where=Where(step=3, samples=(5,)), evidence={"norm": 2.0}, advice=("add eps",)))
    back = Report.from_dict(original.to_dict())
    assert back.to_dict() == original.to_dict()


def test_worst_is_the_gravest_severity() -> None:
    assert report().worst() is None
    assert report(finding(severity=Severity.INFO), finding(severity=Severity.WARNING)).worst() is Severity.WARNING


@pytest.mark.parametrize(
    "changes",
    [
        {"message": "other words"},
        {"where": Where(step=7)},
        {"where": Where(file="/elsewhere/net.py", line=3)},
        {"evidence": {"norm": math.inf}},
        {"severity": Severity.INFO},
    ],
)
def test_fingerprint_survives_what_changes_from_run_to_run(changes: dict[str, object]) -> None:
    assert finding(**changes).fingerprint == finding().fingerprint


@pytest.mark.parametrize("where", [Where(module="a"), Where(parameter="a"), Where(op="a"), Where(key="a")])
def test_fingerprint_tells_places_apart(where: Where) -> None:
    assert finding(where=where).fingerprint != finding().fingerprint


def test_fingerprint_does_not_confuse_neighbouring_fields() -> None:
    assert finding(where=Where(module="a")).fingerprint != finding(where=Where(parameter="a")).fingerprint


def test_a_problem_says_where_what_and_what_is_right() -> None:
    problem = Problem(
        message="not a layer",
        location=Location(file="spec.yaml", line=4, column=7),
        key="model.layers.1",
        value="'linaer'",
        expected="a layer name",
        suggestion=closest("linaer", ["relu", "linear"]),
    )
    assert str(UserError(problem, "and another")) == (
        "spec.yaml:4:7: model.layers.1: not a layer (found 'linaer'); expected a layer name; did you mean 'linear'?"
        "\nand another"
    )


def test_nothing_close_is_no_suggestion() -> None:
    assert closest("zzz", ["relu", "linear"]) is None
