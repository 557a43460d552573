"""Files and samples by format, and the files that no inspector knows by suffix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from dltool.core.file_names import printable
from dltool.core.measured.scan import FormatCount, SamplesScanned, ScannedFormats, UnknownFiles
from dltool.core.measurements import Section
from dltool.scanning.record import Entry

FORMATS_OF_ROWS = frozenset({"csv", "tsv", "jsonl", "parquet", "npy", "npz", "dataset"})
"""Each row is a sample; a file of any other format is one."""

EXAMPLES = 5
UNRECOGNISED = "unrecognised"
"""The format of a file that is flawed and of no known format: it was meant to be a sample."""


@dataclass(slots=True)
class _Tally:
    files: int = 0
    samples: int = 0
    size_bytes: int = 0
    flawed_files: int = 0
    paths: list[str] = field(default_factory=list)


def is_sample(entry: Entry) -> bool:
    """Whether a file belongs to the data: of a known format, or spoilt. A README among pictures does not."""
    return entry.found.format is not None or bool(entry.found.flaws)


def samples_in(entry: Entry) -> int:
    """Samples of one file: its rows, or 1."""
    table = entry.found.table
    return table.rows if table is not None and entry.found.format in FORMATS_OF_ROWS else 1


class Formats:
    """Collects ``SamplesScanned`` and ``ScannedFormats``."""

    def __init__(self) -> None:
        self._known: dict[str, _Tally] = {}
        self._unknown: dict[str, _Tally] = {}
        self._samples = 0

    def add(self, entry: Entry) -> None:
        """Count one file."""
        found = entry.found
        if not is_sample(entry):
            suffix = printable(PurePosixPath(entry.item.name).suffix.lower())
            tally = self._unknown.setdefault(suffix, _Tally())
            if len(tally.paths) < EXAMPLES:
                tally.paths.append(printable(entry.item.name))
        else:
            tally = self._known.setdefault(found.format or UNRECOGNISED, _Tally())
            tally.samples += samples_in(entry)
            tally.flawed_files += bool(found.flaws)
            self._samples += samples_in(entry)
        tally.files += 1
        tally.size_bytes += found.size_bytes

    def sections(self) -> Iterator[Section]:
        """Both sections, formats and suffixes with the most files first."""
        yield SamplesScanned(samples=self._samples)
        known = [
            FormatCount(format=name, files=t.files, samples=t.samples, size_bytes=t.size_bytes, flawed_files=t.flawed_files)
            for name, t in self._known.items()
        ]
        unknown = [
            UnknownFiles(suffix=suffix, files=t.files, size_bytes=t.size_bytes, paths=tuple(t.paths))
            for suffix, t in self._unknown.items()
        ]
        yield ScannedFormats(
            formats=tuple(sorted(known, key=lambda each: (-each.files, each.format))),
            unknown=tuple(sorted(unknown, key=lambda each: (-each.files, each.suffix))),
        )
