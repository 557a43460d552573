"""Writing the result, once, and the exit code that follows from it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

import typer

from dltool.cli.console import look_of
from dltool.cli.options import FailOn, Format
from dltool.core.errors import OutputError
from dltool.core.report import Report
from dltool.reporters.base import Detail, Look, Reporter

CLEAN, FOUND, USER_ERROR, BUG, INTERRUPTED = 0, 1, 2, 3, 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Where the result goes, in which form, and when it counts as a failure."""

    form: Format = Format.TABLE
    file: Path | None = None
    fail_on: FailOn = FailOn.ERROR
    detail: Detail = Detail.NORMAL

    def look(self) -> Look:
        """How text for people may look there."""
        return Look(detail=self.detail) if self.file else look_of(sys.stdout, self.detail)


def detail_of(*, quiet: bool, verbose: bool) -> Detail:
    """``--quiet`` and ``--verbose`` as one."""
    if quiet and verbose:
        raise typer.BadParameter("--quiet and --verbose contradict each other")
    return Detail.QUIET if quiet else Detail.VERBOSE if verbose else Detail.NORMAL


def emit(report: Report, output: Output) -> int:
    """Write the report and return the exit code."""
    write(_reporter(output).render(report), output)
    return exit_code(report, output.fail_on)


def exit_code(report: Report, fail_on: FailOn) -> int:
    """130 for a run that was interrupted, 1 for findings at or above ``fail_on``, otherwise 0."""
    if report.run.interrupted:
        return INTERRUPTED
    return FOUND if fail_on.reached_by(report.worst()) else CLEAN


def write(text: str, output: Output) -> None:
    """To the file, or to stdout: JSON in UTF-8 always, a table in the terminal's own encoding.

    Raises:
        OutputError: the disk is full, or the place cannot be written to.
    """
    try:
        if output.file is not None:
            _write_file(output.file, text)
        else:
            if sys.stdout is None:
                raise OutputError("cannot write to stdout: it is closed; name a file with --output")
            encoding = "utf-8" if output.form is Format.JSON else (sys.stdout.encoding or "utf-8")
            _write_stdout(text.encode(encoding, errors="replace" if output.form is Format.TABLE else "backslashreplace"))
    except OSError as error:
        raise OutputError(f"cannot write {output.file or 'to stdout'}: {error.strerror}") from error


def _reporter(output: Output) -> Reporter:
    match output.form:
        case Format.TABLE:
            from dltool.reporters.table.reporter import TableReporter

            return TableReporter(output.look())
        case Format.JSON:
            from dltool.reporters.json import JsonReporter

            return JsonReporter()
        case _:
            assert_never(output.form)


def _write_stdout(data: bytes) -> None:
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # The reader has seen enough. Without this Python complains once more when it closes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write_file(path: Path, text: str) -> None:
    data = text.encode("utf-8", errors="backslashreplace")
    if path.exists() and not path.is_file():  # /dev/stdout or a pipe: nothing to put in its place
        path.write_bytes(data)
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
