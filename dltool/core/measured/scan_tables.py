"""The columns of scanned tables: their values, and those far from all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dltool.core.measurements import Section


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A column over all files that have it. ``dtypes`` are those met, most rows first; numbers are over finite values.

    ``constant`` is None where that cannot be told (text in several files). ``array`` says that it is one of the numbers of
    an array and not a column that someone named.
    """

    name: str
    dtypes: tuple[str, ...]
    files: int
    rows: int
    missing: int = 0
    nan: int = 0
    positive_inf: int = 0
    negative_inf: int = 0
    distinct: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    std: float | None = None
    median: float | None = None
    constant: bool | None = None
    target: bool = False
    array: bool = False
    example: str = ""
    """The first file that has it, as the user would open it."""


@dataclass(frozen=True, kw_only=True)
class FeatureTable(Section):
    """The columns of all tables, by name, in the order in which they were met; ``left_out`` names did not fit in."""

    key: ClassVar[str] = "features"

    features: tuple[Feature, ...]
    tables: int
    rows: int
    left_out: int = 0


@dataclass(frozen=True, kw_only=True)
class ExtremeValue:
    """A value far from the others of its column; the score is in robust standard deviations from the median."""

    row: int
    value: float
    score: float


@dataclass(frozen=True, kw_only=True)
class ExtremeColumn:
    """The values of one column of one file that stand apart from all others, farthest first."""

    path: str
    file: str
    column: str
    rows: int
    median: float | None
    extremes: tuple[ExtremeValue, ...]


@dataclass(frozen=True, kw_only=True)
class Extremes(Section):
    """Columns with such values, in the order of the scan (at most the 1,000 farthest); ``columns_seen`` were looked at."""

    key: ClassVar[str] = "extremes"

    columns: tuple[ExtremeColumn, ...]
    columns_seen: int
