"""Where a scan leaves its samples besides the report: a manifest of the clean ones, a list of the bad, a quarantine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dltool.core.errors import OutputError, Problem, UserError
from dltool.core.file_names import printable
from dltool.core.finding import Finding, Severity
from dltool.core.measured.scan import BadSample
from dltool.diagnostics.scan.left_out import left_out
from dltool.diagnostics.scan.options import ScanOptions
from dltool.scanning.gather.formats import is_sample
from dltool.scanning.manifest import Spool, json_line, write_manifest
from dltool.scanning.quarantine import LIST_NAME, Quarantine
from dltool.scanning.record import Entry


@dataclass(slots=True)
class Outlets:
    """What was asked for. ``notes`` tell what could not be put into quarantine."""

    manifest: Path | None
    bad_list: Path | None
    quarantine: Quarantine | None
    notes: list[str]
    _spool: Spool | None

    @classmethod
    def open(cls, options: ScanOptions, root: Path | None) -> Outlets:
        """Check that everything can be written; ``root`` is what is scanned.

        Raises:
            UserError: places that cannot be written to, all of them, or ways without a quarantine.
        """
        problems: list[Problem] = []
        for key, text in (("--manifest", options.manifest), ("--bad-samples", options.bad_samples)):
            if text is not None and (Path(text).is_dir() or not Path(text).parent.is_dir()):
                problems.append(Problem(message=f"{text} cannot be written: it is a folder, or lies in none", key=key))
        if options.quarantine is None and options.quarantine_way != "copy":
            problems.append(Problem(message=f"needs --quarantine DIR to {options.quarantine_way} to"))
        if problems:
            raise UserError(*problems)
        quarantine = None
        if options.quarantine is not None:
            quarantine = Quarantine(Path(options.quarantine), options.quarantine_way)
            quarantine.check(root)
        return cls(
            manifest=None if options.manifest is None else Path(options.manifest),
            bad_list=None if options.bad_samples is None else Path(options.bad_samples),
            quarantine=quarantine,
            notes=[],
            _spool=Spool() if options.manifest is not None or quarantine is not None else None,
        )

    def add(self, entry: Entry) -> None:
        """One sample."""
        if self._spool is not None and is_sample(entry):
            self._spool.add(entry)

    def write(self, findings: Sequence[Finding], bad: Sequence[BadSample]) -> None:
        """Write everything, now that the samples are judged.

        Raises:
            OutputError: a file cannot be written.
        """
        without = left_out(findings)
        listed = [sample for sample in bad if _is_left_out(sample, without)]
        if self._spool is not None:
            if self.manifest is not None:
                write_manifest(self.manifest, self._spool, without)
            if self.quarantine is not None:
                spoilt = {name for name, rows in without.items() if rows is None}
                self.quarantine.put_all(item for item, _, _ in self._spool.samples() if printable(item.name) in spoilt)
                self.notes.extend(f"not put into quarantine: {text}" for text in self.quarantine.failed)
                _write_list(self.quarantine.folder / LIST_NAME, listed)
            self._spool.close()
        if self.bad_list is not None:
            _write_list(self.bad_list, listed)


def _is_left_out(sample: BadSample, without: Mapping[str, frozenset[int] | None]) -> bool:
    """Whether a clean set does without: of copies one stays, and what is merely worth knowing stays too."""
    rows = without.get(sample.path, frozenset())
    return sample.severity is not Severity.INFO and (rows is None or sample.row in rows)


def _write_list(path: Path, bad: Sequence[BadSample]) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("w", encoding="utf-8") as file:
            for sample in bad:
                file.write(
                    json_line(
                        {"path": sample.path, "row": sample.row, "name": sample.name, "severity": sample.severity.value}
                    )
                )
        beside.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)
