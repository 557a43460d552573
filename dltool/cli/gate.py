"""``--baseline`` and ``--write-baseline``: which findings are new, and keeping those that are there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dltool.cli.ci import root_of
from dltool.cli.console import say
from dltool.core import baseline_file
from dltool.core.baseline import Baseline, held_against, recorded, summed
from dltool.core.report import Report


@dataclass(frozen=True, slots=True)
class Gate:
    """The files of known findings, read before the run, so that a mistake in one is told at once.

    A report is held against ``known_in``, and its findings are kept in ``kept_in``. With the second alone all that is found
    becomes known, and nothing of it fails; with both, the first decides what is new.
    """

    known_in: Path | None = None
    kept_in: Path | None = None
    _known: Baseline = field(default_factory=Baseline)
    _kept: Baseline = field(default_factory=Baseline)

    @classmethod
    def open(cls, known_in: Path | None, kept_in: Path | None) -> Gate:
        """Read the files that are given.

        Raises:
            UserError: one cannot be read; what would be overwritten is no baseline.
        """
        known = Baseline() if known_in is None else baseline_file.read(known_in, or_report=True)
        kept = baseline_file.read(kept_in) if kept_in is not None and kept_in.exists() else Baseline()
        return cls(known_in, kept_in, known, kept)

    def judged(self, report: Report) -> Report:
        """The report with known findings set aside."""
        if report.parts:
            return summed(report, [self.judged(part) for part in report.parts])
        if self.known_in is not None:
            return held_against(report, self._known, _names(report, self.known_in, self._known))
        if self.kept_in is not None and not report.run.interrupted:
            kept = _recorded(report, self._kept, self.kept_in)
            return held_against(report, kept, _names(report, self.kept_in, kept))
        return report

    def keep(self, judged: Report) -> None:
        """Write what ``judged`` found, new or known, and say so; of an interrupted run, which may have more, nothing.

        Raises:
            OutputError: the file cannot be written.
        """
        if self.kept_in is None:
            return
        if judged.run.interrupted:
            say(f"note: {self.kept_in} is left as it was: the run was interrupted")
            return
        kept, number = self._kept, 0
        for part in judged.parts or (judged,):
            kept = _recorded(part, kept, self.kept_in)
            section = kept.of(part.command, _names(part, self.kept_in, kept))
            number += 0 if section is None else sum(each.count for each in section.findings)
        baseline_file.write(self.kept_in, kept)
        say(f"{self.kept_in}: {number:,} known finding{'' if number == 1 else 's'} of {judged.command} {judged.target}")


def _recorded(report: Report, there: Baseline, file: Path) -> Baseline:
    named = Baseline(there.sections, file.as_posix())
    return recorded(report, named, _names(report, file, named))


def _names(report: Report, file: Path, baseline: Baseline) -> tuple[str, ...]:
    here = Path.cwd()
    return baseline_file.names_of(report, baseline, file, here=here, root=root_of(here))
