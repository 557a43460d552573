"""The rows of a PNG: inflated in full and checked here, their filters undone by Pillow.

Pillow's own decoder stops as soon as it has enough rows and never reads the stream's checksum. So the stream is inflated
here, by isal where it is installed (half of zlib's time), and Pillow gets the same rows wrapped without compression.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from PIL import Image

from dltool.scanning.flaws import corrupt, oddity
from dltool.scanning.optional import optional
from dltool.scanning.record import Flaw

engine = optional("isal.isal_zlib") or zlib

PASSES: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Adam7: first column, first row, step across, step down."""

STORED_BYTES: Final = 65535
PIECE_BYTES: Final = 1 << 20
HIGHEST_FILTER: Final = 4


class Rows(NamedTuple):
    """``raw`` holds filter bytes and filtered rows; None where ``flaw`` says why."""

    raw: bytes | None
    flaw: Flaw | None = None


def inflate(stream: bytes, width: int, height: int, bits: int, *, interlaced: bool) -> Rows:
    """Unpack a picture's zlib stream, never further than the picture is large, and check filters.

    Args:
        stream: the payloads of all IDAT chunks, joined.
        width: in pixels.
        height: in pixels.
        bits: of one pixel.
        interlaced: whether the rows come in Adam7's seven passes.
    """
    strides = _strides(width, height, bits, interlaced=interlaced)
    expected = sum(count * length for count, length in strides)
    inflater = engine.decompressobj()
    try:
        raw: bytes = inflater.decompress(stream, expected + 1)  # one more, so that it reads on to the checksum
    except engine.error as error:
        return Rows(None, corrupt("damaged-data", f"its compressed data is damaged: {_words(error)}"))
    if len(raw) < expected:
        return Rows(None, corrupt("truncated", f"its data ends after {len(raw)} of {expected} bytes of the picture"))
    if not _filters_valid(raw, strides):
        return Rows(None, corrupt("damaged-data", "a row names a filter that does not exist"))
    if len(raw) > expected:
        raw = raw[:expected]
        return Rows(raw, oddity("excess-data", "there is more compressed data than the picture has room for"))
    if not inflater.eof:
        return Rows(raw, oddity("excess-data", "its compressed data has no end"))
    return Rows(raw)


def checked(pieces: Iterable[memoryview], width: int, height: int, bits: int, *, interlaced: bool) -> Flaw | None:
    """What ``inflate`` finds wrong, a megabyte at a time: nothing is kept."""
    strides = _strides(width, height, bits, interlaced=interlaced)
    expected, done, inflater = sum(count * length for count, length in strides), 0, engine.decompressobj()
    try:
        for raw in (raw for piece in pieces for raw in _unpacked(inflater, piece)):
            if not _filters_valid(raw[: max(0, expected - done)], strides, done):
                return corrupt("damaged-data", "a row names a filter that does not exist")
            done += len(raw)
            if done > expected:
                return oddity("excess-data", "there is more compressed data than the picture has room for")
    except engine.error as error:
        return corrupt("damaged-data", f"its compressed data is damaged: {_words(error)}")
    if done < expected:
        return corrupt("truncated", f"its data ends after {done} of {expected} bytes of the picture")
    return None if inflater.eof else oddity("excess-data", "its compressed data has no end")


def _unpacked(inflater: Any, piece: memoryview) -> Iterator[bytes]:
    rest: bytes | memoryview = piece
    while not inflater.eof:
        raw: bytes = inflater.decompress(rest, PIECE_BYTES)
        rest = inflater.unconsumed_tail
        yield raw
        if not rest and len(raw) < PIECE_BYTES:
            return


def unfiltered(raw: bytes, mode: str, raw_mode: str, size: tuple[int, int], *, interlaced: bool) -> Image.Image:
    """The picture that checked rows make. ``mode`` and ``raw_mode`` are Pillow's."""
    image = Image.new(mode, size, None)  # not filled, which takes a quarter of the time of undoing the filters
    image.frombytes(_stored(raw), "zip", (raw_mode, int(interlaced)))
    return image


def _strides(width: int, height: int, bits: int, *, interlaced: bool) -> list[tuple[int, int]]:
    """(rows, bytes of a row with its filter byte) for each pass; empty passes are left out."""
    passes = PASSES if interlaced else ((0, 0, 1, 1),)
    sizes = [(-(-(width - x) // across), -(-(height - y) // down)) for x, y, across, down in passes]
    return [(rows, 1 + (columns * bits + 7) // 8) for columns, rows in sizes if columns > 0 and rows > 0]


def _filters_valid(raw: bytes, strides: list[tuple[int, int]], skipped: int = 0) -> bool:
    """``raw`` begins ``skipped`` bytes behind the first row."""
    start = -skipped
    for count, length in strides:
        end = start + count * length
        first = start if start >= 0 else start % length
        if max(raw[first : max(end, 0) : length], default=0) > HIGHEST_FILTER:
            return False
        start = end
    return True


def _stored(raw: bytes) -> bytes:
    """A zlib stream of uncompressed blocks (RFC 1950, RFC 1951): cheaper to make and to read than any compression."""
    view = memoryview(raw)
    parts: list[bytes | memoryview] = [b"\x78\x01"]
    for start in range(0, len(raw), STORED_BYTES):
        block = view[start : start + STORED_BYTES]
        size = len(block)
        final = start + STORED_BYTES >= len(raw)
        parts += (bytes((final,)) + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little"), block)
    parts.append(engine.adler32(raw).to_bytes(4, "big"))
    return b"".join(parts)


def _words(error: Exception) -> str:
    """Zlib and isal say it differently; what both mean is this."""
    text = str(error).lower()
    return (
        "its checksum does not match" if "data check" in text or "checksum" in text else "the stream breaks off in nonsense"
    )
