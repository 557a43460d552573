"""The values of the target column, counted while there are few enough of them to be classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dltool.scanning.tables.block import ABSENT, Block, Cells
from dltool.scanning.tables.numbers import FIRST_ROWS, Spots
from dltool.scanning.tables.rows import label_hash, number_bits, word_hash

MOST_LABELS = 10_000
"""Beyond, they are values or texts, and are not counted."""
FEW_LABELS = 20
CLASS_SHARE = 0.05
"""Labels are classes where there are so few for each row, or ``FEW_LABELS`` at most: only classes can contradict."""
MOST_LOCATED = 256
"""Different labels in a block, up to which the rows of rare ones are kept: to find those of one takes a pass over it."""
RARE_SHARE = 0.2
RARE = 5
"""A label that so few rows have, or such a share of those of the most frequent label, may be a stray: its rows are named."""


class Labels:
    """Counts by label text, and knows labels by their hash."""

    def __init__(self, key: np.uint64) -> None:
        self._key = key
        self._counts: dict[str, int] | None = {}
        self._names: dict[int, str] = {}
        self._rows = 0
        self._spots: dict[str, Spots] = {}
        """Rows by label, of those that are rare so far."""

    def add(self, cells: Cells, block: Block) -> None:
        """The target's cells of a block."""
        if cells.numbers is not None:
            values = cells.numbers if cells.absent is None or cells.owners is not None else cells.numbers[~cells.absent]
            different, counts = np.unique(values, return_counts=True)
            bits = number_bits(different.astype(np.uint8) if different.dtype == np.bool_ else different)
            found = different[: MOST_LABELS + 1].tolist()
            for value, count, bit in zip(found, counts.tolist(), bits.tolist(), strict=False):
                self._count(_text(value), count, bit)
            if len(found) <= MOST_LOCATED and cells.owners is None:
                for value, text in ((value, _text(value)) for value in found):
                    if self._is_rare(text):
                        here = np.isnan(cells.numbers) if text == "nan" else cells.numbers == value
                        self._locate(text, here if cells.absent is None else here & ~cells.absent, block)
        if cells.codes is not None:
            counts = np.bincount(cells.codes[cells.codes != ABSENT], minlength=len(cells.words))
            for word, count in zip(cells.words, counts.tolist(), strict=True):
                if count:
                    self._count(word, count, None)
            for code, word in enumerate(cells.words if len(cells.words) <= MOST_LOCATED else ()):
                if counts[code] and self._is_rare(word):
                    self._locate(word, cells.codes == code, block)

    def counted(self) -> tuple[tuple[str, int], ...]:
        """Most first; empty where there are too many."""
        return tuple(sorted((self._counts or {}).items(), key=lambda pair: (-pair[1], pair[0])))

    def located(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """The rows of rare labels, where all of them are known."""
        counted = self.counted()
        rare = max(RARE, RARE_SHARE * counted[0][1] if counted else 0)
        return tuple(
            (text, tuple(self._spots[text].rows))
            for text, count in counted
            if count <= rare and text in self._spots and self._spots[text].count == count
        )

    def names(self) -> Mapping[int, str] | None:
        """Label texts by hash; None where labels are no classes."""
        if self._counts is None or len(self._counts) > max(FEW_LABELS, CLASS_SHARE * self._rows):
            return None
        return self._names

    def _count(self, text: str, count: int, bits: int | None) -> None:
        if self._counts is None:
            return
        self._rows += count
        if text not in self._counts:
            self._names[label_hash(word_hash(text) if bits is None else bits, self._key)] = text
        self._counts[text] = self._counts.get(text, 0) + count
        if len(self._counts) > MOST_LABELS:
            self._counts = None

    def _is_rare(self, text: str) -> bool:
        """Whether its rows are still worth keeping."""
        return self._counts is not None and self._counts.get(text, 0) <= FIRST_ROWS

    def _locate(self, text: str, here: NDArray[np.bool_], block: Block) -> None:
        self._spots.setdefault(text, Spots()).add(block.row_indices(np.flatnonzero(here)))


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 2**63 else str(value)
