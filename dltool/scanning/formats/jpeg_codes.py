"""The codes of a JPEG's blocks, read for their lengths alone. After ITU-T T.81, annexes F and G."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

CUT: Final = "Premature end of JPEG file"

SHORT: Final = "Corrupt JPEG data: premature end of data segment"

BAD_CODE: Final = "Corrupt JPEG data: bad Huffman code"


class ScanError(Exception):
    """A scan is damaged; the text is libjpeg's."""


@dataclass(slots=True)
class Bits:
    """Unstuffed bytes of one stretch between restart markers; ``at`` counts bits."""

    data: bytes
    size: int
    at: int = 0

    def code(self, table: list[int]) -> int:
        """The next symbol. Raises ScanError where none has such a code."""
        byte = self.at >> 3
        entry = table[int.from_bytes(self.data[byte : byte + 3], "big") >> (8 - (self.at & 7)) & 0xFFFF]
        if not entry:
            raise ScanError(BAD_CODE if self.at + 16 <= self.size else SHORT)
        self.at += entry >> 8
        return entry & 0xFF

    def bits(self, count: int) -> int:
        """The next bits as a number."""
        byte, end = self.at >> 3, (self.at + count + 7) >> 3
        value = int.from_bytes(self.data[byte:end], "big") >> (end * 8 - self.at - count)
        self.at += count
        return value & ((1 << count) - 1)


@lru_cache(maxsize=64)
def lookup(definition: bytes) -> list[int]:
    """By the next 16 bits: length of the code · 256 + symbol, or 0."""
    table: list[int] = []
    symbol = 16
    for length in range(1, 17):
        for _ in range(definition[length - 1]):
            table += [length << 8 | definition[symbol]] * (1 << (16 - length))
            symbol += 1
    return (table + [0] * 65536)[:65536]


class Band(NamedTuple):
    """The coefficients of a progressive scan; ``high`` is other than 0 where it refines what earlier ones began."""

    first: int
    last: int
    high: int


def baseline(bits: Bits, dc: list[int], ac: list[int]) -> None:
    """A whole block of a sequential scan. Raises ScanError."""
    size = bits.code(dc)
    bits.at += size
    data, at, k = bits.data, bits.at, 1
    while k < 64:
        byte = at >> 3
        entry = ac[int.from_bytes(data[byte : byte + 3], "big") >> (8 - (at & 7)) & 0xFFFF]
        if not entry:
            bits.at = at
            raise ScanError(BAD_CODE)
        size = entry & 15
        at += (entry >> 8) + size
        if size:
            k += (entry >> 4 & 15) + 1
        elif entry & 0xF0 == 0xF0:
            k += 16
        else:
            break
    bits.at = at


def begin(bits: Bits, ac: list[int], known: memoryview, band: Band, _run: int) -> int:
    """The first pass over a band of one block; the blocks that follow without any new coefficient."""
    k = band.first
    while k <= band.last:
        symbol = bits.code(ac)
        zeros, size = symbol >> 4, symbol & 15
        if size:
            k += zeros
            bits.at += size
            if k < 64:
                known[k] = 1
        elif zeros == 15:
            k += 15
        else:
            return (1 << zeros) + bits.bits(zeros) - 1
        k += 1
    return 0


def refine(bits: Bits, ac: list[int], known: memoryview, band: Band, run: int) -> int:
    """A later pass: a bit for each coefficient known, and new ones of size 1 in between."""
    k, last = band.first, band.last
    while not run and k <= last:
        symbol = bits.code(ac)
        zeros, size = symbol >> 4, symbol & 15
        if size:
            bits.at += 1
        elif zeros != 15:
            run = (1 << zeros) + bits.bits(zeros)
            break
        while k <= last:
            if known[k]:
                bits.at += 1
            elif zeros == 0:
                break
            else:
                zeros -= 1
            k += 1
        if size and k < 64:
            known[k] = 1
        k += 1
    if not run:
        return 0
    bits.at += sum(known[k : last + 1])
    return run - 1
