"""PNG: the order of chunks and the checksum of each; ``png_rows`` unpacks the picture. After the W3C's third edition."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import Final

from PIL import Image

from dltool.core.finding import Severity
from dltool.scanning.flaws import blemish, corrupt, not_decoded, oddity, unsafe
from dltool.scanning.formats.exif import Exif, read_exif
from dltool.scanning.formats.pillow import other_frames
from dltool.scanning.formats.pillow_pixels import content_of, look_at
from dltool.scanning.formats.pillow_strict import opinion
from dltool.scanning.formats.png_rows import checked, inflate, unfiltered
from dltool.scanning.formats.seen import Seen
from dltool.scanning.optional import optional
from dltool.scanning.picture import Look
from dltool.scanning.record import Flaw, ImageFacts, Tier
from dltool.scanning.settings import DECODED_PIXELS, InspectSettings

crc32 = (optional("isal.isal_zlib") or zlib).crc32

SIGNATURE_BYTES: Final = 8
CHUNK_HEAD: Final = struct.Struct(">I4s")
CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS: Final = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}
MODES: Final = {
    (1, 0): ("1", "1"), (2, 0): ("L", "L;2"), (4, 0): ("L", "L;4"), (8, 0): ("L", "L"), (16, 0): ("I;16", "I;16B"),
    (8, 2): ("RGB", "RGB"), (16, 2): ("RGB", "RGB;16B"),
    (1, 3): ("P", "P;1"), (2, 3): ("P", "P;2"), (4, 3): ("P", "P;4"), (8, 3): ("P", "P"),
    (8, 4): ("LA", "LA"), (16, 4): ("RGBA", "LA;16B"), (8, 6): ("RGBA", "RGBA"), (16, 6): ("RGBA", "RGBA;16B"),
}  # fmt: skip
"""Bit depth and colour type to Pillow's mode and raw mode."""

UNPACKED: Final = frozenset({b"zTXt", b"iTXt", b"iCCP"})
"""Metadata that Pillow unpacks, and that make it refuse a picture where they are damaged or bombs."""

MAX_CHUNK_BYTES: Final = 2**31 - 1
ZEROED_TAIL_BYTES: Final = 64


@dataclass(slots=True)
class PngHeader:
    """What a walk over the chunks brought out."""

    width: int = 0
    height: int = 0
    depth: int = 0
    colour: int = 0
    interlace: int = 0
    palette: bytes = b""
    transparency: bytes | None = None
    data: list[tuple[int, int]] = field(default_factory=list)
    """(start, end) of each IDAT's payload."""
    names: dict[bytes, None] = field(default_factory=dict)
    software: str = ""
    exif: Exif | None = None
    frames: int = 1
    end: int | None = None
    flaws: list[Flaw] = field(default_factory=list)


def inspect_png(data: bytes, settings: InspectSettings) -> Seen:
    """Look into a PNG file that begins with the signature."""
    header = walk(data)
    flaws = tuple(header.flaws)
    if not header.width or not header.height or header.depth not in DEPTHS.get(header.colour, ()):
        return Seen(None, flaws or (corrupt("declared-size", "the header declares an impossible size or colour type"),))
    if header.width * header.height > settings.max_pixels:
        size = f"{header.width} x {header.height} pixels"
        bomb = unsafe("decompression-bomb", f"{size}, more than the limit; it was not decoded")
        return Seen(_facts(data, header), (*flaws, bomb))
    if settings.tier is Tier.QUICK or any(flaw.severity is Severity.ERROR and flaw.kind != "missing-end" for flaw in flaws):
        return Seen(_facts(data, header), flaws)
    if settings.tier is Tier.NORMAL and header.width * header.height > DECODED_PIXELS:
        return _data_alone(data, header)
    return _pixels(data, header, settings)


def _data_alone(data: bytes, header: PngHeader) -> Seen:
    """Check the data of a huge picture without decoding it."""
    view, bits = memoryview(data), header.depth * CHANNELS[header.colour]
    pieces = (view[start:end] for start, end in header.data)
    flaw = checked(pieces, header.width, header.height, bits, interlaced=bool(header.interlace))
    sound = flaw is None or flaw.severity is Severity.INFO
    flaws = tuple(_complete(each) for each in header.flaws) if sound else tuple(header.flaws)
    return Seen(_facts(data, header), (*flaws, *([flaw] if flaw else []), not_decoded(header.width, header.height)))


