"""Netpbm's formats: the header, with comments wherever they may stand, against the bytes there are; Pillow decodes.

After Netpbm's pages on PBM, PGM, PPM, PAM and Debevec's on PFM. Several pictures in one file are legal.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from dltool.scanning.flaws import corrupt, oddity, partly_checked, unsafe
from dltool.scanning.formats.pillow import inspect_by_pillow
from dltool.scanning.formats.seen import Seen
from dltool.scanning.record import ImageFacts, Tier
from dltool.scanning.settings import DECODED_PIXELS, InspectSettings

TOKEN = re.compile(rb"(?:\s|#[^\n\r]*[\n\r])*([^\s#]+)")
PAM_LINE = re.compile(rb"(?:\s*#[^\n]*\n)*\s*([A-Z]+)[ \t]*([^\n]*)\n")
FLOATS = frozenset({b"PF", b"Pf"})
PLAIN = frozenset({b"P1", b"P2", b"P3"})
BITS = frozenset({b"P1", b"P4"})
HIGHEST = 65535
MAX_PLAIN_BYTES = 4_000_000
"""At the normal tier, numbers written as text are only read in smaller files: Pillow takes 0.2 µs a byte."""


class PnmHeader(NamedTuple):
    """``depth`` is samples a pixel, ``start`` where the pixels begin."""

    magic: bytes
    width: int
    height: int
    depth: int
    highest: int
    start: int

    @property
    def needed_bytes(self) -> int:
        """Of the pixels; as text, a digit and a space for each sample but the last, or a digit for each bit."""
        samples = self.width * self.height * self.depth
        if self.magic == b"P4":
            return (self.width + 7) // 8 * self.height
        if self.magic in PLAIN:
            return samples if self.magic in BITS else 2 * samples - 1
        return samples * (4 if self.magic in FLOATS else 2 if self.highest > 255 else 1)


def inspect_pnm(data: bytes, settings: InspectSettings) -> Seen:
    """Look into a file that begins with ``P`` and a kind."""
    try:
        header = _read_pam(data) if data[:2] == b"P7" else _read(data)
    except (ValueError, KeyError):
        return Seen(None, (corrupt("damaged-header", "its header is cut off, or holds something else than numbers"),))
    kind = header.magic.decode()
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}.get(header.depth, f"{header.depth} samples")
    facts = ImageFacts(width=header.width, height=header.height, mode=mode, encoder=f"pnm {kind} {header.highest}")
    if min(header.width, header.height, header.depth) <= 0 or not 0 < header.highest <= HIGHEST:
        size = f"{header.width} x {header.height} pixels of values up to {header.highest}"
        return Seen(facts, (corrupt("declared-size", f"the header declares {size}"),))
    if header.width * header.height > settings.max_pixels:
        return Seen(facts, (unsafe("decompression-bomb", "more pixels than the limit; it was not decoded"),))
    if (missing := header.start + header.needed_bytes - len(data)) > 0:
        return Seen(facts, (corrupt("truncated", f"the file ends at least {missing} bytes before its pixels do"),))
    if settings.tier is Tier.QUICK:
        return Seen(facts)
    if settings.tier is Tier.NORMAL and header.magic in PLAIN and len(data) > MAX_PLAIN_BYTES:
        return Seen(facts, (partly_checked(f"{len(data):,} bytes of numbers as text: its pixels were not read"),))
    if header.depth > 4:
        return Seen(facts, (oddity("unsupported", f"{header.depth} samples a pixel, which Pillow cannot decode"),))
    huge = settings.tier is Tier.NORMAL and header.width * header.height > DECODED_PIXELS
    seen = inspect_by_pillow(data if huge else _plain_header(data, header), ("PPM",), settings, encoder=facts.encoder)
    return seen if seen.image is None or header.magic != b"P7" else seen._replace(image=replace(seen.image, mode=mode))


def _read(data: bytes) -> PnmHeader:
    magic, at = data[:2], 2
    numbers: list[bytes] = []
    while len(numbers) < (2 if magic in BITS else 3):
        found = TOKEN.match(data, at)
        if found is None:
            raise ValueError
        numbers.append(found[1])
        at = found.end()
    depth = 3 if magic in {b"P3", b"P6", b"PF"} else 1
    highest = 1 if magic in BITS | FLOATS else int(numbers[2])
    if magic in FLOATS:
        float(numbers[2])  # the scale, whose sign is the byte order
    return PnmHeader(magic, int(numbers[0]), int(numbers[1]), depth, highest, at + 1)


def _read_pam(data: bytes) -> PnmHeader:
    fields: dict[bytes, bytes] = {}
    at = 3
    while b"ENDHDR" not in fields:
        found = PAM_LINE.match(data, at)
        if found is None:
            raise ValueError
        fields[found[1]] = found[2]
        at = found.end()
    width, height, depth, highest = (int(fields[name]) for name in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL"))
    return PnmHeader(b"P7", width, height, depth, highest, at)


def _plain_header(data: bytes, header: PnmHeader) -> bytes:
    """The file as Pillow reads it: without comments behind the kind, a PAM as PGM or PPM without alpha."""
    magic, pixels = header.magic, data[header.start :]
    if magic in FLOATS:
        return data
    if magic == b"P7":
        values = np.frombuffer(pixels[: header.needed_bytes], np.dtype(">u2" if header.highest > 255 else np.uint8))
        kept = 3 if header.depth > 2 else 1
        pixels = values.reshape(-1, header.depth)[:, :kept].tobytes()
        magic = b"P6" if kept == 3 else b"P5"
    highest = b"" if magic in BITS else b"%d\n" % header.highest
    return b"%s\n%d %d\n%s%s" % (magic, header.width, header.height, highest, pixels)
