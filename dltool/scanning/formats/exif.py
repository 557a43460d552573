"""The first directory of EXIF metadata: which way up a picture is, and what made it. After Exif 2.32 and TIFF 6.0."""

from __future__ import annotations

from typing import Literal, NamedTuple

ORIENTATION = 0x0112
SOFTWARE = 0x0131
ENTRY_BYTES = 12


class Exif(NamedTuple):
    """``broken`` says what a reader of the whole directory trips over; None where all of it is in place."""

    orientation: int = 1
    software: str = ""
    broken: str | None = None


def read_exif(block: bytes) -> Exif:
    """Read a TIFF structure (an APP1 segment behind its name, an eXIf chunk)."""
    order: Literal["little", "big"]
    match block[:4]:
        case b"II*\0":
            order = "little"
        case b"MM\0*":
            order = "big"
        case _:
            return Exif(broken="it begins with no TIFF header")
    start = int.from_bytes(block[4:8], order)
    count = int.from_bytes(block[start : start + 2], order)
    if start < 8 or start + 2 > len(block):
        return Exif(broken="its first directory lies outside of it")
    orientation, software = 1, ""
    for at in range(start + 2, min(start + 2 + count * ENTRY_BYTES, len(block) - ENTRY_BYTES + 1), ENTRY_BYTES):
        tag = int.from_bytes(block[at : at + 2], order)
        if tag == ORIENTATION:
            orientation = int.from_bytes(block[at + 8 : at + 10], order)
        elif tag == SOFTWARE:
            size = int.from_bytes(block[at + 4 : at + 8], order)
            place = at + 8 if size <= 4 else int.from_bytes(block[at + 8 : at + 12], order)
            software = block[place : place + min(size, 40)].split(b"\0")[0].decode("ascii", "replace")
    cut = start + 2 + count * ENTRY_BYTES > len(block)
    return Exif(orientation if 1 <= orientation <= 8 else 1, software, "its first directory is cut off" if cut else None)
