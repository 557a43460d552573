"""TIFF: every directory, and whether the strips and tiles that it names lie within the file and hold enough.

libtiff, by Pillow, decodes them; it pads what is missing from an uncompressed strip without a word. After TIFF 6.0 and
the BigTIFF design.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from dltool.core.finding import Severity
from dltool.scanning.flaws import blemish, corrupt, oddity, unsafe
from dltool.scanning.formats.pillow import inspect_by_pillow
from dltool.scanning.formats.png_rows import engine
from dltool.scanning.formats.seen import Seen
from dltool.scanning.record import Flaw, ImageFacts, Tier
from dltool.scanning.settings import InspectSettings

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIPS, SAMPLES, ROWS, STRIP_BYTES = (
    256, 257, 258, 259, 262, 273, 277, 278, 279,
)  # fmt: skip
PLANAR, SOFTWARE, TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES = 284, 305, 322, 323, 324, 325
SUBSAMPLING = 530
NEEDED = frozenset(
    {WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIPS, SAMPLES, ROWS, STRIP_BYTES, PLANAR, SOFTWARE}
    | {TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES, SUBSAMPLING}
)
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
MAX_VALUES = 1 << 20
INFLATED_BYTES = 1 << 20
MAX_PAGES = 10_000
UNCOMPRESSED = 1
DEFLATED = frozenset({8, 32946})
MAX_CHECKED_BYTES = 64_000_000
"""At the normal tier, so many bytes of deflated pieces are held against their checksums: some 10 ns each."""
RARE_COMPRESSIONS = frozenset({34925, 50000, 50001, 50002, 34887, 34712, 34676, 34677})
"""LZMA, Zstandard, WebP, JPEG XL, LERC, JPEG 2000 and SGI's: in few builds of libtiff."""
COMPRESSIONS = frozenset({*range(1, 9), 32771, 32773, 32809, 32946, 34661}) | RARE_COMPRESSIONS
PHOTOMETRICS = frozenset({*range(7), 8, 9, 10, 32844, 32845})
MAX_BITS, MAX_SAMPLES = 64, 32

YCBCR = 6


@dataclass(slots=True)
class Page:
    """The tags of one directory that bear on pixels: integers, or the text of SOFTWARE."""

    at: int
    tags: dict[int, tuple[int, ...]] = field(default_factory=dict)
    software: str = ""

    def first(self, tag: int, default: int = 0) -> int:
        """The first value of a tag."""
        values = self.tags.get(tag)
        return values[0] if values else default


