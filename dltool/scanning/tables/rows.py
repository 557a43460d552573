"""Hashes of rows, so that equal ones are found wherever they stand: 12 bytes a row, one sort at the end."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltool.scanning.digest import digest_of, xxhash
from dltool.scanning.record import RowGroup
from dltool.scanning.tables.block import ABSENT, Cells

MOST_ROWS = 1 << 23
"""Above it only rows whose hash ends in a zero bit are compared, then in two, and so on: memory stays flat."""
Rows = NDArray[np.int64] | int
"""Indices of rows, or of the first of consecutive ones."""
SLICE_ROWS = 1 << 14
"""Rows that are hashed together, so that what is in between stays in the cache."""
MOST_GROUPS = 100
ROWS_TOLD = 20
EXACT = 2.0**53
NOTHING = np.uint64(0x7FF8_0000_0000_0000)
"""Stands for a missing value: the bits of NaN, as readers make the one of the other."""
_FOLD, _HALF = np.uint64(40), np.uint64(32)
_LAST = np.uint64(0x9E37_79B9_7F4A_7C15)


def word_hash(word: str) -> int:
    """64 bits, the same in every process."""
    data = word.encode("utf-8", "surrogatepass")
    if xxhash is not None:
        return int(xxhash.xxh3_128_intdigest(data)) >> 64
    return int(digest_of(data).partition(":")[2][:16], 16)


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
    for start in range(0, len(sums), SLICE_ROWS):
        part = slice(start, start + SLICE_ROWS)
        bits = cell_bits(cells, words, part, len(sums[part]))
        folded = np.right_shift(bits, _FOLD)
        np.bitwise_xor(folded, bits, out=folded)
        np.multiply(folded, key, out=folded)
        np.add(sums[part], folded, out=sums[part])


def cell_bits(cells: Cells, words: NDArray[np.uint64], part: slice, count: int) -> NDArray[np.uint64]:
    """64 bits for each row of a part of a column; lists are as nothing."""
    if cells.numbers is None or cells.owners is not None:
        bits = np.full(count, NOTHING)
    else:
        bits = number_bits(cells.numbers[part])
        if cells.absent is not None:
            bits = np.where(cells.absent[part], NOTHING, bits)
    if cells.codes is not None and len(words):
        codes = cells.codes[part]
        bits = np.where(codes == ABSENT, bits, words[codes])
    return bits


class EqualRows:
    """Collects the hashes of rows and, where there is a target, of their labels."""

    def __init__(self) -> None:
        self._hashes: list[NDArray[np.uint64]] = []
        self._labels: list[NDArray[np.uint32]] = []
        self._rows: list[Rows] = []
        self._held = 0
        self._mask = 0
        self._total = 0
        self.rows = 0

    def add(self, sums: NDArray[np.uint64], labels: NDArray[np.uint64] | None, rows: Rows) -> None:
        """Rows of a block: sums of ``add_cells`` over all columns but the target, and the same of the target alone."""
        hashes = _scrambled(sums)
        self.rows += len(hashes)
        both = hashes if labels is None else _scrambled(sums + labels)
        self._total = (self._total + int(np.add.reduce(both, dtype=np.uint64))) % 2**64
        marks = None if labels is None else (_scrambled(labels) >> _HALF).astype(np.uint32)
        if self._mask:
            kept = (hashes & np.uint64(self._mask)) == 0
            at = np.flatnonzero(kept)
            hashes, rows, marks = hashes[at], _taken(rows, at), None if marks is None else marks[at]
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
        hashes = np.concatenate(self._hashes) if self._hashes else np.empty(0, np.uint64)
        return (hashes if in_order and not self._mask else np.unique(hashes)).astype("<u8").tobytes()

    def repeated_rows(self) -> NDArray[np.int64]:
        """Indices of rows whose hash another row has, ascending."""
        return np.sort(self._repeated(None)[2])

    def groups(self, names: Mapping[int, str] | None) -> tuple[tuple[RowGroup, ...], int]:
        """The first groups of equal rows, by their first rows, and the number of all rows that are in some group.

        ``names`` maps label hashes to labels; without it (no target, or one of too many values) the label is a part of the
        row.
        """
        hashes, marks, rows = self._repeated(names)
        if not len(hashes):
            return (), 0
        starts = np.flatnonzero(np.r_[True, hashes[1:] != hashes[:-1]])
        ends = np.r_[starts[1:], len(hashes)]
        first = np.argsort(rows[starts], kind="stable")[:MOST_GROUPS]
        at = np.arange(len(hashes))
        return tuple(_group(at[starts[g] : ends[g]], rows, marks, names) for g in first), len(hashes)

    def _repeated(
        self, names: Mapping[int, str] | None
    ) -> tuple[NDArray[np.uint64], NDArray[np.uint32] | None, NDArray[np.int64]]:
        """Hashes that occur more than once, sorted, with marks and rows.

        Half of the bits are sorted first, which takes a third of the time and of the memory.
        """
        marked = bool(self._labels)
        pieces = self._hashes
        if marked and names is None:
            both = zip(self._hashes, self._labels, strict=True)
            pieces = [_scrambled(hashes + marks.astype(np.uint64)) for hashes, marks in both]
        halves = np.empty(sum(map(len, pieces)), np.uint32)
        at = 0
        for piece in pieces:
            halves[at : at + len(piece)] = piece >> _HALF
            at += len(piece)
        halves.sort()
        twice = np.unique(halves[1:][halves[1:] == halves[:-1]])
        table = np.zeros(1 << 16, np.bool_)
        table[twice >> np.uint32(16)] = True
        found = [_among(piece, twice, table) for piece in pieces] if len(twice) else []
        if not found:
            return np.empty(0, np.uint64), None, np.empty(0, np.int64)
        hashes = np.concatenate([piece[at] for piece, at in zip(pieces, found, strict=True)])
        rows = np.concatenate([_taken(piece, at) for piece, at in zip(self._rows, found, strict=True)])
        marks = np.concatenate([piece[at] for piece, at in zip(self._labels, found, strict=True)]) if marked else None
        _, place, repeats = np.unique(hashes, return_inverse=True, return_counts=True)
        several = np.flatnonzero(repeats[place] > 1)
        several = several[np.argsort(hashes[several], kind="stable")]
        return hashes[several], None if marks is None else marks[several], rows[several]

    def _thin_out(self) -> None:
        self._mask = self._mask * 2 + 1
        kept = [(hashes & np.uint64(self._mask)) == 0 for hashes in self._hashes]
        self._hashes = [piece[mask] for piece, mask in zip(self._hashes, kept, strict=True)]
        self._rows = [_taken(piece, np.flatnonzero(mask)) for piece, mask in zip(self._rows, kept, strict=True)]
        self._labels = [piece[mask] for piece, mask in zip(self._labels, kept, strict=True)] if self._labels else []
        self._held = sum(map(len, self._hashes))


def label_hash(bits: int, key: np.uint64) -> int:
    """What ``EqualRows`` keeps of a label: 32 bits of the hash of its one cell."""
    sums = np.zeros(1, np.uint64)
    folded = np.array([bits], np.uint64)
    sums += (folded ^ (folded >> _FOLD)) * key
    return int(_scrambled(sums)[0] >> _HALF)


def _scrambled(sums: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed = (sums ^ (sums >> _HALF)) * _LAST
    return mixed ^ (mixed >> _HALF)


def _among(hashes: NDArray[np.uint64], twice: NDArray[np.uint32], table: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Positions of hashes whose upper half is in ``twice``; ``table`` tells by its first 16 bits."""
    at = np.flatnonzero(table[(hashes >> np.uint64(48)).astype(np.uint16)])
    upper = (hashes[at] >> _HALF).astype(np.uint32)
    place = np.minimum(np.searchsorted(twice, upper), len(twice) - 1)
    among: NDArray[np.intp] = at[twice[place] == upper]
    return among


def _taken(rows: Rows, at: NDArray[np.intp]) -> NDArray[np.int64]:
    return at.astype(np.int64) + rows if isinstance(rows, int) else rows[at]


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
