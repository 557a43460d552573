"""What is wrong with single files of a scan: what inspectors saw, file by file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dltool.core.finding import Severity
from dltool.core.measured.scan import Sample
from dltool.core.measurements import Section


@dataclass(frozen=True, kw_only=True)
class FlawRecord:
    """One thing wrong with a file; the fields are those of ``scan.record.Flaw``."""

    kind: str
    severity: Severity
    detail: str
    row: int | None = None
    rows: tuple[int, ...] = ()
    line: int | None = None
    frame: int | None = None
    offset_bytes: int | None = None
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class FlawedFile:
    """What one rule (by name) has to say of one file, or of one column of it."""

    rule: str
    path: str
    file: str
    format: str | None
    column: str | None
    flaws: tuple[FlawRecord, ...]

    @property
    def severity(self) -> Severity:
        """The gravest of its flaws."""
        return max((flaw.severity for flaw in self.flaws), key=lambda severity: severity.rank)

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The rows that are named, or the file as a whole where a flaw names none."""
        rows = [flaw.rows or (() if flaw.row is None else (flaw.row,)) for flaw in self.flaws]
        if not all(rows):
            return (Sample(path=self.path),)
        return tuple(Sample(path=self.path, row=row) for row in sorted({row for few in rows for row in few}))


@dataclass(frozen=True, kw_only=True)
class MoreFlaws:
    """What lies beyond the first ``FINDINGS_A_RULE`` files of a rule, of one severity: all members, no details."""

    rule: str
    severity: Severity
    files: int
    samples: tuple[Sample, ...]


@dataclass(frozen=True, kw_only=True)
class ScanFlaws(Section):
    """What is wrong with single files, in the order of the scan."""

    key: ClassVar[str] = "flaws"

    files: tuple[FlawedFile, ...]
    more: tuple[MoreFlaws, ...] = ()
