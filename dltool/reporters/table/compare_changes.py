"""Measurements before and after, beside their noise, and the curves of both runs in one plot."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dltool.core.measured.compare import Change, Changes, ComparedCurve, ComparedCurves
from dltool.reporters.numbers import significant
from dltool.reporters.plot import DASHED, Series, plot
from dltool.reporters.table.page import Page
from dltool.reporters.table.style import GOOD_STYLE, QUIET_STYLE, heading, indented, said

ALWAYS = frozenset({"loss", "metric", "rate", "hunt", "speed"})
"""Few and what people ask for first: shown also where they did not move."""
MOST_OF_A_GROUP = 8
ROWS = 9
WIDEST = 100
FEWEST_EPOCHS = 3
STYLES = {
    "worse": "bold red",
    "changed": "bold yellow",
    "better": GOOD_STYLE,
    "within-noise": QUIET_STYLE,
    "equal": QUIET_STYLE,
}


def compare_changes(page: Page) -> Iterator[RenderableType]:
    """A row for each quantity that moved by more than its noise (all with --verbose), and for losses, metrics and speed."""
    measured = page.measured.get(Changes)
    if measured is None or not measured.changes:
        return
    shown = measured.changes if page.verbose else tuple(_worth_showing(measured.changes))
    rest = len(measured.changes) - len(shown)
    aside = f"{rest:,} more in the JSON report" if rest else ""
    yield heading("Measurements before and after", page.width, page.sign, aside)
    if shown:
        yield indented(_table(shown, page))
    else:
        yield indented(said("all within their noise", QUIET_STYLE))
    yield ""


def _worth_showing(changes: Sequence[Change]) -> Iterator[Change]:
    """In their order; of one quantity over many layers or columns the furthest beyond the noise."""
    by_key: dict[str, list[Change]] = {}
    for change in changes:
        if change.group in ALWAYS or change.verdict not in {"equal", "within-noise"}:
            by_key.setdefault(change.key, []).append(change)
    for few in by_key.values():
        furthest = sorted(few, key=lambda change: -change.noises)[:MOST_OF_A_GROUP]
        yield from (change for change in few if change in furthest)


def _table(changes: Sequence[Change], page: Page) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=QUIET_STYLE)
    table.add_column("", style="cyan", overflow="fold")
    for title in ("before", "after", "change", "noise"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for change in changes:
        name = change.name if change.place is None else f"{change.place}: {change.name}"
        verdict = change.verdict.replace("-", " ")
        numbers = (_value(change.before), _value(change.after), _moved(change, page), _noise(change, page))
        table.add_row(said(name), *numbers, Text(verdict, style=STYLES[change.verdict]))
    return table


def _value(value: float | None) -> str:
    return "" if value is None else significant(value)


def _moved(change: Change, page: Page) -> str:
    if change.change is None:
        return ""
    if change.scale == "ratio":
        return f"{page.sign.times}{significant(change.change)}"
    return f"{'+' if change.change > 0 else ''}{significant(change.change)}"


def _noise(change: Change, page: Page) -> str:
    if not math.isfinite(change.noise):
        return significant(change.noise)
    if change.scale == "ratio":
        return f"{page.sign.times}{significant(change.noise, 2)}"
    return f"{'±' if page.look.unicode else '+-'}{significant(change.noise, 2)}"


def compare_curves(page: Page) -> Iterator[RenderableType]:
    """The validation loss (the training loss without one) of both runs by epoch."""
    measured = page.measured.get(ComparedCurves)
    if measured is None or not measured.curves:
        return
    curve = next((each for each in measured.curves if each.name == "val"), measured.curves[0])
    if max(len(curve.before), len(curve.after)) < FEWEST_EPOCHS or curve.before == curve.after:
        return
    lines = plot(_series(curve), width=min(WIDEST, page.width - 4), height=ROWS, unicode=page.look.unicode, x_name="epoch")
    if not lines:
        return
    yield heading(f"{'Validation' if curve.name == 'val' else 'Training'} loss by epoch", page.width, page.sign)
    for line in lines:
        yield indented(Text.assemble(*((span.text, span.style) for span in line)))
    yield ""


def _series(curve: ComparedCurve) -> list[Series]:
    before, after = (
        [(epoch, value) for epoch, value in enumerate(values) if value is not None] for values in (curve.before, curve.after)
    )
    return [
        Series(label="before", points=before, dash=DASHED, letter="o", style="cyan"),
        Series(label="after", points=after, letter="x", style="magenta"),
    ]
