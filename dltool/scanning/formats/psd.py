"""Photoshop files: whether every section, and all of the merged picture, is there. Pillow decodes 8 bits a channel only.

After Adobe Photoshop File Formats Specification (2019).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from dltool.core.finding import Severity
from dltool.scanning.flaws import corrupt, oddity, unsafe
from dltool.scanning.formats.pillow import inspect_by_pillow
from dltool.scanning.formats.seen import Seen
from dltool.scanning.record import Flaw, ImageFacts, Tier
from dltool.scanning.settings import InspectSettings

HEADER = struct.Struct(">4x2x6xHIIHH")
MODES = {0: "1", 1: "L", 2: "P", 3: "RGB", 4: "CMYK", 7: "multichannel", 8: "duotone", 9: "LAB"}
DEPTHS = frozenset({1, 8, 16, 32})
MAX_SIDE = 30_000
SECTIONS = ("colour table", "resources", "layers")
RAW, RUN_LENGTHS, ZIP, ZIP_PREDICTED = range(4)


@dataclass(frozen=True, slots=True)
class PsdHeader:
    """The fixed header; ``depth`` in bits of one channel."""

    channels: int
    height: int
    width: int
    depth: int
    mode: int

    @property
    def raw_bytes(self) -> int:
        """Of the merged picture without compression."""
        return self.channels * self.height * ((self.width * self.depth + 7) // 8)


def inspect_psd(data: bytes, settings: InspectSettings) -> Seen:
    """Look into a file that begins with ``8BPS`` and version 1."""
    if len(data) < HEADER.size:
        return Seen(None, (corrupt("truncated", "the file is cut off within its header"),))
    header = PsdHeader(*HEADER.unpack_from(data))
    flaw = _declared(header) or _sections(data, header)
    facts = ImageFacts(
        width=header.width, height=header.height, mode=MODES.get(header.mode, "?"), encoder=f"psd {header.depth} bits"
    )
    if flaw is None and header.width * header.height > settings.max_pixels:
        flaw = unsafe("decompression-bomb", "more pixels than the limit; it was not decoded")
    if flaw is not None or settings.tier is Tier.QUICK:
        return Seen(facts, () if flaw is None else (flaw,))
    seen = inspect_by_pillow(data, ("PSD",), settings, encoder=facts.encoder)
    if header.depth in {16, 32} and any(each.severity is Severity.ERROR for each in seen.flaws):
        return Seen(facts, (oddity("unsupported", f"{header.depth} bits a channel, which Pillow cannot decode"),))
    return seen


def _declared(header: PsdHeader) -> Flaw | None:
    if header.depth not in DEPTHS or header.mode not in MODES or not header.channels:
        return corrupt("declared-method", f"the header declares mode {header.mode} of {header.depth} bits a channel")
    if not 0 < header.width <= MAX_SIDE or not 0 < header.height <= MAX_SIDE:
        return corrupt("declared-size", f"the header declares {header.width} x {header.height} pixels")
    return None


def _sections(data: bytes, header: PsdHeader) -> Flaw | None:
    """Walk the three sections between the header and the merged picture, then measure that."""
    at = HEADER.size
    for name in SECTIONS:
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        if at + 4 > len(data) or end > len(data):
            return corrupt("truncated", f"the file is cut off within its {name}", offset_bytes=at)
        at = end
    method, at = int.from_bytes(data[at : at + 2], "big"), at + 2
    needed = 1
    if method == RAW:
        needed = header.raw_bytes
    elif method == RUN_LENGTHS:
        table_bytes = 2 * header.channels * header.height
        counts = data[at : at + table_bytes]
        needed = table_bytes + sum(count for (count,) in struct.iter_unpack(">H", counts.ljust(table_bytes, b"\0")))
    elif method not in {ZIP, ZIP_PREDICTED}:
        return corrupt("declared-method", f"its picture declares compression {method}, which does not exist")
    if at + needed > len(data):
        text = f"the file ends {at + needed - len(data)} bytes before its merged picture does"
        return corrupt("truncated", text, offset_bytes=at)
    return None
