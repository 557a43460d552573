"""What does not count: known findings and ignored ones, dimmed, and the orders that are not needed any more."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType

from dltool.core.finding import Severity
from dltool.reporters.set_aside import groups_of, set_aside_told, stale_told
from dltool.reporters.table.page import Page
from dltool.reporters.table.style import QUIET_STYLE, SEVERITY_STYLE, facts, heading, said

SHOWN = 8


def set_aside(page: Page) -> Iterator[RenderableType]:
    """A line for each rule and reason; the first ones, and all of them where nothing is left out."""
    groups = groups_of(page.report)
    shown = groups if page.verbose else groups[:SHOWN]
    if groups:
        yield heading("Known and ignored", page.width, page.sign, set_aside_told(page.report))
        rows = [(group.word, said(group.told(), QUIET_STYLE)) for group in shown]
        if len(groups) > len(shown):
            rows.append(("", said(f"and {len(groups) - len(shown):,} more, all with --verbose", QUIET_STYLE)))
        yield facts(rows)
        yield ""


def in_vain(page: Page) -> Iterator[RenderableType]:
    """Orders to ignore that nothing was found for, and known findings that are gone."""
    told = list(stale_told(page.report))
    for sentence in told:
        yield said(f"{page.sign.info} {sentence}", SEVERITY_STYLE[Severity.INFO])
    if told:
        yield ""
