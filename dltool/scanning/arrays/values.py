"""Every value of an array in a file: by column where it has two axes and few columns, as a whole otherwise."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from dltool.core.finding import Severity
from dltool.scanning.arrays.equal import EqualArrayRows
from dltool.scanning.arrays.header import Layout
from dltool.scanning.arrays.moments import Moments, base_of, finite_moments_of, moments_of
from dltool.scanning.record import ColumnFacts, Extreme, Flaw, TableFacts
from dltool.scanning.tables.extremes import LEAST_SCORE, Far, Shape
from dltool.scanning.tables.numbers import Spots, shape_of_drawn
from dltool.scanning.tables.sample import MOST_ROWS
from dltool.scanning.tables.table import threads

BLOCK_BYTES = 1 << 21
MOST_COLUMNS = 512
"""An array of more columns (a flattened picture, an embedding) is told of as a whole."""
NUMERIC = "fiub"


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
        self._row_items = int(np.prod(shape[1:], dtype=np.int64)) if shape and not layout.is_fortran else 1
        self._moments: Moments | None = None
        self._ranges: list[tuple[int, NDArray[np.float64], NDArray[np.float64]]] = []
        self._base: Any = None
        self._buffers: list[memoryview] = []
        self._step = _step(layout.rows if self._by_column else layout.size_bytes // max(layout.dtype.itemsize, 1))
        self._drawn: list[NDArray[np.float64]] = []
        self._spots: dict[int, tuple[Spots, Spots, Spots]] = {}
        self._want_row_hashes = want_row_hashes
        compare = compare_rows and len(shape) > 1 and not layout.is_fortran and self._row_items > 0
        self._equal = EqualArrayRows(self._row_items * layout.dtype.itemsize, every=want_row_hashes) if compare else None
        self._extremes: dict[int, tuple[Extreme, ...]] = {}

    def read(self, stream: IO[bytes]) -> None:
        """Read all values; the stream is at the first one. Where columns have far values, or rows may be equal, again."""
        start = stream.tell()
        number = threads()
        waiting: deque[tuple[int, NDArray[Any], Future[Moments | None] | None]] = deque()
        with ThreadPoolExecutor(number) as pool:
            for first, values in self._blocks(stream):
                if first == 0 and self._is_numeric:
                    self._base = base_of(self._matrix(values)[:1024])
                running = pool.submit(moments_of, self._matrix(values), self._base) if self._is_numeric else None
                waiting.append((first, values, running))
                while len(waiting) > number:
                    self._take(*waiting.popleft())
            while waiting:
                self._take(*waiting.popleft())
        self._look_again(stream, start)

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

    @property
    def _is_numeric(self) -> bool:
        return self.layout.dtype.kind in NUMERIC

    def _blocks(self, stream: IO[bytes], first_row: int = 0) -> Iterator[tuple[int, NDArray[Any]]]:
        """Whole rows as (rows, items), with the index of the first; good until ``threads()`` more were taken."""
        item_bytes = self.layout.dtype.itemsize
        row_bytes = max(1, self._row_items * item_bytes)
        rows = self.layout.size_bytes // row_bytes
        step = max(1, min(rows, BLOCK_BYTES // row_bytes))
        buffers = self._buffers = self._buffers or [memoryview(bytearray(step * row_bytes)) for _ in range(threads() + 2)]
        for number, first in enumerate(range(first_row, rows, step)):
            buffer = buffers[number % len(buffers)][: min(step, rows - first) * row_bytes]
            if _read_into(stream, buffer) < len(buffer):
                return
            yield first, np.frombuffer(buffer, self.layout.dtype).reshape(-1, self._row_items)

    def _matrix(self, values: NDArray[Any]) -> NDArray[Any]:
        """(n, columns) in the machine's byte order."""
        native = values.astype(values.dtype.newbyteorder("="), copy=False)
        return (native.view(np.uint8) if native.dtype == np.bool_ else native).reshape(-1, self._columns)

    def _take(self, first: int, values: NDArray[Any], running: Future[Moments | None] | None) -> None:
        if self._equal is not None:
            self._equal.add(values, first)
        if running is None:
            return
        matrix = self._matrix(values)
        moments = running.result()
        if moments is None:
            moments = finite_moments_of(matrix)
            self._note_non_finite(matrix, first)
        self._ranges.append((first, moments.minimum, moments.maximum))
        if self._moments is None:
            self._moments = replace(moments)
        else:
            self._moments.merge(moments)
        start = first * (1 if self._by_column else self._row_items)
        self._drawn.append(matrix[-start % self._step :: self._step].astype(np.float64))

    def _note_non_finite(self, matrix: NDArray[Any], first: int) -> None:
        per_row = 1 if self._by_column else self._row_items
        for at in np.flatnonzero(~np.isfinite(matrix).all(axis=0)).tolist():
            column = matrix[:, at]
            spots = self._spots.setdefault(at, (Spots(), Spots(), Spots()))
            for spot, found in zip(spots, (np.isnan(column), np.isposinf(column), np.isneginf(column)), strict=True):
                spot.add(first + np.flatnonzero(found) // per_row)

    def _shape(self, at: int, drawn: NDArray[np.float64]) -> Shape | None:
        finite = drawn[np.isfinite(drawn)]
        if not len(finite) or self._moments is None:
            return None
        count, low, high = int(self._moments.count[at]), self._moments.minimum[at], self._moments.maximum[at]
        return shape_of_drawn(finite, count, is_constant=bool(low == high))

    def _look_again(self, stream: IO[bytes], start: int) -> None:
        """Rows that looked equal are compared as a whole, and columns whose farthest value is far get their extremes."""
        wanted = self._equal.candidates() if self._equal is not None else None
        if wanted is not None and self._equal is not None:
            stream.seek(start)
            for first, values in self._blocks(stream):
                self._equal.compare(values, first, wanted)
        suspects = self._suspects()
        if not suspects:
            return
        for first, low, high in self._ranges_by_reach(suspects):
            tails = [(at, far) for at, (_, *both) in suspects.items() for far, end in zip(both, (high, low), strict=True)
                     if far.wants(float(end[at]))]  # fmt: skip
            if not tails:
                continue
            stream.seek(start + first * self._row_items * self.layout.dtype.itemsize)
            _, values = next(self._blocks(stream, first))
            for at, far in tails:
                column = np.ascontiguousarray(self._matrix(values)[:, at])
                finite = np.flatnonzero(np.isfinite(column))
                found = finite[far.find(column[finite])]
                far.add(column[found], found + first)
        for at, (shape, high_end, low_end) in suspects.items():
            found_extremes = [*high_end.extremes(shape), *low_end.extremes(shape)]
            self._extremes[at] = tuple(sorted(found_extremes, key=lambda extreme: (-abs(extreme.score), extreme.row)))

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
        """Blocks with the farthest values first, so that most of the others need not be read; archives only go forward."""
        if self._name:
            return self._ranges
        return sorted(
            self._ranges,
            key=lambda one: (-max(_reach(shape, one[1][at], one[2][at]) for at, (shape, _, _) in suspects.items()), one[0]),
        )

    def _column_name(self, at: int) -> str:
        if self._by_column:
            return f"{self._name}[{at}]" if self._name else str(at)
        return self._name or "array"

    def _facts(self, at: int, drawn: NDArray[np.float64]) -> ColumnFacts:
        moments, shape = self._moments, self._shape(at, drawn)
        nan, positive, negative = self._spots.get(at, (Spots(), Spots(), Spots()))
        known = moments is not None and moments.count[at] > 0
        values = self.layout.rows if self._by_column else self.layout.size_bytes // max(self.layout.dtype.itemsize, 1)
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
