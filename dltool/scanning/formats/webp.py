"""WebP: the RIFF container's sizes and chunks; libwebp decodes every frame, by Pillow. After RFC 9649."""

from __future__ import annotations

from dltool.core.finding import Severity
from dltool.scanning.flaws import blemish, corrupt, oddity, unsafe
from dltool.scanning.formats.pillow import inspect_by_pillow
from dltool.scanning.formats.seen import Seen
from dltool.scanning.record import Flaw, ImageFacts, Tier
from dltool.scanning.settings import InspectSettings

RIFF_HEADER_BYTES = 12
KEY_FRAME = b"\x9d\x01\x2a"
LOSSLESS = 0x2F


def inspect_webp(data: bytes, settings: InspectSettings) -> Seen:
    """Look into a file that begins with ``RIFF....WEBP``."""
    chunks, flaws = walk(data)
    facts, encoder = _facts(data, chunks)
    if facts is None:
        return Seen(None, flaws or (corrupt("no-data", "it holds no picture"),))
    if facts.width * facts.height > settings.max_pixels:
        return Seen(facts, (*flaws, unsafe("decompression-bomb", "more pixels than the limit; it was not decoded")))
    if settings.tier is Tier.QUICK or any(flaw.severity is Severity.ERROR for flaw in flaws):
        return Seen(facts, flaws)
    return inspect_by_pillow(data, ("WEBP",), settings, known=flaws, encoder=encoder)


def walk(data: bytes) -> tuple[list[tuple[bytes, int, int]], tuple[Flaw, ...]]:
    """(name, start, end) of each chunk's payload, and what is wrong with sizes."""
    declared = 8 + int.from_bytes(data[4:8], "little")
    chunks, at, flaws = [], RIFF_HEADER_BYTES, []
    while at + 8 <= min(declared, len(data)):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        chunks.append((name, at + 8, min(at + 8 + size, len(data))))
        if at + 8 + size > len(data):
            flaws.append(corrupt("truncated", f"the file is cut off within its {name.decode('latin-1').strip()} chunk"))
            return chunks, tuple(flaws)
        at += 8 + size + (size & 1)
    if declared > len(data) + 1:
        flaws.append(corrupt("truncated", f"the container declares {declared} bytes; there are {len(data)}"))
    elif rest := data[max(declared + (declared & 1), at) :]:
        flaws.append(
            oddity("padding", f"{len(rest)} bytes of padding follow the end")
            if not rest.strip(b"\0")
            else blemish("trailing-garbage", f"{len(rest)} foreign bytes follow the end", offset_bytes=len(data) - len(rest))
        )
    return chunks, tuple(flaws)


def _facts(data: bytes, chunks: list[tuple[bytes, int, int]]) -> tuple[ImageFacts | None, str]:
    """Size and kind by the headers; None where they are damaged or missing."""
    encoder = "webp " + ",".join(dict.fromkeys(name.decode("latin-1").strip() for name, _, _ in chunks))
    frames = max(1, sum(name == b"ANMF" for name, _, _ in chunks))
    for name, start, end in chunks:
        head, size = data[start : min(end, start + 10)], None
        if name == b"VP8X" and len(head) == 10:
            size = 1 + int.from_bytes(head[4:7], "little"), 1 + int.from_bytes(head[7:10], "little")
            mode = "RGBA" if head[0] & 0x10 else "RGB"
        elif name == b"VP8 " and head[3:6] == KEY_FRAME:
            size = int.from_bytes(head[6:8], "little") & 0x3FFF, int.from_bytes(head[8:10], "little") & 0x3FFF
            mode = "RGB"
        elif name == b"VP8L" and head[:1] == bytes((LOSSLESS,)):
            packed = int.from_bytes(head[1:5], "little")
            size, mode = (1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)), "RGBA" if packed >> 28 & 1 else "RGB"
        if size:
            return ImageFacts(width=size[0], height=size[1], mode=mode, frames=frames, encoder=encoder), encoder
    return None, encoder
