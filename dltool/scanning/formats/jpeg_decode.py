"""The scans of a JPEG: whether all of the picture is there, and what it looks like at reduced scale.

A damaged scan still decodes, into grey or shifted blocks: libjpeg warns and goes on. simplejpeg can be told to stop at a
warning; Pillow cannot, so that without simplejpeg the scans are walked in Python (``jpeg_scan``), slowly.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from dltool.scanning.flaws import blemish, corrupt, oddity
from dltool.scanning.formats.jpeg_header import END, KINDS, JpegHeader, read_header
from dltool.scanning.formats.jpeg_scan import scan_problem
from dltool.scanning.formats.pillow_strict import reduced_jpeg
from dltool.scanning.optional import optional
from dltool.scanning.picture import Look, Pixels, look
from dltool.scanning.record import Flaw

simplejpeg = optional("simplejpeg")

DECODED_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
"""What libjpeg-turbo decodes by its usual interface. simplejpeg aborts the process on some of the others."""

SPACES = {1: "GRAY", 3: "RGB", 4: "CMYK"}
SHORT_SIDE = 16
"""Pixels that a reduction leaves of the shorter side at least: enough for the perceptual hash."""

MAX_WALKED_BYTES = 4_000_000
"""Scans are only walked in Python in smaller files: it takes about 0.5 µs a byte."""

HARMLESS_LEFTOVER_BYTES = 64
EXTRANEOUS = re.compile(r"(\d+) extraneous bytes before marker 0x([0-9a-f]+)", re.IGNORECASE)
HARMLESS = re.compile(r"Unknown Adobe color transform|unknown JFIF revision|Invalid SOS parameters|ICC", re.IGNORECASE)
DAMAGE = re.compile(r"Corrupt JPEG data|Premature end|Inconsistent progression", re.IGNORECASE)


class Scans(NamedTuple):
    """``look`` is None where the picture is damaged or cannot be decoded."""

    look: Look | None
    flaws: tuple[Flaw, ...] = ()


class Attempt(NamedTuple):
    """A strict decoding: the picture, else the decoder's first warning, else why no decoder takes the file.

    ``unwalked`` where no decoder that warns has seen the file, and it is too large to be walked in Python.
    """

    pixels: Pixels | None = None
    warning: str | None = None
    failure: str | None = None
    unwalked: bool = False


def look_into_scans(data: bytes, header: JpegHeader) -> Scans:
    """Decode strictly, at the smallest useful scale (every code is read all the same), and judge the decoder's warnings."""
    components = len(header.sampling)
    if header.precision != 8 or header.frame not in DECODED_FRAMES or components not in SPACES:
        return _unsupported(data, header)
    factor = reduction(header.width, header.height)
    attempt = _strictly(data, header, factor)
    remarks: tuple[Flaw, ...] = ()
    if attempt.warning and (found := _remark(attempt.warning, header)) is not None:
        remarks = found
        plain = _without_oddities(data, header)
        attempt = _strictly(plain, read_header(plain), factor)
        if attempt.warning and _remark(attempt.warning, header) is not None:
            return Scans(None, remarks)
    if attempt.unwalked:
        remarks += (oddity("partly-checked", f"{len(data):,} bytes: damage that libjpeg only warns of was not looked for"),)
    if attempt.pixels is not None:
        return Scans(_look(attempt.pixels, data, header), remarks)
    if attempt.warning:
        return Scans(None, (*remarks, *_judge(attempt.warning, data, header)))
    return Scans(None, (*remarks, corrupt("undecodable", f"cannot be decoded: {attempt.failure}")))


def reduction(width: int, height: int) -> int:
    """8, 4, 2 or 1: the largest that leaves the shorter side long enough."""
    shorter = min(width, height)
    for factor in (8, 4, 2):
        if shorter > (SHORT_SIDE - 1) * factor:  # rounded up, at least SHORT_SIDE are left
            return factor
    return 1


def essence(data: bytes, header: JpegHeader) -> bytes:
    """All that bears on the pixels: equal for files that differ in metadata alone."""
    return header.essence + data[header.scan_start :]


def _unsupported(data: bytes, header: JpegHeader) -> Scans:
    attempt = reduced_jpeg(data, 1)
    if isinstance(attempt, str):
        kind = f"{header.precision} bit {KINDS.get(header.frame, f'SOF{header.frame & 15}')} JPEG"
        return Scans(None, (oddity("unsupported", f"{kind} of {len(header.sampling)} components: few decoders read it"),))
    return Scans(_look(attempt, data, header))


