"""Where the bytes of a sample come from: a file, a stretch of an archive, or memory. Only ever read."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import BinaryIO, Protocol

from dltool.scanning.record import Item

HEAD_BYTES = 4096
READ_ONLY = os.O_RDONLY | getattr(os, "O_BINARY", 0)


class Source(Protocol):
    """The bytes of one sample.

    Attributes:
        name: ``Item.name``; its suffix is what the sample is called.
        path: where the sample is a whole file, for readers that take a path or map memory; None for a member or for bytes.
    """

    name: str
    path: str | None

    @property
    def size_bytes(self) -> int:
        """Size when first looked at. Raises OSError where that fails."""
        ...

    def head(self, count: int = HEAD_BYTES) -> bytes:
        """The first ``count`` bytes, fewer where there are not as many. Raises OSError."""
        ...

    def read(self) -> bytes:
        """Everything at once. Raises OSError; longer or shorter than ``size_bytes`` where the file is being written."""
        ...

    def open(self) -> BinaryIO:
        """A seekable stream of its own that begins at the sample's first byte. Raises OSError."""
        ...


class FileSource:
    """A whole file. One descriptor per call and plain ``os.read``: buffered files cost twice as much on small samples."""

    def __init__(self, path: str, name: str) -> None:
        self.path: str | None = path
        self.name = name
        self._path = path
        self._size_bytes: int | None = None

    @property
    def size_bytes(self) -> int:
        """Size when first looked at, in bytes."""
        if self._size_bytes is None:
            self._size_bytes = os.stat(self._path).st_size  # noqa: PTH116 - Path costs as much as the call
        return self._size_bytes

    def head(self, count: int = HEAD_BYTES) -> bytes:
        """The first bytes."""
        return self._read(count)

    def read(self) -> bytes:
        """The whole file."""
        return self._read(None)

    def open(self) -> BinaryIO:
        """The file as a buffered stream."""
        return Path(self._path).open("rb")

    def _read(self, count: int | None) -> bytes:
        descriptor = os.open(self._path, READ_ONLY)
        try:
            size_bytes = os.fstat(descriptor).st_size
            if self._size_bytes is None:
                self._size_bytes = size_bytes
            wanted = size_bytes + 1 if count is None else count
            first = os.read(descriptor, wanted)
            if len(first) in {0, wanted} or (count is None and len(first) == size_bytes):
                return first
            parts = [first]  # signals, pipes, and reads of more than 2 GiB, give less than was asked for
            missing = wanted - len(first)
            while missing > 0 and (part := os.read(descriptor, missing)):
                parts.append(part)
                missing -= len(part)
            return b"".join(parts)
        finally:
            os.close(descriptor)


class MemberSource:
    """An uncompressed member of an archive: ``size_bytes`` bytes of ``archive`` from ``start_byte`` on."""

    def __init__(self, archive: str, name: str, start_byte: int, size_bytes: int) -> None:
        self.path: str | None = None
        self.name = name
        self._archive = archive
        self._start_byte = start_byte
        self._size_bytes = size_bytes

    @property
    def size_bytes(self) -> int:
        """Size as the archive's directory tells it, in bytes."""
        return self._size_bytes

    def head(self, count: int = HEAD_BYTES) -> bytes:
        """The first bytes."""
        return self._read(min(count, self._size_bytes))

    def read(self) -> bytes:
        """The whole member; shorter where the archive is cut off."""
        return self._read(self._size_bytes)

    def open(self) -> BinaryIO:
        """The member in memory."""
        return io.BytesIO(self.read())

    def _read(self, count: int) -> bytes:
        with Path(self._archive).open("rb", buffering=0) as archive:
            archive.seek(self._start_byte)
            parts = []
            while count > 0 and (part := archive.read(count)):
                parts.append(part)
                count -= len(part)
        return b"".join(parts)


class BytesSource:
    """Bytes at hand: a cell of a table, a test."""

    def __init__(self, data: bytes, name: str) -> None:
        self.path: str | None = None
        self.name = name
        self._data = data

    @property
    def size_bytes(self) -> int:
        """How many there are."""
        return len(self._data)

    def head(self, count: int = HEAD_BYTES) -> bytes:
        """The first bytes."""
        return self._data[:count]

    def read(self) -> bytes:
        """All of them."""
        return self._data

    def open(self) -> BinaryIO:
        """A stream over them."""
        return io.BytesIO(self._data)


def source_of(item: Item) -> Source:
    """Where an item's bytes lie."""
    if item.start_byte is None:
        return FileSource(item.path, item.name)
    return MemberSource(item.path, item.name, item.start_byte, item.size_bytes or 0)
