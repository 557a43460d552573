"""Reports of all shards of a set as one: the report that a scan of the whole would have given."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from dltool.core.errors import DataError, Location, Problem
from dltool.core.measured.scan import ScanFacts
from dltool.core.measured.scan_run import LeftOut, ShardRecords
from dltool.core.measurements import Measurements
from dltool.core.report import Report
from dltool.diagnostics.scan.conclude import Conclusion, conclude
from dltool.diagnostics.scan.gather import Gathering, added_up
from dltool.diagnostics.scan.options import ScanOptions
from dltool.diagnostics.scan.outlets import Outlets
from dltool.scanning.parts import merged
from dltool.training.stop import StopFlag


def merge(paths: Sequence[str], options: ScanOptions, started_s: float) -> Report:
    """Read the reports at ``paths`` (JSON, of ``--shard i/n``), and judge their samples together.

    Raises:
        DataError: files that are no such reports, shards that are missing, there twice, or of different scans.
    """
    reports = [_read(Path(path)) for path in paths]
    parts = [(report, measured[ShardRecords]) for report, measured in reports]
    _check(paths, [part for _, part in parts])
    outlets = Outlets.open(options, None)
    first = parts[0][1]
    gathering = Gathering.begin(outlets, first.kind, options, options.stop or StopFlag(options.timeout_s))
    lines: dict[str, int] | None = {} if first.kind == "manifest" else None
    try:
        for entry in merged([part.records for _, part in parts]):
            gathering.take(entry)
            if lines is not None:
                lines.setdefault(entry.item.name, entry.item.index)
    except (ValueError, TypeError) as error:
        raise DataError(f"the samples of a shard cannot be read: {error}") from error
    left_out = LeftOut(kinds=added_up([first.left_out, *(part.left_out_within for _, part in parts)]))
    facts = [measured[ScanFacts] for _, measured in reports]
    stops = [each.stopped for each in facts if each.stopped != "finished"]
    sections = [*gathering.sections(facts[0].tier, stopped=stops[0] if stops else "finished"), left_out]
    report = reports[0][0]
    about = Conclusion(target=report.target, started_s=started_s, assumptions=report.run.assumptions, lines=lines)
    return conclude(sections, options, outlets, about)


def _read(path: Path) -> tuple[Report, Measurements]:
    place = Location(file=str(path))
    try:
        report = Report.from_dict(json.loads(path.read_text(encoding="utf-8")))
        measured = Measurements.from_dict(report.measurements, report.command)
    except OSError as error:
        raise DataError(Problem(message=f"cannot be read: {error.strerror}", location=place)) from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise DataError(Problem(message="is no report of dltool in JSON", location=place)) from None
    if report.command != "scan" or ShardRecords not in measured or ScanFacts not in measured:
        expected = "the report of dltool scan --shard i/n --format json"
        raise DataError(Problem(message="is no report of a shard", location=place, expected=expected))
    return report, measured


def _check(paths: Sequence[str], parts: Sequence[ShardRecords]) -> None:
    count = parts[0].count
    problems = [
        Problem(
            message="is of another scan than the first: other settings, another version of dltool, or another set",
            location=Location(file=path),
        )
        for path, part in zip(paths, parts, strict=True)
        if (part.count, part.kind, part.settings) != (count, parts[0].kind, parts[0].settings)
    ]
    there = [part.index for part in parts]
    twice = sorted({index for index in there if there.count(index) > 1})
    missing = [index for index in range(1, count + 1) if index not in there]
    if twice:
        problems.append(Problem(message=f"shard {twice[0]}/{count} is there more than once"))
    if missing:
        problems.append(Problem(message=f"{len(missing)} of {count} shards are missing, the first is {missing[0]}/{count}"))
    if problems:
        raise DataError(*problems)
