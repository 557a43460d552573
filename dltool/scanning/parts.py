"""The samples of one shard as text, for a report on another machine; and several of those as one scan."""

from __future__ import annotations

import base64
import heapq
import json
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from dltool.scanning.collect.listing import Order
from dltool.scanning.record import Entry, Inspection, Item
from dltool.scanning.wire import read_inspection, write_inspection

CHUNK_BYTES = 3 << 18
"""A multiple of three: base64 of the pieces is base64 of the whole."""


class PartWriter:
    """Takes samples in order; memory stays flat until ``text`` is asked for."""

    def __init__(self) -> None:
        self._spool = tempfile.TemporaryFile(prefix="dltool-scan-")  # noqa: SIM115 - it lives as long as the writer
        self._deflate = zlib.compressobj(6)

    def add(self, order: Order, item: Item, found: Inspection) -> None:
        """One sample."""
        head = [order, item.name, item.path, item.start_byte, item.size_bytes, item.label, item.split, item.expected_hash]
        line = f"{json.dumps(head, separators=(',', ':'))}\t{write_inspection(found)}\n"
        self._spool.write(self._deflate.compress(line.encode("ascii")))

    def text(self) -> str:
        """All of them."""
        self._spool.write(self._deflate.flush())
        self._spool.seek(0)
        pieces = []
        while chunk := self._spool.read(CHUNK_BYTES):
            pieces.append(base64.b64encode(chunk).decode("ascii"))
        self._spool.close()
        return "".join(pieces)


def read_part(text: str) -> Iterator[tuple[Order, list[Any], Inspection]]:
    """What a ``PartWriter`` took: order, the item's fields but for its index, what was found.

    Raises:
        ValueError: the text is something else, or cut off.
    """
    inflate = zlib.decompressobj()
    rest = b""
    try:
        for at in range(0, len(text), 4 << 18):
            *lines, rest = (rest + inflate.decompress(base64.b64decode(text[at : at + (4 << 18)], validate=True))).split(
                b"\n"
            )
            for line in lines:
                head, _, found = line.decode("ascii").partition("\t")
                order, *fields = json.loads(head)
                yield tuple(order), fields, read_inspection(found)
    except (zlib.error, TypeError) as error:
        raise ValueError(str(error)) from error
    if not inflate.eof or rest:
        raise ValueError("it ends before its end")


def merged(texts: Sequence[str]) -> Iterator[Entry]:
    """The samples of all parts in the order, and with the numbers, that one scan of the whole would have given them."""
    parts = heapq.merge(*(read_part(text) for text in texts), key=lambda sample: sample[0])
    for index, (_, fields, found) in enumerate(parts):
        yield Entry(Item(index, *fields), found)
