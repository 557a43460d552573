"""JUnit XML: every rule that was asked is a test, so that a CI shows what passed and what was skipped as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as ET

from dltool.core.finding import Check, Finding, Severity
from dltool.core.report import Report
from dltool.reporters.place import Ground, file_of, line_of
from dltool.reporters.prose import causes_of, paragraph
from dltool.reporters.set_aside import groups_of, stale_told
from dltool.reporters.visible import visible
from dltool.rules.catalogue import RULES

NAMES = {rule.id: rule.name for rule in RULES}


class JunitReporter:
    """One suite for the run. Findings below ``fail_from`` are told in system-out, and their test passes."""

    def __init__(self, ground: Ground, *, fail_from: Severity | None) -> None:
        self.ground = ground
        self.fail_from = fail_from

    def render(self, report: Report) -> str:
        """The XML document."""
        causes = causes_of(report)
        aside: dict[str, list[str]] = {}
        for group in groups_of(report):
            aside.setdefault(group.findings[0].rule, []).append(visible(f"{group.word}: {group.told()}"))
        by_rule: dict[str, list[Finding]] = {}
        for finding in report.findings:
            by_rule.setdefault(finding.rule, []).append(finding)
        checks = [*report.checks, *_unasked(report, by_rule)]
        cases = [
            self._case(check, by_rule.get(check.rule, []), report, causes, aside.get(check.rule, [])) for check in checks
        ]
        if report.run.interrupted:
            cases.append(_interruption(report))
        counts = {
            "tests": str(len(cases)),
            "failures": _count(cases, "failure"),
            "errors": _count(cases, "error"),
            "skipped": _count(cases, "skipped"),
            "time": f"{report.run.seconds:.3f}",
        }
        root = ET.Element("testsuites", {"name": "dltool", **counts})
        suite = ET.SubElement(root, "testsuite", {"name": visible(f"dltool {report.command} {report.target}"), **counts})
        suite.extend(cases)
        stale = "\n".join(visible(told) for told in stale_told(report))
        if stale:
            ET.SubElement(suite, "system-out").text = stale
        ET.indent(root)
        return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'

    def _case(
        self,
        check: Check,
        found: Sequence[Finding],
        report: Report,
        causes: Mapping[str, Finding],
        aside: Sequence[str],
    ) -> ET.Element:
        case = ET.Element("testcase", self._attributes(check, found, report))
        body = "\n".join([*(paragraph(finding, causes) for finding in found), *aside])
        worst = max((finding.severity for finding in found), key=lambda severity: severity.rank, default=None)
        if worst is not None and self.fail_from is not None and worst.rank >= self.fail_from.rank:
            more = f" (and {len(found) - 1:,} more)" if len(found) > 1 else ""
            attributes = {"message": f"{visible(found[0].message)}{more}", "type": worst.value}
            ET.SubElement(case, "failure", attributes).text = body
        elif check.outcome == "skipped" and not found:
            ET.SubElement(case, "skipped", {"message": visible(check.reason or "")})
        elif body:
            ET.SubElement(case, "system-out").text = body
        return case

    def _attributes(self, check: Check, found: Sequence[Finding], report: Report) -> dict[str, str]:
        name = found[0].name if found else NAMES.get(check.rule, "")
        attributes = {"name": visible(f"{check.rule} {name}".rstrip()), "classname": visible(report.command), "time": "0"}
        file = file_of(found[0], report) if found else None
        line = line_of(found[0]) if found else None
        if file is not None:
            attributes["file"] = visible(self.ground.shown(file))
        if line is not None:
            attributes["line"] = str(line)
        return attributes


def _unasked(report: Report, by_rule: Mapping[str, Sequence[Finding]]) -> list[Check]:
    """Rules that found something without a check of their own: their findings are not to be lost."""
    asked = {check.rule for check in report.checks}
    return [Check(rule=rule, outcome="failed") for rule in by_rule if rule not in asked]


def _interruption(report: Report) -> ET.Element:
    """Rules that passed on half of a run prove nothing: without this, an interrupted run would be green."""
    case = ET.Element("testcase", {"name": "the whole run", "classname": visible(report.command), "time": "0"})
    ET.SubElement(case, "error", {"message": "the run was interrupted", "type": "interrupted"})
    return case


def _count(cases: Sequence[ET.Element], kind: str) -> str:
    return str(sum(1 for case in cases if case.find(kind) is not None))
