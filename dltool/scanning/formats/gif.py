"""GIF: every block up to the trailer, and the length of what each frame's LZW codes unpack to. After CompuServe's GIF89a."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from dltool.scanning.flaws import blemish, corrupt, oddity, partly_checked, unsafe
from dltool.scanning.formats.gif_codes import HIGHEST_CODE_BITS, unpacked_length
from dltool.scanning.formats.pillow import inspect_by_pillow
from dltool.scanning.formats.seen import Seen
from dltool.scanning.record import Flaw, ImageFacts, Tier
from dltool.scanning.settings import InspectSettings

NOT_ZERO = re.compile(rb"[^\0]")
MAX_WALKED_BYTES = 8_000_000
"""At the normal tier, LZW codes are only followed in smaller files: it takes about 0.1 µs a byte."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture within the file; ``spans`` are the sub-blocks of its codes."""

    width: int
    height: int
    code_bits: int
    spans: list[tuple[int, int]]


@dataclass(slots=True)
class GifFile:
    """What a walk over the blocks brought out."""

    width: int
    height: int
    frames: list[Frame] = field(default_factory=list)
    software: str = ""
    flaws: list[Flaw] = field(default_factory=list)


class CutError(Exception):
    """The file ends within a block."""


def inspect_gif(data: bytes, settings: InspectSettings) -> Seen:
    """Look into a GIF file that begins with its signature."""
    found = walk(data)
    width, height = found.width, found.height
    if found.frames:  # some encoders leave the screen's size at zero, and readers take the first frame's
        width, height = max(width, found.frames[0].width), max(height, found.frames[0].height)
    encoder = f"gif {data[3:6].decode('ascii', 'replace')} flags={data[10:11].hex()} {found.software}".strip()
    facts = ImageFacts(width=width, height=height, mode="P", frames=max(1, len(found.frames)), encoder=encoder)
    flaws = tuple(found.flaws)
    if (
        max((f.width * f.height for f in found.frames), default=0) > settings.max_pixels
        or width * height > settings.max_pixels
    ):
        return Seen(facts, (*flaws, unsafe("decompression-bomb", "more pixels than the limit; it was not decoded")))
    if settings.tier is Tier.QUICK or not found.frames:
        return Seen(facts, flaws)
    walked = found.frames if settings.tier is Tier.DEEP or len(data) <= MAX_WALKED_BYTES else []
    if not walked:
        flaws += (partly_checked(f"{len(data):,} bytes: the codes of its {len(found.frames):,} frames were not followed"),)
    for number, frame in enumerate(walked):
        if flaw := _codes(data, frame, number):
            flaws += (flaw,)
            break
    seen = inspect_by_pillow(data, ("GIF",), settings, known=flaws, encoder=encoder)
    return seen if seen.image else Seen(facts, seen.flaws, seen.content)


def walk(data: bytes) -> GifFile:
    """Read every block."""
    found = GifFile(int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little"))
    if len(data) < 13:
        found.flaws.append(corrupt("truncated", "the file is cut off within its header"))
        return found
    at = 13 + _palette_bytes(data[10])
    try:
        while True:
            mark = data[at] if at < len(data) else -1
            if mark == 0x3B:
                _after(found, data, at + 1)
                return found
            if mark == 0x2C:
                at = _frame(found, data, at)
            elif mark == 0x21:
                comment = data[at + 1 : at + 2] == b"\xfe"
                spans, at = _sub_blocks(data, at + 2)
                if comment and spans and not found.software:
                    found.software = data[spans[0][0] : min(spans[0][1], spans[0][0] + 40)].decode("latin-1")
            elif mark == 0:
                found_next = NOT_ZERO.search(data, at)
                at = len(data) if found_next is None else found_next.start()
            else:
                found.flaws.append(_no_block(found, at, cut=mark < 0))
                return found
    except CutError:
        found.flaws.append(corrupt("truncated", "the file is cut off within a block"))
    return found


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _no_block(found: GifFile, at: int, *, cut: bool) -> Flaw:
    if not found.frames:
        return corrupt("truncated" if cut else "damaged-block", "it has a header and no picture", offset_bytes=at)
    if cut:
        return blemish("missing-end", "the trailer is missing: the file may have had more frames")
    return blemish("damaged-block", "what follows a frame is no block", offset_bytes=at)


def _after(found: GifFile, data: bytes, at: int) -> None:
    if not found.frames:
        found.flaws.append(corrupt("no-data", "it has a header and an end, and no picture"))
    rest = data[at:]
    if rest.strip(rest[:1]) and rest.strip(b"\0").strip():  # one byte again and again: CP/M and tapes pad so
        found.flaws.append(blemish("trailing-garbage", f"{len(rest)} foreign bytes follow the trailer", offset_bytes=at))
    elif rest:
        found.flaws.append(oddity("padding", f"{len(rest)} bytes of padding follow the trailer", offset_bytes=at))


def _frame(found: GifFile, data: bytes, at: int) -> int:
    if at + 11 > len(data):
        raise CutError
    width, height = int.from_bytes(data[at + 5 : at + 7], "little"), int.from_bytes(data[at + 7 : at + 9], "little")
    start = at + 10 + _palette_bytes(data[at + 9])
    if start >= len(data):
        raise CutError
    bits = data[start]
    if not 1 <= bits < HIGHEST_CODE_BITS:
        found.flaws.append(corrupt("damaged-block", f"a frame declares codes of {bits} bits", offset_bytes=start))
    if not width or not height:
        found.flaws.append(blemish("declared-size", f"a frame declares {width} x {height} pixels", offset_bytes=at))
    spans, end = _sub_blocks(data, start + 1)
    found.frames.append(Frame(width, height, bits, spans))
    return end


def _sub_blocks(data: bytes, at: int) -> tuple[list[tuple[int, int]], int]:
    spans: list[tuple[int, int]] = []
    while True:
        if at >= len(data):
            raise CutError
        size = data[at]
        if not size:
            return spans, at + 1
        spans.append((at + 1, at + 1 + size))
        at += 1 + size
        if at > len(data):
            raise CutError


def _codes(data: bytes, frame: Frame, number: int) -> Flaw | None:
    """Follow the codes, keeping only the length of what each stands for."""
    if not 2 <= frame.code_bits < HIGHEST_CODE_BITS:  # codes of one bit are none by the standard; decoders disagree on them
        return None
    pixels = unpacked_length(b"".join(data[a:b] for a, b in frame.spans), frame.code_bits)
    wanted = frame.width * frame.height
    if pixels is None:
        return corrupt("damaged-data", f"frame {number} holds a code that stands for nothing", frame=number)
    if pixels < wanted:
        return corrupt("truncated", f"frame {number} ends after {pixels} of {wanted} pixels", frame=number)
    return None
