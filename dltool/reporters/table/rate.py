"""A search for the learning rate: the ladders as a curve with marks, the decades, the trials, and the answer."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dltool.core.measured.lr_find import Curve, LrAnswer, LrDecades, LrRange, LrTrial, LrTrials, SuggestedLr
from dltool.reporters.numbers import percent, plural, short, significant
from dltool.reporters.plot import DOTTED, Mark, Series, plot
from dltool.reporters.table.page import Page
from dltool.reporters.table.style import GOOD_STYLE, QUIET_STYLE, facts, heading, indented, said

ROWS = 12
WIDEST = 110
PARTS_OF_A_DECADE = 1000
"""The plot's x axis counts in thousandths of a decade."""

BAD_STYLE = "bold red"
PLAIN_STYLE = "bold yellow"
STYLES = {"found": GOOD_STYLE, "no-rate-works": BAD_STYLE, "not-finite": BAD_STYLE, "flat": BAD_STYLE}
TITLES = {
    "flat": "flat: the model does not learn at any rate",
    "no-rate-works": "no rate works",
    "not-finite": "no rate works: the loss is not finite to begin with",
    "meaningless": "meaningless for this optimizer",
    "nothing-to-train": "nothing to train",
    "unfinished": "unfinished",
}


def rate_curve(page: Page) -> Iterator[RenderableType]:
    """Loss over log lr, with the suggestion, the usable range and the point of divergence marked below."""
    curve, said_by = page.measured.get(Curve), page.measured.get(LrAnswer)
    if curve is None or not curve.points or said_by is None:
        return
    # a loss that shot up would squeeze all others into one row: it is a cross at the top
    start = next((p.smoothed for p in curve.points), 0.0)
    lowest = min((p.smoothed for p in curve.points if math.isfinite(p.smoothed)), default=start)
    ceiling = start + 3.0 * (start - lowest) if start > lowest else math.inf
    points = [(_x(p.lr), p.loss if p.loss <= ceiling else math.inf) for p in curve.points]
    smooth = [(_x(p.lr), p.smoothed) for p in curve.points if p.smoothed <= ceiling]
    marks = list(_marks(page, said_by))
    lines = plot(
        [
            Series(label="loss", points=points, dash=DOTTED, letter=".", style="dim", last=curve.points[-1].loss),
            Series(label="smoothed", points=smooth, letter="o", style="cyan", last=curve.points[-1].smoothed),
        ],
        width=min(WIDEST, page.width - 4),
        height=ROWS,
        unicode=page.look.unicode,
        x_name="rate",
        x_ticks=_powers(curve),
        marks=[mark for mark, _ in marks],
    )
    if not lines:
        return
    aside = f"mean of {plural(said_by.ladders, 'ladder')} of {said_by.ladder_steps} steps"
    yield heading("Loss by rate", page.width, page.sign, aside)
    for line in lines:
        yield indented(Text.assemble(*((span.text, span.style) for span in line)))
    legend = Text("  ")
    for mark, text in marks:
        legend.append(f"{mark.sign} ", mark.style).append(f"{text}   ", QUIET_STYLE)
    yield indented(legend)
    yield ""


def _marks(page: Page, answer: LrAnswer) -> Iterator[tuple[Mark, str]]:
    found, ends = page.measured.get(SuggestedLr), page.measured.get(LrRange)
    if ends is not None and ends.ends is not None and ends.ends[0] < ends.ends[-1]:
        yield Mark(_x(ends.ends[0]), "[", GOOD_STYLE), f"{short(ends.ends[0])} lowest usable"
        yield Mark(_x(ends.ends[-1]), "]", GOOD_STYLE), f"{short(ends.ends[-1])} highest"
    if found is not None and found.lr is not None:
        yield Mark(_x(found.lr), "▲" if page.look.unicode else "^", GOOD_STYLE), f"{short(found.lr)} suggested"
    if answer.diverged_at is not None:
        sign = "✖" if page.look.unicode else "X"
        yield Mark(_x(answer.diverged_at), sign, BAD_STYLE), f"{significant(answer.diverged_at, 2)} diverged"


