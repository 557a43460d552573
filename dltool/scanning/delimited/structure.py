"""A block of delimited text by its bytes: whether its quotes are in order, and how much it holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

QUOTE, NEWLINE, RETURN = 34, 10, 13
SLICE = 1 << 18
"""Bytes that are looked at together, so that masks stay in the cache."""

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Structure:
    """``is_plain``: no lone carriage returns, and quotes only where they open and close cells."""

    records: int
    is_quoted: bool
    is_plain: bool
    quotes_in_order: bool = True


def structure_of(data: bytes, delimiter: str) -> Structure:
    """Look at whole records, the last of which may lack its newline."""
    quoted = b'"' in data
    plain = not _lone_returns(data)
    if not quoted:
        newlines = count_byte(data, NEWLINE)
        return Structure(newlines + (not data.endswith(b"\n")), is_quoted=False, is_plain=plain)
    ends = record_ends(data)
    in_order = _quotes_in_order(np.frombuffer(data, np.uint8), ord(delimiter))
    records = len(ends) + (not data.endswith(b"\n"))
    return Structure(records, is_quoted=True, is_plain=plain and in_order, quotes_in_order=in_order)


def delimiters_in(data: bytes, delimiter: str) -> int:
    """Separators outside of quotes."""
    if b'"' not in data:
        return count_byte(data, ord(delimiter))
    text = np.frombuffer(data, np.uint8)
    return int(np.count_nonzero((text == ord(delimiter)) & _outside(text)))


def has_empty_lines(data: bytes) -> bool:
    """Whether some line holds nothing; slow where lines are short."""
    return data.startswith((b"\n", b"\r\n")) or b"\n\n" in data or b"\n\r\n" in data


def record_ends(data: bytes) -> NDArray[np.intp]:
    """Positions of the newlines that end records."""
    text = np.frombuffer(data, np.uint8)
    newlines = np.flatnonzero(text == NEWLINE)
    if b'"' not in data:
        return newlines
    quotes = np.flatnonzero(text == QUOTE)
    ends: NDArray[np.intp] = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
    return ends


def cut_at_record(data: bytes) -> int:
    """Where the last whole record ends; 0 where none does."""
    if b'"' not in data:
        return data.rfind(b"\n") + 1
    ends = record_ends(data)
    return int(ends[-1]) + 1 if len(ends) else 0


def count_byte(data: bytes, byte: int) -> int:
    """How often a byte occurs."""
    text = np.frombuffer(data, np.uint8)
    return sum(int(np.count_nonzero(text[at : at + SLICE] == byte)) for at in range(0, len(text), SLICE))


def line_of_record(data: bytes, record: int, first_line: int) -> int:
    """The line on which a record begins, in a block without empty lines."""
    if record == 0:
        return first_line
    return first_line + count_byte(data[: int(record_ends(data)[record - 1]) + 1], NEWLINE)


def _outside(text: Bytes) -> NDArray[np.bool_]:
    outside: NDArray[np.bool_] = (np.cumsum(text == QUOTE, dtype=np.uint8) & 1) == 0
    return outside


def _lone_returns(data: bytes) -> bool:
    if b"\r" not in data:
        return False
    text = np.frombuffer(data, np.uint8)
    at = np.flatnonzero(text == RETURN)
    return bool(at[-1] == len(text) - 1 or np.any(text[at + 1] != NEWLINE))


def _quotes_in_order(text: Bytes, delimiter: int) -> bool:
    """Every opening quote begins a cell, every closing one ends it; a doubled quote closes and opens again."""
    at = np.flatnonzero(text == QUOTE)
    if len(at) % 2:
        return False
    padded = np.concatenate([np.array([NEWLINE], np.uint8), text, np.array([NEWLINE], np.uint8)])
    before, after = padded[at[0::2]], padded[at[1::2] + 2]
    opens = (before == delimiter) | (before == NEWLINE) | (before == QUOTE)
    closes = (after == delimiter) | (after == NEWLINE) | (after == QUOTE) | (after == RETURN)
    return bool(np.all(opens) and np.all(closes))
