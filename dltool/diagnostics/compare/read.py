"""Reading one side: a report, a run folder or a baseline; whatever else it is, is told with what would be right."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dltool.core import baseline_file
from dltool.core.baseline import KIND
from dltool.core.baseline import Section as BaselineSection
from dltool.core.errors import DataError, Location, Problem, UserError
from dltool.core.measured.compare import SideKind
from dltool.core.measurements import Measurements, Section
from dltool.core.report import SCHEMA_VERSION, Report

REPORT = "report.json"
METRICS = "metrics.jsonl"
LARGEST_BYTES = 512 * 2**20
"""Far above any report: the one of a scan with a million bad samples has 100 MB."""
MOST_NAMES = 5
EXPECTED = "report.json of dltool (--format json), the folder of a run, or a baseline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """One side as it was read.

    A baseline has ``known`` and no ``report``; ``unread`` are the keys of measurements that could not be read, with the
    reason.
    """

    path: str
    kind: SideKind
    file: Path
    schema_version: int
    report: Report | None
    measured: Measurements
    known: tuple[BaselineSection, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()


def open_both(before: str, after: str) -> tuple[Opened, Opened]:
    """Read both sides; the mistakes of both are told at once.

    Raises:
        DataError: a side that is missing, or none of the three kinds.
    """
    opened: list[Opened] = []
    problems: list[Problem] = []
    for path in (before, after):
        try:
            opened.append(open_side(path))
        except UserError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise DataError(*problems)
    return opened[0], opened[1]


def open_side(path: str) -> Opened:
    """Read a report (JSON), the folder of a run, or a baseline.

    Raises:
        DataError: it is none of these.
        UserError: a baseline that is not whole.
    """
    file, kind = _find(path)
    data = _parse(file)
    if data.get("kind") == KIND:
        known = baseline_file.read(file).sections
        return Opened(
            path=path, kind="baseline", file=file, schema_version=1, report=None, measured=Measurements(), known=known
        )
    version = data.get("schema_version")
    if not isinstance(version, int) or not isinstance(data.get("measurements"), dict):
        raise _wrong(file, "is JSON, and no report of dltool", EXPECTED)
    try:
        report = Report.from_dict(data)
        measured, unread = _sections(data["measurements"], report.command)
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError) as error:
        raise _misshapen(file, version, error) from None
    return Opened(
        path=path,
        kind=kind,
        file=file,
        schema_version=version,
        report=report,
        measured=measured,
        unread=unread,
    )


def _find(path: str) -> tuple[Path, SideKind]:
    """The file to read. NUL and over-long names raise in the system call and are told as any other."""
    file = Path(path)
    try:
        mode = file.stat().st_mode
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _wrong(file, f"cannot be read: {reason}") from None
    if stat.S_ISDIR(mode):
        return _in_folder(file), "run folder"
    return file, "report"


def _in_folder(folder: Path) -> Path:
    """report.json of a run's folder; what is missing is said with what to do."""
    report = folder / REPORT
    if report.is_file():
        return report
    if (folder / METRICS).is_file() or (folder / "state.safetensors").is_file():
        raise _wrong(
            folder,
            "is the folder of a run that has not ended: it has no report.json yet",
            f"dltool train ... --run {folder} --resume ends it",
        )
    runs = [entry for entry in sorted(folder.iterdir()) if (entry / REPORT).is_file()]
    if runs:
        newest = max(runs, key=lambda run: (run / REPORT).stat().st_mtime)
        names = ", ".join(run.name for run in runs[:MOST_NAMES]) + (
            f" and {len(runs) - MOST_NAMES} more" if len(runs) > MOST_NAMES else ""
        )
        raise _wrong(folder, f"holds {len(runs)} runs: {names}", f"one of them; the newest is {newest}")
    empty = not any(folder.iterdir())
    raise _wrong(folder, "is an empty folder" if empty else "is no folder of a run: it has no report.json", EXPECTED)


def _parse(file: Path) -> dict[str, Any]:
    """The JSON object in ``file``, or a message on what it holds instead."""
    try:
        with file.open("rb") as stream:
            raw = stream.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise _wrong(file, f"cannot be read: {error.strerror}") from None
    if len(raw) > LARGEST_BYTES:
        raise _wrong(file, f"has more than {LARGEST_BYTES:,} bytes, which no report has", EXPECTED)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _wrong(file, "is no text in UTF-8", EXPECTED) from None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _no_json(file, text, error) from None
    if isinstance(data, list):
        raise _wrong(file, "is a JSON list, such as --format gitlab writes", EXPECTED)
    if not isinstance(data, dict):
        raise _wrong(file, "is JSON, and no report of dltool", EXPECTED)
    if "runs" in data and "version" in data:
        raise _wrong(file, "is SARIF, which has no measurements", EXPECTED)
    if data.get("type") in {"report", "finding"}:
        raise _wrong(file, "is JSONL, which has no findings in its first line", EXPECTED)
    return data


def _no_json(file: Path, text: str, error: Exception) -> DataError:
    start = text.lstrip()
    first, newline, _ = start.partition("\n")
    if not start:
        return _wrong(file, "is empty", EXPECTED)
    if start.startswith("<"):
        return _wrong(file, "is XML, such as --format junit writes", EXPECTED)
    if start.startswith(("::", "## ")):
        return _wrong(file, f"is what --format {'github' if start.startswith('::') else 'markdown'} writes", EXPECTED)
    if newline and first.startswith("{") and _is_json(first):
        return _wrong(file, "is JSONL: one object a line", EXPECTED)
    if start.startswith("{") and isinstance(error, json.JSONDecodeError):
        cut = error.pos >= len(text.rstrip()) or "Unterminated" in error.msg
        what = (
            "ends in the middle: it was cut off while it was written or copied" if cut else f"is no valid JSON: {error.msg}"
        )
        return DataError(
            Problem(
                message=what, location=Location(file=str(file), line=error.lineno, column=error.colno), expected=EXPECTED
            )
        )
    return _wrong(file, "is nested too deep" if isinstance(error, RecursionError) else "is no JSON", EXPECTED)


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _sections(data: Mapping[str, Any], command: str) -> tuple[Measurements, tuple[tuple[str, str], ...]]:
    """The sections that can be read, each on its own: a report of another version may hold one in another shape."""
    sections: list[Section] = []
    unread: list[tuple[str, str]] = []
    for key in data:
        try:
            sections += Measurements.from_dict({key: data[key]}, command)
        except (TypeError, KeyError, ValueError, AttributeError, OverflowError, RecursionError) as error:
            unread.append((key, f"{type(error).__name__}: {error}"[:120]))
    return Measurements(sections), tuple(unread)


def _misshapen(file: Path, version: int, error: Exception) -> DataError:
    if version > SCHEMA_VERSION:
        message = f"is a report in version {version} of its schema, which this dltool does not read"
        return _wrong(file, message, f"version {SCHEMA_VERSION}; a newer dltool reads both")
    missing = f"it has no {error}" if isinstance(error, KeyError) else str(error)[:120]
    return _wrong(file, f"is no whole report of dltool: {missing}", EXPECTED)


def _wrong(file: Path, message: str, expected: str | None = None) -> DataError:
    return DataError(Problem(message=message, location=Location(file=str(file)), expected=expected))
