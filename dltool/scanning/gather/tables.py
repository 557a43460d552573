"""Equal rows: within a table, and in two tables. Rows are told by 64-bit hashes, of which four million at most are kept."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from math import expm1, log2

import numpy as np
from numpy.typing import NDArray

from dltool.core.file_names import printable
from dltool.core.measured.scan_likeness import EqualRowGroup, EqualRows, RepeatingTable, SharedRows, SharedRowsPair
from dltool.scanning.collect.layout import split_in_name
from dltool.scanning.record import Entry, TableFacts

MOST_HASHES = 1 << 22
"""Row hashes in memory; where there are more, only those that end in enough zero bits are kept: the same in every table."""

MOST_ROWS = 10_000
"""Rows of a pair that are named; ``shared`` counts all."""

MOST_GROUPS = 1000
"""Groups of equal rows that a table tells of."""

Hashes = NDArray[np.uint64]
Places = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    path: str
    file: str
    split: str | None
    rows: int
    repeated_ratio: float
    """Share of the rows that equal another of this table."""
    spread_bits: float | None


class Tables:
    """Gathers the tables of a scan."""

    def __init__(self) -> None:
        self._tables: list[_Table] = []
        self._repeating: list[RepeatingTable] = []
        self._hashes: list[Hashes] = []
        self._rows: list[NDArray[np.uint32] | None] = []
        self._seen, self._kept, self._zero_bits = 0, 0, 0

    def add(self, entry: Entry) -> None:
        """Note a file if it is a table of more than one row; ``X_train.npy`` tells its split by its name."""
        table, item = entry.found.table, entry.item
        if table is None or table.rows < 2:
            return
        if table.equal_rows:
            self._repeating.append(_repeating(entry, table))
        hashes = np.frombuffer(table.row_hashes, dtype="<u8").astype(np.uint64)
        split = item.split or split_in_name(item.name.rpartition("/")[2])
        ratio = table.equal_row_count / table.rows
        self._tables.append(
            _Table(printable(item.name), printable(item.path), split, table.rows, ratio, _spread_bits(table))
        )
        self._keep(hashes, in_order=len(hashes) == table.rows and bool((hashes[1:] <= hashes[:-1]).any()))

    def sections(self) -> tuple[EqualRows, SharedRows]:
        """What was found, in the order of the scan."""
        return (
            EqualRows(tables=len(self._tables), repeating=tuple(self._repeating)),
            SharedRows(tables=len(self._tables), kept_ratio=self._kept / max(self._seen, 1), pairs=self._pairs()),
        )

    def _keep(self, hashes: Hashes, *, in_order: bool) -> None:
        self._seen += len(hashes)
        chosen = self._chosen(hashes)
        self._hashes.append(hashes[chosen])
        self._rows.append(chosen.astype(np.uint32) if in_order else None)
        self._kept += len(chosen)
        while self._kept > MOST_HASHES:
            self._zero_bits += 1
            for number, kept in enumerate(self._hashes):
                left, rows = self._chosen(kept), self._rows[number]
                self._hashes[number] = kept[left]
                self._rows[number] = None if rows is None else rows[left]
            self._kept = sum(map(len, self._hashes))

    def _chosen(self, hashes: Hashes) -> NDArray[np.int64]:
        return np.flatnonzero((hashes & np.uint64((1 << self._zero_bits) - 1)) == 0)

    def _pairs(self) -> tuple[SharedRowsPair, ...]:
        """Each table with the first that it shares rows with, of another split where there is one."""
        if self._kept == 0:
            return ()
        splits = {split: number for number, split in enumerate(dict.fromkeys(table.split for table in self._tables))}
        hashes = np.concatenate(self._hashes)
        met_again = _met_again(hashes)
        number = np.repeat(np.arange(len(self._tables), dtype=np.int32), [len(kept) for kept in self._hashes])[met_again]
        split = np.array([splits[table.split] for table in self._tables], dtype=np.int32)[number]
        place = np.concatenate([np.arange(len(kept), dtype=np.int32) for kept in self._hashes])[met_again]
        hashes = hashes[met_again]
        order = np.lexsort((place, number, split, hashes))
        number, split, place, hashes = number[order], split[order], place[order], hashes[order]
        new = np.r_[True, hashes[1:] != hashes[:-1]][: len(hashes)]
        starts = np.flatnonzero(new)
        run = np.cumsum(new) - 1
        first, last = starts[run], np.r_[starts[1:], len(hashes)][run] - 1
        partner = np.where(split != split[first], first, np.where(split != split[last], last, first))
        apart = np.flatnonzero(number[partner] != number)
        met = number[apart].astype(np.int64) * len(self._tables) + number[partner[apart]]
        apart = apart[np.argsort(met, kind="stable")]
        codes, counts = np.unique(met, return_counts=True)
        ends = np.cumsum(counts)
        shared = {
            divmod(int(code), len(self._tables)): (place[apart[end - count : end]], place[partner[apart[end - count : end]]])
            for code, count, end in zip(codes, counts, ends, strict=True)
        }
        return tuple(self._pair(*pair, *shared[pair]) for pair in sorted(shared) if self._is_told(pair, shared))

    def _is_told(self, pair: tuple[int, int], shared: Container[tuple[int, int]]) -> bool:
        """Of two splits the one that is not trained on tells; else a pair that was met both ways is the later table's."""
        one, other = ((self._tables[number].split or "").lower().startswith("train") for number in pair)
        if one != other and self._tables[pair[0]].split != self._tables[pair[1]].split:
            return other
        return pair[::-1] not in shared or pair[0] > pair[1]

    def _pair(self, number: int, other: int, places: Places, places_there: Places) -> SharedRowsPair:
        table, partner = self._tables[number], self._tables[other]
        kept_ratio = self._kept / self._seen
        return SharedRowsPair(
            path=table.path,
            file=table.file,
            split=table.split,
            other=partner.path,
            other_split=partner.split,
            table_rows=table.rows,
            other_rows=partner.rows,
            shared=round(len(places) / kept_ratio),
            expected=table.rows * min(1.0, partner.repeated_ratio + 3 / partner.rows),
            spread_bits=table.spread_bits,
            rows=self._rows_at(number, places),
            rows_of_other=self._rows_at(other, places_there),
        )

    def _rows_at(self, number: int, places: Places) -> tuple[int, ...]:
        rows = self._rows[number]
        return () if rows is None else tuple(np.unique(rows[places])[:MOST_ROWS].tolist())


