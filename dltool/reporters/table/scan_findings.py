"""The findings of a scan, by rule: of each the first, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from dltool.core.finding import Finding
from dltool.reporters.numbers import plural
from dltool.reporters.prose import causes_of
from dltool.reporters.table.page import Page
from dltool.reporters.table.style import QUIET_STYLE, SEVERITY_STYLE, facts, heading, said

FINDINGS_SHOWN = 5


def scan_findings(page: Page) -> Iterator[RenderableType]:
    """A block for each rule: how many findings, the first of them, and what to do."""
    if page.report.command != "scan" or not page.report.findings:
        return
    yield heading("Findings", page.width, page.sign, "by rule, gravest first")
    blocks: dict[tuple[str, str], list[Finding]] = {}
    for finding in page.report.findings:
        blocks.setdefault((finding.severity, finding.name), []).append(finding)
    for found in blocks.values():
        yield _title(found, page)
        yield facts(_rows(found, page))
        yield ""


def _title(found: Sequence[Finding], page: Page) -> Text:
    first = found[0]
    style = SEVERITY_STYLE[first.severity]
    title = Text.assemble((f"{page.sign.of(first.severity)} {first.severity}  ", style), said(first.name, "bold"))
    title.append(f"  {first.rule}", QUIET_STYLE)
    samples = sum(_samples(finding) for finding in found)
    told = plural(len(found), "finding") if len(found) > 1 else ""
    if samples > 1:
        told += f"{', ' if told else ''}{plural(samples, 'sample')}"
    return title.append(f"  {told}", QUIET_STYLE)


def _rows(found: Sequence[Finding], page: Page) -> Iterator[tuple[str, Text]]:
    shown = list(found) if page.verbose else list(found[:FINDINGS_SHOWN])
    for index, finding in enumerate(shown):
        place = "" if finding.where.line is None else f" (line {finding.where.line})"
        yield "" if index else "found", said(finding.message + place)
    if len(found) > len(shown):
        yield "", said(f"and {plural(len(found) - len(shown), 'other')}, all with --verbose or --format json", QUIET_STYLE)
    causes = dict.fromkeys(finding.caused_by for finding in found if finding.caused_by is not None)
    names = causes_of(page.report)
    for cause in (names[each] for each in causes if each in names):
        yield "because of", said(f"{cause.name} ({cause.rule})", SEVERITY_STYLE[cause.severity])
        break
    advice = dict.fromkeys(each for finding in shown for each in finding.advice)
    for index, each in enumerate(advice):
        yield "or" if index else "fix", said(each, "green")


def _samples(finding: Finding) -> int:
    named = finding.evidence.get("samples")
    return len(named) if isinstance(named, list | tuple) else 0
