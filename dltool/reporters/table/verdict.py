"""The end of the page: which rules could not run, the fit status with its evidence, and the count of findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from dltool.core.finding import Severity
from dltool.reporters.outcome import counted, nothing_judged, rules_passed
from dltool.reporters.set_aside import set_aside_told
from dltool.reporters.table.findings import numbers
from dltool.reporters.table.page import Page
from dltool.reporters.table.style import GOOD_STYLE, QUIET_STYLE, SEVERITY_STYLE, facts, heading, indented, said

GOOD_FIT = "good-fit"


def checks(page: Page) -> Iterator[RenderableType]:
    """Rules that were skipped, and why: not run is not the same as fine."""
    skipped = [(check.rule, said(check.reason or "")) for check in page.report.checks if check.outcome == "skipped"]
    if skipped:
        yield heading("Skipped rules", page.width, page.sign)
        yield facts(skipped)
        yield ""


def verdict(page: Page) -> Iterator[RenderableType]:
    """The fit status: the word, the reason, the numbers behind it and the field's advice."""
    fit = page.report.measurements.get("fit")
    if not isinstance(fit, Mapping):
        return
    yield heading("Verdict", page.width, page.sign)
    yield _status(str(fit.get("status", "")), page)
    reason = str(fit.get("reason") or "")
    told = next((f for f in page.report.findings if f.message == reason), None)
    if told is not None:
        yield indented(said(f"as {told.name} ({told.rule}) says above", QUIET_STYLE))
    elif reason:
        yield indented(said(reason))
    yield facts(_grounds(fit, page))
    yield ""


def _status(status: str, page: Page) -> Text:
    if status == GOOD_FIT:
        return said(f"{page.sign.good} good fit", GOOD_STYLE)
    named = (finding.severity for finding in page.report.findings if finding.name == status)
    severity = max(named, key=lambda s: s.rank, default=Severity.INFO)
    return said(f"{page.sign.of(severity)} {status.replace('-', ' ')}", SEVERITY_STYLE[severity])


def _grounds(fit: Mapping[str, Any], page: Page) -> Iterator[tuple[str, Text]]:
    yield from numbers("evidence", fit.get("evidence") or {})
    told = {advice for finding in page.report.findings for advice in finding.advice}
    fresh = [str(advice) for advice in fit.get("advice") or () if advice not in told]
    for index, advice in enumerate(fresh):
        yield "advice" if index == 0 else "", said(advice, "green")


def summary(page: Page) -> Iterator[RenderableType]:
    """One line: findings by severity, and of the rules that this command gives something to judge, how many passed."""
    found = Counter(finding.severity for finding in page.report.findings)
    line = Text()
    for severity in reversed(Severity):
        if found[severity]:
            text = counted(severity, found[severity], new=page.report.baseline is not None)
            line.append(f"{page.sign.of(severity)} {text}", SEVERITY_STYLE[severity]).append("  ")
    if not found and nothing_judged(page.report):
        line.append("nothing was judged", SEVERITY_STYLE[Severity.WARNING]).append("  ")
    elif not found:
        new = "" if page.report.baseline is None else "new "
        line.append(f"{page.sign.good} no {new}findings", GOOD_STYLE).append("  ")
    aside = set_aside_told(page.report)
    if aside:
        line.append(aside, QUIET_STYLE).append("  ")
    if page.report.checks:
        line.append(rules_passed(page.report, skipped=page.verbose), QUIET_STYLE)
    yield line
