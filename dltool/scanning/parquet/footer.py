"""A parquet file's marks and footer, looked at before any library does."""

from __future__ import annotations

from typing import Any

from dltool.scanning.flaws import corrupt, unsafe
from dltool.scanning.record import Flaw
from dltool.scanning.source import Source

MARK = b"PAR1"
ENCRYPTED = b"PARE"
FRAME_BYTES = 12
"""Two marks and the length of the footer."""
BOMB_RATIO = 500
"""Compressors reach 1,000 : 1 on zeros alone; parquet takes repetition out before it compresses."""
BOMB_BYTES = 1 << 28


def frame_flaw(source: Source) -> Flaw | None:
    """What is wrong with the marks at both ends and the footer's length."""
    size_bytes = source.size_bytes
    with source.open() as stream:
        head = stream.read(4)
        stream.seek(max(size_bytes - 8, 0))
        tail = stream.read(8)
    if head == ENCRYPTED or tail[4:] == ENCRYPTED:
        return corrupt("encrypted", "the footer is encrypted, so nothing in it can be read", offset_bytes=0)
    if head != MARK:
        return corrupt("bad-header", "does not begin with PAR1", offset_bytes=0)
    if size_bytes < FRAME_BYTES or tail[4:] != MARK:
        return corrupt("truncated", "the footer is missing: the file is cut off", offset_bytes=size_bytes)
    footer_bytes = int.from_bytes(tail[:4], "little")
    if footer_bytes > size_bytes - FRAME_BYTES or footer_bytes == 0:
        detail = f"the footer claims {footer_bytes} bytes of a file of {size_bytes}"
        return corrupt("bad-footer", detail, offset_bytes=size_bytes - 8)
    return None


def promise_flaw(metadata: Any, size_bytes: int, max_expanded_bytes: int) -> Flaw | None:
    """What the footer promises that cannot be, or that no machine should unpack."""
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(column)
            start = min(at for at in (chunk.dictionary_page_offset, chunk.data_page_offset) if at is not None)
            if start < 4 or chunk.total_compressed_size < 0 or start + chunk.total_compressed_size > size_bytes - 8:
                detail = f"column {chunk.path_in_schema!r} of row group {group} lies outside of the file"
                return corrupt("bad-offsets", detail, offset_bytes=max(start, 0))
            expanded = chunk.total_uncompressed_size
            if expanded > max_expanded_bytes or (
                expanded > BOMB_BYTES and expanded > BOMB_RATIO * max(chunk.total_compressed_size, 1)
            ):
                detail = f"column {chunk.path_in_schema!r} of row group {group} would grow to {expanded} bytes"
                return unsafe("decompression-bomb", detail)
    return None
