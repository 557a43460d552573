"""Findings of both sides by fingerprint: new, gone and kept; and rules that are not judged any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dltool.core.baseline import Known, known_of
from dltool.core.baseline import Section as BaselineSection
from dltool.core.finding import Finding, Severity
from dltool.core.measured.compare import ComparedFinding, ComparedFindings, LostRule, RulesLost
from dltool.core.report import Report
from dltool.diagnostics.compare.read import Opened


@dataclass(frozen=True, slots=True)
class Found:
    """What one side found: what it is, how often, and (of a report) the findings themselves."""

    known: dict[str, Known]
    findings: dict[str, list[Finding]]

    def count(self, fingerprint: str) -> int:
        """How many findings bear the fingerprint."""
        known = self.known.get(fingerprint)
        return 0 if known is None else known.count

    def severity(self, fingerprint: str) -> Severity | None:
        """The gravest of them; None where there is none."""
        known = self.known.get(fingerprint)
        return None if known is None else known.severity


def found_on(side: Opened, sections: Sequence[BaselineSection]) -> Found:
    """All that a side found: of a report what is ignored or in its own baseline too, of a baseline its ``sections``."""
    if side.report is None:
        merged: dict[str, Known] = {}
        for each in (known for section in sections for known in section.findings):
            merged[each.fingerprint] = max(each, merged.get(each.fingerprint, each), key=lambda known: known.count)
        return Found(merged, {})
    findings: dict[str, list[Finding]] = {}
    every = all_of(side.report)
    for finding in every:
        findings.setdefault(finding.fingerprint, []).append(finding)
    return Found({each.fingerprint: each for each in known_of(every)}, findings)


def compare_findings(before: Found, after: Found, lost: RulesLost) -> ComparedFindings:
    """Findings by what became of them; those of a rule that is not judged any more are not called gone."""
    unjudged_rules = {rule.rule for rule in lost.rules}
    new, gone, kept, graver, unjudged = [], [], [], [], []
    for mark in _in_order(before, after):
        each = _compared(mark, before, after)
        if each.after > each.before:
            new.append(each)
        elif each.after == each.before:
            kept.append(each)
        elif each.rule in unjudged_rules and each.after == 0:
            unjudged.append(each)
        else:
            gone.append(each)
        if each.before and each.severity_before and each.severity_after:
            graver += [each] if each.severity_after.rank > each.severity_before.rank else []
    return ComparedFindings(
        new=tuple(new), gone=tuple(gone), kept=tuple(kept), graver=tuple(graver), unjudged=tuple(unjudged)
    )


def rules_lost(before: Opened, after: Opened) -> RulesLost:
    """Rules that the report before judged and the one after did not: skipped there, or not asked."""
    if before.report is None or after.report is None:
        return RulesLost(rules=())
    outcomes = {check.rule: check for check in after.report.checks}
    lost = []
    for check in before.report.checks:
        now = outcomes.get(check.rule)
        if check.outcome == "skipped" or (now is not None and now.outcome != "skipped"):
            continue
        reason = "not asked" if now is None else now.reason or "skipped"
        lost.append(LostRule(rule=check.rule, reason=reason, failed=check.outcome == "failed"))
    return RulesLost(rules=tuple(lost))


def regressed(report: Report, compared: ComparedFindings) -> list[Finding]:
    """The findings of the report after that count and are new, or graver than before, in its order.

    Of several with one fingerprint the last ones are taken to be new. What explains a finding and is no finding here is not
    named as its cause.
    """
    surplus = Counter({each.fingerprint: each.after - each.before for each in compared.new})
    graver = {each.fingerprint for each in compared.graver}
    chosen = []
    for finding in reversed(report.findings):
        if surplus[finding.fingerprint] > 0:
            surplus[finding.fingerprint] -= 1
            chosen.append(finding)
        elif finding.fingerprint in graver:
            chosen.append(finding)
    return chosen[::-1]


def all_of(report: Report) -> list[Finding]:
    """Every finding, also those that do not count there."""
    return [*report.findings, *(each.finding for each in report.suppressed)]


def _in_order(before: Found, after: Found) -> Iterable[str]:
    """Fingerprints: those of the side after first, in its order of rank, then those that only the side before has."""
    return dict.fromkeys((*after.findings, *after.known, *before.findings, *before.known))


def _compared(mark: str, before: Found, after: Found) -> ComparedFinding:
    known = after.known.get(mark) or before.known[mark]
    told = after.findings.get(mark) or before.findings.get(mark)
    return ComparedFinding(
        fingerprint=mark,
        rule=known.rule,
        name=known.name,
        where=known.where,
        message=told[0].message if told else "",
        before=before.count(mark),
        after=after.count(mark),
        severity_before=before.severity(mark),
        severity_after=after.severity(mark),
    )