def _x(lr: float) -> int:
    return round(PARTS_OF_A_DECADE * math.log10(lr))


def _powers(curve: Curve) -> dict[int, str]:
    """The powers of ten on the axis."""
    rates = [point.lr for point in curve.points]
    powers = range(math.ceil(math.log10(rates[0]) - 1e-9), math.floor(math.log10(rates[-1]) + 1e-9) + 1)
    return {power * PARTS_OF_A_DECADE: f"{10.0**power:g}" for power in powers}


def rate_decades(page: Page) -> Iterator[RenderableType]:
    """A row for each power of ten."""
    section = page.measured.get(LrDecades)
    if section is None or not section.decades:
        return
    table = _table("from", "in ladder", "best", "steps", "loss then", "verdict", left=5)
    for row in section.decades:
        table.add_row(
            f"{row.low:g}",
            "" if row.loss_change is None else _signed(row.loss_change),
            "" if row.trial_lr is None else short(row.trial_lr),
            "" if row.trial_steps is None else f"{row.trial_steps:,}",
            "" if row.trial_loss is None else significant(row.trial_loss),
            said(row.verdict, _style(row.verdict)),
        )
    yield heading("By decade", page.width, page.sign, "loss change in ladder, best tried")
    yield indented(table)
    yield ""


def rate_trials(page: Page) -> Iterator[RenderableType]:
    """Every rate that was tried, by rising rate, the longer trials last."""
    section, answer = page.measured.get(LrTrials), page.measured.get(LrAnswer)
    if section is None or answer is None or not section.trials:
        return
    table = _table("rate", "steps", "loss then", "of best gain", "because", left=4)
    for trial in sorted(section.trials, key=lambda t: (t.steps, t.stage, t.lr)):
        table.add_row(
            short(trial.lr), f"{trial.steps:,}", significant(trial.loss), _worth(trial), said(trial.origin, QUIET_STYLE)
        )
    where = "validation" if section.split == "val" else "training"
    aside = f"from {significant(section.start_loss)}, on {section.samples:,} {where} samples"
    yield heading("Tried", page.width, page.sign, aside)
    yield indented(table)
    yield ""


def rate_answer(page: Page) -> Iterator[RenderableType]:
    """The rate, the range, and what they rest on; or why there is none."""
    answer, found, ends = page.measured.get(LrAnswer), page.measured.get(SuggestedLr), page.measured.get(LrRange)
    if answer is None:
        return
    yield heading("Learning rate", page.width, page.sign)
    if found is not None and found.lr is not None:
        yield said(f"{page.sign.good} {short(found.lr)}", GOOD_STYLE)
    else:
        yield said(TITLES.get(answer.outcome, answer.outcome), STYLES.get(answer.outcome, PLAIN_STYLE))
    rows = [("because", said(answer.reason))]
    if ends is not None and ends.ends is not None:
        rows.append(("usable", said(f"{short(ends.ends[0])} to {short(ends.ends[-1])}")))
    if answer.diverged_at is not None:
        rows.append(("diverges", said(f"from about {significant(answer.diverged_at, 2)} on, in a ladder")))
    rows += [("advice" if index == 0 else "", said(text, "green")) for index, text in enumerate(answer.advice)]
    yield facts(rows)
    yield ""


def _table(*titles: str, left: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=QUIET_STYLE)
    for index, title in enumerate(titles):
        table.add_column(title, justify="left" if index >= left else "right", no_wrap=index < left)
    return table


def _worth(trial: LrTrial) -> str:
    return "diverged" if trial.ended == "diverged" else percent(trial.gain_ratio)


def _signed(value: float) -> str:
    return f"+{significant(value)}" if value > 0 else significant(value)


def _style(verdict: str) -> str:
    return {"trains well": "green", "diverges": "red"}.get(verdict, QUIET_STYLE)
