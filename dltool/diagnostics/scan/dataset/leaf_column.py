"""One part of all samples: its types and shapes, its numbers, and the samples in which they are not finite."""

from __future__ import annotations

import math
from array import array
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltool.core.finding import Severity
from dltool.diagnostics.scan.dataset.leaves import Leaf
from dltool.scanning.record import ColumnFacts, Flaw
from dltool.scanning.tables.numbers import Numbers

MOST_COLUMNS = 64
"""A row of so many numbers is a row of a table, told number by number."""
CHUNK = 1024
DRAWN_VALUES = 1 << 18
DRAWN_A_SAMPLE = 16
MOST_ROWS = 10_000
MOST_BITS = 512
"""Of ways in which arrays can differ: more than any number of samples could exhaust."""


class LeafColumn:
    """Running facts on one part of the samples."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows_of: dict[str, array[int]] = {}
        """Rows by type and shape, in the order in which those were met."""
        self.examples: dict[str, int] = {}
        self._bad: dict[str, list[int]] = {}
        self._bad_values = {"nan": 0, "inf": 0}
        self._whole = Numbers()
        self._drawn = 0
        self._values_a_sample = 0
        self._single: list[Numbers] = []
        self._pending: list[NDArray[Any]] = []
        self._pending_rows: list[int] = []

    @property
    def seen(self) -> int:
        """Samples that have this part."""
        return sum(map(len, self.rows_of.values()))

    def add(self, leaf: Leaf, row: int) -> None:
        """The part of one sample."""
        rows = self.rows_of.get(leaf.signature)
        if rows is None:
            rows = self.rows_of[leaf.signature] = array("q")
        rows.append(row)
        if leaf.array is None or not leaf.array.size:
            return
        values = leaf.array.reshape(-1)
        values = values.view(np.uint8) if values.dtype == np.bool_ else values
        values = values.view(values.real.dtype) if values.dtype.kind == "c" else values
        if values.dtype.kind == "f":
            self._note_bad(values, row)
        if len(self.rows_of) == 1 and leaf.array.ndim < 2 and len(values) <= MOST_COLUMNS and not self._whole.seen:
            self._pending.append(values.astype(np.float64))
            self._pending_rows.append(row)
            if len(self._pending) == CHUNK:
                self._flush()
            return
        self._flush()
        self._values_a_sample = max(self._values_a_sample, len(values))
        self._whole.add(values, 0)
        if self._drawn < DRAWN_VALUES:
            drawn = values[:: -(-len(values) // DRAWN_A_SAMPLE)].astype(np.float64)
            self._whole.sample.append(drawn)
            self._drawn += len(drawn)

    def facts(self, dtype: str, *, is_target: bool) -> list[ColumnFacts]:
        """A column for each number of a short row, or one for all numbers together."""
        self._flush()
        found = []
        if self._whole.seen:
            found.append(self._column(self.name, self._whole, dtype, of_rows=False))
        for at, numbers in enumerate(self._single):
            name = self.name if len(self._single) == 1 else f"{self.name}[{at}]"
            found.append(self._column(name, numbers, dtype, of_rows=not is_target))
        return found

    def flaws(self, label: str) -> list[Flaw]:
        """NaN and Inf, with every sample that holds them (the first 10,000)."""
        return [
            Flaw(
                rule="non-finite-value",
                kind=kind,
                severity=Severity.ERROR,
                detail=f"{'NaN' if kind == 'nan' else 'Inf'} in the {label} of {_samples(rows)}",
                row=rows[0],
                rows=tuple(rows[:MOST_ROWS]),
                column=self.name,
                count=len(rows),
            )
            for kind, rows in sorted(self._bad.items(), reverse=True)
        ]

    @property
    def bad_rows(self) -> set[int]:
        """Samples with a value that is not finite."""
        return {row for rows in self._bad.values() for row in rows}

    def _note_bad(self, values: NDArray[Any], row: int) -> None:
        with np.errstate(all="ignore"):
            if math.isfinite(float(np.add.reduce(values, dtype=np.float64))):
                return
        for kind, bad in (("nan", np.isnan(values)), ("inf", np.isinf(values))):
            if bad.any():
                self._bad.setdefault(kind, []).append(row)

    def _flush(self) -> None:
        if not self._pending:
            return
        block, rows = np.stack(self._pending), np.array(self._pending_rows, np.int64)
        self._single = self._single or [Numbers() for _ in range(block.shape[1])]
        for at, numbers in enumerate(self._single):
            numbers.add(block[:, at], rows)
            if self._drawn < DRAWN_VALUES * len(self._single):
                numbers.sample.append(block[:, at])
        self._drawn += block.size
        self._pending, self._pending_rows = [], []

    def _column(self, name: str, numbers: Numbers, dtype: str, *, of_rows: bool) -> ColumnFacts:
        shape, extremes = numbers.summary()
        distinct = None if shape is None else shape.distinct
        if not of_rows and distinct is not None and self._values_a_sample:
            distinct = round(2 ** min(MOST_BITS, self._values_a_sample * math.log2(max(distinct, 1))))
        return ColumnFacts(
            name=name,
            dtype=dtype,
            rows=numbers.seen,
            nan=numbers.nan.count,
            positive_inf=numbers.positive_inf.count,
            negative_inf=numbers.negative_inf.count,
            distinct=distinct,
            minimum=numbers.minimum if numbers.count else None,
            maximum=numbers.maximum if numbers.count else None,
            mean=numbers.mean if numbers.count and math.isfinite(numbers.mean) else None,
            std=numbers.std if numbers.count and math.isfinite(numbers.square_sum) else None,
            median=None if shape is None else shape.median,
            extremes=extremes if of_rows else (),
        )


def _samples(rows: list[int]) -> str:
    return f"sample {rows[0]}" if len(rows) == 1 else f"{len(rows):,} samples, the first at {rows[0]}"
