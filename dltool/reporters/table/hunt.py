"""A hunt for NaN and Inf beside its findings: how it watched, what led up to the bad step, and which inputs are bad."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dltool.core.finding import Finding
from dltool.core.measured.hunt import BadInput, BadInputs, FirstBadStep, Guarding, LeadUp, StepsRun
from dltool.reporters.numbers import plural, significant, size, trimmed
from dltool.reporters.plot import sparkline
from dltool.reporters.table.page import OneLine, Page
from dltool.reporters.table.style import QUIET_STYLE, facts, heading, indented, said

BARS = 24
MOST_BATCHES = 12
MOST_RUNS = 12
MOST_LAYERS = 3


def hunt(page: Page) -> Iterator[RenderableType]:
    """Labels and sentences; nothing where no hunt was made."""
    rows = list(_rows(page))
    if rows:
        yield heading("Hunt", page.width, page.sign)
        yield facts(rows)
        yield ""


def _rows(page: Page) -> Iterator[tuple[str, Text]]:
    guarding, lead_up = page.measured.get(Guarding), page.measured.get(LeadUp)
    if guarding is not None:
        if page.verbose or not page.report.findings:
            yield "watched", said(_watched(guarding))
        if guarding.skipped_steps:
            yield (
                "skipped",
                said(f"{plural(guarding.skipped_steps, 'step')} whose gradients overflowed, by the gradient scaler"),
            )
        if guarding.compiled:
            yield "compiled", said("the model is compiled; the bad step was repeated without the compiler")
    if lead_up is not None and lead_up.losses:
        yield from _led_up(lead_up, page)


def _watched(guarding: Guarding) -> str:
    every = "each time" if guarding.snapshot_every == 1 else f"every {guarding.snapshot_every:,} steps"
    kept = f"{size(guarding.snapshot_bytes)} a copy, at most {size(guarding.kept_bytes)} kept"
    return f"loss and gradients at every step; weights, buffers and optimizer state {every} ({kept})"


def _led_up(lead_up: LeadUp, page: Page) -> Iterator[tuple[str, Text]]:
    last = lead_up.first_step + len(lead_up.losses) - 1
    yield "before it", said(_growth(lead_up, last))
    yield "loss", said(_series(lead_up.losses, page))
    if lead_up.gradient_norms:
        yield "gradient", said(_series(lead_up.gradient_norms, page))
    if lead_up.diverging:
        shown = lead_up.layers if page.verbose else lead_up.layers[:MOST_LAYERS]
        for index, layer in enumerate(shown):
            yield "fastest" if index == 0 else "", said(f"{_series(layer.norms, page)}  {layer.parameter}")


def _growth(lead_up: LeadUp, last: int) -> str:
    steps = f"step {last:,}" if last == lead_up.first_step else f"steps {lead_up.first_step:,} to {last:,}"
    if not lead_up.diverging:
        return f"{steps}: nothing grew towards it"
    what = "loss growing" if lead_up.growing == "loss" else "growing"
    grown = f"{what} {trimmed(lead_up.growth_ratio)}-fold a step"
    return f"{steps}: {grown} for the last {plural(lead_up.growing_steps, 'step')}"


def _series(values: Sequence[float], page: Page) -> str:
    """First value, bars (an arrow where there are none), last value."""
    if len(values) == 1:
        return significant(values[0])
    bars = sparkline(values, width=BARS, unicode=page.look.unicode) or page.sign.arrow
    return f"{significant(values[0]):>8} {bars} {significant(values[-1])}"


def bad_inputs(page: Page) -> Iterator[RenderableType]:
    """The bad batches and their samples, or that there are none."""
    seen = page.measured.get(BadInputs)
    if seen is None:
        return
    passed = f"{plural(seen.samples, 'sample')} in {plural(seen.batches_passed, 'batch')} passed"
    yield heading("Inputs", page.width, page.sign, passed)
    if not seen.batches:
        yield indented(said("every sample gives a finite output and loss"))
    else:
        yield indented(_table(seen.batches if page.verbose else seen.batches[:MOST_BATCHES]))
        left_out = 0 if page.verbose else len(seen.batches) - MOST_BATCHES
        if left_out > 0:
            yield indented(
                said(f"and {left_out:,} more bad {'batch' if left_out == 1 else 'batches'} (see --verbose)", QUIET_STYLE)
            )
    yield ""


def _table(batches: Sequence[BadInput]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=QUIET_STYLE)
    table.add_column("batch", justify="right", no_wrap=True)
    table.add_column("samples")
    table.add_column("born in")
    for bad in batches:
        table.add_row(f"{bad.batch:,}", said(_samples(bad.samples)), said(_born(bad)))
    return table


def _samples(samples: Sequence[int]) -> str:
    """``3, 5, 8 to 31``."""
    if not samples:
        return "not told apart"
    runs: list[list[int]] = []
    for sample in samples:
        if runs and sample == runs[-1][-1] + 1:
            runs[-1].append(sample)
        else:
            runs.append([sample])
    told = [f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    left_out = sum(len(run) for run in runs[MOST_RUNS:])
    return ", ".join(told[:MOST_RUNS]) + (f" and {left_out:,} more" if left_out else "")


def _born(bad: BadInput) -> str:
    if bad.phase == "input":
        return "the batch as delivered"
    module = f" in module {bad.module}" if bad.module else ""
    return f"{bad.op or f'the {bad.phase}'}{module}"


def one_line(page: Page) -> Iterator[RenderableType]:
    """Each finding of a hunt on one line, ``net.py:41: NAN106 non-finite-backward: ...``: for CI logs and editors."""
    if FirstBadStep not in page.measured and StepsRun not in page.measured:
        return
    for finding in page.report.findings:
        yield OneLine(f"{_place(finding, page)}: {finding.rule} {finding.name}: {finding.message}")
    if page.report.findings:
        yield ""


def _place(finding: Finding, page: Page) -> str:
    where = finding.where
    if where.file is None:
        return page.report.target
    return where.file if where.line is None else f"{where.file}:{where.line}"
