"""What inspectors found wrong with single files, by rule; the first thousand of each with details."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from dltool.core.file_names import printable
from dltool.core.finding import Severity
from dltool.core.measured.scan import FINDINGS_A_RULE, Sample
from dltool.core.measured.scan_flaws import FlawedFile, FlawRecord, MoreFlaws, ScanFlaws
from dltool.core.measurements import Section
from dltool.scanning.record import Entry, Flaw

OF_WHOLE_FILES = frozenset({"corrupt-file", "unsafe-file"})
"""Rules that tell of a file once, whichever of its columns are hit."""


class Flaws:
    """Collects ``ScanFlaws``."""

    def __init__(self) -> None:
        self._files: list[FlawedFile] = []
        self._told: Counter[str] = Counter()
        self._more: dict[tuple[str, Severity], list[Sample]] = {}
        self._more_files: Counter[tuple[str, Severity]] = Counter()

    def add(self, entry: Entry) -> None:
        """Note the flaws of one file, those of a rule together (and of a column, where single columns are fine)."""
        groups: dict[tuple[str, str | None], list[Flaw]] = {}
        for flaw in entry.found.flaws:
            column = None if flaw.rule in OF_WHOLE_FILES else flaw.column
            groups.setdefault((flaw.rule, column), []).append(flaw)
        for (rule, column), flaws in groups.items():
            flawed = FlawedFile(
                rule=rule,
                path=printable(entry.item.name),
                file=printable(entry.item.path),
                format=entry.found.format,
                column=column,
                flaws=tuple(map(_record, flaws)),
            )
            if self._told[rule] < FINDINGS_A_RULE:
                self._told[rule] += 1
                self._files.append(flawed)
            else:
                self._more.setdefault((rule, flawed.severity), []).extend(flawed.samples)
                self._more_files[rule, flawed.severity] += 1

    def sections(self) -> Iterator[Section]:
        """``ScanFlaws``, also where there are none."""
        more = (
            MoreFlaws(rule=rule, severity=severity, files=self._more_files[rule, severity], samples=tuple(samples))
            for (rule, severity), samples in self._more.items()
        )
        yield ScanFlaws(files=tuple(self._files), more=tuple(more))


def _record(flaw: Flaw) -> FlawRecord:
    return FlawRecord(
        kind=flaw.kind,
        severity=flaw.severity,
        detail=flaw.detail,
        row=flaw.row,
        rows=flaw.rows,
        line=flaw.line,
        frame=flaw.frame,
        offset_bytes=flaw.offset_bytes,
        count=flaw.count,
    )
