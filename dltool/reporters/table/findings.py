"""The findings, most probable root cause first, each with its place, its cause and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import RenderableType
from rich.text import Text

from dltool.core.finding import Finding
from dltool.reporters.place import places
from dltool.reporters.prose import causes_of
from dltool.reporters.table.birth import birth, event_of, proof
from dltool.reporters.table.correction import APART, correction
from dltool.reporters.table.page import Page
from dltool.reporters.table.style import QUIET_STYLE, SEVERITY_STYLE, facts, heading, indented, said
from dltool.reporters.table.words import worded


def findings(page: Page) -> Iterator[RenderableType]:
    """One block per finding; nothing where there are none (the summary says so)."""
    if not page.report.findings or page.report.command == "scan":  # of a scan there may be thousands: told by rule
        return
    causes = causes_of(page.report)
    yield heading("Findings", page.width, page.sign, "most probable root cause first")
    for finding in page.report.findings:
        yield _title(finding, page)
        yield indented(said(finding.message))
        yield facts(_rows(finding, causes.get(finding.caused_by or ""), page))
        yield ""


def _title(finding: Finding, page: Page) -> Text:
    style = SEVERITY_STYLE[finding.severity]
    title = Text.assemble((f"{page.sign.of(finding.severity)} {finding.severity}  ", style), said(finding.name, "bold"))
    return title.append(f"  {finding.rule}", QUIET_STYLE)


def _rows(finding: Finding, cause: Finding | None, page: Page) -> Iterator[tuple[str, Text]]:
    event = event_of(finding, page)
    where = page.sign.dot.join(places(finding.where))
    if where:
        yield "where", said(where)
    if event is not None:
        yield from birth(event, page)
    if cause is not None:
        yield "because of", said(f"{cause.name} ({cause.rule})", SEVERITY_STYLE[cause.severity])
    if finding.cause is not None:
        yield "cause", said(finding.cause)
    for index, advice in enumerate(finding.advice):
        yield "fix" if index == 0 else "or", said(advice, "green")
    yield from correction(finding)
    if event is not None:
        yield from proof(event, finding.advice, page)
    if page.verbose:
        yield from numbers("evidence", {key: value for key, value in finding.evidence.items() if key not in APART})
        yield from numbers("limit", finding.limit)


def numbers(label: str, values: Mapping[str, object]) -> Iterator[tuple[str, Text]]:
    """Evidence in words: its names and values in one sentence."""
    if values:
        yield label, said(", ".join(f"{key.replace('_', ' ')} {_of(key, value)}" for key, value in values.items()))


def _of(key: str, value: object) -> str:
    if key.endswith("interval") and isinstance(value, list | tuple) and len(value) == 2:
        return f"{worded(value[0])} to {worded(value[1])}"
    return worded(value)
