"""Zip archives as numpy and torch write them: their directory, and every member against its checksum."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from dltool.scanning.flaws import blemish, corrupt, unsafe
from dltool.scanning.record import Flaw
from dltool.scanning.settings import InspectSettings

BLOCK_BYTES = 1 << 20
BOMB_RATIO = 1100
"""Deflate reaches 1,032 : 1 at most; overlapping members reach more."""
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, ValueError, RuntimeError)
"""What zipfile raises at broken archives: RuntimeError at encryption, NotImplementedError at unknown compression."""


@contextmanager
def opened(stream: IO[bytes]) -> Iterator[zipfile.ZipFile | Flaw]:
    """The archive, or what is wrong with its directory."""
    try:
        archive = zipfile.ZipFile(stream)
    except DAMAGE as error:
        yield corrupt("truncated", f"the archive's directory cannot be read, so it is cut off or damaged: {_said(error)}")
        return
    with archive:
        yield archive


def promises(archive: zipfile.ZipFile, size_bytes: int, settings: InspectSettings) -> list[Flaw]:
    """What the directory promises that is dangerous, or twice there."""
    members = archive.infolist()
    expanded = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if expanded > settings.max_expanded_bytes and expanded > 2 * size_bytes:
        return [unsafe("decompression-bomb", f"the members would grow to {expanded} bytes from {size_bytes}")]
    if expanded > BOMB_RATIO * max(size_bytes, 1) or packed > size_bytes:
        return [unsafe("decompression-bomb", f"members of {packed} bytes that overlap, and grow to {expanded}")]
    names = [member.filename for member in members]
    repeated = (
        next((name for at, name in enumerate(names) if name in set(names[:at])), None) if len(names) < 10_000 else None
    )
    if repeated is not None:
        return [blemish("duplicate-member", f"the member {repeated!r} is there twice")]
    return []


def checksum_flaw(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Flaw | None:
    """Read a member to its end; None where it is whole."""
    try:
        with archive.open(member) as stream:
            while stream.read(BLOCK_BYTES):
                pass
    except (*DAMAGE, OSError) as error:
        return member_flaw(member, error)
    return None


def member_flaw(member: zipfile.ZipInfo, error: Exception) -> Flaw:
    """What an exception from reading a member means."""
    kind = "checksum" if "CRC" in str(error) else "damaged-member"
    return corrupt(kind, f"the member {member.filename!r} cannot be read: {_said(error)}", offset_bytes=member.header_offset)


def _said(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:200]
