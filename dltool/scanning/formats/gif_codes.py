"""How many pixels the LZW codes of a GIF's frame make, without making them. After CompuServe's GIF89a, appendix F.

Between two clear codes the n-th code defines the n-th entry of the table, as one pixel more than the entry that it stands
for. So entries are a forest, in which the length of each is its depth: found for all at once by doubling pointers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HIGHEST_CODE_BITS = 12
TABLE_SIZE = 1 << HIGHEST_CODE_BITS
CODES_AT_ONCE = 1 << 14
Codes = NDArray[np.int64]


def unpacked_length(codes: bytes, root_bits: int) -> int | None:
    """Pixels up to the end code, or to the end of ``codes``; None where a code stands for nothing."""
    reader, total = _Codes(codes, root_bits), 0
    while not reader.ended:
        defining = reader.until_full()
        lengths = _lengths(defining, reader.first_entry)
        if lengths is None:
            return None
        total += int(lengths[defining].sum())
        while reader.goes_on:  # the table is full: codes only stand for what is in it
            total += int(lengths[reader.take(HIGHEST_CODE_BITS, CODES_AT_ONCE)].sum())
    return total


class _Codes:
    """Takes codes from their bits, lowest first. ``cleared`` and ``ended`` tell why the last ones stopped."""

    def __init__(self, data: bytes, root_bits: int) -> None:
        self._bytes = np.frombuffer(data + bytes(3), np.uint8)
        self._bits, self._at = 8 * len(data), 0
        self._clear, self._root_bits = 1 << root_bits, root_bits
        self.first_entry = self._clear + 2
        self.cleared = self.ended = False

    @property
    def goes_on(self) -> bool:
        """Whether the next code is in the table as it is."""
        return not (self.cleared or self.ended)

    def until_full(self) -> Codes:
        """The codes after a clear code, up to the one that defines the last entry of the table."""
        self.cleared = False
        width, defined, taken = self._root_bits + 1, self.first_entry - 1, []
        while defined < TABLE_SIZE and self.goes_on:
            count = (1 << width) - defined
            taken.append(self.take(width, count))
            width, defined = width + 1, defined + count
        return np.concatenate(taken)

    def take(self, width: int, count: int) -> Codes:
        """Up to ``count`` codes of ``width`` bits, fewer where a clear or end code, or the end of the data, comes before."""
        there = min(count, (self._bits - self._at) // width)
        at = self._at + width * np.arange(there, dtype=np.int64)
        low = at >> 3
        three = self._bytes[low].astype(np.int64) | self._bytes[low + 1].astype(np.int64) << 8
        three |= self._bytes[low + 2].astype(np.int64) << 16
        codes: Codes = (three >> (at & 7)) & ((1 << width) - 1)
        stops = np.flatnonzero((codes == self._clear) | (codes == self._clear + 1))
        if not len(stops):
            self._at += width * there
            self.ended = there < count
            return codes
        stop = int(stops[0])
        self._at += width * (stop + 1)
        self.cleared = bool(codes[stop] == self._clear)
        self.ended = not self.cleared
        return codes[:stop]


def _lengths(defining: Codes, first_entry: int) -> Codes | None:
    """Pixels (4096,) that each code of the table stands for that ``defining`` make; None where one of them is not in it."""
    order = np.arange(len(defining))
    known = first_entry + order - 1
    if len(defining) and (int(defining[0]) >= first_entry or bool((defining[1:] > known[1:]).any())):
        return None
    parent = np.arange(TABLE_SIZE)
    entries = slice(first_entry, first_entry + max(0, len(defining) - 1))
    parent[entries] = defining[:-1]
    depth = np.zeros(TABLE_SIZE, np.int64)
    depth[entries] = 1
    while (parent[entries] >= first_entry).any():
        depth[entries] += depth[parent[entries]]
        parent[entries] = parent[parent[entries]]
    return depth + 1
