"""What a scan of data read and found bad; its other sections are in scan_flaws, scan_pictures, scan_tables, scan_classes.

A *sample* is a file, or a row of a table or array file. ``path`` is everywhere relative to what was scanned, with forward
slashes; ``file`` is the same file as the user would open it. Lists of members are cut at a stated length where a count
stands beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from dltool.core.finding import Severity
from dltool.core.measurements import Section

FINDINGS_A_RULE = 1000
"""A rule tells of so many files or groups one by one, and of the rest in one finding for each severity."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A file, or one of its rows (counted from 0)."""

    path: str
    row: int | None = None


@dataclass(frozen=True, kw_only=True)
class SamplesScanned(Section):
    """How many samples were looked into; files of unknown format are no samples."""

    key: ClassVar[str] = "samples_scanned"

    samples: int


@dataclass(frozen=True, kw_only=True)
class BadSample:
    """A sample that a finding is about: ``name`` is the rule's."""

    path: str
    row: int | None
    name: str
    severity: Severity


@dataclass(frozen=True, kw_only=True)
class BadSamples(Section):
    """Every sample that some finding is about, in the order of the scan."""

    key: ClassVar[str] = "bad_samples"

    samples: tuple[BadSample, ...]


@dataclass(frozen=True, kw_only=True)
class ScanFacts(Section):
    """What was scanned and how.

    ``shard`` is i/n where only a part was, ``stopped`` says why there are no more. ``splits`` counts files by split, in the
    order in which they were met; empty without splits.
    """

    key: ClassVar[str] = "scan"

    tier: str
    files: int
    size_bytes: int
    shard: str | None = None
    splits: Mapping[str, int] = field(default_factory=dict)
    stopped: Literal["finished", "interrupted", "timeout"] = "finished"


@dataclass(frozen=True, kw_only=True)
class FormatCount:
    """Files of one format by content. ``flawed_files`` have at least one flaw of their own."""

    format: str
    files: int
    samples: int
    size_bytes: int
    flawed_files: int


@dataclass(frozen=True, kw_only=True)
class UnknownFiles:
    """Files of one suffix ("" for none) that no inspector knows; ``paths`` are the first few."""

    suffix: str
    files: int
    size_bytes: int
    paths: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ScannedFormats(Section):
    """All files by format, most first; those whose format is unknown by suffix."""

    key: ClassVar[str] = "formats"

    formats: tuple[FormatCount, ...]
    unknown: tuple[UnknownFiles, ...] = ()
