"""The catalogue as a table, and one rule's page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dltool.core.finding import Severity
from dltool.reporters.base import Look
from dltool.reporters.numbers import short
from dltool.reporters.table.page import TABLE_WIDTH, render
from dltool.reporters.table.style import QUIET_STYLE, SEVERITY_STYLE, Signs, facts, heading, indented, said, signs
from dltool.rules.base import Rule
from dltool.rules.explain import Page, page_of

FAMILIES = {
    "SPC": "the spec",
    "DAT": "the data",
    "INI": "initialisation",
    "GRD": "gradients",
    "ACT": "activations",
    "NAN": "values that are not finite",
    "OPT": "updates",
    "FIT": "fit status",
    "DST": "distributed training",
    "CMP": "a comparison of two results",
}


def rules_table(rules: Iterable[type[Rule]], look: Look) -> str:
    """A line for each rule, by family, in the order of the catalogue."""
    pages = [page_of(rule) for rule in rules]
    return render(_families(pages, look, signs(unicode=look.unicode)), look, look.width)


def rule_page(rule: type[Rule], look: Look) -> str:
    """Everything that is known of one rule: its page, its thresholds, what it can bring about."""
    return render(_page(page_of(rule), signs(unicode=look.unicode)), look, look.width)


def _families(pages: Sequence[Page], look: Look, sign: Signs) -> Iterator[RenderableType]:
    longest = max(len(page.name) for page in pages)
    for family in dict.fromkeys(page.id[:3] for page in pages):
        yield heading(f"{family}  {FAMILIES[family]}", look.width, sign)
        if look.width < TABLE_WIDTH:
            yield from _stacked((page for page in pages if page.id.startswith(family)), sign)
            continue
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(width=1)
        table.add_column(no_wrap=True, style=QUIET_STYLE)
        table.add_column(no_wrap=True, min_width=longest, style="cyan")
        table.add_column()
        for page in pages:
            if page.id.startswith(family):
                table.add_row(_sign(page, sign), page.id, page.name, said(page.summary))
        yield indented(table)
        yield ""
    told = "   ".join(f"{sign.of(severity)} {severity}" for severity in SEVERITY_STYLE)
    yield said(f"{told}   (dltool explain RULE tells the rest)", QUIET_STYLE)


def _stacked(pages: Iterable[Page], sign: Signs) -> Iterator[RenderableType]:
    """Where the summaries have no room beside the names, they go below."""
    for page in pages:
        yield Text.assemble(_sign(page, sign), " ", (page.id, QUIET_STYLE), " ", (page.name, "cyan"))
        yield indented(said(page.summary))
    yield ""


def _page(page: Page, sign: Signs) -> Iterator[RenderableType]:
    severity = Severity(page.severity)
    title = Text.assemble((page.name, "bold cyan"), f"  {page.id}  ")
    yield title.append(f"{sign.of(severity)} {severity}", SEVERITY_STYLE[severity])
    yield said(page.summary)
    for name, text in page.sections:
        yield ""
        yield said(name, "bold")
        yield indented(said(text[:1].upper() + text[1:]))
    if page.thresholds:
        yield ""
        yield said("Thresholds", "bold")
        limits = ((f"{page.name}.{t.name}", f"{short(t.default)} {t.unit} ({t.source})") for t in page.thresholds)
        yield facts((name, said(text)) for name, text in limits)
    if page.explains:
        yield ""
        yield said("Can bring about", "bold")
        yield indented(said(", ".join(page.explains)))


def _sign(page: Page, sign: Signs) -> Text:
    severity = Severity(page.severity)
    return Text(sign.of(severity), SEVERITY_STYLE[severity])
