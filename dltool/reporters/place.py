"""Where a finding is: in words, and as the file that a code host opens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from dltool.core.finding import Finding, Where
from dltool.core.report import Report
from dltool.reporters.table.words import worded
from dltool.reporters.visible import visible, well_formed

SPEC_ENDINGS = (".yaml", ".yml")


def places(where: Where) -> Iterator[str]:
    """The fields of a place that apply, from the network outwards to the file."""
    if where.parameter is not None:
        yield where.parameter
    elif where.module is not None:
        yield f"module {where.module}" if where.module else "the model"
    if where.op is not None:
        yield where.op if where.phase is None else f"{where.op} in {where.phase}"
    elif where.phase is not None:
        yield where.phase
    if where.step is not None:
        yield f"step {where.step:,}"
    if where.samples is not None:
        yield f"sample{'' if len(where.samples) == 1 else 's'} {worded(list(where.samples))}"
    if where.rank is not None:
        yield f"rank {where.rank}"
    if where.file is not None:
        yield where.file if where.line is None else f"{where.file}:{where.line}"
    if where.key is not None:
        yield where.key


def file_of(finding: Finding, report: Report) -> str | None:
    """The file that a finding points at; if it names none, that of the target: a spec, a factory's or what was scanned."""
    if finding.where.file:
        return finding.where.file
    head, colon, _ = report.target.rpartition(":")
    if colon and head.endswith(".py"):
        return head
    if report.command == "scan" or report.target.endswith(SPEC_ENDINGS):
        return report.target or None
    return None


def line_of(finding: Finding) -> int | None:
    """The line, from 1, where the finding names one in its file."""
    line = finding.where.line
    return line if finding.where.file and line is not None and line >= 1 else None


@dataclass(frozen=True, slots=True)
class Ground:
    """Where file names start: relative ones are meant from ``here``; code hosts want them from ``root``. Both absolute."""

    here: Path
    root: Path

    def shown(self, file: str) -> str:
        """From the root, with forward slashes; what lies outside stays as it was given."""
        below = self._below_root(file)
        return below if below is not None else Path(file).as_posix()

    def uri(self, file: str) -> tuple[str, bool]:
        """The name as a URI reference (RFC 3986), percent-encoded, and whether it is relative to the root."""
        below = self._below_root(file)
        if below is not None:
            return _quoted(below), True
        return f"file://{_quoted('/' + self._absolute(file).as_posix().lstrip('/'))}", False

    def _below_root(self, file: str) -> str | None:
        path = self._absolute(file)
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else None

    def _absolute(self, file: str) -> Path:
        # Not resolve(): a link in a data set is named by its own name, and half characters and NUL reach no system call.
        return Path(os.path.normpath(self.here / file))


def _quoted(path: str) -> str:
    try:
        return quote(path.encode("utf-8", "surrogateescape"), safe="/")
    except UnicodeEncodeError:
        return quote(str(well_formed(path)), safe="/")


def shown_line(finding: Finding, report: Report, ground: Ground) -> str:
    """``net.py:41``, or nothing for a finding without a file."""
    file, line = file_of(finding, report), line_of(finding)
    if file is None:
        return ""
    return visible(ground.shown(file) if line is None else f"{ground.shown(file)}:{line}")
