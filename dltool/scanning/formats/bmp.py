"""BMP: what the headers declare against what is there, the palette, and run lengths; most decoders check none of it.

After Microsoft's BITMAPINFOHEADER pages and J. Summers' bmpsuite, whose "questionable" files must pass without a word.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from dltool.core.finding import Severity
from dltool.scanning.flaws import blemish, corrupt, oddity, partly_checked, unsafe
from dltool.scanning.formats.pillow import inspect_by_pillow
from dltool.scanning.formats.seen import Seen
from dltool.scanning.record import Flaw, ImageFacts, Tier
from dltool.scanning.settings import InspectSettings

FILE_HEADER_BYTES = 14
RGB, RLE8, RLE4, BITFIELDS, JPEG, PNG, ALPHA_BITFIELDS = range(7)
KNOWN_METHODS = frozenset({*range(7), 11, 12, 13})
MASKS_AT = 54
MOST = 0.5
"""Share of pixels beyond the palette from which on the palette is wrong; test files and old writers have a few."""
MAX_WALKED_BYTES = 8_000_000
"""Runs are only followed in smaller files: it takes about 0.2 µs a byte."""
OS2_HEADERS = frozenset({16, 64})


@dataclass(frozen=True, slots=True)
class BmpHeader:
    """Both headers. ``os2``: 16 bit sizes, or methods that are numbered otherwise."""

    file_bytes: int
    start: int
    size: int
    width: int
    height: int
    planes: int
    bits: int
    method: int = RGB
    data_bytes: int = 0
    density: tuple[int, int] = (0, 0)
    colours: int = 0

    @property
    def row_bytes(self) -> int:
        """Of a row without compression, padded to 32 bits."""
        return (self.width * self.bits + 31) // 32 * 4

    @property
    def palette_entries(self) -> int:
        """That there must be at least for every index to have a colour."""
        return self.colours or (1 << self.bits if self.bits <= 8 else 0)


def inspect_bmp(data: bytes, settings: InspectSettings) -> Seen:
    """Look into a BMP file that begins with ``BM`` and a header of a known size."""
    header = read_header(data)
    if header is None:
        return Seen(None, (corrupt("truncated", "the file is cut off within its header"),))
    flaws = (*_declared(header, len(data)), *_method(header, data))
    if any(flaw.severity is Severity.ERROR for flaw in flaws):
        return Seen(_facts(header), flaws)
    if header.width * abs(header.height) > settings.max_pixels:
        return Seen(_facts(header), (*flaws, unsafe("decompression-bomb", "more pixels than the limit; it was not decoded")))
    flaws += tuple(_ending(header, data))
    if settings.tier is Tier.QUICK:
        return Seen(_facts(header), flaws)
    seen_in_runs = tuple(_pixels(header, data))
    flaws += seen_in_runs
    seen = inspect_by_pillow(data, ("BMP",), settings, known=flaws, encoder=_encoder(header), may_be_rare=True)
    if header.method in {RLE8, RLE4} and not seen_in_runs and header.size not in OS2_HEADERS and _fails(seen):
        return Seen(_facts(header), (*flaws, oddity("unsupported", "its runs leave pixels out, which Pillow cannot decode")))
    return seen


def _fails(seen: Seen) -> bool:
    return any(flaw.kind in {"undecodable", "truncated"} for flaw in seen.flaws)


def read_header(data: bytes) -> BmpHeader | None:
    """Both headers; None where the file is too short for them."""
    if len(data) < 26:
        return None
    file_bytes, _, start, size = struct.unpack_from("<IIII", data, 2)
    if size == 12:
        return BmpHeader(file_bytes, start, size, *struct.unpack_from("<HHHH", data, 18))
    width, height, planes, bits = struct.unpack_from("<iiHH", data.ljust(54, b"\0"), 18)
    if size < 40:
        return BmpHeader(file_bytes, start, size, width, height, planes, bits)
    if len(data) < 54:
        return None
    method, data_bytes, across, down, colours = struct.unpack_from("<IIiiI", data, 30)
    return BmpHeader(file_bytes, start, size, width, height, planes, bits, method, data_bytes, (across, down), colours)


def _encoder(header: BmpHeader) -> str:
    return f"bmp header={header.size} bits={header.bits} method={header.method} density={header.density[0]}"


def _facts(header: BmpHeader) -> ImageFacts:
    mode = "RGB" if header.bits > 8 else "P" if header.bits > 1 else "1"
    return ImageFacts(width=max(header.width, 0), height=abs(header.height), mode=mode, encoder=_encoder(header))


def _declared(header: BmpHeader, size_bytes: int) -> list[Flaw]:
    """Fields that cannot be."""
    found = []
    if header.width <= 0 or header.height == 0:
        found.append(corrupt("declared-size", f"the header declares {header.width} x {header.height} pixels"))
    if header.planes != 1:
        found.append(blemish("header-field", f"the header declares {header.planes} planes; there is always one"))
    if header.bits not in {1, 2, 4, 8, 16, 24, 32} and not (header.bits == 0 and header.method in {JPEG, PNG}):
        found.append(corrupt("declared-method", f"the header declares {header.bits} bits per pixel"))
    if header.method not in KNOWN_METHODS:
        found.append(corrupt("declared-method", f"the header declares compression {header.method}, which does not exist"))
    if header.method in {RLE8, RLE4} and (header.height < 0 or header.bits != {RLE8: 8, RLE4: 4}[header.method]):
        found.append(corrupt("declared-method", "run lengths cannot go with these bits, or from top to bottom"))
    if header.start > size_bytes:
        found.append(corrupt("truncated", "the file ends before its pixels begin"))
    if header.colours and header.size >= 40 and FILE_HEADER_BYTES + header.size + 4 * header.colours > size_bytes:
        found.append(corrupt("palette", f"the header declares {header.colours} colours, more than the file has room for"))
    if header.method == RGB and not found:
        found += _room(header, size_bytes)
    if min(header.density) < 0:
        found.append(blemish("header-field", f"the header declares {min(header.density)} pixels per metre"))
    return found


def _method(header: BmpHeader, data: bytes) -> list[Flaw]:
    """Whether colour masks are such, and whether a JPEG or PNG that is declared is there."""
    if header.size in OS2_HEADERS:
        return []
    if header.method in {JPEG, PNG} and not data.startswith((b"\xff\xd8", b"\x89PNG"), header.start):
        return [corrupt("declared-method", "the header declares a JPEG or PNG within, which is not there")]
    if header.method in {BITFIELDS, ALPHA_BITFIELDS} and len(data) >= MASKS_AT + 12:
        masks = struct.unpack_from("<3I", data, MASKS_AT)
        red, green, blue = masks
        apart = not (red & green or green & blue or red & blue)
        if header.bits not in {16, 32} or not any(masks) or not apart or not all(map(_contiguous, masks)):
            text = ", ".join(f"{mask:#x}" for mask in masks)
            return [corrupt("declared-method", f"no colours have masks {text} in {header.bits} bits")]
    return []


def _contiguous(mask: int) -> bool:
    """Whether its ones stand next to each other, wherever."""
    return not mask or (mask // (mask & -mask) + 1) & (mask // (mask & -mask)) == 0


def _room(header: BmpHeader, size_bytes: int) -> list[Flaw]:
    """Whether all rows fit in the file; the last one may lack its padding."""
    unpadded = (header.width * header.bits + 7) // 8
    needed = header.start + header.row_bytes * (abs(header.height) - 1) + unpadded
    if needed <= size_bytes:
        return []
    return [corrupt("truncated", f"the file ends {needed - size_bytes} bytes before its pixels do")]


def _ending(header: BmpHeader, data: bytes) -> list[Flaw]:
    """The two sizes that the headers repeat, which most readers ignore."""
    if 0 < header.file_bytes - len(data) < 4:
        return [oddity("declared-size", "the padding of its last row is missing")]
    if header.file_bytes > len(data):
        return [blemish("declared-size", f"the header declares a file of {header.file_bytes} bytes; there are {len(data)}")]
    if header.data_bytes > len(data):
        return [
            blemish("declared-size", f"the header declares {header.data_bytes} bytes of pixels in a file of {len(data)}")
        ]
    needed = header.start + header.row_bytes * abs(header.height)
    if header.method != RGB or len(data) <= max(needed, header.file_bytes) or header.file_bytes == 0:
        return []
    rest = data[max(needed, header.file_bytes) :]
    if not rest.strip(b"\0"):
        return [oddity("padding", f"{len(rest)} bytes of padding follow the pixels")]
    return [blemish("trailing-garbage", f"{len(rest)} foreign bytes follow the pixels", offset_bytes=len(data) - len(rest))]


def _pixels(header: BmpHeader, data: bytes) -> list[Flaw]:
    if header.method in {RLE8, RLE4} and header.size not in OS2_HEADERS:
        return _run_lengths(header, data)
    if header.method == RGB and header.bits == 8 and 0 < header.colours < 256:
        rows = range(header.start, header.start + header.row_bytes * abs(header.height), header.row_bytes)
        inside = bytes(range(header.colours))
        beyond = sum(len(data[row : row + header.width].translate(None, inside)) for row in rows)
        if beyond:
            share = beyond / (header.width * abs(header.height))
            told = blemish if share > MOST else oddity
            return [told("palette", f"{share:.1%} of its pixels use colours beyond its palette of {header.colours}")]
    return []


def _run_lengths(header: BmpHeader, data: bytes) -> list[Flaw]:
    """Follow the runs: within the rows, which some writers pad to 32 bits, and up to the end mark."""
    if len(data) > MAX_WALKED_BYTES:
        return [partly_checked(f"{len(data):,} bytes: its runs of pixels were not followed")]
    width = header.row_bytes * 8 // header.bits
    at, x, y, per_byte = header.start, 0, 0, 2 if header.method == RLE4 else 1
    while at + 2 <= len(data):
        count, value = data[at], data[at + 1]
        at += 2
        if count:
            x += count
        elif value == 0:
            x, y = 0, y + 1
        elif value == 1:
            return []
        elif value == 2:
            x, y = x + int.from_bytes(data[at : at + 1]), y + int.from_bytes(data[at + 1 : at + 2])
            at += 2
        else:
            x += value
            at += (-(-value // per_byte) + 1) // 2 * 2
        if x > width or y > header.height:
            return [corrupt("damaged-data", "a run of pixels leaves the picture", offset_bytes=at)]
    if y >= header.height - 1 and (x >= header.width or y >= header.height):
        return [blemish("missing-end", "the mark after the last row is missing")]
    return [corrupt("truncated", f"the runs of pixels end in row {y} of {header.height}")]
