"""Which samples of a batch spoil it, where nothing is trained: those without which its pass is good."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from dltool.diagnostics.hunt.blame import OutOfTriesError, Rows, to_blame
from dltool.diagnostics.hunt.rows import Layout, alike, exchanged, layout
from dltool.training.experiment import Batch

MOST_TRIALS = 64
"""Passes that the search in one batch may cost."""

Donor = tuple[Batch, Layout] | None


def guilty_rows(batch: Batch, suspects: Sequence[int], lender: Batch | None, is_bad: Callable[[Batch], bool]) -> Rows:
    """The rows that make ``batch`` bad; () where exchanging rows heals nothing, or it cannot be told which they are.

    Where every row must be exchanged (labels that are all ignored, a constant batch), it is all of them.

    Args:
        batch: a bad one.
        suspects: rows that look bad; they are tried first.
        lender: a good batch, if one was met.
        is_bad: passes a batch.
    """
    found = layout(batch)
    if found is None:
        return ()
    if found.samples == 1:
        return (0,)
    everyone = tuple(range(found.samples))
    suspected = tuple(row for row in suspects if row < found.samples)
    for good, donor in _spares(batch, found, suspected, lender):
        trial = _Exchange(batch, found, good, donor, is_bad)
        try:
            if not trial.is_bad(() if donor is not None else good):
                return to_blame(everyone, suspected, trial.is_bad)
        except OutOfTriesError:
            return suspected
    return ()


def _spares(batch: Batch, found: Layout, suspected: Rows, lender: Batch | None) -> Iterator[tuple[Rows, Donor]]:
    """Good rows to put in: the unsuspected, those of another batch, then ever smaller parts of this one."""
    unsuspected = tuple(row for row in range(found.samples) if row not in set(suspected))
    if suspected and unsuspected:
        yield unsuspected, None
    theirs = None if lender is None else alike(batch, found, lender)
    if lender is not None and theirs is not None:
        yield tuple(found.samples + row for row in range(theirs.samples)), (lender, theirs)
    size = found.samples
    while size > 1:
        size = (size + 1) // 2
        for start in range(0, found.samples, size):
            yield tuple(range(start, min(start + size, found.samples))), None


class _Exchange:
    """The batch with some rows in place and the others exchanged for ``good`` ones; every answer is kept."""

    def __init__(self, batch: Batch, found: Layout, good: Rows, donor: Donor, is_bad: Callable[[Batch], bool]) -> None:
        self._batch, self._layout, self._good, self._donor, self._is_bad = batch, found, good, donor, is_bad
        self._known: dict[tuple[frozenset[int], int], bool] = {}
        self._proven = donor is None
        self._trials = 0

    def is_bad(self, kept: Sequence[int], shift: int = 0) -> bool:
        """Whether the batch is bad with these rows in place; ``shift`` hands out the good rows in another way.

        Raises:
            OutOfTriesError: enough was tried.
        """
        staying, rows = frozenset(kept), range(self._layout.samples)
        if len(staying) == len(rows) or (self._proven and not staying):
            return bool(staying)
        if (staying, shift) not in self._known:
            if self._trials == MOST_TRIALS:
                raise OutOfTriesError
            self._trials += 1
            index = [row if row in staying else self._good[(row + shift) % len(self._good)] for row in rows]
            self._known[staying, shift] = self._is_bad(exchanged(self._batch, self._layout, index, self._donor))
        return self._known[staying, shift]
