"""The coordinate check: sizes over widths, their exponents, a plot, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dltool.core.measured.init_stats import CoordinateCheck, CoordinateLayer
from dltool.reporters.numbers import plural, short, significant
from dltool.reporters.plot import DASHED, DOTTED, SOLID, Series, plot
from dltool.reporters.table.page import Page
from dltool.reporters.table.style import GOOD_STYLE, QUIET_STYLE, facts, heading, indented, said

ROWS = 10
WIDEST = 100
MOST_CURVES = 3
STYLES = (("cyan", SOLID, "*"), ("magenta", DASHED, "o"), ("yellow", DOTTED, "."))


def coordinate(page: Page) -> Iterator[RenderableType]:
    """A row for each layer of the trunk; the plot shows the updates that depend on the width most."""
    found = page.measured.get(CoordinateCheck)
    if found is None:
        return
    aside = f"{found.optimizer}, rate {short(found.lr)}, {plural(found.steps, 'step')}, {plural(found.seeds, 'seed')}"
    yield heading("Coordinate check", page.width, page.sign, aside)
    yield indented(_table(found, page), 1)
    yield said("   root mean square of outputs, and of their change; exponent: of the width", QUIET_STYLE)
    yield said(f"   varied: {found.varied}", QUIET_STYLE)
    yield ""
    yield from _plot(found, page)


def coordinate_answer(page: Page) -> Iterator[RenderableType]:
    """Does the width matter, and what follows from it."""
    found = page.measured.get(CoordinateCheck)
    if found is None:
        return
    yield heading("Verdict on the widths", page.width, page.sign)
    style = GOOD_STYLE if found.verdict == "independent" else "bold yellow"
    sign = page.sign.good if found.verdict == "independent" else page.sign.warning
    rows = [("verdict", Text(f"{sign} {found.verdict.replace('-', ' ')}", style)), ("", said(found.reason))]
    rows += [("advice" if index == 0 else "", said(advice, "green")) for index, advice in enumerate(found.advice)]
    yield facts(rows)
    yield ""


def _table(found: CoordinateCheck, page: Page) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=QUIET_STYLE)
    ends = (f"{found.widths[0]}", f"{found.widths[-1]}")
    table.add_column("layer", no_wrap=True, style="cyan")
    for title in (
        f"output\nat {ends[0]}",
        f"\nat {ends[1]}",
        "\nexponent",
        f"change\nat {ends[0]}",
        f"\nat {ends[1]}",
        "\nexponent",
    ):
        table.add_column(title, justify="right", no_wrap=True)
    for layer in found.layers:
        table.add_row(
            said(layer.name + (" (output)" if layer.is_output else "")),
            significant(layer.activations[0]),
            significant(layer.activations[-1]),
            _exponent(layer.activation_exponent, layer.activation_error, page),
            significant(layer.updates[0]),
            significant(layer.updates[-1]),
            _exponent(layer.update_exponent, layer.update_error, page),
        )
    return table


def _exponent(value: float, error: float, page: Page) -> Text:
    if math.isnan(value):
        return Text("-")
    sign = "±" if page.look.unicode else "+-"
    hot = abs(value) - 2 * error > 0.25
    return Text(f"{value:+.2f}" + (f" {sign} {error:.2f}" if math.isfinite(error) else ""), "bold yellow" if hot else "")


def _plot(found: CoordinateCheck, page: Page) -> Iterator[RenderableType]:
    sharpest = sorted(found.layers, key=_slope, reverse=True)[:MOST_CURVES]
    series = [
        Series(
            label=f"change of {layer.name}",
            points=list(zip(found.widths, layer.updates, strict=True)),
            dash=dash,
            letter=letter,
            style=style,
        )
        for layer, (style, dash, letter) in zip(sharpest, STYLES, strict=False)
    ]
    lines = plot(series, width=min(page.width - 4, WIDEST), height=ROWS, unicode=page.look.unicode, x_name="width")
    for line in lines:
        yield indented(Text.assemble(*((span.text, span.style) for span in line)))
    if lines:
        yield ""


def _slope(layer: CoordinateLayer) -> float:
    return -1.0 if math.isnan(layer.update_exponent) else abs(layer.update_exponent)
