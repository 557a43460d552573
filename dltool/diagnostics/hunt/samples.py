"""Which samples are to blame: those whose exchange for good ones, inputs and targets alike, makes the step come out good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dltool.diagnostics.hunt.blame import OutOfTriesError, Rows, to_blame
from dltool.diagnostics.hunt.exchange import Exchange, Numbered, spares
from dltool.diagnostics.hunt.proof import Cause
from dltool.diagnostics.hunt.rows import Layout, layout, rows_where
from dltool.diagnostics.hunt.sequences import takes_sequence_first
from dltool.diagnostics.hunt.trials import Trials
from dltool.probes.nested import tensors
from dltool.training.experiment import Batch, Experiment
from dltool.training.patrol import Caught

FEWEST_REPEATS = 20
MOST_REPEATS = 100
"""Repeats of the step that the search may cost: 20 of a large step, up to 100 of a small one."""
SMALL_STEP = 10**7
"""Parameters and input values that may be passed in all the repeats beyond the fewest."""


@dataclass(frozen=True, slots=True)
class Responsible:
    """Samples of one batch; with gradient accumulation ``batch`` says which of the step's batches, else it is None."""

    samples: tuple[int, ...]
    batch: int | None = None


def responsible(caught: Caught, cause: Cause) -> Responsible | None:
    """The samples that spoil the step; None where no exchange heals, or where gradients had grown for steps.

    Where exchanging any one sample heals (labels that are all ignored, a batch that is constant) it is all of them. The step
    is repeated at most ``most_repeats`` times; the walk is back at ``caught.moment`` afterwards.
    """
    if caught.lead_up.diverging and not _was_delivered(cause):
        return None
    trials = Trials(caught, most_repeats(caught.walk.experiment, caught.batches))
    try:
        layouts = [_layout(caught, batch) for batch in caught.batches]
        found = [one for one in layouts if one is not None]
        if len(found) < len(layouts):
            return None
        step = Numbered(caught.batches, found)
        return _told(step, _search(caught, trials, step, _suspected(step, cause)))
    except OutOfTriesError:
        return None
    finally:
        caught.walk.go_back(caught.moment)


def most_repeats(experiment: Experiment, batches: Sequence[Batch]) -> int:
    """How often the step may be repeated, by its size and not by the clock, so that the answer is always the same."""
    values = sum(p.numel() for p in experiment.model.parameters())
    values += sum(tensor.numel() for batch in batches for tensor in tensors(tuple(batch)))
    return min(FEWEST_REPEATS + SMALL_STEP // max(values, 1), MOST_REPEATS)


def _search(caught: Caught, trials: Trials, step: Numbered, suspected: Rows) -> Rows:
    for good in spares(caught, step, suspected):
        exchange = Exchange(trials, step, good)
        if exchange.good:
            return to_blame(step.everyone, suspected, exchange.is_bad)
    return ()


def _told(step: Numbered, rows: Rows) -> Responsible | None:
    """The first batch with such samples, where there are several."""
    by_batch = [(place, step.within(place, rows)) for place in range(len(step.batches))]
    found = [(place, own) for place, own in by_batch if own]
    if not found:
        return None
    place, own = found[0]
    return Responsible(own, place if len(step.batches) > 1 else None)


def _layout(caught: Caught, batch: Batch) -> Layout | None:
    found = layout(batch)
    if found is None or not found.ambiguous:
        return found
    return layout(batch, sequence_first=takes_sequence_first(caught, batch))


def _suspected(step: Numbered, cause: Cause) -> Rows:
    """Samples with bad values: delivered so, or where the birth gave them."""
    leaf = cause.suspect.leaf
    named = {row for operation in cause.suspect.operations for row in operation.rows or ()}
    rows: list[int] = []
    for batch, found, start in zip(step.batches, step.layouts, step.starts, strict=False):
        if leaf is not None and leaf.kind in {"input", "target"}:
            hit = set(rows_where(batch, found, lambda tensor: ~tensor.isfinite(), 0 if leaf.kind == "input" else 1))
        else:
            hit = {row for row in named if row < found.samples}
        rows += [start + row for row in sorted(hit)]
    return tuple(rows)


def _was_delivered(cause: Cause) -> bool:
    leaf = cause.suspect.leaf
    return leaf is not None and leaf.kind in {"input", "target"}
