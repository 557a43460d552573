"""SARIF 2.1.0 (OASIS, errata 01), for code scanning: section numbers below are those of the standard."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from dltool.core import codec
from dltool.core.finding import Finding
from dltool.core.report import Report
from dltool.core.suppression import Suppression
from dltool.reporters.place import Ground, file_of, line_of
from dltool.reporters.prose import causes_of, reasons
from dltool.reporters.sarif_fixes import fixes
from dltool.reporters.sarif_rules import LEVELS, descriptors
from dltool.reporters.set_aside import stale_told
from dltool.reporters.visible import visible, well_formed

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"
FINGERPRINT = "dltool/v1"

MOST_RESULTS = 25_000
"""GitHub refuses a whole file that has more (docs.github.com, "SARIF support for code scanning")."""


class SarifReporter:
    """One run with every rule that was asked, each finding as a result, and skipped rules as notifications."""

    def __init__(self, ground: Ground, *, exit_code: int) -> None:
        self.ground = ground
        self.exit_code = exit_code

    def render(self, report: Report) -> str:
        """The log file."""
        rules = descriptors(report)
        indices = {rule["id"]: index for index, rule in enumerate(rules)}
        causes = causes_of(report)
        run = {
            "tool": {"driver": {"name": "dltool", "version": report.tool_version, "rules": rules}},
            "automationDetails": {"id": self._category(report)},
            "originalUriBaseIds": {ROOT: {"description": {"text": "The root of the repository."}}},
            "invocations": [self._invocation(report, indices)],
            "results": list(islice(self._results(report, indices, causes), MOST_RESULTS)),
            "properties": {"command": report.command, "target": report.target, "run": codec.encode(report.run)},
        }
        log = well_formed({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})
        return json.dumps(log, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    def _category(self, report: Report) -> str:
        """What keeps the results of one target apart from those of another: all before the last slash (§3.17.3)."""
        target = self.ground.shown(report.target) if Path(report.target).is_absolute() else report.target
        parts = ("dltool", report.command, *target.replace("\\", "/").split("/"))
        return "".join(f"{visible(part)}/" for part in parts if part)

    def _invocation(self, report: Report, indices: Mapping[str, int]) -> dict[str, Any]:
        skipped = [
            {
                "level": "note",
                "associatedRule": {"id": check.rule, "index": indices[check.rule]},
                "message": {"text": visible(f"{check.rule} was skipped: {check.reason or 'no reason given'}")},
            }
            for check in report.checks
            if check.outcome == "skipped"
        ]
        return {
            "executionSuccessful": not report.run.interrupted,  # findings are a success of the analysis (§3.20.14)
            "exitCode": self.exit_code,
            "toolExecutionNotifications": [*_warnings(report), *skipped],
        }

    def _results(
        self, report: Report, indices: Mapping[str, int], causes: Mapping[str, Finding]
    ) -> Iterator[dict[str, Any]]:
        """New findings first, then what is set aside: known ones by their state (§3.27.24), ignored ones suppressed."""
        new = {} if report.baseline is None else {"baselineState": "new"}
        for finding in report.findings:
            yield self._result(finding, report, indices, causes) | new
        for each in report.suppressed:
            result = self._result(each.finding, report, indices, causes)
            if each.suppression.by == "baseline":
                yield result | {"baselineState": "unchanged"}
            else:
                yield result | new | {"suppressions": [self._suppression(each.suppression)]}

    def _suppression(self, order: Suppression) -> dict[str, Any]:
        """§3.35: a comment or an entry of the spec is in the source, an option of the command line is not."""
        written = {"kind": "external" if order.file is None else "inSource"}
        reason = {} if order.reason is None else {"justification": visible(order.reason)}
        place = {} if order.file is None else {"location": {"physicalLocation": self._physical(order.file, order.line)}}
        return {**written, **reason, **place}

    def _result(
        self, finding: Finding, report: Report, indices: Mapping[str, int], causes: Mapping[str, Finding]
    ) -> dict[str, Any]:
        text = [visible(finding.message), *(f"{label}: {said}" for label, said in reasons(finding, causes))]
        result = {
            "ruleId": finding.rule,
            "ruleIndex": indices[finding.rule],
            "level": LEVELS[finding.severity],
            "message": {"text": _without_links("\n".join(text))},
            "partialFingerprints": {FINGERPRINT: finding.fingerprint},
            "properties": _properties(finding),
        }
        location = self._location(finding, report)
        file = finding.where.file
        mended = {} if file is None else fixes(finding, self._physical(file, None)["artifactLocation"])
        return result | ({"locations": [location]} if location else {}) | mended

    def _location(self, finding: Finding, report: Report) -> dict[str, Any]:
        file, line = file_of(finding, report), line_of(finding)
        location: dict[str, Any] = {}
        if file is not None:
            location["physicalLocation"] = self._physical(file, line)
        logical = list(_logical(finding))
        return location | ({"logicalLocations": logical} if logical else {})

    def _physical(self, file: str, line: int | None) -> dict[str, Any]:
        uri, relative = self.ground.uri(file)
        artifact = {"uri": uri, "uriBaseId": ROOT} if relative else {"uri": uri}
        region = {} if line is None else {"region": {"startLine": line}}
        return {"artifactLocation": artifact, **region}


def _logical(finding: Finding) -> Iterator[dict[str, str]]:
    """The module's path in the model, and the parameter's (§3.33)."""
    for kind, path in (("module", finding.where.module), ("member", finding.where.parameter)):
        if path:
            yield {"name": path.rpartition(".")[2] or path, "fullyQualifiedName": path, "kind": kind}


def _properties(finding: Finding) -> dict[str, Any]:
    """What SARIF has no word for, as in the JSON report."""
    fields = codec.encode(finding)
    where = {name: value for name, value in fields["where"].items() if value is not None}
    return {"where": where} | {name: fields[name] for name in ("caused_by", "cause", "evidence", "limit", "advice")}


def _warnings(report: Report) -> Iterator[dict[str, Any]]:
    if report.run.interrupted:
        yield {"level": "error", "message": {"text": "The run was interrupted: this is what was known by then."}}
    yield from ({"level": "note", "message": {"text": visible(told)}} for told in stale_told(report))
    more = len(report.findings) + len(report.suppressed) - MOST_RESULTS
    if more > 0:
        yield {"level": "warning", "message": {"text": f"{more:,} more findings are left out; the JSON report has them."}}


def _without_links(text: str) -> str:
    """``[name](address)`` in a message would be a link (§3.11.6)."""
    return text.replace("[", "\\[").replace("]", "\\]") if "](" in text else text
