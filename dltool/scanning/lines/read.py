"""Lines of JSON objects as blocks of a table, and what is wrong with lines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import compress
from typing import Any

import numpy as np

from dltool.core.finding import Severity
from dltool.scanning.delimited.faults import Faults
from dltool.scanning.delimited.structure import NEWLINE
from dltool.scanning.delimited.text import Text, TextBlock, valid_utf8
from dltool.scanning.lines.fast import FastLines, Plain, kinds_of
from dltool.scanning.lines.values import ABSENT, cells_of_values, is_list_of_numbers
from dltool.scanning.tables.block import Block

BLOCK_LINES = 8192
MOST_CHUNK_BYTES = 1 << 24
"""Longer lines are looked at fewer at a time."""
OPTIONAL = 0.99
"""A field that fewer lines have is optional; one that at least so many have is missed in the others."""
RARE = 0.01
"""A field that fewer of the first lines have is not looked at."""
USUAL = 0.5
"""A line without any of the fields that so many of the first lines have is of another kind."""
MOST_FIELDS = 4096
ROWS_TOLD = 20
SMALLEST_FAST_BYTES = 1 << 19
"""Blocks in which something is odd are searched for it by halves down to this size, and these line by line."""
Object = dict[str, Any]
Chunk = tuple[list[Object], list[int], list[int]]
"""Objects, their rows and their lines."""


class LineReader:
    """Reads lines of JSON. Its fields, ``names``, are those of the first ``BLOCK_LINES`` lines; ``rows`` counts on."""

    def __init__(self, text: Text, faults: Faults) -> None:
        self.rows = 0
        self._faults = faults
        self._fast: FastLines | None = None
        self._pieces = self._read(text)
        first = next(self._pieces, ([], [], []))
        self._first: Chunk = ([], [], []) if isinstance(first, Block) else first
        names = Counter(name for found in self._first[0] for name in found)
        self.names = [name for name, count in names.items() if count >= RARE * len(self._first[0])][:MOST_FIELDS]
        self._usual = {name for name, count in names.items() if count >= USUAL * len(self._first[0])}
        self.has_lists = any(is_list_of_numbers(value) for found in self._first[0] for value in found.values()
                             if isinstance(value, list))  # fmt: skip
        self._fast = FastLines(kinds_of(self._first[0], self.names))
        self._lacks: dict[str, list[int]] = {name: [] for name in self.names}
        self._lack_counts = dict.fromkeys(self.names, 0)
        self._lack_lines: dict[str, int] = {}

    def blocks(self) -> Iterator[Block]:
        """Rows in order; lines that are no objects are rows that are left out."""
        yield from self._blocks_of(*self._first)
        for piece in self._pieces:
            if isinstance(piece, Block):
                yield piece
            else:
                yield from self._blocks_of(*piece)
        self._note_fields()

    def lacks(self, name: str) -> int:
        """How many lines so far have no such field."""
        return self._lack_counts[name]

    def _blocks_of(self, objects: list[Object], rows: list[int], lines: list[int]) -> Iterator[Block]:
        if not objects:
            return
        known = set(self.names)
        alike = [
            found.keys() == known or self._compare(found, known, row, line)
            for row, line, found in zip(rows, lines, objects, strict=True)
        ]
        if not all(alike):
            objects, rows, lines = (list(compress(held, alike)) for held in (objects, rows, lines))  # type: ignore[assignment]
            if not objects:
                return
        columns = [cells_of_values([found.get(name, ABSENT) for found in objects]) for name in self.names]
        first, count = rows[0], len(rows)
        yield Block(
            first_row=first,
            count=count,
            columns=columns,
            kept=None if rows[-1] - first == count - 1 else np.array(rows, np.int64),
            line_of=lambda position: lines[position],
        )

    def _compare(self, found: Object, known: set[str], row: int, line: int) -> bool:
        """Note what a line lacks; False where it is of another kind."""
        if self._usual and not self._usual & found.keys():
            self._faults.add("other-fields", f"line {line} has none of the fields of the first lines", rows=[row], line=line,
                             rule="format-mismatch")  # fmt: skip
            return False
        for name in known - found.keys():
            self._lack_counts[name] += 1
            self._lack_lines.setdefault(name, line)
            if len(self._lacks[name]) < ROWS_TOLD:
                self._lacks[name].append(row)
        return True

    def _note_fields(self) -> None:
        for name in self.names:
            count = self._lack_counts[name]
            if 0 < count <= (1.0 - OPTIONAL) * self.rows:
                line = self._lack_lines[name]
                self._faults.add(f"missing-field:{name}"[:80], f"field {name!r} is missing on line {line}",
                                 rows=self._lacks[name], count=count, line=line, severity=Severity.WARNING,
                                 rule="format-mismatch")  # fmt: skip

    def _read(self, text: Text) -> Iterator[Chunk | Block]:
        """The first lines one by one; of the others, blocks where all is plain, else lines again."""
        chunk: Chunk = ([], [], [])
        size_bytes = 0
        for whole in text.blocks():
            waiting = [TextBlock(valid_utf8(whole, self._faults), whole.first_line, whole.is_last)]
            while waiting:
                block = waiting.pop()
                if self._fast is None and (end := _end_of_line(block.data, BLOCK_LINES)):
                    waiting.append(_after(block, end))
                    block = _before(block, end)
                elif self._fast is not None and (plain := self._plain(block)) is not None:
                    if chunk[0]:
                        yield chunk
                        chunk = ([], [], [])
                    yield plain
                    continue
                elif self._fast is not None and (middle := _middle(block.data)):
                    waiting += [_after(block, middle), _before(block, middle)]
                    continue
                for line, data, is_cut_off in _lines(block, block.data):
                    self._add(chunk, data, line, is_cut_off=is_cut_off)
                    size_bytes += len(data)
                    if len(chunk[0]) == BLOCK_LINES or (size_bytes > MOST_CHUNK_BYTES and chunk[0]):
                        yield chunk
                        chunk, size_bytes = ([], [], []), 0
                if self._fast is not None:
                    self._fast.learn(chunk[0])
        yield chunk

    def _add(self, chunk: Chunk, data: bytes, line: int, *, is_cut_off: bool) -> None:
        found = self._parse(data, line, is_cut_off=is_cut_off)
        if found is not None:
            objects, rows, lines = chunk
            objects.append(found)
            rows.append(self.rows)
            lines.append(line)
        self.rows += 1

    def _plain(self, text: TextBlock) -> Block | None:
        """A block of lines in which all is as in the first ones."""
        data = text.data.rstrip(b"\r\n") if text.is_last else text.data
        plain = self._fast.read(data) if self._fast is not None and data else None
        if plain is None or self._has_other_kind(plain):
            return None
        for name, at in plain.lacks.items():
            self._lack_counts[name] += len(at)
            self._lack_lines.setdefault(name, text.first_line + int(at[0]))
            self._lacks[name] += (at[: ROWS_TOLD - len(self._lacks[name])] + self.rows).tolist()
        first, first_line = self.rows, text.first_line
        self.rows += plain.rows
        return Block(
            first_row=first, count=plain.rows, columns=plain.columns, line_of=lambda position: first_line + position
        )

    def _has_other_kind(self, plain: Plain) -> bool:
        """Whether some line has none of the usual fields."""
        if not self._usual or not self._usual <= plain.lacks.keys():
            return False
        lacking = np.zeros(plain.rows, np.int64)
        for name in self._usual:
            lacking[plain.lacks[name]] += 1
        return int(lacking.max()) == len(self._usual)

    def _parse(self, data: bytes, line: int, *, is_cut_off: bool) -> Object | None:
        try:
            found = json.loads(data)
        except (ValueError, RecursionError) as error:
            if is_cut_off:
                self._faults.add("truncated", f"the last line, {line}, is cut off", rows=[self.rows], line=line)
                return None
            reason = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep, or a number too long"
            self._faults.add("not-json", f"line {line} is no JSON: {reason}", rows=[self.rows], line=line)
            return None
        if not isinstance(found, dict):
            detail = f"line {line} holds a {type(found).__name__} instead of an object"
            self._faults.add("not-an-object", detail, rows=[self.rows], line=line)
            return None
        return found


def cut_at_line(data: bytes) -> int:
    """Where the last whole line ends."""
    return data.rfind(b"\n") + 1


def _lines(block: TextBlock, data: bytes) -> Iterator[tuple[int, bytes, bool]]:
    """Lines that hold something, with their numbers, and whether the file is cut off in them."""
    pieces = data.split(b"\n")
    for at, piece in enumerate(pieces):
        if stripped := piece.strip():
            yield block.first_line + at, stripped, block.is_last and at == len(pieces) - 1


def _end_of_line(data: bytes, number: int) -> int:
    """Where a line ends, counted from 1; 0 where there is no other after it."""
    newlines = np.flatnonzero(np.frombuffer(data, np.uint8) == NEWLINE)
    return int(newlines[number - 1]) + 1 if len(newlines) >= number and newlines[number - 1] + 1 < len(data) else 0


def _middle(data: bytes) -> int:
    """Where the line in the middle begins; 0 where there is too little to be halved."""
    return cut_at_line(data[: len(data) // 2]) if len(data) > SMALLEST_FAST_BYTES else 0


def _before(block: TextBlock, end: int) -> TextBlock:
    return TextBlock(block.data[:end], block.first_line, is_last=False)


def _after(block: TextBlock, end: int) -> TextBlock:
    return TextBlock(block.data[end:], block.first_line + block.data.count(b"\n", 0, end), block.is_last)
