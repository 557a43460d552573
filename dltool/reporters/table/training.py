"""How it was trained, in a few lines: the steps taken, what was clipped, how closely it was watched, what was assumed."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from dltool.core.measured.training import History, LossTrace, Optimisation, Watch
from dltool.reporters.numbers import percent, plural, short, significant
from dltool.reporters.plot import sparkline
from dltool.reporters.table.page import Page
from dltool.reporters.table.style import facts, heading, said

STOPPED = {
    "early-stopping": "early: the monitored number had stopped improving",
    "non-finite": "because the loss was no longer finite",
    "interrupted": "by Ctrl-C or a signal",
    "timeout": "by --timeout",
}


def training(page: Page) -> Iterator[RenderableType]:
    """Labels and sentences; only what was measured, and nothing where nothing was trained."""
    rows = list(_rows(page)) if Optimisation in page.measured else []
    if rows:
        yield heading("Training", page.width, page.sign)
        yield facts(rows)
        yield ""


def _rows(page: Page) -> Iterator[tuple[str, Text]]:
    optimisation, watch = page.measured.get(Optimisation), page.measured.get(Watch)
    if optimisation is not None:
        yield "optimizer", said(_optimizer(optimisation))
        yield from _rate(page)
        yield from _clipping(optimisation)
        if optimisation.stopped in STOPPED:
            yield "stopped", said(STOPPED[optimisation.stopped])
    yield from _spikes(page)
    if watch is not None:
        often = f"at least one in {watch.every:,}" if watch.every > 1 else "every one"
        budget = f"to cost at most {short(100 * watch.overhead)} % of the time"
        yield "watched", said(f"{watch.looks:,} of {plural(watch.steps, 'step')} ({often}, {budget})")
    for index, sentence in enumerate(page.report.run.assumptions):
        yield "assumed" if index == 0 else "", said(sentence)


def _optimizer(made: Optimisation) -> str:
    named = {"momentum": made.momentum, "weight decay": made.weight_decay, "l1": made.l1, "l2": made.l2}
    parts = [f"{made.optimizer}, rate {short(made.lr)}"]
    parts += [f"{name} {short(value)}" for name, value in named.items() if value]
    if made.max_norm is not None:
        parts.append(f"max norm {short(made.max_norm)}")
    if made.accumulate > 1:
        parts.append(f"{made.accumulate} batches a step")
    if made.precision != "fp32":
        parts.append(made.precision)
    return ", ".join(parts)


def _rate(page: Page) -> Iterator[tuple[str, Text]]:
    history = page.measured.get(History)
    rates = [] if history is None else [record.lr for record in history.epochs]
    if len(set(rates)) > 1:
        bars = sparkline(rates, width=24, unicode=page.look.unicode)
        yield "rate", said(f"{significant(rates[0])} {bars or page.sign.arrow} {significant(rates[-1])}")


def _clipping(made: Optimisation) -> Iterator[tuple[str, Text]]:
    limits = {"norm": made.clip_norm, "value": made.clip_value}
    given = " and ".join(f"{name} {short(limit)}" for name, limit in limits.items() if limit is not None)
    if given:
        share = f" ({percent(made.clipped_steps / made.steps)})" if made.steps else ""
        yield "clipping", said(f"at {given}: bit in {made.clipped_steps:,} of {plural(made.steps, 'step')}{share}")


def _spikes(page: Page) -> Iterator[tuple[str, Text]]:
    trace = page.measured.get(LossTrace)
    if trace is None or not trace.spikes:
        return
    worst = max(trace.spikes, key=lambda spike: spike.loss)
    yield (
        "spikes",
        said(
            f"{plural(len(trace.spikes), 'loss spike')}; the highest at step {worst.step:,}: "
            f"{significant(worst.loss)} where {significant(worst.expected)} was to be expected"
        ),
    )
