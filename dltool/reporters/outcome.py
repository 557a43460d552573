"""A report in a line: how many findings of which severity, and how many rules passed."""

from __future__ import annotations

from collections import Counter

from dltool.core.finding import Severity
from dltool.core.report import Report
from dltool.reporters.numbers import plural
from dltool.reporters.set_aside import set_aside_told


def counted(severity: Severity, number: int, *, new: bool = False) -> str:
    """``2 errors``, ``1 warning``, ``3 info``; ``new`` says that others are known."""
    kind = f"{'new ' if new else ''}{severity}"
    return f"{number:,} {kind}" if severity is Severity.INFO else plural(number, kind)


def findings_told(report: Report) -> str:
    """``1 error, 2 warnings``; without findings, whether anything was judged at all."""
    found = Counter(finding.severity for finding in report.findings)
    new = report.baseline is not None
    told = [counted(severity, found[severity], new=new) for severity in reversed(Severity) if found[severity]]
    if not told:
        told = ["nothing was judged" if nothing_judged(report) else f"no {'new ' if new else ''}findings"]
    aside = set_aside_told(report)
    return ", ".join([*told, *([aside] if aside else [])])


def nothing_judged(report: Report) -> bool:
    """Every rule was skipped: no findings, and yet no clean bill."""
    return {check.outcome for check in report.checks} == {"skipped"}


def rules_passed(report: Report, *, skipped: bool) -> str:
    """Of the rules that this command gives something to judge, how many passed; those skipped where ``skipped`` asks."""
    outcomes = Counter(check.outcome for check in report.checks)
    judged, passed = outcomes["passed"] + outcomes["failed"], outcomes["passed"]
    if judged == 0:
        told = "no rule applies"
    elif judged == 1:
        told = f"the one rule that applies {'passed' if passed else 'did not pass'}"
    else:
        told = f"{'all' if passed == judged else f'{passed} of the'} {judged} rules that apply passed"
    return f"{told}, {outcomes['skipped']} skipped" if skipped and outcomes["skipped"] else told
