"""One column of a table: its numbers, its words, and what is missing."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltool.core.finding import Severity
from dltool.scanning.record import ColumnFacts, Flaw
from dltool.scanning.tables.block import ABSENT, Block, Cells
from dltool.scanning.tables.extremes import names_things
from dltool.scanning.tables.numbers import Numbers, Spots
from dltool.scanning.tables.words import Words

FEW_WORDS = 0.01
"""A column of numbers may hold this share of words and still be one, with a flaw. Ticket numbers, house numbers and codes of
products, which are names, have letters in 2 % of rows and more."""
LEAST_VALUES = 20
"""In a shorter column one word makes it a column of words."""


@dataclass(slots=True)
class Column:
    """Running facts. ``key`` is the column's factor in row hashes; ``is_target`` says that it holds the labels.

    ``is_data`` is False for dates, bytes and the like, which are not judged; ``is_optional`` where values may be missing.
    """

    name: str
    key: np.uint64
    dtype: str = "float64"
    is_target: bool = False
    is_data: bool = True
    is_optional: bool = False
    in_row_hash: bool = True
    numbers: Numbers = field(default_factory=Numbers)
    words: Words = field(default_factory=Words)
    missing: Spots = field(default_factory=Spots)

    @property
    def is_numeric(self) -> bool:
        """Whether what it holds are numbers, but for a few words."""
        if not self.is_data:
            return False
        if not self.words.count:
            return self.numbers.seen > 0
        values = self.numbers.seen + self.words.count
        return self.words.count <= max(1, int(FEW_WORDS * values)) and values >= LEAST_VALUES

    def add(self, cells: Cells, block: Block, drawn: NDArray[np.intp], word_hashes: NDArray[np.uint64]) -> None:
        """The cells of a block; ``drawn`` are the positions of the rows that the sample has."""
        if cells.numbers is not None and cells.owners is not None:
            self._add_lists(cells.numbers, cells.owners, block, drawn)
        elif cells.numbers is not None:
            self._add_numbers(cells.numbers, cells.absent, block, drawn)
        else:
            self.numbers.sample.append(np.full(len(drawn), np.nan))
        nothing = cells.absent
        if cells.codes is not None:
            self.words.add(cells.codes, cells.words, word_hashes, block)
            empty = cells.codes == ABSENT
            nothing = empty if nothing is None else empty & nothing
        if nothing is not None:
            self.missing.add(block.row_indices(np.flatnonzero(nothing)))
        self._note_lines(block)

    def facts(self, rows: int) -> ColumnFacts:
        """What is told of it."""
        if not self.is_numeric:
            shape, _ = self.numbers.summary() if self.numbers.count else (None, ())
            distinct = self.words.distinct + (shape.distinct if shape else 0)
            dtype = self.dtype if not self.is_data else "text" if self.words.count else "empty"
            return ColumnFacts(name=self.name, dtype=dtype, rows=rows, missing=self.missing.count, distinct=distinct)
        numbers = self.numbers
        shape, extremes = numbers.summary()
        return ColumnFacts(
            name=self.name,
            dtype=self.dtype,
            rows=rows,
            missing=self.missing.count,
            nan=numbers.nan.count,
            positive_inf=numbers.positive_inf.count,
            negative_inf=numbers.negative_inf.count,
            distinct=None if shape is None else shape.distinct + self.words.distinct,
            minimum=numbers.minimum if numbers.count else None,
            maximum=numbers.maximum if numbers.count else None,
            mean=numbers.mean if numbers.count and math.isfinite(numbers.mean) else None,
            std=numbers.std if numbers.count and math.isfinite(numbers.square_sum) else None,
            median=None if shape is None else shape.median,
            extremes=() if self.is_target or (shape is not None and shape.whole and names_things(self.name)) else extremes,
        )

    def flaws(self) -> list[Flaw]:
        """What no model takes: NaN, infinities, nothing or words where numbers should be."""
        if not self.is_numeric:
            unlabelled = self._flaw("missing", self.missing, "no value") if self.is_target and self.words.count else None
            return [] if unlabelled is None else [unlabelled]
        numbers = self.numbers
        positive, negative = numbers.positive_inf, numbers.negative_inf
        found = [
            self._flaw("nan", numbers.nan, "NaN"),
            self._flaw("inf", positive, "Inf"),
            self._flaw("inf", negative, "-Inf"),
        ]
        if not self.is_optional:
            severity = Severity.ERROR if self.is_target else Severity.WARNING
            found.append(self._flaw("missing", self.missing, "no value", severity))
        if self.words.count:
            examples = ", ".join(repr(word[:40]) for word in self.words.examples)
            detail = f"words among the numbers of column {self.name!r}: {examples}"
            found.append(
                Flaw(
                    rule="format-mismatch",
                    kind="mixed-types",
                    severity=Severity.WARNING,
                    detail=detail,
                    row=self.words.spots.rows[0],
                    rows=tuple(self.words.spots.rows),
                    line=self.words.spots.line,
                    column=self.name,
                    count=self.words.count,
                )
            )
        return [flaw for flaw in found if flaw is not None]

    def _flaw(self, kind: str, spots: Spots, what: str, severity: Severity = Severity.ERROR) -> Flaw | None:
        if not spots.count:
            return None
        rows = "row" if spots.count == 1 else "rows"
        return Flaw(
            rule="non-finite-value",
            kind=kind,
            severity=severity,
            detail=f"{what} in {spots.count} {rows} of column {self.name!r}",
            row=spots.rows[0],
            rows=tuple(spots.rows),
            line=spots.line,
            column=self.name,
            count=spots.count,
        )

    def _add_numbers(
        self, values: NDArray[Any], absent: NDArray[np.bool_] | None, block: Block, drawn: NDArray[np.intp]
    ) -> None:
        if values.dtype == np.bool_:
            values = values.view(np.uint8)
        sample = values[drawn].astype(np.float64)
        if absent is not None:
            sample[absent[drawn]] = np.nan
        self.numbers.sample.append(sample)
        if absent is None:
            self.numbers.add(values, block.first_row if block.kept is None else block.kept)
        else:
            at = np.flatnonzero(~absent)
            self.numbers.add(values[at], block.row_indices(at))

    def _add_lists(self, values: NDArray[Any], owners: NDArray[np.int64], block: Block, drawn: NDArray[np.intp]) -> None:
        first = np.minimum(np.searchsorted(owners, drawn), max(len(owners) - 1, 0))
        sample = np.full(len(drawn), np.nan)
        if len(owners):
            held = owners[first] == drawn
            sample[held] = values[first[held]]
        self.numbers.sample.append(sample)
        self.numbers.add(values, block.row_indices(owners))

    def _note_lines(self, block: Block) -> None:
        if block.line_of is None:
            return
        numbers = self.numbers
        for spots in (numbers.nan, numbers.positive_inf, numbers.negative_inf, self.missing, self.words.spots):
            if spots.count and spots.line is None:
                spots.line = block.line_of(block.position(spots.rows[0]))
