"""Statistics of one column of words, or of the words in a column of numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dltool.scanning.tables.block import ABSENT, Block
from dltool.scanning.tables.numbers import Spots

KEPT_HASHES = 4096
"""So many different words are told apart exactly; beyond, the number is estimated to 1.6 %."""


KEPT_EXAMPLES = 3


class Words:
    """Counts words and different words (by the smallest of their hashes; Bar-Yossef et al. 2002)."""

    __slots__ = ("_bound", "_smallest", "count", "examples", "spots")

    def __init__(self) -> None:
        self.count = 0
        self.spots = Spots()
        self.examples: list[str] = []
        self._smallest = np.empty(0, np.uint64)
        self._bound = np.uint64(0xFFFF_FFFF_FFFF_FFFF)

    @property
    def distinct(self) -> int:
        """How many different words, nothing not among them."""
        if len(self._smallest) < KEPT_HASHES:
            return len(self._smallest)
        return min(self.count, round((KEPT_HASHES - 1) / (float(self._smallest[-1]) / 2.0**64)))

    def add(self, codes: NDArray[np.int32], words: Sequence[str], hashes: NDArray[np.uint64], block: Block) -> None:
        """Rows (n,) of a block: ``codes`` index ``words``, whose ``hashes`` are given; every word occurs."""
        present = np.flatnonzero(codes != ABSENT)
        self.count += len(present)
        self.examples += [words[codes[at]] for at in present[: KEPT_EXAMPLES - len(self.examples)]]
        self.spots.add(block.row_indices(present))
        new = hashes[hashes < self._bound]
        if len(new):
            self._smallest = np.unique(np.concatenate([self._smallest, new]))[:KEPT_HASHES]
            if len(self._smallest) == KEPT_HASHES:
                self._bound = self._smallest[-1]
