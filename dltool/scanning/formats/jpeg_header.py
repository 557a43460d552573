"""The segments of a JPEG file up to its first scan, and where the file ends. After ITU-T T.81, annex B."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final
from zlib import crc32

from dltool.scanning.formats.exif import Exif, read_exif

FRAMES: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
KINDS: Final = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive", 0xC3: "lossless", 0xC9: "arithmetic"}
ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
SCAN: Final = 0xDA
END: Final = b"\xff\xd9"
MARKER: Final = re.compile(rb"\xff+[^\xff]", re.DOTALL)
NEXT_MARKER: Final = re.compile(rb"\xff+[^\x00\x01\xd0-\xd7\xff]", re.DOTALL)
"""The first marker that is neither part of a scan (stuffed, restart) nor filling."""


LARGEST_SHARED_BYTES: Final = 1024
"""Headers of files that one program wrote are often the same to the byte: up to this size they are read once."""


@dataclass(slots=True)
class JpegHeader:
    """What comes before the first scan. Not to be changed: several files may share one.

    Attributes:
        frame: the SOF marker's code, 0 where there was none.
        sampling: horizontal and vertical factors, a pair per component.
        tables: (start, end) of each quantisation table segment's payload.
        scan_start: of the first scan's SOS marker; None where none was met.
        junk_bytes: between segments, where nothing should be.
        problem: why the walk ended before a scan.
        encoder: for ``ImageFacts``.
        essence: all segments that bear on the pixels, joined.
    """

    frame: int = 0
    precision: int = 8
    width: int = 0
    height: int = 0
    sampling: tuple[tuple[int, int], ...] = ()
    tables: list[tuple[int, int]] = field(default_factory=list)
    segments: list[tuple[int, int]] = field(default_factory=list)
    """(start, end) of whole segments that bear on the pixels: tables, the frame, Adobe's colours; no other APPn, no COM."""
    application: list[str] = field(default_factory=list)
    exif: Exif | None = None
    adobe: bool = False
    several: bool = False
    """A multi-picture file: further pictures follow the first one's end."""
    scan_start: int | None = None
    junk_bytes: int = 0
    problem: str | None = None
    encoder: str = ""
    essence: bytes = b""


def read_header(data: bytes) -> JpegHeader:
    """Walk the segments of ``data``, which begins with SOI."""
    scan = data.find(b"\xff\xda", 0, LARGEST_SHARED_BYTES)
    header = _shared(data[: scan + 4]) if scan > 0 else None
    if header is None or header.scan_start != scan:  # such bytes may be part of a segment
        header = _described(_walk(data), data)
    if header.scan_start is not None:
        at = header.scan_start + 2
        if at + max(2, int.from_bytes(data[at : at + 2], "big")) > len(data):
            return replace(header, problem="it ends within the header of its first scan")
    return header


@lru_cache(maxsize=512)
def _shared(head: bytes) -> JpegHeader:
    return _described(_walk(head), head)


def _described(header: JpegHeader, data: bytes) -> JpegHeader:
    parts = [KINDS.get(header.frame, f"sof{header.frame & 15}"), ",".join(f"{x}x{y}" for x, y in header.sampling)]
    if header.tables:
        parts.append(f"q={crc32(b''.join([data[start:end] for start, end in header.tables])):08x}")
    parts += dict.fromkeys(header.application)
    parts += [header.exif.software] if header.exif and header.exif.software else []
    header.encoder = " ".join(("jpeg", *parts))
    header.essence = b"".join((b"\xff\xd8", *[data[start:end] for start, end in header.segments]))
    return header


def _walk(data: bytes) -> JpegHeader:
    header, at, size = JpegHeader(), 2, len(data)
    while True:
        found = MARKER.search(data, at)
        if found is None:
            header.problem = "it ends before the picture begins"
            return header
        header.junk_bytes += found.start() - at
        at = found.end()
        start, code = at - 2, data[at - 1]
        if code in ALONE or code in {0x00, 0xD8}:
            header.junk_bytes += 2 if code in {0x00, 0xD8} else 0
            continue
        if code == 0xD9:
            header.problem = "its end marker comes before any picture"
            return header
        if code == SCAN:
            header.scan_start = start
            return header
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or at + length > size:
            header.problem = "a header segment is longer than the file" if length >= 2 else "a header segment has no length"
            return header
        _take(header, code, data, at + 2, at + length)
        at += length


def picture_end(data: bytes, header: JpegHeader) -> int | None:
    """Where the bytes after the end marker begin; None where there is no end marker."""
    at = header.scan_start or 2
    while found := NEXT_MARKER.search(data, at):
        at = found.end()
        code = data[at - 1]
        if code == 0xD9:
            return at
        if code != 0xD8:
            at += int.from_bytes(data[at : at + 2], "big")
    return None


def _take(header: JpegHeader, code: int, data: bytes, start: int, end: int) -> None:
    if code < 0xE0:
        header.segments.append((start - 4, end))
    if code in FRAMES:
        header.frame = code
        header.precision = data[start]
        header.height = int.from_bytes(data[start + 1 : start + 3], "big")
        header.width = int.from_bytes(data[start + 3 : start + 5], "big")
        factors = data[start + 7 : end : 3]
        header.sampling = tuple((factor >> 4, factor & 15) for factor in factors)
    elif code == 0xDB:
        header.tables.append((start, end))
    elif code == 0xEE and data[start : start + 5] == b"Adobe":
        header.adobe = True
        header.segments.append((start - 4, end))
        header.application.append("Adobe")
    elif code >= 0xE0:
        name = data[start : min(start + 12, end)].split(b"\0")[0]
        if name in {b"JFIF", b"Exif", b"MPF", b"Ducky", b"ICC_PROFILE", b"Photoshop 3."}:
            header.application.append(name.decode())
        if name == b"Exif" and header.exif is None:
            header.exif = read_exif(data[start + 6 : end])
        header.several |= name == b"MPF"