def _pixels(data: bytes, header: PngHeader, settings: InspectSettings) -> Seen:
    """Decode a picture whose chunks are in order."""
    stream = b"".join(data[start:end] for start, end in header.data)
    bits, interlaced = header.depth * CHANNELS[header.colour], bool(header.interlace)
    raw, flaw = inflate(stream, header.width, header.height, bits, interlaced=interlaced)
    flaws = tuple(_complete(each) for each in header.flaws) if raw is not None else tuple(header.flaws)
    if raw is None:
        return Seen(_facts(data, header), (*flaws, flaw) if flaw else flaws)
    mode, raw_mode = MODES[header.depth, header.colour]
    picture = unfiltered(raw, mode, raw_mode, (header.width, header.height), interlaced=interlaced)
    flaws += (flaw,) if flaw else ()
    if mode == "P":
        flaws += _palette(picture, header)
    seen, _ = look_at(picture)
    doubtful = settings.tier is Tier.DEEP or not UNPACKED.isdisjoint(header.names)
    if doubtful and (failure := opinion(data, "PNG")[1]) is not None:
        flaws += (_refused(failure),)
    if b"acTL" in header.names:
        flaws += other_frames(data, "PNG", settings).flaws
    return Seen(_facts(data, header, seen), flaws, content_of(picture))


def _refused(failure: str) -> Flaw:
    """What Pillow says of metadata, the picture being in order."""
    if "too large" in failure:
        return unsafe(
            "decompression-bomb", "its metadata unpacks to more than Pillow's limit, above which it refuses a picture"
        )
    return corrupt("undecodable", f"Pillow cannot decode it: {failure}")


def _complete(flaw: Flaw) -> Flaw:
    """An end marker that is missing behind a complete picture."""
    return (
        blemish(flaw.kind, "the IEND chunk is missing, though the picture is complete")
        if flaw.kind == "missing-end"
        else flaw
    )


def _palette(picture: Image.Image, header: PngHeader) -> tuple[Flaw, ...]:
    """Give a picture its colours, and tell numbers that have none."""
    picture.putpalette(header.palette)
    if header.transparency is not None:
        picture.info["transparency"] = header.transparency
    highest, colours = max(picture.tobytes()), len(header.palette) // 3
    if highest >= colours:
        return (blemish("palette", f"pixels use colour {highest} of a palette of {colours}"),)
    return ()


