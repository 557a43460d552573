"""Short ways to say what is wrong with a file."""

from __future__ import annotations

from dltool.core.finding import Severity
from dltool.scanning.record import Flaw


def corrupt(kind: str, detail: str, *, offset_bytes: int | None = None, frame: int | None = None) -> Flaw:
    """Data is lost: a decoder refuses the file, or gives something else than was stored."""
    return Flaw(
        rule="corrupt-file", kind=kind, severity=Severity.ERROR, detail=detail, offset_bytes=offset_bytes, frame=frame
    )


def blemish(kind: str, detail: str, *, offset_bytes: int | None = None, frame: int | None = None) -> Flaw:
    """Strict readers complain, yet all of the data is there as far as one can tell."""
    return Flaw(
        rule="corrupt-file", kind=kind, severity=Severity.WARNING, detail=detail, offset_bytes=offset_bytes, frame=frame
    )


def oddity(kind: str, detail: str, *, offset_bytes: int | None = None, frame: int | None = None) -> Flaw:
    """Unusual and harmless; worth knowing when something else does not add up."""
    return Flaw(
        rule="corrupt-file", kind=kind, severity=Severity.INFO, detail=detail, offset_bytes=offset_bytes, frame=frame
    )


def partly_checked(left_out: str) -> Flaw:
    """Not everything was looked into, to be done in time; ``left_out`` says what was not, and ends the sentence."""
    return oddity("partly-checked", f"{left_out} (--deep looks into all of it)")


def not_decoded(width: int, height: int) -> Flaw:
    """Of a huge picture, the structure was checked and no pixels were made."""
    return partly_checked(f"{width} x {height} pixels: its structure was checked, its pixels were not looked at")


def mismatch(promised: str, found: str) -> Flaw:
    """The content is in another format than the name says."""
    return Flaw(
        rule="format-mismatch",
        kind=f"{found}-named-{promised}",
        severity=Severity.ERROR,
        detail=f"the name promises {promised}, the content is {found}",
    )


def unsafe(kind: str, detail: str) -> Flaw:
    """Opening the file as a loader would can run code, or exhaust the machine."""
    return Flaw(rule="unsafe-file", kind=kind, severity=Severity.ERROR, detail=detail)
