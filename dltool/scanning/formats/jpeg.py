"""JPEG files: size, tables, ending and metadata are read here; ``jpeg_decode`` looks into the scans."""

from __future__ import annotations

from dataclasses import replace

from dltool.core.finding import Severity
from dltool.scanning.digest import digest_of
from dltool.scanning.flaws import blemish, corrupt, oddity, unsafe
from dltool.scanning.formats.jpeg_decode import essence, look_into_scans
from dltool.scanning.formats.jpeg_header import END, JpegHeader, picture_end, read_header
from dltool.scanning.formats.pillow import other_frames
from dltool.scanning.formats.pillow_strict import opinion
from dltool.scanning.formats.seen import Seen
from dltool.scanning.picture import Look
from dltool.scanning.record import Flaw, ImageFacts, Tier
from dltool.scanning.settings import InspectSettings

MODES = {1: "L", 3: "RGB", 4: "CMYK"}
ZEROED_TAIL_BYTES = 64
TRAILER_STARTS = (b"AXS!", b"AXS*", b"CANON OPTIONAL DATA\0", b"QDIOBS", b"~\0\x04\0zmie~", b"MotionPhoto_Data")
TRAILER_ENDS = (
    b"\xa1\xb2\xc3\xd4", b"cbipcbbl", b"zmie~\0\0\x06\x10\x04", b"8db42d694ccc418790edff439fe026bf",
)  # fmt: skip
"""What cameras and photo managers append, after ExifTool: AFCP, Canon, Samsung, MIE, FotoStation, PhotoMechanic, Insta."""


def inspect_jpeg(data: bytes, settings: InspectSettings) -> Seen:
    """Look into a JPEG file that begins with SOI."""
    header = read_header(data)
    if header.scan_start is None or not header.frame or header.problem:
        kind = "zeroed-tail" if _zeroed_tail(data) else "truncated"
        return Seen(_facts(header) if header.width else None, (corrupt(kind, header.problem or "it has no frame header"),))
    if lie := _impossible_size(header, len(data), settings.max_pixels):
        return Seen(_facts(header), (lie,))
    if settings.tier is Tier.QUICK:
        return Seen(_facts(header), (*_ending(data, header, cut=True), *_exif(header)))
    scans = look_into_scans(data, header)
    damaged = any(flaw.severity is Severity.ERROR for flaw in scans.flaws)
    flaws = (*_once(scans.flaws, _ending(data, header, cut=damaged)), *_exif(header))
    image = _facts(header, scans.look)
    supported = not any(flaw.severity is Severity.ERROR or flaw.kind == "unsupported" for flaw in flaws)
    if settings.tier is Tier.DEEP and supported:
        return _deeply(data, image, flaws, settings)
    return Seen(image, flaws, None if scans.look is None else digest_of(essence(data, header)))


def _facts(header: JpegHeader, seen: Look | None = None) -> ImageFacts:
    return ImageFacts(
        width=header.width,
        height=header.height,
        mode=MODES.get(len(header.sampling)) or f"{len(header.sampling)} components",
        orientation=header.exif.orientation if header.exif else 1,
        encoder=header.encoder,
        **(seen._asdict() if seen else {}),
    )


def _deeply(data: bytes, image: ImageFacts, flaws: tuple[Flaw, ...], settings: InspectSettings) -> Seen:
    """Pillow's opinion of the whole picture, and of those that follow it in the file."""
    content, failure = opinion(data, "JPEG")
    if failure is not None:
        return Seen(image, (*flaws, corrupt("undecodable", f"Pillow cannot decode it: {failure}")))
    frames = other_frames(data, "JPEG", settings) if "MPF" in image.encoder else None
    if frames is not None:
        image, flaws = replace(image, frames=frames.number), flaws + frames.flaws
    return Seen(image, flaws, content)


def _impossible_size(header: JpegHeader, size_bytes: int, max_pixels: int) -> Flaw | None:
    """Sizes that cannot be: without pixels, or so large that the bytes there are cannot hold a code for each block."""
    possible = header.width and header.sampling and all(map(all, header.sampling))
    if possible and header.width * header.height <= max_pixels:
        return None
    size = f"{header.width} x {header.height} pixels"
    if not possible:
        return corrupt("declared-size", f"the header declares {size} and {len(header.sampling)} components")
    blocks = header.width * header.height // 64
    if header.frame in {0xC0, 0xC1} and size_bytes * 8 < 2 * blocks:  # a DC and an AC code each, of a bit at least
        return corrupt("declared-size", f"the header declares {size}, for which {size_bytes} bytes cannot be enough")
    return unsafe("decompression-bomb", f"{size} are more than the limit of {max_pixels}; it was not decoded")


def _exif(header: JpegHeader) -> tuple[Flaw, ...]:
    if header.exif and header.exif.broken:
        return (oddity("exif", f"the EXIF metadata is damaged: {header.exif.broken}; readers of it may fail"),)
    return ()


def _ending(data: bytes, header: JpegHeader, *, cut: bool) -> tuple[Flaw, ...]:
    """What is wrong with the end of the file; ``cut`` where the picture is, or may well be, incomplete."""
    if data.endswith(END):
        return ()
    end = picture_end(data, header)
    if end is None:
        return (_without_end(data, cut=cut),)
    rest = data[end:]
    if not rest.strip(b"\0") or not rest.strip(b"\xff") or not rest.strip():
        return (oddity("padding", f"{len(rest)} bytes of padding follow the end marker", offset_bytes=end),)
    if header.several or rest.startswith(b"\xff\xd8\xff") or b"ftyp" in rest[:4096] or b"SEF" in rest[-64:]:
        return (
            oddity("appended", f"{len(rest)} bytes of further pictures or film follow the end marker", offset_bytes=end),
        )
    if rest.startswith(TRAILER_STARTS) or rest.endswith(TRAILER_ENDS):
        return (
            oddity("appended", f"{len(rest)} bytes of an application's own data follow the end marker", offset_bytes=end),
        )
    return (blemish("trailing-garbage", f"{len(rest)} foreign bytes follow the end marker", offset_bytes=end),)


def _without_end(data: bytes, *, cut: bool) -> Flaw:
    if _zeroed_tail(data):
        zeros = len(data) - len(data.rstrip(b"\0"))
        return corrupt("zeroed-tail", f"ends in {zeros} zero bytes, without an end marker", offset_bytes=len(data) - zeros)
    if cut:
        return corrupt("truncated", "the file is cut off: it has no end marker")
    return corrupt("missing-end", "the end marker is missing, without which Pillow refuses a picture, complete as it is")


def _once(scans: tuple[Flaw, ...], ending: tuple[Flaw, ...]) -> tuple[Flaw, ...]:
    """What the decoder and a look at the end both say, said once."""
    if any(flaw.kind == "zeroed-tail" for flaw in ending):
        return (*(flaw for flaw in scans if flaw.severity is not Severity.ERROR), *ending)
    if any(flaw.severity is Severity.ERROR for flaw in scans):
        return (*scans, *(flaw for flaw in ending if flaw.kind != "truncated"))
    return scans + ending


def _zeroed_tail(data: bytes) -> bool:
    return len(data) > ZEROED_TAIL_BYTES and not data[-ZEROED_TAIL_BYTES:].strip(b"\0")
