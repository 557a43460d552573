"""The text of a file in blocks of whole lines, as UTF-8, with what is wrong with its bytes."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from dltool.core.finding import Severity
from dltool.scanning.delimited.faults import Faults
from dltool.scanning.delimited.structure import NEWLINE, count_byte

BLOCK_BYTES = 1 << 22
LONGEST_LINE_BYTES = 1 << 26

MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)
"""The longer first: a mark of UTF-32-LE begins with that of UTF-16-LE."""
SAMPLE_BYTES = 4096


@dataclass(slots=True)
class TextBlock:
    """Whole lines. ``first_line`` counts from 1; ``is_last`` and not ending in a newline is how a file is cut off."""

    data: bytes
    first_line: int
    is_last: bool


def encoding_of(head: bytes, faults: Faults) -> tuple[str, int]:
    """The encoding by a byte-order mark, or by where zero bytes stand; and the length of the mark."""
    for mark, encoding in MARKS:
        if head.startswith(mark):
            if encoding == "utf-8":
                faults.add("byte-order-mark", "begins with a UTF-8 byte-order mark", rule="format-mismatch", line=1,
                           offset_bytes=0, severity=Severity.INFO)  # fmt: skip
            else:
                faults.add("encoding", f"is {encoding.upper()} text, not UTF-8", rule="format-mismatch", line=1,
                           offset_bytes=0, severity=Severity.WARNING)  # fmt: skip
            return encoding, len(mark)
    sample = head[:SAMPLE_BYTES]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    for zeros, others, encoding in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if len(sample) >= 8 and zeros > 0.4 * len(sample) and others * 10 < zeros:
            detail = f"looks like {encoding.upper()} text without a byte-order mark, not UTF-8"
            faults.add("encoding", detail, rule="format-mismatch", line=1, offset_bytes=0)
            return encoding, 0
    return "utf-8", 0


class Text:
    """Reads a stream block by block.

    Args:
        stream: positioned at the first byte.
        faults: where what is wrong is noted.
        cut: where the last whole record of some lines ends, in bytes; 0 where there is none.
        see: is given the raw bytes, for a digest.
        longest_bytes: a line, or a quoted cell, that is longer is cut.
    """

    def __init__(
        self,
        stream: BinaryIO,
        faults: Faults,
        cut: Callable[[bytes], int],
        see: Callable[[bytes], None] | None = None,
        *,
        longest_bytes: int = LONGEST_LINE_BYTES,
    ) -> None:
        self._stream = stream
        self._faults = faults
        self._cut = cut
        self._see = see
        self._longest_bytes = longest_bytes
        self._offset_bytes = 0
        self._decoder: codecs.IncrementalDecoder | None = None
        self._lone_returns = False

    def blocks(self) -> Iterator[TextBlock]:
        """Blocks of about 4 MiB."""
        left, line, fresh = b"", 1, True
        while True:
            raw = self._read()
            if fresh:
                raw, fresh = self._begin(raw), False
            if raw:
                raw = self._clean(raw, line, left)
                if b'"' not in raw and b'"' not in left and (end := raw.rfind(b"\n") + 1):
                    data = b"".join((left, memoryview(raw)[:end]))  # one copy instead of three
                    yield TextBlock(data, line, is_last=False)
                    line += count_byte(data, NEWLINE)
                    left = raw[end:]
                    continue
            data = left + raw
            if not raw:
                if self._decoder is not None:
                    data += self._decoder.decode(b"", final=True).encode("utf-8", "replace")
                if data:
                    yield TextBlock(data, line, is_last=True)
                return
            end = self._cut(data) or (len(data) if len(data) > self._longest_bytes else 0)
            if end:
                yield TextBlock(data[:end], line, is_last=False)
                line += data.count(b"\n", 0, end)
            left = data[end:]

    def _read(self) -> bytes:
        raw = self._stream.read(BLOCK_BYTES)
        if self._see is not None:
            self._see(raw)
        return raw

    def _begin(self, raw: bytes) -> bytes:
        encoding, mark_bytes = encoding_of(raw[:SAMPLE_BYTES], self._faults)
        if encoding != "utf-8":
            self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        head = raw[:SAMPLE_BYTES]
        self._lone_returns = b"\r" in head and b"\n" not in head
        self._offset_bytes = mark_bytes
        return raw[mark_bytes:]

    def _clean(self, raw: bytes, line: int, left: bytes) -> bytes:
        """UTF-8 without zero bytes, with newlines for the carriage returns of old."""
        offset_bytes = self._offset_bytes
        self._offset_bytes += len(raw)
        if self._decoder is not None:
            raw = self._decoder.decode(raw).encode("utf-8", "replace")
        if b"\0" in raw:
            at = raw.index(b"\0")
            where = line + left.count(b"\n") + raw.count(b"\n", 0, at)
            detail = f"zero bytes in the text, the first on line {where}"
            self._faults.add("nul-bytes", detail, line=where, offset_bytes=offset_bytes + at, count=raw.count(b"\0"))
            raw = raw.replace(b"\0", b"")
        if self._lone_returns:
            raw = raw.replace(b"\r", b"\n")
        return raw


def valid_utf8(block: TextBlock, faults: Faults) -> bytes:
    """The block, with U+FFFD for bytes that are no UTF-8, which are noted."""
    data = block.data
    if data.isascii():
        return data
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        lines = data.count(b"\n", 0, error.start)
        line = block.first_line + lines
        detail = f"byte 0x{data[error.start]:02x} on line {line} is no UTF-8"
        whole = data.decode("utf-8", "replace")
        count = whole.count("\ufffd")
        faults.add("encoding", detail, rule="format-mismatch", line=line, count=count)
        return whole.encode("utf-8")
    return data
