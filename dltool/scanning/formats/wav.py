"""wav files: the chunks, whether their sizes hold, and what the header says of the sound; float samples are looked at.

Sources: Microsoft & IBM 1991, Multimedia programming interface and data specifications 1.0; EBU Tech 3306 (RF64).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import IO

import numpy as np

from dltool.core.finding import Severity
from dltool.scanning.flaws import blemish, corrupt, oddity
from dltool.scanning.record import Flaw, Inspection, Tier
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import Source

RIFF_BYTES = 12
CHUNK_HEAD_BYTES = 8
UNKNOWN_SIZES = frozenset({0, 0xFFFFFFFF})
"""What programs that write to a pipe leave as a size."""
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
MOST_CHUNKS = 1000
BLOCK_BYTES = 1 << 20


@dataclass(slots=True)
class _Wave:
    code: int = 0
    channels: int = 0
    rate_hz: int = 0
    block_bytes: int = 0
    bits: int = 0
    data_start: int | None = None
    data_bytes: int = 0
    big_bytes: int | None = None
    flaws: list[Flaw] = field(default_factory=list)


def inspect_wav(source: Source, settings: InspectSettings) -> Inspection:
    """Walk the chunks of a wav file; the sound itself is only looked at where it is in floats, which can be NaN.

    Raises OSError.
    """
    wave = _Wave()
    with source.open() as stream:
        _walk(stream, source.size_bytes, wave)
        if wave.data_start is not None and wave.code == FLOAT and wave.bits in {32, 64} and settings.tier is not Tier.QUICK:
            _look_at_floats(stream, wave)
    return Inspection(format="wav", size_bytes=source.size_bytes, flaws=tuple(wave.flaws))


def _walk(stream: IO[bytes], size_bytes: int, wave: _Wave) -> None:
    head = stream.read(RIFF_BYTES)
    if len(head) < RIFF_BYTES or head[:4] not in {b"RIFF", b"RF64", b"BW64", b"RIFX"} or head[8:] != b"WAVE":
        wave.flaws.append(corrupt("bad-header", "does not begin with a RIFF WAVE header", offset_bytes=0))
        return
    order = ">" if head[:4] == b"RIFX" else "<"
    riff_bytes = struct.unpack(f"{order}I", head[4:8])[0]
    end = size_bytes if riff_bytes in UNKNOWN_SIZES else min(size_bytes, riff_bytes + CHUNK_HEAD_BYTES)
    at, has_format = RIFF_BYTES, False
    for _ in range(MOST_CHUNKS):
        chunk = stream.read(CHUNK_HEAD_BYTES)
        if len(chunk) < CHUNK_HEAD_BYTES or (at >= end and wave.data_start is not None):
            break
        name, length = chunk[:4], struct.unpack(f"{order}I", chunk[4:])[0]
        start = at + CHUNK_HEAD_BYTES
        if name != b"data" and start + length > size_bytes:
            wave.flaws.append(_cut_off(name, length, size_bytes - start, start))
            return
        if name == b"ds64":
            wave.big_bytes = struct.unpack("<Q", stream.read(16)[8:16].ljust(8, b"\0"))[0]
        elif name == b"fmt ":
            has_format = True
            _read_format(stream.read(min(length, 40)), order, wave, start)
        elif name == b"data":
            _note_data(wave, start, length, size_bytes)
            if wave.data_bytes != length:
                at = start + wave.data_bytes + (wave.data_bytes & 1)
                break
        at = start + length + (length & 1)
        stream.seek(at)
    if not has_format or wave.data_start is None:
        what = "fmt" if not has_format else "data"
        wave.flaws.append(corrupt("missing-chunk", f"has no {what} chunk", offset_bytes=size_bytes))
    _check_riff_size(riff_bytes, size_bytes, wave)


def _read_format(body: bytes, order: str, wave: _Wave, start: int) -> None:
    if len(body) < 16:
        wave.flaws.append(corrupt("bad-format", f"its fmt chunk has {len(body)} bytes, not 16 or more", offset_bytes=start))
        return
    wave.code, wave.channels, wave.rate_hz, _, wave.block_bytes, wave.bits = struct.unpack(f"{order}HHIIHH", body[:16])
    if wave.code == EXTENSIBLE and len(body) >= 26:
        wave.code = struct.unpack(f"{order}H", body[24:26])[0]
    if not wave.channels or not wave.rate_hz:
        detail = f"claims {wave.channels} channels at {wave.rate_hz} Hz"
        wave.flaws.append(corrupt("bad-format", detail, offset_bytes=start))
    elif wave.code in {PCM, FLOAT} and wave.block_bytes != wave.channels * (-(-wave.bits // 8)):
        detail = f"claims blocks of {wave.block_bytes} bytes for {wave.channels} channels of {wave.bits} bits"
        wave.flaws.append(corrupt("bad-format", detail, offset_bytes=start))


def _note_data(wave: _Wave, start: int, length: int, size_bytes: int) -> None:
    present = size_bytes - start
    if length in UNKNOWN_SIZES and present:
        length = wave.big_bytes if wave.big_bytes is not None and length else present
        if wave.big_bytes is None:
            wave.flaws.append(blemish("unknown-size", "its data chunk does not say how long it is", offset_bytes=start - 4))
    if length > present:
        wave.flaws.append(_cut_off(b"data", length, present, start))
        length = present
    elif wave.block_bytes and wave.code in {PCM, FLOAT} and length % wave.block_bytes:
        detail = f"its {length} bytes of sound end within a frame of {wave.block_bytes}"
        wave.flaws.append(blemish("partial-frame", detail, offset_bytes=start))
    if not length:
        wave.flaws.append(corrupt("no-samples", "holds no sound", offset_bytes=start))
    wave.data_start, wave.data_bytes = start, length


def _cut_off(name: bytes, length: int, present: int, start: int) -> Flaw:
    detail = f"is cut off: the {name.decode('latin-1').strip()!r} chunk claims {length} bytes, {max(present, 0)} are there"
    return corrupt("truncated", detail, offset_bytes=start)


def _check_riff_size(riff_bytes: int, size_bytes: int, wave: _Wave) -> None:
    if riff_bytes in UNKNOWN_SIZES or any(flaw.severity is Severity.ERROR for flaw in wave.flaws):
        return
    extra = size_bytes - riff_bytes - CHUNK_HEAD_BYTES
    if extra > 1:
        detail = f"{extra} bytes follow what the header says is the end"
        wave.flaws.append(blemish("trailing-bytes", detail, offset_bytes=size_bytes - extra))
    elif extra < -1:
        wave.flaws.append(oddity("riff-size", f"the header claims {-extra} bytes more than there are", offset_bytes=4))


def _look_at_floats(stream: IO[bytes], wave: _Wave) -> None:
    stream.seek(wave.data_start or 0)
    left, bad, first, seen = wave.data_bytes - wave.data_bytes % (wave.bits // 8), 0, None, 0
    while left > 0 and (data := stream.read(min(left, BLOCK_BYTES))):
        left -= len(data)
        values = np.frombuffer(data[: len(data) - len(data) % (wave.bits // 8)], f"<f{wave.bits // 8}")
        places = np.flatnonzero(~np.isfinite(values))
        if len(places) and first is None:
            first = (seen + int(places[0])) // max(wave.channels, 1)
        bad += len(places)
        seen += len(values)
    if bad:
        detail = f"{bad} samples of sound are NaN or infinite, the first in frame {first}"
        wave.flaws.append(
            Flaw(rule="non-finite-value", kind="nan", severity=Severity.ERROR, detail=detail, frame=first, count=bad)
        )
