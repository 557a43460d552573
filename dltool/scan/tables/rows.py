"""Hashes of rows, so that equal ones are found wherever they stand: 12 bytes a row, one sort at the end."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltool.scan.digest import digest_of
from dltool.scan.record import RowGroup
from dltool.scan.tables.block import ABSENT, Cells

MOST_ROWS = 1 << 23
"""Above it only rows whose hash ends in a zero bit are compared, then in two, and so on: memory stays flat."""
MOST_GROUPS = 100
ROWS_TOLD = 20
EXACT = 2.0**53
NOTHING = np.uint64(0x7FF8_0000_0000_0000)
"""Stands for a missing value: the bits of NaN, as readers make the one of the other."""
_FOLD, _HALF = np.uint64(40), np.uint64(32)
_LAST = np.uint64(0x9E37_79B9_7F4A_7C15)


def word_hash(word: str) -> int:
    """64 bits, the same in every process."""
    return int(digest_of(word.encode("utf-8", "surrogatepass")).partition(":")[2][:16], 16)


def column_key(name: str, repeat: int) -> np.uint64:
    """An odd number that belongs to a column's name, so that the order of columns does not matter."""
    text = f"{repeat}\x1f{name}".encode("utf-8", "surrogatepass")
    return np.uint64(int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") | 1)


def number_bits(values: NDArray[Any]) -> NDArray[np.uint64]:
    """The bits of each number as float64, so that 3 and 3.0 are equal; of integers beyond 2^53 their own."""
    floats = values.astype(np.float64, copy=False)
    bits = floats.view(np.uint64)
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8 and len(values):
        large = (values > EXACT) | (values < -EXACT)
        if large.any():
            bits = np.where(large, values.astype(np.uint64), bits)
    return bits


def add_cells(sums: NDArray[np.uint64], cells: Cells, words: NDArray[np.uint64], key: np.uint64) -> None:
    """Add a column's part to the sums (n,) of its rows. ``words`` are the hashes of ``cells.words``.

    Sums of products with random odd numbers are 2^-64-universal but for factors of two, and these are taken away by folding
    the high bits of a float, where round numbers differ, onto the low ones (Dietzfelbinger 1996).
    """
    if cells.numbers is None:
        bits = np.full(len(sums), NOTHING)
    else:
        bits = number_bits(cells.numbers)
        if cells.absent is not None:
            bits = np.where(cells.absent, NOTHING, bits)
    if cells.codes is not None and len(words):
        bits = np.where(cells.codes == ABSENT, bits, words[cells.codes])
    folded = np.right_shift(bits, _FOLD)
    np.bitwise_xor(folded, bits, out=folded)
    np.multiply(folded, key, out=folded)
    np.add(sums, folded, out=sums)


class EqualRows:
    """Collects the hashes of rows and, where there is a target, of their labels."""

    def __init__(self) -> None:
        self._hashes: list[NDArray[np.uint64]] = []
        self._labels: list[NDArray[np.uint32]] = []
        self._rows: list[NDArray[np.int64]] = []
        self._held = 0
        self._mask = 0
        self._total = 0
        self.rows = 0

    def add(self, sums: NDArray[np.uint64], labels: NDArray[np.uint64] | None, rows: NDArray[np.int64]) -> None:
        """Rows of a block: sums of ``add_cells`` over all columns but the target, and the same of the target alone."""
        hashes = _scrambled(sums)
        self.rows += len(hashes)
        both = hashes if labels is None else _scrambled(sums + labels)
        self._total = (self._total + int(np.add.reduce(both, dtype=np.uint64))) % 2**64
        marks = None if labels is None else (_scrambled(labels) >> _HALF).astype(np.uint32)
        if self._mask:
            kept = (hashes & np.uint64(self._mask)) == 0
            hashes, rows, marks = hashes[kept], rows[kept], None if marks is None else marks[kept]
        self._hashes.append(hashes)
        self._rows.append(rows)
        if marks is not None:
            self._labels.append(marks)
        self._held += len(hashes)
        while self._held > MOST_ROWS:
            self._thin_out()

    @property
    def content(self) -> str:
        """The same for tables of equal rows in any order."""
        return f"rows:{self.rows}:{self._total:016x}"

    @property
    def share(self) -> float:
        """The share of rows that were compared."""
        return 1.0 / (self._mask + 1)

    def hashes(self, *, in_order: bool) -> bytes:
        """Of rows without their label, 8 bytes each, little-endian: in the order of rows, or of distinct ones, sorted."""
        hashes = self._joined()[0]
        return (hashes if in_order and not self._mask else np.unique(hashes)).astype("<u8").tobytes()

    def repeated_rows(self) -> NDArray[np.int64]:
        """Indices of rows whose hash another row has, in the order in which they were added."""
        hashes, _, rows = self._joined()
        return rows[_repeated(hashes)]

    def groups(self, names: Mapping[int, str] | None) -> tuple[tuple[RowGroup, ...], int]:
        """The first groups of equal rows, by their first rows, and the number of all rows that are in some group.

        ``names`` maps label hashes to labels; without it (no target, or one of too many values) the label is a part of the
        row.
        """
        hashes, marks, rows = self._joined()
        if marks is not None and names is None:
            hashes = _scrambled(hashes + marks.astype(np.uint64))
        at = _repeated(hashes)
        at = at[np.argsort(hashes[at], kind="stable")]
        if not len(at):
            return (), 0
        starts = np.flatnonzero(np.r_[True, hashes[at][1:] != hashes[at][:-1]])
        ends = np.r_[starts[1:], len(at)]
        first = np.argsort(rows[at[starts]], kind="stable")[:MOST_GROUPS]
        groups = [_group(at[starts[g] : ends[g]], rows, marks, names) for g in first]
        return tuple(groups), len(at)

    def _joined(self) -> tuple[NDArray[np.uint64], NDArray[np.uint32] | None, NDArray[np.int64]]:
        if len(self._hashes) != 1:
            self._hashes = [np.concatenate(self._hashes) if self._hashes else np.empty(0, np.uint64)]
            self._rows = [np.concatenate(self._rows) if self._rows else np.empty(0, np.int64)]
            self._labels = [np.concatenate(self._labels)] if self._labels else []
        return self._hashes[0], self._labels[0] if self._labels else None, self._rows[0]

    def _thin_out(self) -> None:
        self._mask = self._mask * 2 + 1
        hashes, marks, rows = self._joined()
        kept = (hashes & np.uint64(self._mask)) == 0
        self._hashes, self._rows = [hashes[kept]], [rows[kept]]
        self._labels = [] if marks is None else [marks[kept]]
        self._held = len(self._hashes[0])


def label_hash(bits: int, key: np.uint64) -> int:
    """What ``EqualRows`` keeps of a label: 32 bits of the hash of its one cell."""
    sums = np.zeros(1, np.uint64)
    folded = np.array([bits], np.uint64)
    sums += (folded ^ (folded >> _FOLD)) * key
    return int(_scrambled(sums)[0] >> _HALF)


def _scrambled(sums: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed = (sums ^ (sums >> _HALF)) * _LAST
    return mixed ^ (mixed >> _HALF)


def _repeated(hashes: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Positions of hashes that occur more than once, ascending. Sorts half of the bits, which takes a third of the time."""
    halves = np.sort((hashes >> _HALF).astype(np.uint32))
    twice = np.unique(halves[1:][halves[1:] == halves[:-1]])
    if not len(twice):
        return np.empty(0, np.intp)
    table = np.zeros(1 << 16, np.bool_)
    table[twice >> np.uint32(16)] = True
    at = np.flatnonzero(table[(hashes >> np.uint64(48)).astype(np.uint16)])
    at = at[np.isin((hashes[at] >> _HALF).astype(np.uint32), twice)]
    _, place, repeats = np.unique(hashes[at], return_inverse=True, return_counts=True)
    return at[repeats[place] > 1]


def _group(
    at: NDArray[np.intp], rows: NDArray[np.int64], marks: NDArray[np.uint32] | None, names: Mapping[int, str] | None
) -> RowGroup:
    told = tuple(rows[at[:ROWS_TOLD]].tolist())
    if marks is None or names is None:
        return RowGroup(rows=told, count=len(at))
    labels = _labels(np.unique(marks[at]).tolist(), names)
    return RowGroup(rows=told, count=len(at), labels=labels if len(labels) > 1 else ())


def _labels(marks: Sequence[int], names: Mapping[int, str]) -> tuple[str, ...]:
    return tuple(sorted(names.get(mark, "") for mark in marks))