class TiffReader:
    """Directories of either byte order, classic or big."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.order = "<" if data[:2] == b"II" else ">"
        self.big = 43 in data[2:4]
        self.pages: list[Page] = []
        self.flaws: list[Flaw] = []

    def walk(self) -> None:
        """Read every directory of the chain."""
        start = self._number("Q", 8) if self.big else self._number("I", 4)
        seen: set[int] = set()
        while start and len(self.pages) < MAX_PAGES:
            if start in seen:
                self.flaws.append(corrupt("damaged-directory", "its directories go round in a circle", offset_bytes=start))
                return
            seen.add(start)
            count = self._number("Q" if self.big else "H", start)
            entry, head = (20, 8) if self.big else (12, 2)
            if count is None or not count or start + head + count * entry > len(self.data):
                kind, where = (
                    ("truncated", "outside of the file") if start >= len(self.data) else ("damaged-directory", "cut off")
                )
                self.flaws.append(corrupt(kind, f"directory {len(self.pages)} lies {where}", frame=len(self.pages)))
                return
            page = Page(start)
            for at in range(start + head, start + head + count * entry, entry):
                self._entry(page, at)
            self.pages.append(page)
            start = self._number("Q" if self.big else "I", start + head + count * entry) or 0
        if start:
            self.flaws.append(oddity("partly-checked", f"only its first {MAX_PAGES:,} directories were looked at"))

    def _number(self, form: str, at: int) -> int | None:
        size = struct.calcsize(form)
        if at < 0 or at + size > len(self.data):
            return None
        value: int = struct.unpack_from(self.order + form, self.data, at)[0]
        return value

    def _entry(self, page: Page, at: int) -> None:
        tag, kind = struct.unpack_from(self.order + "HH", self.data, at)
        count = self._number("Q" if self.big else "I", at + 4) or 0
        size, inline = TYPE_BYTES.get(kind, 0) * count, 8 if self.big else 4
        place = at + (12 if self.big else 8)
        if size > inline:
            place = self._number("Q" if self.big else "I", place) or 0
            if place + size > len(self.data):
                self._outside(page, tag)
                return
        if tag == SOFTWARE and kind == 2:
            page.software = self.data[place : place + min(size, 40)].split(b"\0")[0].decode("latin-1")
        elif tag in NEEDED and kind in INTEGERS and count <= MAX_VALUES:
            page.tags[tag] = struct.unpack_from(f"{self.order}{count}{INTEGERS[kind]}", self.data, place)

    def _outside(self, page: Page, tag: int) -> None:
        number, detail = len(self.pages), f"the values of tag {tag} lie outside of the file"
        if tag in NEEDED - {SOFTWARE}:
            self.flaws.append(corrupt("truncated", detail, offset_bytes=page.at, frame=number))
        else:
            self.flaws.append(blemish("tag-outside", detail, offset_bytes=page.at, frame=number))


def inspect_tiff(data: bytes, settings: InspectSettings) -> Seen:
    """Look into a file that begins with a TIFF header."""
    reader = TiffReader(data)
    reader.walk()
    pages, flaws = reader.pages, reader.flaws
    if not pages:
        return Seen(None, tuple(flaws) or (corrupt("truncated", "it has a header and no directory"),))
    for number, page in enumerate(pages):
        flaws += _strips(page, number, len(data))
    first = pages[0]
    size = first.first(WIDTH), first.first(HEIGHT)
    bits = ",".join(map(str, first.tags.get(BITS, (1,))))
    encoder = f"tiff {bits} bits compression={first.first(COMPRESSION, 1)} rows={first.first(ROWS)} {first.software}".strip()
    facts = ImageFacts(
        width=size[0], height=size[1], mode=f"{first.first(SAMPLES, 1)}x{bits}", frames=len(pages), encoder=encoder
    )
    if max(page.first(WIDTH) * page.first(HEIGHT) for page in pages) > settings.max_pixels:
        return Seen(facts, (*flaws, unsafe("decompression-bomb", "more pixels than the limit; it was not decoded")))
    if settings.tier is Tier.QUICK or any(flaw.severity is Severity.ERROR for flaw in flaws):
        return Seen(facts, tuple(flaws))
    if flaw := _checksums(data, pages, MAX_CHECKED_BYTES if settings.tier is Tier.NORMAL else len(data)):
        return Seen(facts, (*flaws, flaw))
    seen = inspect_by_pillow(data, ("TIFF",), settings, known=tuple(flaws), encoder=encoder, may_be_rare=True)
    if first.first(COMPRESSION, 1) in RARE_COMPRESSIONS and any(flaw.kind == "undecodable" for flaw in seen.flaws):
        return Seen(facts, (*flaws, oddity("unsupported", "compressed by a method that libtiff has here no support for")))
    if seen.image is None and _consistent(first):
        kind = f"{first.first(SAMPLES, 1)} samples of {bits} bits, colours of kind {first.first(PHOTOMETRIC)}"
        return Seen(facts, (*flaws, oddity("unsupported", f"{kind}: Pillow has no mode for it")))
    return seen


def _consistent(page: Page) -> bool:
    """Whether a directory that Pillow does not understand means something all the same."""
    samples, bits, rows = page.first(SAMPLES, 1), page.tags.get(BITS, (1,)), page.first(ROWS)
    separate = page.first(PLANAR, 1) == 2
    strips = -(-page.first(HEIGHT) // rows) * (samples if separate else 1) if rows else 1
    return (
        page.first(COMPRESSION, 1) in COMPRESSIONS
        and page.first(PHOTOMETRIC) in PHOTOMETRICS
        and 0 < max(bits) <= MAX_BITS
        and len(bits) in {1, samples}
        and 0 < samples <= MAX_SAMPLES
        and (TILES in page.tags or len(page.tags.get(STRIPS, ())) == strips)
    )


def _strips(page: Page, number: int, size_bytes: int) -> list[Flaw]:
    """Whether the pieces of one picture are all there."""
    width, height = page.first(WIDTH), page.first(HEIGHT)
    if not width or not height:
        return [corrupt("declared-size", f"picture {number} is declared as {width} x {height} pixels", frame=number)]
    starts = page.tags.get(TILES) or page.tags.get(STRIPS)
    counts = page.tags.get(TILE_BYTES) or page.tags.get(STRIP_BYTES)
    if not starts:
        return [corrupt("no-data", f"picture {number} has a directory and no data", frame=number)]
    if not counts:
        return []  # old writers leave them out where there is one strip, up to the end of the file
    needed = height * ((width * page.first(BITS, 1) * page.first(SAMPLES, 1) + 7) // 8)
    plain = page.first(COMPRESSION, 1) == UNCOMPRESSED and page.first(PHOTOMETRIC) != YCBCR and TILES not in page.tags
    if plain and len(starts) == 1 and starts[0] + needed <= size_bytes < starts[0] + counts[0]:
        return [oddity("declared-size", f"picture {number} declares {counts[0]} bytes, more than it needs", frame=number)]
    outside = [start for start, count in zip(starts, counts, strict=False) if start + count > size_bytes]
    if outside:
        text = f"{len(outside)} of {len(starts)} pieces of picture {number} lie outside of the file"
        return [corrupt("truncated", text, offset_bytes=outside[0], frame=number)]
    if plain and sum(counts) < needed:
        return [corrupt("truncated", f"picture {number} has {sum(counts)} of {needed} bytes", frame=number)]
    return []


def _checksums(data: bytes, pages: list[Page], most_bytes: int) -> Flaw | None:
    """The first deflated piece whose checksum is wrong: libtiff stops at the last pixel and never reads it."""
    for number, page in enumerate(pages):
        if page.first(COMPRESSION, 1) not in DEFLATED:
            continue
        starts = page.tags.get(TILES) or page.tags.get(STRIPS) or ()
        counts = page.tags.get(TILE_BYTES) or page.tags.get(STRIP_BYTES) or ()
        for start, count in zip(starts, counts, strict=False):
            most_bytes -= count
            if most_bytes < 0:
                return None
            if error := _inflate_error(memoryview(data)[start : start + count]):
                text = f"a deflated piece of picture {number} is damaged: {error}"
                return corrupt("checksum", text, offset_bytes=start, frame=number)
    return None


def _inflate_error(piece: memoryview) -> str | None:
    """What is wrong with a zlib stream; one that lacks its end is for libtiff to judge."""
    inflater = engine.decompressobj()
    try:
        given: bytes | memoryview = piece
        while len(given) and not inflater.eof:
            inflater.decompress(given, INFLATED_BYTES)
            given = inflater.unconsumed_tail
    except engine.error as error:
        return str(error)
    return None
