"""Every value of an array in a file: by column where it has two axes and few columns, as a whole otherwise."""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from dltool.core.finding import Severity
from dltool.scanning.arrays.equal import EqualArrayRows
from dltool.scanning.arrays.header import Layout
from dltool.scanning.arrays.moments import WIDE, Moments, Summing
from dltool.scanning.record import ColumnFacts, Extreme, Flaw, TableFacts
from dltool.scanning.tables.extremes import LEAST_SCORE, Far, Shape
from dltool.scanning.tables.numbers import Spots, shape_of_drawn
from dltool.scanning.tables.sample import MOST_ROWS

BLOCK_BYTES = 1 << 20
MOST_ROW_BYTES = 1 << 24
"""Rows that are longer are not held as a whole, so they are not compared."""
MOST_SEARCHED = 1 << 7
"""Blocks with the farthest values that are searched for extremes: they hold as many of the farthest values, or more."""
FIRST_ROWS = 1024
MOST_COLUMNS = 512
"""An array of more columns (a flattened picture, an embedding) is told of as a whole."""
NUMERIC = "fiub"
Blocks = Iterator[tuple[int, NDArray[Any]]]


class ArrayValues:
    """Reads the values of an array.

    Args:
        layout: where they lie.
        name: of the array in an archive, which begins the names of its columns; "" for a file of its own.
        compare_rows: whether equal rows are looked for.
        want_row_hashes: whether hashes of rows are given.
    """

    def __init__(self, layout: Layout, *, name: str = "", compare_rows: bool = True, want_row_hashes: bool = False) -> None:
        self.layout = layout
        shape = layout.shape
        self._by_column = len(shape) == 2 and not layout.is_fortran and 0 < shape[1] <= MOST_COLUMNS
        self._columns = shape[1] if self._by_column else 1
        self._name = name
        self._row_items = math.prod(shape[1:]) if shape else 1
        row_bytes = self._row_items * layout.dtype.itemsize
        self._has_rows = not layout.is_fortran and 0 < row_bytes <= MOST_ROW_BYTES
        self._items = layout.size_bytes // max(layout.dtype.itemsize, 1)
        self._moments: Moments | None = None
        self._summing: Summing | None = None
        self._ranges: list[tuple[int, NDArray[np.float64], NDArray[np.float64]]] = []
        self._buffer = memoryview(b"")
        self._step = _step(layout.rows if self._by_column else self._items)
        self._drawn: list[NDArray[np.float64]] = []
        self._spots: dict[int, tuple[Spots, Spots, Spots]] = {}
        self._want_row_hashes = want_row_hashes
        compare = compare_rows and len(shape) > 1 and self._has_rows
        self._equal = EqualArrayRows(row_bytes, every=want_row_hashes) if compare else None
        self._extremes: dict[int, tuple[Extreme, ...]] = {}
        self._shapes: dict[int, Shape | None] = {}

    def read(self, stream: IO[bytes], see: Callable[[memoryview], None] | None = None) -> None:
        """Read all values; the stream is at the first one. ``see`` is given their bytes."""
        for first, values in self._blocks(stream, see):
            if self._equal is not None:
                self._equal.add(values.reshape(-1, self._row_items), first // self._row_items)
            if self.layout.dtype.kind in NUMERIC:
                self._take(first, self._matrix(values))

    def look_again(self, stream: IO[bytes], start: int) -> None:
        """Compare rows that looked equal as a whole, and find the extremes of columns whose farthest value is far.

        ``start`` is where the first value is.
        """
        wanted = self._equal.candidates() if self._equal is not None else None
        if wanted is not None and self._equal is not None:
            stream.seek(start)
            for first, values in self._blocks(stream, None, wanted):
                self._equal.compare(values.reshape(-1, self._row_items), first // self._row_items, wanted)
        suspects = self._suspects()
        for first, low, high in self._ranges_by_reach(suspects) if suspects else ():
            tails = [(at, far) for at, (_, *both) in suspects.items() for far, end in zip(both, (high, low), strict=True)
                     if far.wants(float(end[at]))]  # fmt: skip
            if not tails:
                continue
            stream.seek(start + first * self.layout.dtype.itemsize)
            _, values = next(self._blocks(stream, None, first_item=first))
            for at, far in tails:
                column = np.ascontiguousarray(self._matrix(values)[:, at])
                finite = np.flatnonzero(np.isfinite(column))
                found = finite[far.find(column[finite])]
                far.add(column[found], found + first // self._columns)
        for at, (shape, high_end, low_end) in suspects.items():
            found_extremes = [*high_end.extremes(shape), *low_end.extremes(shape)]
            self._extremes[at] = tuple(sorted(found_extremes, key=lambda extreme: (-abs(extreme.score), extreme.row)))

    def finish(self) -> tuple[TableFacts, list[Flaw], str | None]:
        """Facts, flaws, and no content: equal arrays have equal bytes but for the header."""
        drawn = np.concatenate(self._drawn) if self._drawn else np.empty((0, self._columns))
        facts = [self._facts(at, drawn[:, at]) for at in range(self._columns)]
        flaws = [flaw for at in sorted(self._spots) for flaw in self._flaws(at)]
        groups, count, hashes = self._equal.groups() if self._equal is not None else ((), 0, b"")
        table = TableFacts(
            rows=self.layout.rows,
            columns=tuple(facts),
            equal_rows=groups,
            equal_row_count=count,
            row_hashes=hashes if self._want_row_hashes else b"",
        )
        return table, flaws, None

    def _blocks(
        self,
        stream: IO[bytes],
        see: Callable[[memoryview], None] | None,
        wanted: NDArray[np.int64] | None = None,
        *,
        first_item: int = 0,
    ) -> Blocks:
        """Values (n,) of whole rows, with the index of the first value; good until the next are taken.

        ``wanted`` are rows without which a block need not be read.
        """
        item_bytes, row_items = self.layout.dtype.itemsize, self._row_items if self._has_rows else 1
        rows = max(1, min(self._items, BLOCK_BYTES // max(item_bytes, 1)) // row_items)
        joined = max(1, WIDE // row_items)  # what is left of a block when rows are joined costs as much as the rest
        step = (rows - rows % joined if rows > joined else rows) * row_items
        if not len(self._buffer) and self._items:
            self._buffer = _buffer(step * item_bytes)
        for first in range(first_item, self._items, step):
            count = min(step, self._items - first)
            if wanted is not None and not self._name:
                start, stop = np.searchsorted(wanted, (first // row_items, (first + count) // row_items))
                if start == stop:
                    stream.seek(count * item_bytes, 1)
                    continue
            buffer = self._buffer[: count * item_bytes]
            if _read_into(stream, buffer) < len(buffer):
                return
            if see is not None:
                see(buffer)
            yield first, np.frombuffer(buffer, self.layout.dtype)

    def _matrix(self, values: NDArray[Any]) -> NDArray[Any]:
        """(n, columns) in the machine's byte order."""
        native = values.astype(values.dtype.newbyteorder("="), copy=False)
        return (native.view(np.uint8) if native.dtype == np.bool_ else native).reshape(-1, self._columns)

    def _take(self, first: int, matrix: NDArray[Any]) -> None:
        """Values (n, columns), of which the first has this index."""
        if self._summing is None:
            self._summing = Summing(matrix[:FIRST_ROWS])
        moments = self._summing.moments(matrix)
        if int(moments.count.min()) < len(matrix):
            self._note_non_finite(matrix, first)
        self._ranges.append((first, moments.minimum, moments.maximum))
        if self._moments is None:
            self._moments = replace(moments)
        else:
            self._moments.merge(moments)
        self._drawn.append(matrix[-(first // self._columns) % self._step :: self._step].astype(np.float64))

    def _note_non_finite(self, matrix: NDArray[Any], first: int) -> None:
        for at in np.flatnonzero(~np.isfinite(matrix).all(axis=0)).tolist():
            column = matrix[:, at]
            spots = self._spots.setdefault(at, (Spots(), Spots(), Spots()))
            for spot, found in zip(spots, (np.isnan(column), np.isposinf(column), np.isneginf(column)), strict=True):
                spot.add(self._rows_of(first + np.flatnonzero(found) * self._columns))

    def _rows_of(self, items: NDArray[np.intp]) -> NDArray[np.int64]:
        return items % self.layout.rows if self.layout.is_fortran else items // self._row_items

    def _shape(self, at: int, drawn: NDArray[np.float64]) -> Shape | None:
        if at not in self._shapes:
            finite = drawn[np.isfinite(drawn)]
            moments = self._moments
            self._shapes[at] = (
                None
                if moments is None or not len(finite)
                else shape_of_drawn(
                    finite, int(moments.count[at]), is_constant=bool(moments.minimum[at] == moments.maximum[at])
                )
            )
        return self._shapes[at]

    def _suspects(self) -> dict[int, tuple[Shape, Far, Far]]:
        """Columns, or arrays of one axis, whose farthest value is far."""
        drawn = np.concatenate(self._drawn) if self._drawn else np.empty((0, self._columns))
        suspects: dict[int, tuple[Shape, Far, Far]] = {}
        for at in range(self._columns if self._by_column or len(self.layout.shape) == 1 else 0):
            shape = self._shape(at, drawn[:, at])
            if shape is not None and self._moments is not None and shape.spread > 0.0:
                reach = _reach(shape, self._moments.minimum[at], self._moments.maximum[at])
                if reach >= LEAST_SCORE:
                    suspects[at] = (shape, Far(1), Far(-1))
        return suspects

    def _ranges_by_reach(
        self, suspects: dict[int, tuple[Shape, Far, Far]]
    ) -> list[tuple[int, NDArray[np.float64], NDArray[np.float64]]]:
        """Blocks that hold the farthest values: these first, so that most of the others need not be read.

        Archives only go forward.
        """
        reaches = np.array([[_reach(shape, low[at], high[at]) for at, (shape, _, _) in suspects.items()]
                            for _, low, high in self._ranges])  # fmt: skip
        farthest = np.argsort(-reaches, axis=0, kind="stable")[:MOST_SEARCHED]
        order = np.argsort(-reaches.max(axis=1), kind="stable")
        chosen = order[np.isin(order, farthest)]
        return [self._ranges[at] for at in (np.sort(chosen) if self._name else chosen).tolist()]

    def _column_name(self, at: int) -> str:
        if self._by_column:
            return f"{self._name}[{at}]" if self._name else str(at)
        return self._name or "array"

    def _facts(self, at: int, drawn: NDArray[np.float64]) -> ColumnFacts:
        moments, shape = self._moments, self._shape(at, drawn)
        nan, positive, negative = self._spots.get(at, (Spots(), Spots(), Spots()))
        known = moments is not None and moments.count[at] > 0
        values = self.layout.rows if self._by_column else self._items
        return ColumnFacts(
            name=self._column_name(at),
            dtype=str(self.layout.dtype),
            rows=values,
            nan=nan.count,
            positive_inf=positive.count,
            negative_inf=negative.count,
            distinct=None if shape is None else shape.distinct,
            minimum=float(moments.minimum[at]) if known and moments is not None else None,
            maximum=float(moments.maximum[at]) if known and moments is not None else None,
            mean=_finite(moments.mean[at]) if known and moments is not None else None,
            std=_finite(moments.std[at]) if known and moments is not None else None,
            median=None if shape is None else shape.median,
            extremes=self._extremes.get(at, ()),
        )

    def _flaws(self, at: int) -> Iterator[Flaw]:
        what = f"column {self._column_name(at)!r}" if self._by_column or self._name else "the array"
        for spots, kind, word in zip(self._spots[at], ("nan", "inf", "inf"), ("NaN", "Inf", "-Inf"), strict=True):
            if spots.count:
                yield Flaw(
                    rule="non-finite-value",
                    kind=kind,
                    severity=Severity.ERROR,
                    detail=f"{spots.count} times {word} in {what}",
                    row=spots.rows[0],
                    rows=tuple(dict.fromkeys(spots.rows)),
                    column=self._column_name(at),
                    count=spots.count,
                )


def _reach(shape: Shape, low: float, high: float) -> float:
    """How far the farther end of a range is from the median, in spreads."""
    with np.errstate(over="ignore"):
        return float(max(high - shape.median, shape.median - low)) / shape.spread


def _step(values: int) -> int:
    """So many values apart stand those that are drawn to find the middle: odd, as most periods are even."""
    return values // MOST_ROWS | 1 if values > MOST_ROWS else 1


def _buffer(size_bytes: int) -> memoryview:
    """Memory that begins with a page: of a bytearray, which begins 16 bytes after one, kernels fill at a fifth the speed."""
    return memoryview(mmap.mmap(-1, size_bytes))


def _read_into(stream: IO[bytes], view: memoryview) -> int:
    readinto = getattr(stream, "readinto", None)
    at = 0
    while at < len(view):
        if readinto is not None:
            got = readinto(view[at:])
        else:
            piece = stream.read(len(view) - at)
            view[at : at + len(piece)] = piece
            got = len(piece)
        if not got:
            break
        at += got
    return at


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
