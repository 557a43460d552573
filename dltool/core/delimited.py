"""What a delimited text table is like: its separator, its header, its words for "no value". One answer for all readers."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

DELIMITERS = (",", ";", "\t")
SNIFFED_LINES = 20
ROWS_AGREE = 3
"""Lines that must be alike, below what is taken for a title."""
ROWS_OF_NUMBERS = 8
"""Rows that must hold numbers where a second line of names has words."""
SEPARATOR_LINE = re.compile(r"\s*\"?sep=(.)\"?\s*", re.IGNORECASE)
"""Excel's own first line."""

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
"""Cells that say "no value here", in lower case: they become NaN, which the data rules report."""


def sniff_delimiter(lines: Sequence[str]) -> str:
    """The separator that cuts every one of the first lines into the same number of cells, the most of them."""
    best, most = DELIMITERS[0], 1
    for delimiter in DELIMITERS:
        widths = {len(row) for row in csv.reader(lines, delimiter=delimiter) if row}
        if len(widths) == 1 and (width := widths.pop()) > most:
            best, most = delimiter, width
    return best if most > 1 else _most_frequent(lines[0])


@dataclass(frozen=True, slots=True)
class Preamble:
    """What stands before a table: so many lines of its file, empty ones included, and what they are."""

    lines: int = 0
    what: str = ""


def preamble(lines: Sequence[str]) -> Preamble:
    """Comments (#), ``sep=;``, or a title before the header: known by the lines below, which are wider and agree in width.

    Args:
        lines: the first of the file, with their ends; empty ones may be among them.
    """
    at = _filled(lines, 0)
    if at < len(lines) and SEPARATOR_LINE.fullmatch(lines[at]):
        return Preamble(at + 1, "the first line tells the separator")
    comments = at
    while comments < len(lines) and lines[comments].lstrip().startswith("#"):
        comments = _filled(lines, comments + 1)
    if at < comments < len(lines):
        return _after_comments(lines, at, comments)
    return _after_title(lines, at)


def names_again(rows: Sequence[Sequence[str]]) -> int:
    """How many rows after the header name the columns once more (units, tickers): words where all others have numbers.

    Args:
        rows: those after the header.
    """
    for count in (2, 1):
        names, body = rows[:count], [row for row in rows[count:] if row]
        if len(body) < ROWS_OF_NUMBERS or any(_is_number(cell) for row in names for cell in row):
            continue
        columns = [all(map(_is_number, column)) for column in zip(*body, strict=False)]
        words = [any(row[at].strip().lower() not in MISSING for row in names if at < len(row)) for at in range(len(columns))]
        first = rows[count - 1]
        is_named = any(cell.strip().lower() not in MISSING for cell in first)
        recurs = any(cell.strip() and cell == row[at] for at, cell in enumerate(first) for row in body if at < len(row))
        if not any(columns) or not is_named or recurs:  # a class that other rows have too: a row whose numbers are spoilt
            continue
        if all(word for word, numeric in zip(words, columns, strict=True) if numeric):
            return count
    return 0


def _after_comments(lines: Sequence[str], at: int, comments: int) -> Preamble:
    """All lines that begin with # but the last, where that is the header itself (``#id,x,y``)."""
    below = [line for line in lines[comments:] if line.strip()]
    delimiter = sniff_delimiter(below)
    rows = list(csv.reader(below[:2], delimiter=delimiter))
    last = max(number for number in range(at, comments) if lines[number].strip())
    header = next(csv.reader([lines[last]], delimiter=delimiter))
    if len(header) == len(rows[0]) > 1 and not looks_like_header(rows, set()):
        comments = last
    count = sum(bool(line.strip()) for line in lines[at:comments])
    return Preamble(comments, f"{'the first line is' if count == 1 else f'the first {count} lines are'} taken for comments")


def _after_title(lines: Sequence[str], at: int) -> Preamble:
    """One line with a single filled cell, above a header and rows that all have more."""
    start = _filled(lines, at + 1)
    below = [line for line in lines[start:] if line.strip()]
    if len(below) < ROWS_AGREE:
        return Preamble()
    delimiter = sniff_delimiter(below)
    rows = [[cell.strip() for cell in row] for row in csv.reader(below, delimiter=delimiter) if row]
    title = [cell for cell in next(csv.reader([lines[at]], delimiter=delimiter)) if cell.strip()]
    widths = {len(row) for row in rows}
    if len(title) != 1 or _is_number(title[0]) or len(widths) != 1 or widths == {1}:
        return Preamble()
    header = rows[0]
    named = len(set(header)) == len(header) and all(header) and not any(map(_is_number, header))
    if not named or not any(_is_number(cell) for row in rows[1:] for cell in row):
        return Preamble()
    return Preamble(start, f"the first line is taken for a title: {title[0].strip()[:60]!r}")


def _filled(lines: Sequence[str], at: int) -> int:
    """The first line that is not empty, from ``at`` on."""
    return next((number for number in range(at, len(lines)) if lines[number].strip()), len(lines))


def looks_like_header(rows: Sequence[Sequence[str]], names: set[str]) -> bool:
    """Whether the first row names the columns: it holds one of ``names``, no number at all, or text above a number."""
    first = [cell.strip() for cell in rows[0]]
    if names & set(first) or not any(_is_number(cell) for cell in first):
        return True
    return len(rows) > 1 and any(
        not _is_number(above) and above.lower() not in MISSING and _is_number(below)
        for above, below in zip(first, rows[1], strict=False)
    )


def _most_frequent(line: str) -> str:
    return max(DELIMITERS, key=line.count)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
