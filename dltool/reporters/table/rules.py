"""The catalogue as a table, and one rule's page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dltool.reporters.base import Look
from dltool.reporters.catalogue import page_of, summary_of
from dltool.reporters.numbers import short
from dltool.reporters.table.page import render
from dltool.reporters.table.style import QUIET_STYLE, SEVERITY_STYLE, facts, indented, said, signs
from dltool.rules.base import Rule

FAMILIES = {
    "SPC": "the spec",
    "DAT": "data",
    "INI": "initialisation",
    "GRD": "gradients",
    "ACT": "activations",
    "NAN": "non-finite values",
    "OPT": "updates",
    "FIT": "fit status",
    "DST": "distributed training",
}
HEADINGS = ("What it measures", "Why it is bad", "How to fix", "When it is wrong", "References")


def rules_table(rules: Iterable[type[Rule]], look: Look) -> str:
    """A line for each rule, by family, in the order of the catalogue."""
    return render(_families(tuple(rules), look), look, look.width)


def rule_page(rule: type[Rule], look: Look) -> str:
    """Everything that is known of one rule: its docstring, its thresholds, what it can bring about."""
    return render(_page(rule, look), look, look.width)


def _families(rules: tuple[type[Rule], ...], look: Look) -> Iterator[RenderableType]:
    sign = signs(unicode=look.unicode)
    for family in dict.fromkeys(rule.id[:3] for rule in rules):
        yield Text.assemble((family, "bold"), (f"  {FAMILIES.get(family, '')}", QUIET_STYLE))
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(width=1)
        table.add_column(no_wrap=True, width=6)
        table.add_column(no_wrap=True, width=max(len(rule.name) for rule in rules), style="cyan")
        table.add_column()
        for rule in rules:
            if rule.id.startswith(family):
                mark = Text(sign.of(rule.severity), SEVERITY_STYLE[rule.severity])
                table.add_row(mark, rule.id, rule.name, said(summary_of(rule)))
        yield indented(table)
        yield ""
    told = "   ".join(f"{sign.of(severity)} {severity}" for severity in SEVERITY_STYLE)
    yield said(f"{told}   dltool explain RULE tells the rest", QUIET_STYLE)


def _page(rule: type[Rule], look: Look) -> Iterator[RenderableType]:
    style = SEVERITY_STYLE[rule.severity]
    sign = signs(unicode=look.unicode).of(rule.severity)
    yield Text.assemble((rule.name, "bold cyan"), f"  {rule.id}  ", (f"{sign} {rule.severity}", style))
    yield ""
    for line in page_of(rule).splitlines():
        title = line.strip().rstrip(":")
        yield Text(title, style="bold") if title in HEADINGS else said(line)
    if rule.thresholds:
        yield ""
        yield Text("Thresholds", style="bold")
        yield facts((t.name, said(f"{short(t.default)} {t.unit}. {t.source}")) for t in rule.thresholds)
    if rule.explains:
        yield ""
        yield Text("Can bring about", style="bold")
        yield indented(said(", ".join(rule.explains)))
