"""What a delimited text table is like: its separator, its header, its words for "no value". One answer for all readers."""

from __future__ import annotations

import csv
from collections.abc import Sequence

DELIMITERS = (",", ";", "\t")
SNIFFED_LINES = 20

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
