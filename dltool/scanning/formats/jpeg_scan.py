"""Whether the entropy-coded scans of a JPEG hold together: what libjpeg would warn of, without libjpeg.

After ITU-T T.81, annexes F and G. Every code is read and no coefficient computed: lengths are enough to tell a scan that
ends early, late or in nonsense.
A hundred times slower than libjpeg; only used where no strict decoder is installed or none takes the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from dltool.scanning.formats.jpeg_codes import CUT, SHORT, Band, Bits, ScanError, baseline, begin, lookup, refine
from dltool.scanning.formats.jpeg_header import ALONE, FRAMES, MARKER, NEXT_MARKER, SCAN

RESTART: Final = re.compile(rb"\xff+([\xd0-\xd7])")

PAD: Final = b"\0" * 4

READ_AHEAD_BYTES: Final = 3
"""What libjpeg may have in its bit buffer when a stretch ends, and drops without a word: up to 7, 3 on average."""

MAX_BLOCKS: Final = 4_000_000
"""Pictures with more (256 megapixels of grey) are left unwalked."""


@dataclass(slots=True)
class Component:
    """``known`` holds, per block and coefficient, whether a progressive scan has found it other than zero."""

    name: int
    across: int
    down: int
    blocks_across: int = 0
    blocks_down: int = 0
    stride: int = 0
    known: bytearray = field(default_factory=bytearray)


@dataclass(slots=True)
class Decoder:
    """What the segments have set so far."""

    frame: int = 0
    components: list[Component] = field(default_factory=list)
    mcus_across: int = 0
    mcus_down: int = 0
    tables: dict[int, list[int]] = field(default_factory=dict)
    interval: int = 0


def scan_problem(data: bytes) -> str | None:
    """Libjpeg's words for the first thing wrong with the scans of 8 bit Huffman-coded JPEG; None also for other kinds."""
    decoder, at, junk = Decoder(), 2, 0
    try:
        while True:
            marker = MARKER.search(data, at)
            if marker is None:
                return CUT
            junk, at = junk + marker.start() - at, marker.end()
            code = data[at - 1]
            if code == 0:
                junk += 2
            elif junk:
                return f"Corrupt JPEG data: {junk} extraneous bytes before marker 0x{code:02x}"
            elif code == 0xD9:
                return None
            elif code not in ALONE and code != 0xD8:
                end = at + int.from_bytes(data[at : at + 2], "big")
                if code == SCAN:
                    at = _scan(decoder, data, at + 2, end)
                else:
                    if not _segment(decoder, code, data[at + 2 : end]):
                        return None
                    at = end
    except ScanError as error:
        return str(error)
    except (LookupError, StopIteration, ZeroDivisionError):
        return None  # headers that contradict each other: a decoder refuses them itself


def _segment(decoder: Decoder, code: int, payload: bytes) -> bool:
    """Take a table or frame; False where the picture is of a kind that is not walked here."""
    if code in FRAMES:
        decoder.frame = code
        if code not in {0xC0, 0xC1, 0xC2} or payload[0] != 8:
            return False
        return _frame(decoder, payload)
    if code == 0xDD:
        decoder.interval = int.from_bytes(payload[:2], "big")
    while code == 0xC4 and len(payload) > 17:
        size = 17 + sum(payload[1:17])
        decoder.tables[payload[0]] = lookup(payload[1:size])
        payload = payload[size:]
    return True


def _frame(decoder: Decoder, payload: bytes) -> bool:
    height, width = int.from_bytes(payload[1:3], "big"), int.from_bytes(payload[3:5], "big")
    found = [Component(payload[i], payload[i + 1] >> 4, payload[i + 1] & 15) for i in range(6, 6 + 3 * payload[5], 3)]
    if not found:
        return False
    widest, tallest = max(c.across for c in found), max(c.down for c in found)
    decoder.mcus_across, decoder.mcus_down = _ceil(width, 8 * widest), _ceil(height, 8 * tallest)
    decoder.components = found
    for each in found:
        each.blocks_across = _ceil(_ceil(width * each.across, widest), 8)
        each.blocks_down = _ceil(_ceil(height * each.down, tallest), 8)
        each.stride = decoder.mcus_across * each.across
    blocks = sum(each.stride * decoder.mcus_down * each.down for each in found)
    if decoder.frame == 0xC2 and 0 < blocks <= MAX_BLOCKS:
        for each in found:
            each.known = bytearray(64 * each.stride * decoder.mcus_down * each.down)
    return 0 < blocks <= MAX_BLOCKS


