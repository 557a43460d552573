"""Text tables: a header or none, commas, semicolons or tabs, quoted cells, UTF-8 with or without a byte-order mark."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dltool.core.delimited import MISSING, SNIFFED_LINES, looks_like_header, names_again, preamble, sniff_delimiter
from dltool.core.errors import DataError, Location, Problem
from dltool.data.sources.columns import Column, Selection, to_table
from dltool.data.table import EXAMPLES, Glance, Table, existing_file

CHUNK_ROWS = 8192


def read_csv(
    path: Path,
    selection: Selection,
    *,
    header: bool | None = None,
    delimiter: str | None = None,
    glance: Glance | None = None,
) -> Table:
    """Read a table; ``header`` and ``delimiter`` are found out when None.

    Without a header the columns are called "0", "1", and so on. Empty cells and the usual words for "missing" become NaN.

    Raises:
        DataError: no such file, not UTF-8, ragged rows, text among numbers, unknown columns: all that is wrong, at once.
    """
    existing_file(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            head = list(islice(stream, SNIFFED_LINES))
        if any("\0" in line for line in head):
            raise DataError(Problem(message="a binary file, not a text table", location=Location(file=str(path))))
        before = preamble(head).lines if any(line.strip() for line in head) else 0
        separator = delimiter or sniff_delimiter([line for line in head[before:] if line.strip()] or head)
        first = [row for row in csv.reader(head[before:], delimiter=separator) if row]
        if not first:
            raise DataError(Problem(message="the file holds only empty lines", location=Location(file=str(path))))
        wanted = {str(column) for column in (*selection.target, *(selection.features or ())) if isinstance(column, str)}
        has_header = looks_like_header(first[:2], wanted) if header is None else header
        names_rows = 1 + names_again(first[1:]) if has_header else 0
        names = [cell.strip() for cell in first[0]] if has_header else [str(i) for i in range(len(first[0]))]
        reader = _Reader(path, separator, names, skipped=(before, names_rows), glance=glance)
        columns = reader.columns()
    except UnicodeDecodeError as error:
        raise DataError(_not_utf8(path, error)) from None
    except csv.Error as error:
        raise DataError(Problem(message=f"not a readable csv file: {error}", location=Location(file=str(path)))) from None
    try:
        table = to_table(str(path), columns, selection)
    except DataError as error:
        raise DataError(*reader.problems, *error.problems) from None
    if reader.problems:
        raise DataError(*reader.problems)
    return replace(table, left_out=None) if reader.stopped else table


def _not_utf8(path: Path, error: UnicodeDecodeError) -> Problem:
    data = path.read_bytes()
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as whole:
        error = whole
    line = data.count(b"\n", 0, error.start) + 1
    return Problem(
        message=f"not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}",
        location=Location(file=str(path), line=line),
        expected="a text file saved as UTF-8",
    )


class _Reader:
    """Reads rows in chunks, so that the text of the file is never in memory as a whole, and notes what is ragged."""

    def __init__(
        self, path: Path, delimiter: str, names: Sequence[str], *, skipped: tuple[int, int], glance: Glance | None
    ) -> None:
        self.problems: list[Problem] = []
        self.stopped = False
        self._glance = glance
        self._path = path
        self._delimiter = delimiter
        self._names = names
        self._lines_before, self._names_rows = skipped
        self._ragged = 0

    def columns(self) -> list[Column]:
        builders = [_ColumnBuilder(name) for name in self._names]
        for rows, lines in self._chunks():
            for builder, cells in zip(builders, zip(*rows, strict=True), strict=True):
                builder.add(cells, lines)
        if self._ragged > EXAMPLES:
            last = self.problems[-1]
            self.problems[-1] = Problem(
                message=f"{last.message}; {self._ragged - EXAMPLES} more rows are ragged",
                location=last.location,
                expected=last.expected,
            )
        return [builder.finish() for builder in builders]

    def _chunks(self) -> Iterator[tuple[list[list[str]], list[int]]]:
        with self._path.open(encoding="utf-8-sig", newline="") as stream:
            for _ in range(self._lines_before):
                next(stream, None)
            text = stream if self._glance is None else self._bounded(stream, self._glance)
            reader = csv.reader(text, delimiter=self._delimiter)
            skip = self._names_rows
            rows: list[list[str]] = []
            lines: list[int] = []
            for row in reader:
                if self.stopped:  # within quotes: this row is cut
                    break
                if not row:
                    continue
                if skip:
                    skip -= 1
                    continue
                if len(row) != len(self._names):
                    self._note_ragged(self._lines_before + reader.line_num, len(row))
                    continue
                rows.append(row)
                lines.append(self._lines_before + reader.line_num)
                if len(rows) == CHUNK_ROWS:
                    yield rows, lines
                    rows, lines = [], []
            if rows:
                yield rows, lines

    def _bounded(self, stream: Iterable[str], glance: Glance) -> Iterator[str]:
        """The lines that a glance may take in; ``stopped`` where there are more."""
        room = glance.most_bytes
        for number, line in enumerate(stream):
            room -= len(line)
            if number > glance.most_rows or room < 0:
                self.stopped = True
                return
            yield line

    def _note_ragged(self, line: int, cells: int) -> None:
        self._ragged += 1
        if self._ragged <= EXAMPLES:
            self.problems.append(
                Problem(
                    message=f"this row has {cells} {'cell' if cells == 1 else 'cells'}",
                    location=Location(file=str(self._path), line=line),
                    expected=f"{len(self._names)}, as in the first row (separator {self._delimiter!r})",
                )
            )


class _ColumnBuilder:
    """Collects one column chunk by chunk: numbers at once, cell by cell where a chunk holds anything else."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._chunks: list[NDArray[np.float64]] = []
        self._texts: dict[int, str] = {}
        self._lines: dict[int, int] = {}
        self._known: dict[str, str] = {}
        self._rows = 0

    def add(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        try:
            numbers = np.fromiter(map(float, cells), np.float64, len(cells))
        except ValueError:
            numbers = np.array([self._number(cell, at, lines) for at, cell in enumerate(cells)], np.float64)
        self._chunks.append(numbers)
        self._rows += len(cells)

    def finish(self) -> Column:
        numbers = np.concatenate(self._chunks) if self._chunks else np.empty(0, np.float64)
        return Column(name=self._name, numbers=numbers, texts=self._texts, lines=self._lines)

    def _number(self, cell: str, at: int, lines: Sequence[int]) -> float:
        try:
            return float(cell)
        except ValueError:
            text = cell.strip()
        if text.lower() not in MISSING:
            row = self._rows + at
            self._texts[row] = self._known.setdefault(text, text)
            if len(self._lines) < EXAMPLES:
                self._lines[row] = lines[at]
        return float("nan")
