"""Which samples of a batch spoil it: those without which it is good, found by putting good samples in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from dltool.probes.nested import batch_size, take
from dltool.training.experiment import Batch

MOST_TRIALS = 96
"""Passes that the search in one batch may cost; what is not told apart by then is named together."""

Rows = tuple[int, ...]


def guilty_rows(batch: Batch, suspects: Sequence[int], is_bad: Callable[[Batch], bool]) -> Rows:
    """The rows that make ``batch`` bad; () where replacing rows heals nothing.

    Where every choice of rows is bad (a batch that is constant, labels that are all ignored), it is all of them.

    Args:
        batch: a bad one.
        suspects: rows that look bad; they are tried first.
        is_bad: passes a batch of the same size.
    """
    samples = batch_size(batch.input)
    if samples is None or batch_size(batch.target) not in {None, samples}:
        return ()  # which dimension is that of the samples cannot be told
    if samples == 1:
        return (0,)
    search = _Search(batch, samples, is_bad)
    everyone = tuple(range(samples))
    good = _without(everyone, suspects)
    if suspects and good and not search.is_bad_with((), tuple(suspects), good):
        return search.narrow(tuple(suspects), tuple(suspects), good)
    good = search.good_group(everyone)
    if not good:
        return everyone
    rest = _without(everyone, good)
    return search.narrow(rest, rest, good)


class _Search:
    def __init__(self, batch: Batch, samples: int, is_bad: Callable[[Batch], bool]) -> None:
        self._batch = batch
        self._samples = samples
        self._is_bad = is_bad
        self._trials = 0

    def good_group(self, everyone: Rows) -> Rows:
        """The largest part, by halving, that makes a good batch when repeated; () where there is none."""
        parts = [everyone]
        while (parts := [half for part in parts for half in _halves(part)]) and self._trials < MOST_TRIALS:
            for part in parts:
                if not self._passes(list(_cycled(part, self._samples))):
                    return part
        return ()

    def is_bad_with(self, present: Rows, doubtful: Rows, good: Rows) -> bool:
        """Whether the batch is bad with ``present`` in it and the other ``doubtful`` rows replaced by ``good`` ones."""
        index = list(range(self._samples))
        replaced = _without(doubtful, present)
        for row, stand_in in zip(replaced, _cycled(good, len(replaced)), strict=True):
            index[row] = stand_in
        return self._passes(index)

    def narrow(self, rows: Rows, doubtful: Rows, good: Rows) -> Rows:
        """The guilty ones among ``rows``, which are known to hold some; all of them when they are guilty together only."""
        if len(rows) == 1 or self._trials >= MOST_TRIALS:
            return rows
        found = [self.narrow(half, doubtful, good) for half in _halves(rows) if self.is_bad_with(half, doubtful, good)]
        return tuple(row for part in found for row in part) or rows

    def _passes(self, index: list[int]) -> bool:
        """Whether the batch of these rows is bad."""
        self._trials += 1
        rows = torch.tensor(index)
        return self._is_bad(Batch(take(self._batch.input, rows), take(self._batch.target, rows)))


def _halves(rows: Rows) -> list[Rows]:
    middle = (len(rows) + 1) // 2
    return [rows[:middle], rows[middle:]] if len(rows) > 1 else []


def _cycled(rows: Rows, length: int) -> Iterator[int]:
    return (rows[i % len(rows)] for i in range(length))


def _without(rows: Sequence[int], left_out: Sequence[int]) -> Rows:
    gone = set(left_out)
    return tuple(row for row in rows if row not in gone)
