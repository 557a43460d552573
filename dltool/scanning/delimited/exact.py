"""Delimited text read record by record, with recovery: the line that is broken is told, the next one is read again."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from dltool.scanning.delimited.cells import Kind, cells_of
from dltool.scanning.delimited.faults import Faults
from dltool.scanning.tables.block import Block

LONGEST_CELL = 1 << 26
LONGEST_RECORD_LINES = 10_000
"""A quoted cell of more lines was never closed."""


@dataclass(slots=True)
class Records:
    """Records (rows of cells) with their lines, and the indices among them of those that are whole."""

    cells: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    total: int = 0


@dataclass(frozen=True, slots=True)
class _Broken:
    """A line with quotes that do not close."""


_BROKEN = _Broken()
Record = list[str] | _Broken


def read_exactly(
    text: str, delimiter: str, kinds: list[Kind], faults: Faults, *, first_row: int, first_line: int, is_cut_off: bool
) -> tuple[Block, int]:
    """A block of rows, ragged and broken ones left out and noted; and how many rows there were with these.

    ``kinds`` are changed in place where the cells need it. ``is_cut_off``: the text is the end of a file without a newline.
    """
    records = _whole_records(
        text, delimiter, len(kinds), faults, first_row=first_row, first_line=first_line, is_cut_off=is_cut_off
    )
    columns = []
    for at, texts in enumerate(zip(*records.cells, strict=True) if records.cells else [()] * len(kinds)):
        cells, kinds[at] = cells_of(texts, kinds[at])
        columns.append(cells)
    lines = records.lines
    block = Block(
        first_row=first_row,
        count=len(records.cells),
        columns=columns,
        kept=None if len(records.kept) == records.total else np.array(records.kept, np.int64),
        line_of=lambda position: lines[position],
    )
    return block, records.total


def records_of(text: str, delimiter: str, width: int | None = None) -> list[tuple[int, Record]]:
    """Records with the index of their first line, from 0; empty lines are none.

    ``width`` is how many cells a record should have: one that spans lines and has another number of cells has lost a quote.
    """
    with long_cells():
        try:
            return _strictly(text, delimiter, width)
        except csv.Error:
            return list(_line_by_line(text, delimiter, width))


@contextmanager
def long_cells() -> Iterator[None]:
    """Let Python's csv module read cells of more than 128 KiB, such as documents."""
    limit = csv.field_size_limit(LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _by_newlines(found: list[tuple[int, Record]], text: str) -> list[tuple[int, Record]]:
    """Lines as editors count them: lone carriage returns, which end records for Python, end no lines."""
    if text.count("\r") == text.count("\r\n"):
        return found
    numbers = [0]
    for line in io.StringIO(text, newline=""):
        numbers.append(numbers[-1] + line.endswith("\n"))
    return [(numbers[line], record) for line, record in found]


def _strictly(text: str, delimiter: str, width: int | None) -> list[tuple[int, Record]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found: list[tuple[int, Record]] = []
    line = 0
    for cells in reader:
        if cells:
            if width is not None and len(cells) != width and reader.line_num > line + 1:
                raise csv.Error("a record of many lines and another width")
            found.append((line, cells))
        line = reader.line_num
    return found


def _line_by_line(text: str, delimiter: str, width: int | None) -> Iterator[tuple[int, Record]]:
    lines = list(io.StringIO(text, newline=""))
    at = 0
    while at < len(lines):
        cells, used = _record_at(lines, at, delimiter, width)
        if cells is None or cells:
            yield at, _BROKEN if cells is None else cells
        at += used


def _record_at(lines: Sequence[str], at: int, delimiter: str, width: int | None) -> tuple[list[str] | None, int]:
    """The record that begins on a line and how many lines it takes; None for one line where the quotes make no sense."""
    cells = _one_record(lines[at], delimiter)
    if cells is not None:
        return cells, 1
    joined, quotes = lines[at], lines[at].count('"')
    if quotes % 2 == 0:
        return None, 1
    for end in range(at + 1, min(len(lines), at + LONGEST_RECORD_LINES)):
        joined += lines[end]
        quotes += lines[end].count('"')
        if quotes % 2 == 0:
            cells = _one_record(joined, delimiter)
            return (cells, end + 1 - at) if cells is not None and width in {None, len(cells)} else (None, 1)
    return None, 1


def _one_record(text: str, delimiter: str) -> list[str] | None:
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def _whole_records(
    text: str, delimiter: str, width: int, faults: Faults, *, first_row: int, first_line: int, is_cut_off: bool
) -> Records:
    found = _by_newlines(records_of(text, delimiter, width), text)
    records = Records(total=len(found))
    for index, (line, cells) in enumerate(found):
        row, where = first_row + index, first_line + line
        if not isinstance(cells, _Broken) and len(cells) == width:
            records.cells.append(cells)
            records.lines.append(where)
            records.kept.append(row)
        elif is_cut_off and index == len(found) - 1 and (isinstance(cells, _Broken) or len(cells) < width):
            faults.add("truncated", f"the last line, {where}, is cut off", rows=[row], line=where)
        elif isinstance(cells, _Broken):
            faults.add("broken-quotes", f"line {where} has a quote that does not close", rows=[row], line=where)
        else:
            detail = f"line {where} has {len(cells)} {'cell' if len(cells) == 1 else 'cells'} instead of {width}"
            faults.add("ragged-row", detail, rows=[row], line=where)
    return records
