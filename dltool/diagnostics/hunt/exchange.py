"""Batches with all but a few samples exchanged for good ones, and where good ones are to be had."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from dltool.diagnostics.hunt.blame import Rows
from dltool.diagnostics.hunt.rows import Layout, alike, exchanged, rows_where
from dltool.diagnostics.hunt.trials import Trials
from dltool.training.experiment import Batch
from dltool.training.patrol import Caught

MOST_LENDERS = 3
"""Other batches that are tried in the place of the bad one, before it is said that no sample is to blame."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """The samples of all batches of a step, numbered through; ``starts`` has one more entry than there are batches."""

    batches: Sequence[Batch]
    layouts: Sequence[Layout]

    @property
    def starts(self) -> Sequence[int]:
        """Number of each batch's first sample, and the count of all."""
        return [0, *accumulate(found.samples for found in self.layouts)]

    @property
    def everyone(self) -> Rows:
        """All of them."""
        return tuple(range(self.starts[-1]))

    def within(self, batch: int, rows: Rows) -> Rows:
        """Those of ``rows`` that are in one batch, as its own indices."""
        start, end = self.starts[batch], self.starts[batch + 1]
        return tuple(row - start for row in rows if start <= row < end)


@dataclass(frozen=True, slots=True)
class Spare:
    """Good samples for one batch: ``rows`` of another batch, or of its own where ``lender`` is None."""

    rows: Rows
    lender: tuple[Batch, Layout] | None = None


@dataclass(frozen=True, slots=True)
class Spares:
    """Good samples for every batch of the step. They prove good when the step is, with only ``kept`` in place."""

    by_batch: tuple[Spare, ...]
    kept: Rows


class Exchange:
    """Repeats of the step with some samples in place and the others exchanged; every answer is kept."""

    def __init__(self, trials: Trials, step: Numbered, spares: Spares) -> None:
        self._trials = trials
        self._step = step
        self._spares = spares.by_batch
        self._known: dict[tuple[frozenset[int], int], bool] = {}
        self.good = not self._try(spares.kept, 0)
        """Whether the spare samples are."""

    def is_bad(self, kept: Sequence[int], shift: int = 0) -> bool:
        """Whether the step goes bad with these in place; ``shift`` hands the others' places to other spare samples.

        Raises:
            OutOfTriesError: enough was tried.
        """
        if not kept or len(kept) == self._step.starts[-1]:
            return bool(kept)
        key = frozenset(kept), shift
        if key not in self._known:
            self._known[key] = self._try(kept, shift)
        return self._known[key]

    def _try(self, kept: Sequence[int], shift: int) -> bool:
        made = []
        given = zip(self._step.batches, self._step.layouts, self._spares, strict=True)
        for place, (batch, found, spare) in enumerate(given):
            staying = set(self._step.within(place, tuple(kept)))
            offset = 0 if spare.lender is None else found.samples
            others = (offset + spare.rows[(i + shift) % len(spare.rows)] for i in range(found.samples))
            index = [i if i in staying else other for i, other in enumerate(others)]
            made.append(exchanged(batch, found, index, spare.lender))
        return self._trials.is_bad(made)


def spares(caught: Caught, step: Numbered, suspected: Rows) -> Iterator[Spares]:
    """Where good samples may be had: among the unsuspected of the same step, in other batches, in parts of its own."""
    own = _unsuspected(step, suspected) if suspected else None
    if own is not None:
        yield own
    lent = 0
    for batches in _other_batches(caught):
        found = _lent(step, batches)
        if found is not None:
            lent += 1
            yield found
        if lent == MOST_LENDERS:
            return
    if not lent:
        yield from _parts(step)


def _unsuspected(step: Numbered, suspected: Rows) -> Spares | None:
    good = tuple(row for row in step.everyone if row not in set(suspected))
    own = [step.within(place, good) for place in range(len(step.batches))]
    by_batch: list[Spare] = []
    for batch, found, rows in zip(step.batches, step.layouts, own, strict=True):
        spare = Spare(rows) if rows else _spare(batch, found, zip(step.batches, own, strict=True))
        if spare is None:
            return None
        by_batch.append(spare)
    return Spares(tuple(by_batch), good)


def _other_batches(caught: Caught) -> Iterator[Sequence[Batch]]:
    """Those of the steps before, as far as they are kept, and of the next."""
    feed, position = caught.walk.feed, caught.moment.position
    yield from (batches for batches in (caught.before, feed.kept(caught.step - 2)) if batches)
    following = feed.group(position.step + 1, position.epoch, position.batch + len(caught.batches))
    if following is not None:
        yield following.kept


def _lent(step: Numbered, lenders: Sequence[Batch]) -> Spares | None:
    by_batch: list[Spare] = []
    for batch, found in zip(step.batches, step.layouts, strict=True):
        spare = _spare(batch, found, ((lender, None) for lender in lenders))
        if spare is None:
            return None
        by_batch.append(spare)
    return Spares(tuple(by_batch), ())


def _spare(batch: Batch, found: Layout, lenders: Iterable[tuple[Batch, Rows | None]]) -> Spare | None:
    """Rows of the first lender whose samples fit; its finite ones, where none are named.

    A value that is not finite may be what is wrong with the other batch too.
    """
    for lender, named in lenders:
        theirs = alike(batch, found, lender)
        if theirs is None:
            continue
        bad = set(rows_where(lender, theirs, lambda tensor: ~tensor.isfinite())) if named is None else set()
        rows = tuple(row for row in range(theirs.samples) if row not in bad) if named is None else named
        if rows:
            return Spare(rows, (lender, theirs))
    return None


def _parts(step: Numbered) -> Iterator[Spares]:
    """Halves, then quarters, of each batch in the place of the whole."""
    for count in (2, 4):
        for part in range(count):
            rows = [tuple(range(part * n // count, (part + 1) * n // count)) for n in (o.samples for o in step.layouts)]
            if all(rows) and any(len(r) < found.samples for r, found in zip(rows, step.layouts, strict=True)):
                yield Spares(tuple(Spare(r) for r in rows), ())
