"""Cells of text made into numbers and words: the slow and exact way, which every faster reader must agree with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from dltool.scanning.tables.block import ABSENT, Cells

NO_VALUE = frozenset(
    {"", "NA", "na", "N/A", "n/a", "null", "NULL", "Null", "None", "none", "?"},
)
"""What stands for "no value" (core.delimited.MISSING, but for NaN, in the spellings that occur)."""
INT64 = range(-(2**63), 2**63)


class Kind(IntEnum):
    """What is expected of a column's cells; a column only ever moves on to the next."""

    INTEGERS = 0
    FLOATS = 1
    MIXED = 2
    WORDS = 3


MOSTLY_WORDS = 0.5
"""A column whose first rows hold a larger share of words is read as words."""


def number_of(cell: str) -> float | None:
    """The number that a cell holds; None for a word. Not every text that Python calls a float is one: 1_000 is not."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if "_" not in cell and cell.isascii() else None


def cells_of(texts: Sequence[str], kind: Kind) -> tuple[Cells, Kind]:
    """A column of cells, and the kind that they turned out to need."""
    if kind is Kind.WORDS:
        return words_of([None if text in NO_VALUE else text for text in texts]), kind
    if kind is Kind.INTEGERS and (cells := _integers(texts)) is not None:
        return cells, kind
    numbers = np.zeros(len(texts))
    absent = np.zeros(len(texts), np.bool_)
    words: list[str | None] = []
    for row, text in enumerate(texts):
        stripped = text.strip()
        value = None if stripped in NO_VALUE else number_of(stripped)
        words.append(None if value is not None or stripped in NO_VALUE else text)
        numbers[row] = math.nan if value is None else value
        absent[row] = value is None
    found = words_of(words) if any(word is not None for word in words) else None
    cells = Cells(numbers=numbers, absent=absent if absent.any() else None)
    if found is None:
        return cells, max(kind, Kind.FLOATS)
    cells.codes, cells.words = found.codes, found.words
    return cells, Kind.MIXED


def words_of(texts: Sequence[str | None]) -> Cells:
    """Words by code, None for nothing."""
    known: dict[str, int] = {}
    codes = [ABSENT if text is None else known.setdefault(text, len(known)) for text in texts]
    return Cells(codes=np.array(codes, np.int32), words=list(known))


def first_kind(texts: Sequence[str]) -> Kind:
    """What a column is by its first cells; where all of them are empty anything may follow."""
    held = [stripped for text in texts if (stripped := text.strip()) not in NO_VALUE]
    if not held:
        return Kind.MIXED
    words = sum(number_of(text) is None for text in held)
    if words:
        return Kind.WORDS if words > MOSTLY_WORDS * len(held) else Kind.MIXED
    return Kind.INTEGERS if all(map(_is_integer, held)) else Kind.FLOATS


def _is_integer(text: str) -> bool:
    try:
        return int(text) in INT64
    except ValueError:
        return False


def _integers(texts: Sequence[str]) -> Cells | None:
    values: NDArray[np.int64] = np.zeros(len(texts), np.int64)
    absent = np.zeros(len(texts), np.bool_)
    for row, text in enumerate(texts):
        stripped = text.strip()
        if stripped in NO_VALUE:
            absent[row] = True
        elif "_" not in stripped and stripped.isascii() and _is_integer(stripped):
            values[row] = int(stripped)
        else:
            return None
    return Cells(numbers=values, absent=absent if absent.any() else None)