def _strictly(data: bytes, header: JpegHeader, factor: int) -> Attempt:
    if simplejpeg is not None:
        try:
            return Attempt(_by_simplejpeg(data, header, factor))
        except ValueError as error:
            message = str(error)
        if HARMLESS.search(message) or DAMAGE.search(message):
            return Attempt(warning=message)
    # What simplejpeg does not support (4:1:0, ...) libjpeg may, by Pillow, which stops at markers that libjpeg skips.
    pixels = reduced_jpeg(essence(data, header), factor)
    unwalked = len(data) > MAX_WALKED_BYTES
    if not unwalked and (warning := scan_problem(data)) is not None:
        return Attempt(warning=warning)
    if isinstance(pixels, str):
        return Attempt(failure=pixels)
    return Attempt(pixels, unwalked=unwalked)


def _by_simplejpeg(data: bytes, header: JpegHeader, factor: int) -> Pixels:
    space = SPACES[len(header.sampling)]
    if factor == 1:
        full: Pixels = simplejpeg.decode_jpeg(data, space)
        return full
    width, height = -(-header.width // factor), -(-header.height // factor)
    pixels: Pixels = simplejpeg.decode_jpeg(data, space, min_height=height, min_width=width, min_factor=factor)
    return pixels


def _remark(warning: str, header: JpegHeader) -> tuple[Flaw, ...] | None:
    """What to say of a warning that costs no pixel: nothing about parameters that decoders ignore. None for any other."""
    if HARMLESS.search(warning):
        return ()
    found = EXTRANEOUS.search(warning)
    if found and 0 < int(found[1]) <= header.junk_bytes:
        return (oddity("extraneous-bytes", f"{found[1]} bytes lie between its segments, which decoders skip"),)
    if found and (found[2].lower() != "d9" or int(found[1]) <= HARMLESS_LEFTOVER_BYTES):
        return (blemish("extraneous-bytes", f"the decoder met {found[1]} extraneous bytes"),)
    return None


def _without_oddities(data: bytes, header: JpegHeader) -> bytes:
    """The same picture without what harmless warnings are about: metadata, junk between segments, odd scan parameters."""
    segments = [data[start:end] for start, end in header.segments]
    kept = [segment for segment in segments if not (segment[1] == 0xEE and segment[-1] > 2)]
    scan = bytearray(data[header.scan_start :])
    if header.frame in {0xC0, 0xC1}:
        end = 2 + int.from_bytes(scan[2:4], "big")
        scan[end - 3 : end] = b"\0\x3f\0"
    return b"".join((b"\xff\xd8", *kept, bytes(scan)))


def _judge(warning: str, data: bytes, header: JpegHeader) -> tuple[Flaw, ...]:
    if leftover := EXTRANEOUS.search(warning):
        return (corrupt("damaged-scan", f"{leftover[1]} bytes of the scan are left over: what came before is damaged"),)
    if "premature end of jpeg file" in warning.lower():
        if _strictly(data + END, header, reduction(header.width, header.height)).pixels is not None:
            return ()  # only the end marker is missing
        return (corrupt("truncated", "the picture is cut off: the decoder ran out of data"),)
    return (corrupt("damaged-scan", f"the picture is damaged: {warning.removeprefix('Corrupt JPEG data: ')}"),)


def _look(pixels: Pixels, data: bytes, header: JpegHeader) -> Look:
    height, width, components = pixels.shape
    colours = _from_cmyk(pixels, adobe=header.adobe) if components == 4 else pixels
    factor = max(1, round(header.height / height), round(header.width / width))
    seen = look(colours, 255.0, (header.height / factor, header.width / factor))
    if seen.nearly_flat and factor > 1:
        full = reduced_jpeg(data, 1)  # fine patterns average out at reduced scale
        if not isinstance(full, str):
            return look(full)
    return seen


def _from_cmyk(pixels: Pixels, *, adobe: bool) -> Pixels:
    """Red, green and blue, roughly; Adobe stores CMYK inverted."""
    inks = pixels.astype(np.uint16) if adobe else 255 - pixels.astype(np.uint16)
    return (inks[..., :3] * inks[..., 3:] // 255).astype(np.uint8)
