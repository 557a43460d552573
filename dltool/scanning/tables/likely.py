"""Rows that are likely equal, by the few columns that tell most rows apart: the others are hashed for these rows alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dltool.scanning.tables.block import Block, Cells
from dltool.scanning.tables.rows import add_cells, cell_bits

FIRST_ROWS = 4096
ENOUGH_BITS = 36.0
"""The logarithms of how many values columns have among the first rows add up to this: three columns of measurements."""
MOST_COLUMNS = 8


def telling_columns(
    block: Block, hashes: Mapping[int, NDArray[np.uint64]], keys: Mapping[int, np.uint64]
) -> Sequence[int] | None:
    """Columns that tell all of the first rows apart; None where these are few, or where a few columns are not enough.

    ``hashes`` are those of the words, and ``keys`` the factors, of the columns that may be taken.
    """
    count = min(block.count, FIRST_ROWS)
    heads = {at: _head(block.columns[at], count) for at in keys}
    bits = {
        at: math.log2(len(np.unique(cell_bits(cells, hashes[at], slice(0, count), count)))) for at, cells in heads.items()
    }
    chosen: list[int] = []
    sums = np.zeros(count, np.uint64)
    for at in sorted(bits, key=lambda one: (-bits[one], one))[:MOST_COLUMNS]:
        chosen.append(at)
        add_cells(sums, heads[at], hashes[at], keys[at])
        if sum(bits[one] for one in chosen) >= ENOUGH_BITS:
            return chosen if len(np.unique(sums)) == count else None
    return None


def rows_in(block: Block, rows: NDArray[np.int64]) -> NDArray[np.intp]:
    """Positions in a block of those of its rows that are among ``rows``, ascending."""
    if block.kept is not None:
        return np.flatnonzero(np.isin(block.kept, rows, assume_unique=True))
    start, stop = np.searchsorted(rows, (block.first_row, block.first_row + block.count))
    return rows[start:stop] - block.first_row


def taken(cells: Cells, at: NDArray[np.intp]) -> Cells:
    """The cells at some positions; words and all."""
    return Cells(
        numbers=None if cells.numbers is None else cells.numbers[at],
        absent=None if cells.absent is None else cells.absent[at],
        codes=None if cells.codes is None else cells.codes[at],
        words=cells.words,
    )


def _head(cells: Cells, count: int) -> Cells:
    return taken(cells, np.arange(count))