def walk(data: bytes) -> PngHeader:
    """Read every chunk up to IEND, checking lengths, names, order and checksums."""
    header, at, size = PngHeader(), SIGNATURE_BYTES, len(data)
    view = memoryview(data)
    while at + 12 <= size:
        length, name = CHUNK_HEAD.unpack_from(data, at)
        end = at + 8 + length
        if length > MAX_CHUNK_BYTES or not name.isalpha() or not name.isascii():
            header.flaws.append(_no_chunk(data, at))
            return header
        if end + 4 > size:
            break
        if crc32(view[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            header.flaws.append(
                corrupt("checksum", f"the checksum of its {name.decode()} chunk does not match", offset_bytes=at)
            )
        _take(header, name, data, at + 8, end)
        at = end + 4
        if name == b"IEND":
            header.end = at
            break
    _judge(header, data, at)
    return header


def _no_chunk(data: bytes, at: int) -> Flaw:
    if not data[at:].strip(b"\0"):
        return corrupt("zeroed-tail", f"ends in {len(data) - at} zero bytes", offset_bytes=at)
    return corrupt("damaged-chunk", "what follows is no chunk: lengths or data before it are damaged", offset_bytes=at)


def _take(header: PngHeader, name: bytes, data: bytes, start: int, end: int) -> None:
    if not header.names and name != b"IHDR":
        header.flaws.append(
            oddity("unsupported", "Apple's variant of PNG, which few decoders read")
            if name == b"CgBI"
            else corrupt("damaged-chunk", "its first chunk is not IHDR")
        )
    if name == b"IHDR" and b"IHDR" in header.names:
        header.flaws.append(corrupt("damaged-chunk", "it has two headers", offset_bytes=start))
    elif name == b"IHDR":
        _take_header(header, data[start:end])
    elif name == b"IDAT":
        if b"IDAT" in header.names and next(reversed(header.names)) != b"IDAT":
            header.flaws.append(blemish("chunk-order", "other chunks lie between those of the picture", offset_bytes=start))
        header.data.append((start, end))
    elif name == b"PLTE":
        header.palette = data[start:end]
    elif name == b"tRNS":
        header.transparency = data[start:end]
    elif name == b"acTL":
        header.frames = max(1, int.from_bytes(data[start : start + 4], "big"))
    elif name == b"eXIf":
        header.exif = read_exif(data[start:end].removeprefix(b"Exif\0\0"))
    elif name == b"tEXt" and data.startswith(b"Software\0", start):
        header.software = data[start + 9 : min(end, start + 49)].decode("latin-1")
    header.names.pop(name, None)
    header.names[name] = None


def _take_header(header: PngHeader, payload: bytes) -> None:
    if len(payload) != 13:
        header.flaws.append(corrupt("damaged-chunk", f"its header has {len(payload)} bytes in place of 13"))
        return
    header.width, header.height = int.from_bytes(payload[:4], "big"), int.from_bytes(payload[4:8], "big")
    header.depth, header.colour, compression, filtering, header.interlace = payload[8:]
    if compression or filtering or header.interlace > 1:
        header.flaws.append(corrupt("declared-method", "its header declares methods that do not exist"))


def _judge(header: PngHeader, data: bytes, at: int) -> None:
    """What is amiss once the walk is over; ``at`` is where it stopped."""
    if header.colour == 3 and header.width and b"PLTE" not in header.names and b"IDAT" in header.names:
        header.flaws.append(corrupt("no-palette", "its pixels are numbers of a palette that is not there"))
    if header.palette and (len(header.palette) % 3 or len(header.palette) > 768):
        header.flaws.append(corrupt("palette", f"its palette has {len(header.palette)} bytes"))
    if header.end is None:
        header.flaws.append(_unfinished(header, data, at))
        return
    if not header.data and b"CgBI" not in header.names:
        header.flaws.append(corrupt("no-data", "it has a header and an end, and no picture"))
    if header.exif and header.exif.broken:
        header.flaws.append(oddity("exif", f"the EXIF metadata is damaged: {header.exif.broken}; readers of it may fail"))
    if rest := data[header.end :]:
        padding = not rest.strip(b"\0") or not rest.strip()
        header.flaws.append(
            oddity("padding", f"{len(rest)} bytes of padding follow the end", offset_bytes=header.end)
            if padding
            else blemish("trailing-garbage", f"{len(rest)} foreign bytes follow the end", offset_bytes=header.end)
        )


def _unfinished(header: PngHeader, data: bytes, at: int) -> Flaw:
    if len(data) - at > ZEROED_TAIL_BYTES and not data[-ZEROED_TAIL_BYTES:].strip(b"\0"):
        return corrupt("zeroed-tail", "ends in zero bytes, within a chunk", offset_bytes=at)
    if at == len(data) and header.data:
        return corrupt("missing-end", "the IEND chunk is missing: the file is cut off")
    return corrupt("truncated", "the file is cut off within a chunk", offset_bytes=at)


def _facts(data: bytes, header: PngHeader, seen: Look | None = None) -> ImageFacts:
    mode = MODES[header.depth, header.colour][0]
    if header.depth == 16 and header.colour:
        mode = {2: "RGB;16", 4: "LA;16", 6: "RGBA;16"}[header.colour]
    names = ",".join(name.decode() for name in header.names)
    start, end = header.data[0] if header.data else (0, 0)
    parts = ["png", mode, *(["interlaced"] if header.interlace else []), names, "zlib=" + data[start : start + 2].hex()]
    parts += [f"idat={end - start}"] if len(header.data) > 1 else []
    parts += [header.software] if header.software else []
    return ImageFacts(
        width=header.width,
        height=header.height,
        mode=mode,
        frames=header.frames,
        orientation=header.exif.orientation if header.exif else 1,
        encoder=" ".join(parts),
        **(seen._asdict() if seen else {}),
    )
