"""What came of passing every sample of a scan through a model."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from dltool.core.measured.scan_model import Probed
from dltool.reporters.numbers import count, plural
from dltool.reporters.table.page import Page
from dltool.reporters.table.style import facts, heading, said


def scan_probe(page: Page) -> Iterator[RenderableType]:
    """Which model, how many samples gave NaN or Inf, and which were not tried."""
    section = page.measured.get(Probed)
    if section is None:
        return
    yield heading("Probe", page.width, page.sign, plural(section.samples, "sample"))
    yield facts(_rows(section))
    yield ""


def _rows(section: Probed) -> Iterator[tuple[str, Text]]:
    yield "model", said(section.model)
    bad = sum(max(1, len(each.rows)) for each in section.bad)
    if section.samples:
        told = f"{plural(bad, 'sample')} of {count(section.samples)} gave NaN or Inf, which the findings name"
        yield "outcome", said(told, "bold red") if bad else said("every value was finite")
    if section.told_already:
        yield "known", said(f"{plural(section.told_already, 'sample')} with NaN or Inf in the data itself, told as such")
    if section.not_probed or section.reason_not_probed:
        who = f"{plural(section.not_probed, 'sample')}: " if section.not_probed else ""
        yield "not tried", said(f"{who}{section.reason_not_probed or 'they cannot be put into a batch'}", "yellow")
