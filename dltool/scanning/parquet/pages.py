"""The checksums of a parquet file's pages, compared without decoding anything: most readers do not look at them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from dltool.scanning.optional import optional

isal = optional("isal.isal_zlib")
crc32 = zlib.crc32 if isal is None else isal.crc32

HEAD_BYTES = 1 << 10
MOST_HEAD_BYTES = 1 << 24
"""A page's header holds the smallest and the largest value, which may be long texts."""
BLOCK_BYTES = 1 << 20
_STOP, _TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(13)
_COMPRESSED_SIZE, _CRC = 3, 4
MOST_DEPTH = 16


class BrokenHeaderError(ValueError):
    """What should be a page header is none."""


@dataclass(frozen=True, slots=True)
class Page:
    """``crc`` of the ``size_bytes`` of data from ``offset_bytes`` on; None where the writer took none."""

    offset_bytes: int
    size_bytes: int
    crc: int | None


def checksums_hold(stream: BinaryIO, metadata: Any, group: int) -> bool:
    """Whether the data of all pages of a row group that have a checksum agrees with it.

    A column whose first page has none has none at all. Headers that cannot be read are left to the decoder. Raises OSError.
    """
    for column in range(metadata.num_columns):
        chunk = metadata.row_group(group).column(column)
        start = chunk.data_page_offset
        if chunk.has_dictionary_page and chunk.dictionary_page_offset:
            start = min(start, chunk.dictionary_page_offset)
        try:
            for page in pages(stream, start, start + chunk.total_compressed_size):
                if page.crc is None:
                    break
                if _checksum(stream, page) != page.crc:
                    return False
        except BrokenHeaderError:
            return False
    return True


def pages(stream: BinaryIO, start: int, end: int) -> Iterator[Page]:
    """The pages between two offsets. Raises BrokenHeaderError, OSError."""
    while start < end:
        page = _page(stream, start, end)
        yield page
        start = page.offset_bytes + page.size_bytes


def _page(stream: BinaryIO, start: int, end: int) -> Page:
    wanted = HEAD_BYTES
    while True:
        stream.seek(start)
        head = stream.read(min(wanted, end - start))
        try:
            fields, length = _Compact(head).numbers()
        except IndexError as error:
            if wanted >= min(end - start, MOST_HEAD_BYTES):
                raise BrokenHeaderError from error
            wanted *= 16
            continue
        size_bytes, crc = fields.get(_COMPRESSED_SIZE), fields.get(_CRC)
        if size_bytes is None or size_bytes < 0 or start + length + size_bytes > end:
            raise BrokenHeaderError
        return Page(start + length, size_bytes, None if crc is None else crc & 0xFFFF_FFFF)


def _checksum(stream: BinaryIO, page: Page) -> int:
    stream.seek(page.offset_bytes)
    left, value = page.size_bytes, 0
    while left > 0 and (piece := stream.read(min(left, BLOCK_BYTES))):
        value = crc32(piece, value)
        left -= len(piece)
    return value


class _Compact:
    """Reads a struct of Thrift's compact protocol (thrift/doc/specs/thrift-compact-protocol.md). IndexError: too short."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def numbers(self) -> tuple[dict[int, int], int]:
        """The integer fields of the struct, and how long it is in bytes."""
        fields: dict[int, int] = {}
        self._struct(0, fields)
        return fields, self._at

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
            if shift > 63:
                raise BrokenHeaderError
        return value | byte << shift

    def _struct(self, depth: int, fields: dict[int, int] | None) -> None:
        if depth > MOST_DEPTH:
            raise BrokenHeaderError
        number = 0
        while (head := self._byte()) & 0x0F != _STOP:
            number = number + (head >> 4) if head >> 4 else _zigzag(self._varint())
            kind = head & 0x0F
            if fields is not None and kind in {_I16, _I32, _I64}:
                fields[number] = _zigzag(self._varint())
            else:
                self._skip(kind, depth, in_struct=True)

    def _skip(self, kind: int, depth: int, *, in_struct: bool) -> None:
        if kind in {_TRUE, _FALSE}:
            self._at += not in_struct
        elif kind == _BYTE:
            self._at += 1
        elif kind in {_I16, _I32, _I64}:
            self._varint()
        elif kind == _DOUBLE:
            self._at += 8
        elif kind == _BINARY:
            length = self._varint()  # moves on as well
            self._at += length
        elif kind in {_LIST, _SET}:
            head = self._byte()
            count = head >> 4
            self._skip_many(self._varint() if count == 15 else count, (head & 0x0F,), depth)
        elif kind == _MAP:
            count = self._varint()
            kinds = self._byte() if count else 0
            self._skip_many(count, (kinds >> 4, kinds & 0x0F), depth)
        elif kind == _STRUCT:
            self._struct(depth + 1, None)
        else:
            raise BrokenHeaderError

    def _skip_many(self, count: int, kinds: tuple[int, ...], depth: int) -> None:
        if depth > MOST_DEPTH:
            raise BrokenHeaderError
        for _ in range(count):
            for kind in kinds:
                self._skip(kind, depth + 1, in_struct=False)
            if self._at > len(self._data):
                raise IndexError


def _zigzag(value: int) -> int:
    return (value >> 1) ^ -(value & 1)
