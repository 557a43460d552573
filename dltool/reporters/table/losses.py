"""Loss and metrics in numbers: at the end, at the best epoch, and of the best constant output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rich.console import RenderableType
from rich.table import Table

from dltool.core.measured.training import Baseline, EpochRecord, History
from dltool.reporters.numbers import significant
from dltool.reporters.table.page import Page
from dltool.reporters.table.style import QUIET_STYLE, indented, said


@dataclass(frozen=True, slots=True)
class Moment:
    """A pair of columns: values on the training and the validation split, by quantity."""

    title: str
    train: Mapping[str, float | None]
    val: Mapping[str, float | None]


def losses(page: Page) -> Iterator[RenderableType]:
    """A row for the loss and for each metric."""
    moments = list(_moments(page))
    if not moments:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=QUIET_STYLE)
    table.add_column("", no_wrap=True, style="cyan")
    validated = any(value is not None for moment in moments for value in moment.val.values())
    for moment in moments:
        table.add_column(f"{moment.title}\ntrain", justify="right", no_wrap=True)
        if validated:
            table.add_column("\nval", justify="right", no_wrap=True)
    quantities = dict.fromkeys(name for moment in moments for name in (*moment.train, *moment.val))
    for name in quantities:
        cells = []
        for moment in moments:
            cells += [moment.train.get(name), moment.val.get(name)] if validated else [moment.train.get(name)]
        table.add_row(said(name), *("" if cell is None else significant(cell) for cell in cells))
    yield indented(table)
    baseline = page.measured.get(Baseline)
    if baseline is not None:
        yield said(f"  trivial: {baseline.description}", QUIET_STYLE)
    yield ""


def _moments(page: Page) -> Iterator[Moment]:
    history, baseline = page.measured.get(History), page.measured.get(Baseline)
    if history is not None and history.epochs:
        last = history.epochs[-1]
        yield _moment(f"epoch {last.epoch}", last)
        best = next((record for record in history.epochs if record.epoch == history.best_epoch), last)
        if best is not last:
            yield _moment(f"best ({best.epoch})", best)
    if baseline is not None:
        yield Moment("trivial", {"loss": baseline.train_loss}, {"loss": baseline.val_loss})


def _moment(title: str, record: EpochRecord) -> Moment:
    train = record.running_loss if record.train_loss is None else record.train_loss
    return Moment(
        title,
        {"loss": train, **(record.train_metrics or {})},
        {"loss": record.val_loss, **(record.val_metrics or {})},
    )
