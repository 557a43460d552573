"""Writing the result, once, and the exit code that follows from it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

import typer

from dltool.cli.ci import append_job_summary, ground
from dltool.cli.console import look_of
from dltool.cli.gate import Gate
from dltool.cli.options import FailOn, Format
from dltool.cli.stand_ins import encoded
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
    gate: Gate = field(default_factory=Gate)

    def look(self) -> Look:
        """How text for people may look there."""
        return Look(detail=self.detail) if self.file else look_of(sys.stdout, self.detail)


def detail_of(*, quiet: bool, verbose: bool) -> Detail:
    """``--quiet`` and ``--verbose`` as one."""
    if quiet and verbose:
        raise typer.BadParameter("--quiet and --verbose contradict each other")
    return Detail.QUIET if quiet else Detail.VERBOSE if verbose else Detail.NORMAL


def emit(report: Report, output: Output) -> int:
    """Write the report and return the exit code; on GitHub the job's summary gets its page too.

    What the gate knows is set aside before, and what it keeps is written after.
    """
    report = output.gate.judged(report)
    code = exit_code(report, output.fail_on)
    write(_reporter(output, code).render(report), output)
    if output.form is Format.GITHUB:
        append_job_summary(report)
    output.gate.keep(report)
    return code


def exit_code(report: Report, fail_on: FailOn) -> int:
    """130 for a run that was interrupted, 1 for findings at or above ``fail_on``, otherwise 0."""
    if report.run.interrupted:
        return INTERRUPTED
    return FOUND if fail_on.reached_by(report.worst()) else CLEAN


def write(text: str, output: Output) -> None:
    """To the file, or to stdout: what machines read in UTF-8 always, a table in the terminal's own encoding.

    Raises:
        OutputError: the disk is full, or the place cannot be written to.
    """
    try:
        if output.file is not None:
            _write_file(output.file, text)
        else:
            if sys.stdout is None:
                raise OutputError("cannot write to stdout: it is closed; name a file with --output")
            for_people = output.form is Format.TABLE
            data = encoded(text, sys.stdout.encoding or "utf-8") if for_people else text.encode("utf-8", "backslashreplace")
            _write_stdout(data)
    except OSError as error:
        raise OutputError(f"cannot write {output.file or 'to stdout'}: {error.strerror}") from error


def _reporter(output: Output, code: int) -> Reporter:
    match output.form:
        case Format.TABLE:
            from dltool.reporters.table.reporter import TableReporter

            return TableReporter(output.look())
        case Format.JSON:
            from dltool.reporters.json import JsonReporter

            return JsonReporter()
        case Format.JSONL:
            from dltool.reporters.jsonl import JsonlReporter

            return JsonlReporter()
        case Format.JUNIT:
            from dltool.reporters.junit import JunitReporter

            return JunitReporter(ground(), fail_from=output.fail_on.severity)
        case Format.SARIF:
            from dltool.reporters.sarif import SarifReporter

            return SarifReporter(ground(), exit_code=code)
        case Format.GITHUB:
            from dltool.reporters.github import GithubReporter

            return GithubReporter(ground())
        case Format.GITLAB:
            from dltool.reporters.gitlab import GitlabReporter

            return GitlabReporter(ground())
        case Format.MARKDOWN:
            from dltool.reporters.markdown import MarkdownReporter

            return MarkdownReporter(ground())
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