def _met_again(hashes: Hashes) -> NDArray[np.bool_]:
    """Which hashes occur more than once."""
    order = np.argsort(hashes)
    equal = hashes[order[1:]] == hashes[order[:-1]]
    again = np.zeros(len(hashes), dtype=bool)
    again[order[1:][equal]] = again[order[:-1][equal]] = True
    return again


def _repeating(entry: Entry, table: TableFacts) -> RepeatingTable:
    groups = (EqualRowGroup(rows=group.rows, count=group.count, labels=group.labels) for group in table.equal_rows)
    return RepeatingTable(
        path=printable(entry.item.name),
        file=printable(entry.item.path),
        split=entry.item.split,
        rows=table.rows,
        repeated=table.equal_row_count,
        spread_bits=_spread_bits(table),
        groups=tuple(groups)[:MOST_GROUPS],
    )


def _spread_bits(table: TableFacts) -> float | None:
    """Bits that the columns could spread the rows over, if they had nothing to do with each other."""
    counts = [column.distinct for column in table.columns if column.name != table.target]
    if not counts or None in counts:
        return None
    return sum(_column_bits(count, table.rows) for count in counts if count is not None)


def _column_bits(distinct: int, rows: int) -> float:
    """log2 of how many equally likely values give ``distinct`` different ones in ``rows`` draws, by bisection.

    No more than half the square of the rows, above which all are expected to differ (the birthday bound).
    """
    if distinct > rows:  # of a part of a dataset that is an array: the ways in which it can differ
        return log2(distinct)
    low, high = max(distinct, 1), max(rows * rows / 2, 1.0)
    for _ in range(50):
        middle = (low * high) ** 0.5
        if -middle * expm1(-rows / middle) < distinct:
            low = middle
        else:
            high = middle
    return log2(low)
