"""A delimited file as blocks of columns: fast where the text is plain, exactly where it is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from dltool.core.delimited import SNIFFED_LINES, Preamble, looks_like_header, names_again, preamble, sniff_delimiter
from dltool.core.finding import Severity
from dltool.scanning.delimited.cells import Kind, first_kind
from dltool.scanning.delimited.exact import long_cells, read_exactly, records_of
from dltool.scanning.delimited.fast import FastReader
from dltool.scanning.delimited.faults import Faults
from dltool.scanning.delimited.structure import (
    Structure,
    cut_at_record,
    delimiters_in,
    has_empty_lines,
    line_of_record,
    structure_of,
)
from dltool.scanning.delimited.text import Text, TextBlock, valid_utf8
from dltool.scanning.tables.block import Block

FIRST_RECORDS = 1000
"""Records that say what columns hold."""
AGREE = 0.9
"""Where so many of the first rows have another width than the first line, it is that line that is odd."""
HEAD_BYTES = 1 << 20
SMALLEST_FAST_BYTES = 1 << 17
"""Trouble in a block is searched by halves of it down to this size, and there record by record."""


@dataclass(slots=True)
class Layout:
    """What the head of a file says: its separator, its columns and what they hold (changed as cells need it)."""

    delimiter: str
    names: list[str]
    has_header: bool
    kinds: list[Kind]
    header_lines: int


class DelimitedReader:
    """Reads a stream of delimited text.

    Args:
        text: the blocks of the stream.
        faults: where what is wrong with the text is noted.
        target: a column name that would make the first line a header.
        fast: the reader of plain blocks; None reads everything exactly.
    """

    def __init__(self, text: Text, faults: Faults, *, target: str | None = None, fast: FastReader | None = None) -> None:
        self._blocks = text.blocks()
        self._faults = faults
        self._fast = fast
        self._first = next(self._blocks, None)
        self._row = 0
        data = b"" if self._first is None else valid_utf8(self._first, faults)
        self.layout = layout_of(data, {target} if target else set(), faults)
        if self._first is not None and self.layout is not None:
            self._first = _without_lines(self._first, data, self.layout.header_lines)

    @property
    def rows(self) -> int:
        """Rows so far, broken ones included."""
        return self._row

    def blocks(self) -> Iterator[Block]:
        """Rows in order."""
        if self._first is None or self.layout is None:
            return
        yield from self._read(self._first, self._first.data, self.layout)
        for block in self._blocks:
            yield from self._read(block, valid_utf8(block, self._faults), self.layout)

    def _read(self, text: TextBlock, data: bytes, layout: Layout) -> Iterator[Block]:
        if text.is_last:
            stripped = data.rstrip(b"\r\n")
            data = stripped + b"\n" if stripped and len(stripped) < len(data) else stripped
        if data:
            yield from self._part(data, text.first_line, layout, is_last=text.is_last)

    def _part(self, data: bytes, first_line: int, layout: Layout, *, is_last: bool) -> Iterator[Block]:
        structure = structure_of(data, layout.delimiter) if self._fast is not None else None
        if structure is not None and (block := self._quickly(data, structure, first_line, layout)) is not None:
            self._row += block.count
            yield block
            return
        may_split = structure is not None and structure.quotes_in_order and len(data) > SMALLEST_FAST_BYTES
        if may_split and (middle := cut_at_record(data[: len(data) // 2])):
            yield from self._part(data[:middle], first_line, layout, is_last=False)
            yield from self._part(data[middle:], first_line + data.count(b"\n", 0, middle), layout, is_last=is_last)
            return
        block, rows = read_exactly(
            data.decode("utf-8"),
            layout.delimiter,
            layout.kinds,
            self._faults,
            first_row=self._row,
            first_line=first_line,
            is_cut_off=is_last and not data.endswith(b"\n"),
        )
        self._row += rows
        yield block

    def _quickly(self, data: bytes, structure: Structure, first_line: int, layout: Layout) -> Block | None:
        if self._fast is None or not structure.is_plain:
            return None
        columns = self._fast(data, layout.delimiter, layout.kinds, structure.is_quoted)
        if columns is None:
            return None
        count = columns[0].rows
        if count != structure.records:
            return None
        if columns[-1].has_holes and delimiters_in(data, layout.delimiter) != (len(columns) - 1) * count:
            return None
        if columns[0].has_holes and has_empty_lines(data):
            return None
        return Block(
            first_row=self._row,
            count=count,
            columns=columns,
            line_of=lambda position: line_of_record(data, position, first_line),
        )


def layout_of(data: bytes, wanted: set[str], faults: Faults) -> Layout | None:
    """What the first records say; None where there are none."""
    head = data[: cut_at_record(data[:HEAD_BYTES]) or HEAD_BYTES].decode("utf-8", "replace")
    before = preamble(list(islice(head.splitlines(keepends=True), SNIFFED_LINES))) if head.strip() else Preamble()
    if before.lines:
        faults.add("preamble", before.what, rule="format-mismatch", line=1, severity=Severity.INFO)
        head = "".join(head.splitlines(keepends=True)[before.lines :])
    lines = list(islice((line for line in head.splitlines(keepends=True) if line.strip()), SNIFFED_LINES))
    if not lines:
        return None
    with long_cells():
        delimiter = sniff_delimiter(lines)
    records = [(line, cells) for line, cells in records_of(head, delimiter) if isinstance(cells, list)][: FIRST_RECORDS + 1]
    if not records:
        return None
    rows = [cells for _, cells in records]
    has_header = looks_like_header(rows[:2], wanted)
    names = [cell.strip() for cell in rows[0]] if has_header else [str(at) for at in range(len(rows[0]))]
    body = rows[1:] if has_header else rows
    first_line = before.lines + records[0][0] + 1
    again = names_again(body[: SNIFFED_LINES - 1 - before.lines]) if has_header else 0
    if again:
        lines_are = "the line below the header is" if again == 1 else f"the {again} lines below the header are"
        detail = f"{lines_are} taken for more names, not for rows"
        faults.add("second-header", detail, rule="format-mismatch", line=first_line + 1, severity=Severity.INFO)
        body = body[again:]
    if has_header:
        names = _fitting(names, body, faults, first_line)
    body = [row for row in body if len(row) == len(names)]
    kinds = [first_kind(texts) for texts in zip(*body, strict=True)] if body else [Kind.MIXED] * len(names)
    header_lines = before.lines + (_lines_before(records, 1 + again, head) if has_header else 0)
    _note_names(names, has_header=has_header, faults=faults, line=first_line)
    return Layout(delimiter, names, has_header, kinds, header_lines)


def _fitting(names: list[str], body: list[list[str]], faults: Faults, line: int) -> list[str]:
    """Names for rows that agree among themselves and not with the first line: R leaves the name of its row names out."""
    widths = Counter(map(len, body)).most_common(1)
    if not widths or widths[0][0] == len(names) or widths[0][1] < AGREE * len(body):
        return names
    width = widths[0][0]
    detail = f"the first line has {len(names)} cells, the rows have {width}"
    faults.add("header-width", detail, rule="format-mismatch", line=line, severity=Severity.WARNING)
    return ["", *names] if width == len(names) + 1 else [str(at) for at in range(width)]


def _lines_before(records: list[tuple[int, list[str]]], count: int, head: str) -> int:
    return records[count][0] if len(records) > count else head.count("\n") + 1


def _note_names(names: list[str], *, has_header: bool, faults: Faults, line: int) -> None:
    if not has_header:
        faults.add("no-header", "has no header line: columns are numbered", rule="format-mismatch", line=line,
                   severity=Severity.INFO)  # fmt: skip
        return
    repeated = [name for at, name in enumerate(names) if name and name in names[:at]]
    if repeated:
        detail = f"column names repeat: {', '.join(map(repr, dict.fromkeys(repeated)))}"
        faults.add("duplicate-columns", detail, rule="format-mismatch", line=line, severity=Severity.WARNING)


def _without_lines(block: TextBlock, data: bytes, lines: int) -> TextBlock:
    at = 0
    for _ in range(lines):
        found = data.find(b"\n", at)
        at = len(data) if found < 0 else found + 1
    return TextBlock(data[at:], block.first_line + lines, block.is_last)