def _ceil(count: int, size: int) -> int:
    return -(-count // size)


def _scan(decoder: Decoder, data: bytes, at: int, start: int) -> int:
    """Walk one scan; where its data ends. Raises ScanError."""
    count = data[at]
    chosen = []
    for i in range(at + 1, at + 1 + 2 * count, 2):
        component = next(each for each in decoder.components if each.name == data[i])
        chosen.append((component, data[i + 1] >> 4, data[i + 1] & 15))
    first, last, precision = data[at + 1 + 2 * count : at + 4 + 2 * count]
    band = Band(first, last, precision >> 4)
    found = NEXT_MARKER.search(data, start)
    end = found.start() if found else len(data)
    stretches = RESTART.split(data[start:end])
    blocks = _order(decoder, chosen)
    per_stretch = decoder.interval or len(blocks)
    for number, first_mcu in enumerate(range(0, len(blocks), per_stretch)):
        if 2 * number >= len(stretches):
            raise ScanError(SHORT if found else CUT)
        if number and stretches[2 * number - 1][0] != 0xD0 + (number - 1) % 8:
            marker = stretches[2 * number - 1][0]
            raise ScanError(f"Corrupt JPEG data: found marker 0x{marker:02x} instead of RST{(number - 1) % 8}")
        raw = stretches[2 * number].replace(b"\xff\0", b"\xff")
        bits = Bits(raw + PAD, 8 * len(raw))
        try:
            _stretch(decoder, bits, blocks[first_mcu : first_mcu + per_stretch], band)
        except IndexError:
            bits.at = bits.size + 1
        except ScanError:
            if bits.at + 16 <= bits.size:
                raise
            bits.at = bits.size + 1
        if bits.at > bits.size:
            raise ScanError(CUT if found is None and 2 * number + 1 >= len(stretches) else SHORT)
        left = (bits.size - bits.at) // 8
        if left and not found:
            raise ScanError(CUT)
        if left > READ_AHEAD_BYTES:
            raise ScanError(
                f"Corrupt JPEG data: {left} extraneous bytes before marker 0x{_next(data, found, stretches, number)}"
            )
    if found is None:
        raise ScanError(CUT)
    return end


def _next(data: bytes, found: re.Match[bytes] | None, stretches: list[bytes], number: int) -> str:
    if 2 * number + 1 < len(stretches):
        return stretches[2 * number + 1].hex()
    return f"{data[found.end() - 1]:02x}" if found else "00"


Block = tuple[Component, int, int, int]


def _order(decoder: Decoder, chosen: list[tuple[Component, int, int]]) -> list[list[Block]]:
    """The blocks of each MCU, in the order of the scan: component, DC table, AC table, number of the block."""
    if len(chosen) == 1:
        component, dc, ac = chosen[0]
        return [
            [(component, dc, ac, y * component.stride + x)]
            for y in range(component.blocks_down)
            for x in range(component.blocks_across)
        ]
    return [
        [
            (c, dc, ac, (row * c.down + y) * c.stride + column * c.across + x)
            for c, dc, ac in chosen
            for y in range(c.down)
            for x in range(c.across)
        ]
        for row in range(decoder.mcus_down)
        for column in range(decoder.mcus_across)
    ]


def _stretch(decoder: Decoder, bits: Bits, mcus: list[list[Block]], band: Band) -> None:
    progressive = decoder.frame == 0xC2
    run = 0
    for mcu in mcus:
        if bits.at > bits.size:
            return
        for component, dc, ac, block in mcu:
            if not progressive:
                baseline(bits, decoder.tables[dc], decoder.tables[16 + ac])
            elif band.first == 0:
                size = 1 if band.high else bits.code(decoder.tables[dc])
                bits.at += size
            else:
                passing = refine if band.high else begin
                known = memoryview(component.known)[64 * block : 64 * block + 64]
                run = run - 1 if run and not band.high else passing(bits, decoder.tables[16 + ac], known, band, run)
