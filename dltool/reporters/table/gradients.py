"""Gradients as a table: a row for each parameter, then where, on what and how surely it was checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dltool.core.finding import Severity
from dltool.core.measured.gradcheck import (
    FINE,
    CheckedInputs,
    CheckedParameters,
    CheckedPoint,
    CheckedPoints,
    GradientRecord,
)
from dltool.reporters.numbers import plural, short, significant
from dltool.reporters.table.page import Page
from dltool.reporters.table.style import GOOD_STYLE, QUIET_STYLE, SEVERITY_STYLE, facts, heading, indented, said

MOST_ROWS = 24
MOST_ELEMENTS = 3
STYLES = {
    "right": GOOD_STYLE,
    "fine": "green",
    "suspicious": SEVERITY_STYLE[Severity.WARNING],
    "wrong": SEVERITY_STYLE[Severity.ERROR],
}


def gradients(page: Page) -> Iterator[RenderableType]:
    """Every parameter (beyond 24 the worst ones), the worst elements of the wrong ones, and the points."""
    checked = page.measured.get(CheckedParameters)
    if checked is None:
        return
    inputs = page.measured.get(CheckedInputs)
    records = {**checked.parameters, **({} if inputs is None else inputs.inputs)}
    if records:
        limit = len(records) if page.verbose else MOST_ROWS
        worst = sorted(records, key=lambda name: -records[name].relative_error)[:limit]
        shown = {name: record for name, record in records.items() if name in worst}
        aside = f"{len(shown)} of {len(records)} shown, all with --verbose" if len(shown) < len(records) else ""
        yield heading("Gradients", page.width, page.sign, aside)
        yield indented(_table(shown, page), 1)
        yield ""
        yield from _elements(shown, page)
    points = page.measured.get(CheckedPoints)
    if points is not None:
        yield heading("Checked", page.width, page.sign)
        yield facts(_points(points, records))
        yield ""


def _table(records: Mapping[str, GradientRecord], page: Page) -> Table:
    precision = any(record.precision_error is not None for record in records.values())
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=QUIET_STYLE)
    table.add_column("parameter", style="cyan", overflow="fold")
    table.add_column("shape", style=QUIET_STYLE, no_wrap=True)
    table.add_column("compared", no_wrap=True)
    table.add_column("relative error", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    if precision:
        table.add_column("rounding", justify="right", no_wrap=True)
    for name, record in records.items():
        lost = "" if record.precision_error is None else significant(record.precision_error, 2)
        row = [
            said(name),
            said(page.sign.times.join(str(size) for size in record.shape) or "scalar"),
            said(_compared(record)),
            said(significant(record.relative_error)),
            said(
                "expected" if record.expected else record.verdict, QUIET_STYLE if record.expected else STYLES[record.verdict]
            ),
        ]
        table.add_row(*row, *([said(lost)] if precision else []))
    return table


def _compared(record: GradientRecord) -> str:
    if record.method != "elements":
        return plural(record.compared, record.method)
    kinks = f", {plural(record.kinks, 'kink')}" if record.kinks else ""
    whole = record.compared + record.kinks == record.elements
    return ("all" if whole and not record.kinks else f"{record.compared:,} of {record.elements:,}") + kinks


def _elements(records: Mapping[str, GradientRecord], page: Page) -> Iterator[RenderableType]:
    wrong = {name: record for name, record in records.items() if not record.relative_error <= FINE and record.worst}
    if not wrong:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=QUIET_STYLE)
    for title in ("worst elements", "autograd", "differences", "step"):
        table.add_column(title, justify="left" if title == "worst elements" else "right")
    for name, record in wrong.items():
        for element in record.worst[: len(record.worst) if page.verbose else MOST_ELEMENTS]:
            index = ", ".join(str(i) for i in element.index)
            numbers = (significant(v, 6) for v in (element.analytic, element.numeric))
            table.add_row(
                said(f"{name}[{index}]"), *map(Text, numbers), Text(significant(element.step, 2), style=QUIET_STYLE)
            )
    yield indented(table, 1)
    yield ""


def _points(checked: CheckedPoints, records: Mapping[str, GradientRecord]) -> Iterator[tuple[str, Text]]:
    for point in checked.points:
        place = f"after {plural(point.after_steps, 'step')}" if point.after_steps else "at the start"
        yield place, said(_point(point, checked))
    missed = [point.miss_probability for point in checked.points if point.miss_probability is not None]
    if missed:
        odds = "less than 1e-9" if max(missed) < 1e-9 else significant(max(missed), 2)
        yield "missed", said(f"a parameter that is wrong by 1e-3 passes these projections with a probability of {odds}")
    steps = [step for r in records.values() for step in (r.smallest_step, r.largest_step) if step is not None]
    if steps:
        yield (
            "steps",
            said(f"{significant(min(steps), 2)} to {significant(max(steps), 2)}, chosen for each element or direction"),
        )
    lost = [record.precision_error for record in records.values() if record.precision_error is not None]
    if lost:
        yield (
            "rounding",
            said(f"{checked.own_precision} costs the gradients a relative error of up to {significant(max(lost), 2)}"),
        )
    if checked.lifted:
        yield "lifted", said("casts and constants of lower precision in the model were made float64 for the check")
    if checked.not_checked:
        yield "left out", said(_left_out(checked.not_checked))
    if checked.stopped != "finished":
        yield "stopped", said("by --timeout" if checked.stopped == "timeout" else "by Ctrl-C or a signal")


def _point(point: CheckedPoint, checked: CheckedPoints) -> str:
    if not point.deterministic:
        place = "" if point.unsteady_module is None else f", first in module {point.unsteady_module or '(the model)'}"
        return f"not deterministic: the same weights gave losses {significant(point.repeat_difference, 2)} apart{place}"
    on = f"{plural(checked.samples, 'sample')} in float64"
    return f"loss {short(point.loss)} on {on}, known to {significant(point.noise, 1)}; {point.evaluations:,} evaluations"


def _left_out(reasons: Mapping[str, str]) -> str:
    by_reason: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        by_reason.setdefault(reason, []).append(name)
    return "; ".join(
        f"{', '.join(n[:5])}{f' and {len(n) - 5} more' if len(n) > 5 else ''}: {why}" for why, n in by_reason.items()
    )
