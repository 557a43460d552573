"""Values of one field over many lines of JSON, as cells of a table."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dltool.scanning.delimited.cells import words_of
from dltool.scanning.tables.block import Cells

EXACT = 2**63


class Absent:
    """Stands where a line lacks the field."""


ABSENT = Absent()


def cells_of_values(values: Sequence[Any]) -> Cells:
    """Numbers (true and false too), words, lists of numbers; null, a lack and "" are nothing, other things words.

    Lists of objects or of words are words too: a conversation is as much a text as one in quotes.
    """
    kinds = set(map(type, values))
    if kinds <= {int, bool} and all(-EXACT <= value < EXACT for value in values):
        return Cells(numbers=np.array(values, np.int64))
    if kinds <= {int, float, bool}:
        return Cells(numbers=np.array([_float(value) for value in values]))
    if list in kinds and any(value and is_list_of_numbers(value) for value in values if isinstance(value, list)):
        return _lists(values)
    numbers = np.array([_float(value) if isinstance(value, int | float) else 0.0 for value in values])
    absent = np.array([not isinstance(value, int | float) for value in values])
    words = words_of([_word(value) for value in values])
    cells = Cells(numbers=numbers, absent=absent)
    if words.words:
        cells.codes, cells.words = words.codes, words.words
        if absent.all():
            cells.numbers = cells.absent = None
    return cells


def is_list_of_numbers(value: object) -> bool:
    """Whether a value is a list, nested perhaps, whose first element is a number."""
    while isinstance(value, list):
        value = value[0] if value else 0
    return isinstance(value, int | float)


def _lists(values: Sequence[Any]) -> Cells:
    numbers: list[float] = []
    owners: list[int] = []
    absent = np.zeros(len(values), np.bool_)
    for at, value in enumerate(values):
        if value is None or value is ABSENT:
            absent[at] = True
            continue
        found = list(_flat(value))
        numbers += found
        owners += [at] * len(found)
    return Cells(numbers=np.array(numbers), owners=np.array(owners, np.int64), absent=absent if absent.any() else None)


def _flat(value: object) -> Iterator[float]:
    """Numbers in lists of lists; null among them is NaN, text is left out."""
    if isinstance(value, list):
        for inner in value:
            yield from _flat(inner)
    elif value is None:
        yield math.nan
    elif isinstance(value, int | float):
        yield _float(value)


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def _word(value: object) -> str | None:
    if isinstance(value, str):
        return value or None
    if value is None or value is ABSENT or isinstance(value, int | float):
        return None
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
