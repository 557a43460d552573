"""Rows drawn to find the middle of columns: the same ones on every machine, spread evenly, as many as fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_VALUES = 1 << 22
"""Values of all columns together that are held, 32 MiB."""
MOST_ROWS = 1 << 14
LEAST_ROWS = 1 << 11
"""The rank of a median of 2,048 is off by 3 % at most, of 16,384 by 1.1 %, with odds of 1 in 20 (Dvoretzky, Kiefer &
Wolfowitz 1956)."""


class Sample:
    """Draws one row of every run of 2^level, and of every second run whenever there are too many.

    Which half of a run is left follows from a hash of the run's index: each row is as likely as any other, rows that are
    drawn at a level are drawn at all lower ones, and nothing need be done for the others.
    """

    def __init__(self, columns: int) -> None:
        self._most = min(MOST_ROWS, max(LEAST_ROWS, MOST_VALUES // max(columns, 1)))
        self._level = 0
        self._pieces: list[NDArray[np.int64]] = []
        self._thinned_to = 0

    def draw(self, first_row: int, count: int, kept: NDArray[np.int64] | None = None) -> NDArray[np.intp]:
        """Positions (k,) of the rows that are drawn among ``count`` from ``first_row`` on, or among ``kept``, ascending."""
        while kept is None and (count >> self._level) > self._most + 1:
            self._level += 1
        drawn = self._drawn(first_row, count, kept)
        while len(drawn) > self._most:
            self._level += 1
            drawn = self._drawn(first_row, count, kept)
        self._pieces.append(drawn + first_row if kept is None else kept[drawn])
        return drawn

    def thin_out(self, columns: list[list[NDArray[np.float64]]]) -> None:
        """Where too many rows are drawn, leave half of them out of ``columns``, each as many pieces as were drawn."""
        while self._thinned_to < self._level or sum(map(len, self._pieces)) > self._most:
            self._level = max(self._level, self._thinned_to + 1)
            kept = [_is_left(piece, self._thinned_to, self._level) for piece in self._pieces]
            self._thinned_to = self._level
            self._pieces = [np.concatenate([piece[mask] for piece, mask in zip(self._pieces, kept, strict=True)])]
            for column in columns:
                column[:] = [np.concatenate([piece[mask] for piece, mask in zip(column, kept, strict=True)])]

    def _drawn(self, first_row: int, count: int, kept: NDArray[np.int64] | None) -> NDArray[np.intp]:
        if kept is not None:
            return np.flatnonzero(_is_left(kept, 0, self._level))
        rows = np.arange(first_row >> self._level, ((first_row + count - 1) >> self._level) + 1)
        for level in range(self._level, 0, -1):
            rows = 2 * rows + _halves(rows, level)
        rows -= first_row
        start, stop = np.searchsorted(rows, (0, count))
        return rows[start:stop]


def _is_left(rows: NDArray[np.int64], since: int, level: int) -> NDArray[np.bool_]:
    """Which rows of those drawn at level ``since`` are drawn at ``level``."""
    left = np.ones(len(rows), np.bool_)
    for at in range(since + 1, level + 1):
        left &= _halves(rows >> at, at) == ((rows >> (at - 1)) & 1)
    return left


def _halves(runs: NDArray[np.int64], level: int) -> NDArray[np.int64]:
    """0 or 1 for each run: the half of it that is left. A bit of SplitMix64 (Steele, Lea & Flood 2014)."""
    mixed = (runs.astype(np.uint64) * np.uint64(64) + np.uint64(level)) * np.uint64(0x9E37_79B9_7F4A_7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58_476D_1CE4_E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D0_49BB_1331_11EB)
    return (mixed >> np.uint64(63)).astype(np.int64)
