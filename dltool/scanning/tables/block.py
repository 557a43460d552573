"""Some rows of a table, as readers hand them to the statistics: numbers, words, or both in one column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ABSENT = -1
"""The code of a row that has no word."""


@dataclass(slots=True)
class Cells:
    """One column of a block of n rows.

    Attributes:
        numbers: (n,) of any real type; what stands in rows with a word, or with nothing, means nothing. None for pure text.
        absent: (n,) bool, rows that hold no number; None where all do.
        codes: (n,) indices into ``words``, ``ABSENT`` for rows without a word; None for pure numbers.
        words: the different words, in no order that matters.
        owners: where a row holds a list: ``numbers`` are those of all lists, and this the position of each one's row,
            ascending; ``absent`` is still by row. Such a column takes no part in comparing rows.
    """

    numbers: NDArray[Any] | None = None
    absent: NDArray[np.bool_] | None = None
    codes: NDArray[np.int32] | None = None
    words: Sequence[str] = ()
    owners: NDArray[np.int64] | None = None

    @property
    def rows(self) -> int:
        """How many rows there are."""
        cells = self.codes if self.numbers is None else self.numbers
        return 0 if cells is None else len(cells)

    @property
    def has_holes(self) -> bool:
        """Whether some rows hold no number, or, in pure text, no word."""
        if self.numbers is not None:
            return self.absent is not None
        return self.codes is not None and bool((self.codes == ABSENT).any())


@dataclass(slots=True)
class Block:
    """Consecutive rows, all columns.

    Attributes:
        first_row: index in the table of the first row; ``count`` follow.
        columns: one for each column of the table.
        kept: (count,) ascending indices in the table, where rows between them are left out (ragged ones); else None.
        line_of: the text line, from 1, on which the row begins that stands at a position of this block.
    """

    first_row: int
    count: int
    columns: Sequence[Cells]
    kept: NDArray[np.int64] | None = None
    line_of: Callable[[int], int] | None = None

    def row_indices(self, positions: NDArray[np.intp]) -> NDArray[np.int64]:
        """Indices in the table of rows at some positions of this block."""
        if self.kept is None:
            return positions.astype(np.int64) + self.first_row
        return self.kept[positions]

    def position(self, row: int) -> int:
        """Where in this block the row with an index in the table stands."""
        return row - self.first_row if self.kept is None else int(np.searchsorted(self.kept, row))
