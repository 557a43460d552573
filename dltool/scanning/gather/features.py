"""Columns over all tables that have them: one summary for each name."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from dltool.core.file_names import printable
from dltool.core.measured.scan_tables import Feature, FeatureTable
from dltool.core.measurements import Section
from dltool.scanning.gather.formats import FORMATS_OF_ROWS
from dltool.scanning.record import ColumnFacts, Entry

MOST_FEATURES = 10_000
"""Names that are kept; a set with more is not read name by name."""

ARRAYS = frozenset({"npy", "npz", "safetensors", "dataset"})
DATA = FORMATS_OF_ROWS | ARRAYS
"""Weights in a checkpoint are no features: ones and zeros all over are healthy there."""


@dataclass(slots=True)
class _Column:
    example: str
    array: bool
    dtypes: Counter[str] = field(default_factory=Counter)
    files: int = 0
    rows: int = 0
    missing: int = 0
    nan: int = 0
    positive_inf: int = 0
    negative_inf: int = 0
    distinct: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    median: float | None = None
    target: bool = False
    finite: int = 0
    mean: float = 0.0
    squares: float = 0.0
    """Sum of squared distances from the mean."""

    def add(self, facts: ColumnFacts) -> None:
        self.files += 1
        self.dtypes[facts.dtype] += facts.rows
        self.rows += facts.rows
        self.missing += facts.missing
        self.nan += facts.nan
        self.positive_inf += facts.positive_inf
        self.negative_inf += facts.negative_inf
        self.distinct, self.median = (facts.distinct, facts.median) if self.files == 1 else (None, None)
        if facts.minimum is not None:
            self.minimum = facts.minimum if self.minimum is None else min(self.minimum, facts.minimum)
        if facts.maximum is not None:
            self.maximum = facts.maximum if self.maximum is None else max(self.maximum, facts.maximum)
        if facts.mean is not None:
            self._pool(facts.mean, facts.std or 0.0, facts.rows - _without_number(facts))

    def _pool(self, mean: float, std: float, count: int) -> None:
        """Mean and variance of two groups together (Chan, Golub & LeVeque 1979)."""
        total = self.finite + count
        if count <= 0:
            return
        apart = mean - self.mean
        self.squares += std * std * count + apart * apart * self.finite * count / total
        self.mean += apart * count / total
        self.finite = total

    def feature(self, name: str) -> Feature:
        return Feature(
            name=name,
            dtypes=tuple(dtype for dtype, _ in self.dtypes.most_common()),
            files=self.files,
            rows=self.rows,
            missing=self.missing,
            nan=self.nan,
            positive_inf=self.positive_inf,
            negative_inf=self.negative_inf,
            distinct=self.distinct,
            minimum=self.minimum,
            maximum=self.maximum,
            mean=self.mean if self.finite else None,
            std=math.sqrt(self.squares / self.finite) if self.finite else None,
            median=self.median,
            constant=self._constant(),
            target=self.target,
            array=self.array,
            example=self.example,
        )

    def _constant(self) -> bool | None:
        if self.missing + self.nan + self.positive_inf + self.negative_inf > 0:
            return False
        if self.minimum is not None:
            return self.minimum == self.maximum
        return None if self.distinct is None else self.distinct == 1


class Features:
    """Collects ``FeatureTable``."""

    def __init__(self) -> None:
        self._columns: dict[str, _Column] = {}
        self._left_out = 0
        self._tables = self._rows = 0

    def add(self, entry: Entry) -> None:
        """Add the columns of one file to those of the same name."""
        table = entry.found.table
        if table is None or entry.found.format not in DATA:
            return
        self._tables += 1
        self._rows += table.rows
        for facts in table.columns:
            name = printable(facts.name)
            column = self._columns.get(name)
            if column is None:
                if len(self._columns) == MOST_FEATURES:
                    self._left_out += 1
                    continue
                column = _Column(example=printable(entry.item.path), array=entry.found.format in ARRAYS)
                self._columns[name] = column
            column.add(facts)
            column.target = column.target or facts.name == table.target

    def sections(self) -> Iterator[Section]:
        """One ``FeatureTable``; nothing where there were no tables."""
        if self._tables:
            features = tuple(column.feature(name) for name, column in self._columns.items())
            yield FeatureTable(features=features, tables=self._tables, rows=self._rows, left_out=self._left_out)


def _without_number(facts: ColumnFacts) -> int:
    return facts.missing + facts.nan + facts.positive_inf + facts.negative_inf
