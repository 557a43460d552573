"""One JSON object a line: numbers, words, and (nested) lists for sequences and tensors."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dltool.core.errors import DataError, Location, Problem, closest
from dltool.data.sources.columns import Column, Selection, to_table
from dltool.data.table import EXAMPLES, Array, Glance, Table, existing_file


def read_jsonl(path: Path, selection: Selection, *, glance: Glance | None = None) -> Table:
    """Read the selected fields; every line must have them. ``null`` is a missing number (NaN).

    Raises:
        DataError: no such file, lines that are no JSON object, missing fields, lists that are ragged inside, text among
            numbers: the first few of each kind, with their line.
    """
    existing_file(path)
    records: list[dict[str, Any]] = []
    lines: list[int] = []
    faults = _Faults(str(path))
    stopped = False
    room = math.inf if glance is None else glance.most_bytes
    for line, text in _lines(path):
        room -= len(text)
        if glance is not None and records and (room < 0 or len(records) >= glance.most_rows):
            stopped = True
            break
        record = _parse(text, line, faults)
        if record is not None:
            records.append(record)
            lines.append(line)
    if not records:
        if not faults.problems:
            faults.problems.append(Problem(message="the file holds no JSON objects", location=Location(file=str(path))))
        raise DataError(*faults.problems)
    names = _fields(records[0], selection)
    columns = [_column(name, records, lines, faults) for name in names]
    try:
        table = to_table(str(path), columns, selection)
    except DataError as error:
        raise DataError(*faults.closed(), *error.problems) from None
    if faults.closed():
        raise DataError(*faults.closed())
    return replace(table, left_out=None) if stopped else table


class _Faults:
    """Faults by kind: the first few are named, the rest counted."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self._counts: dict[str, int] = {}

    def add(self, kind: str, line: int, message: str, expected: str | None = None) -> None:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        if self._counts[kind] <= EXAMPLES:
            self.problems.append(Problem(message=message, location=Location(file=self.path, line=line), expected=expected))

    def closed(self) -> list[Problem]:
        """The problems, and one more for each kind of which there are more."""
        more = [
            Problem(message=f"{count - EXAMPLES} more lines: {kind}", location=Location(file=self.path))
            for kind, count in self._counts.items()
            if count > EXAMPLES
        ]
        return self.problems + more


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as stream:
        for number, raw in enumerate(stream, start=1):
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError as error:
                problem = Problem(message=f"not UTF-8: {error.reason}", location=Location(file=str(path), line=number))
                raise DataError(problem) from None
            if text:
                yield number, text


def _parse(text: str, line: int, faults: _Faults) -> dict[str, Any] | None:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep, or a number too long"
        faults.add("not JSON", line, f"not JSON: {reason}")
        return None
    if not isinstance(record, dict):
        faults.add("not an object", line, f"a {type(record).__name__} instead of an object", '{"field": value, ...}')
        return None
    return record


def _fields(record: dict[str, Any], selection: Selection) -> list[str]:
    """The fields that are selected, as a file may carry others of any kind; all of the first line where one is not there."""
    if selection.features is None:
        return list(record)
    wanted = {str(name) for name in (*selection.features, *selection.target)}
    return [name for name in record if name in wanted] if wanted <= record.keys() else list(record)


def _column(name: str, records: Sequence[dict[str, Any]], lines: Sequence[int], faults: _Faults) -> Column:
    values = []
    for record, line in zip(records, lines, strict=True):
        if name not in record:
            near = closest(name, record)
            faults.add(
                f"no field {name!r}",
                line,
                f"no field {name!r}",
                f"{name!r} in every line" + (f", not {near!r}" if near else ""),
            )
        values.append(record.get(name))
    if any(isinstance(value, list) for value in values):
        return Column(name=name, numbers=np.empty(0), arrays=_arrays(name, values, lines, faults))
    return _numbers(name, values, lines, faults)


def _numbers(name: str, values: Sequence[Any], lines: Sequence[int], faults: _Faults) -> Column:
    if all(type(value) is int and -(2**53) <= value <= 2**53 for value in values):
        return Column(name=name, numbers=np.array(values, dtype=np.int64))
    numbers = np.full(len(values), np.nan)
    texts: dict[int, str] = {}
    for row, value in enumerate(values):
        if isinstance(value, int | float):
            numbers[row] = _float(value)
        elif isinstance(value, str):
            texts[row] = value
        elif value is not None:
            kind = f"field {name!r} is neither number nor text"
            faults.add(kind, lines[row], f"field {name!r} is {type(value).__name__}", "a number, text or a list")
    return Column(name=name, numbers=numbers, texts=texts, lines=_first_lines(texts, lines))


def _first_lines(texts: dict[int, str], lines: Sequence[int]) -> dict[int, int]:
    return {row: lines[row] for row in list(texts)[:EXAMPLES]}


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def _arrays(name: str, values: Sequence[Any], lines: Sequence[int], faults: _Faults) -> list[Array]:
    arrays: list[Array] = []
    for value, line in zip(values, lines, strict=True):
        array = _array(value)
        if array is None:
            kind = f"field {name!r} is no list of numbers"
            faults.add(kind, line, f"field {name!r} is not a list of numbers, or its inner lists differ in length")
        else:
            arrays.append(array)
    if all(array.dtype.kind == "i" for array in arrays):
        return arrays
    return [array.astype(np.float64) for array in arrays]


def _array(value: Any) -> Array | None:
    if not isinstance(value, list):
        return None
    try:
        array = np.array(value)
        if array.dtype.kind == "O":  # null among numbers, or an integer beyond 64 bits
            array = np.array(value, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        return None
    return array if array.dtype.kind in "if" else None
