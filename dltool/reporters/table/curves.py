"""The curves: loss over epochs (over steps, where the epochs are too few to make a curve)."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from dltool.core.measured.training import EpochRecord, History, LossTrace
from dltool.reporters.numbers import plural
from dltool.reporters.plot import DASHED, DOTTED, Line, Series, plot
from dltool.reporters.table.page import Page
from dltool.reporters.table.style import heading, indented

ROWS = 12
WIDEST = 110
FEWEST_EPOCHS = 3


def curves(page: Page) -> Iterator[RenderableType]:
    """One plot, or nothing when no loss was measured."""
    history, trace = page.measured.get(History), page.measured.get(LossTrace)
    epochs = () if history is None else history.epochs
    lines = _by_epoch(page, epochs) if len(epochs) >= FEWEST_EPOCHS else []
    if lines:
        title, aside = "Loss by epoch", "train and val: in eval mode after the epoch; running: while it trained"
    elif trace is not None and (lines := _by_step(page, trace)):
        title, aside = "Loss by step", f"each point the mean of {plural(trace.stride, 'step')}" if trace.stride > 1 else ""
    else:
        return
    yield heading(title, page.width, page.sign, aside if len(title) + len(aside) + 12 <= page.width else "")
    for line in lines:
        yield indented(Text.assemble(*((span.text, span.style) for span in line)))
    yield ""


def _by_epoch(page: Page, epochs: tuple[EpochRecord, ...]) -> list[Line]:
    running = [(record.epoch, record.running_loss) for record in epochs]
    train = [(record.epoch, record.train_loss) for record in epochs if record.train_loss is not None]
    val = [(record.epoch, record.val_loss) for record in epochs if record.val_loss is not None]
    series = [
        Series(label="running", points=running, dash=DOTTED, letter=".", style="dim"),
        Series(label="train", points=train, dash=DASHED, letter="o", style="cyan"),
        Series(label="val", points=val, letter="x", style="magenta"),
    ]
    return _plot(page, series, "epoch")


def _by_step(page: Page, trace: LossTrace) -> list[Line]:
    steps = range(0, len(trace.losses) * trace.stride, trace.stride)
    series = [
        Series(label="loss", points=list(zip(steps, trace.losses, strict=True)), dash=DOTTED, letter=".", style="dim"),
        Series(label="smoothed", points=list(zip(steps, trace.smoothed, strict=True)), letter="o", style="cyan"),
    ]
    return _plot(page, series, "step")


def _plot(page: Page, series: list[Series], x_name: str) -> list[Line]:
    width = min(WIDEST, page.width - 4)
    return plot(series, width=width, height=ROWS, unicode=page.look.unicode, x_name=x_name)
