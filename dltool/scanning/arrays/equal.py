"""Equal rows of an array: a few words of each row first, and all of it where these are equal."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltool.scanning.digest import digest_of
from dltool.scanning.record import RowGroup
from dltool.scanning.tables.rows import EqualRows

WORDS = 4
"""Of 8 bytes (4, 2 or 1 where rows are no multiples): those that differ most among the first rows."""
FEW_WORDS = 2
"""Enough where each of them is another in all of the first rows."""
FIRST_ROWS = 256
TOGETHER = 1 << 16
"""Rows that are handed over at once."""
KEYS = tuple(map(np.uint64, (0x9E37_79B9_7F4A_7C15, 0xBF58_476D_1CE4_E5B9, 0x94D0_49BB_1331_11EB, 0xD6E8_FEB8_6659_FD93)))
_HALF = np.uint64(32)
MOST_COMPARED = 2_000_000
"""So many rows that look equal are compared as a whole; of the rest none is told."""


class EqualArrayRows:
    """Finds equal rows of ``row_bytes`` bytes. ``every``: all rows are hashed as a whole at once."""

    def __init__(self, row_bytes: int, *, every: bool) -> None:
        self._row_bytes = row_bytes
        self._every = every
        self._whole = EqualRows()
        self._looks = EqualRows()
        self._words: list[int] | None = None
        self._waiting: list[NDArray[np.uint64]] = []
        self._looked = 0

    def add(self, values: NDArray[Any], first: int) -> None:
        """Rows (n, items), C-contiguous."""
        if self._every:
            self._whole.add(self._hashes(values, np.arange(len(values))), None, first)
            return
        words = self._as_words(values)
        if self._words is None:
            self._words = _telling(words[:FIRST_ROWS])
        sums = np.zeros(len(values), np.uint64)
        for at, key in zip(self._words, KEYS, strict=False):
            word = words[:, at].astype(np.uint64)
            word ^= word >> _HALF
            word *= key
            sums += word
        self._waiting.append(sums)
        if sum(map(len, self._waiting)) >= TOGETHER:
            self._hand_over()

    def candidates(self) -> NDArray[np.int64] | None:
        """Rows that look equal to others, ascending; None where there are none."""
        if self._every:
            return None
        self._hand_over()
        rows = self._looks.repeated_rows()[:MOST_COMPARED]
        return rows if len(rows) else None

    def compare(self, values: NDArray[Any], first: int, candidates: NDArray[np.int64]) -> None:
        """Rows (n, items) again: those among the candidates are hashed as a whole."""
        start, stop = np.searchsorted(candidates, (first, first + len(values)))
        rows = candidates[start:stop]
        if len(rows):
            self._whole.add(self._hashes(values, rows - first), None, rows)

    def groups(self) -> tuple[tuple[RowGroup, ...], int, bytes]:
        """Groups of equal rows, how many rows are in some, and the hashes of all rows where they were taken."""
        groups, count = self._whole.groups(None)
        return groups, count, self._whole.hashes(in_order=True) if self._every else b""

    def _hand_over(self) -> None:
        if self._waiting:
            sums = np.concatenate(self._waiting)
            self._looks.add(sums, None, self._looked)
            self._looked += len(sums)
            self._waiting = []

    def _as_words(self, values: NDArray[Any]) -> NDArray[Any]:
        size = next(size for size in (8, 4, 2, 1) if self._row_bytes % size == 0)
        return values.view(np.uint8).reshape(len(values), self._row_bytes).view(f"u{size}")

    def _hashes(self, values: NDArray[Any], positions: NDArray[np.int64]) -> NDArray[np.uint64]:
        data: Any = memoryview(values.view(np.uint8).reshape(-1))  # type: ignore[arg-type]  # an array is a buffer
        size = self._row_bytes
        found = [int(digest_of(data[at * size : (at + 1) * size])[-16:], 16) for at in positions.tolist()]
        return np.array(found, np.uint64)


def _telling(words: NDArray[Any]) -> list[int]:
    """Which words (n, words) of the first rows tell them apart."""
    variety = [len(np.unique(words[:, at])) for at in range(min(words.shape[1], 4096))]
    chosen = sorted(range(len(variety)), key=lambda at: (-variety[at], at))[:WORDS]
    return chosen[:FEW_WORDS] if all(variety[at] == len(words) for at in chosen[:FEW_WORDS]) else chosen
