"""Findings for single files that inspectors found something wrong with: one for each file and rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from dltool.core.finding import Finding, Where
from dltool.core.measured.scan import Sample
from dltool.core.measured.scan_flaws import FlawedFile, MoreFlaws, ScanFlaws
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule

EXAMPLES = 8
TOLD = {"dataset": 4}
"""Flaws of one file that its finding tells, by format: all samples of a dataset are in one."""


def of_files(rule: Rule, measured: Measurements, advice: Mapping[str, str], otherwise: str) -> Iterator[Finding]:
    """What ``ScanFlaws`` holds for ``rule``.

    Args:
        rule: whose flaws to tell of.
        measured: holds a ``ScanFlaws``.
        advice: what to do by kind of flaw.
        otherwise: what to do about every other kind.
    """
    flaws = measured[ScanFlaws]
    for flawed in flaws.files:
        if flawed.rule == rule.name:
            kinds = dict.fromkeys(advice.get(flaw.kind, otherwise) for flaw in flawed.flaws)
            yield _of_file(rule, flawed, tuple(kinds))
    for more in flaws.more:
        if more.rule == rule.name:
            yield _of_more(rule, more, otherwise)


def members(samples: Iterable[Sample]) -> list[dict[str, object]]:
    """Samples as a finding's evidence holds them."""
    return [{"path": sample.path, "row": sample.row} for sample in samples]


def _of_file(rule: Rule, flawed: FlawedFile, advice: tuple[str, ...]) -> Finding:
    grave = next(flaw for flaw in flawed.flaws if flaw.severity is flawed.severity)
    rows = [sample.row for sample in flawed.samples if sample.row is not None]
    told = [flaw.detail for flaw in flawed.flaws if flaw.severity is flawed.severity][: TOLD.get(flawed.format or "", 1)]
    others = len(flawed.flaws) - len(told)
    return rule.finding(
        f"{flawed.path}: {'; '.join(told)}" + (f" (and {others} more)" if others else ""),
        severity=flawed.severity,
        where=Where(
            phase="input",
            samples=tuple(rows[:EXAMPLES]) or None,
            file=flawed.file,
            line=next((flaw.line for flaw in flawed.flaws if flaw.line is not None), None),
            key=flawed.path if flawed.column is None else f"{flawed.path}#{flawed.column}",
        ),
        evidence={
            "kind": grave.kind,
            "format": flawed.format,
            "column": flawed.column,
            "count": sum(flaw.count for flaw in flawed.flaws),
            "flaws": flawed.flaws,
            "samples": members(flawed.samples),
        },
        limit={"flaws": 0},
        advice=advice,
    )


def _of_more(rule: Rule, more: MoreFlaws, advice: str) -> Finding:
    return rule.finding(
        f"{more.files:,} more, {more.severity}: the first are {', '.join(sample.path for sample in more.samples[:3])}",
        severity=more.severity,
        where=Where(phase="input", key=f"more {rule.name}, {more.severity}"),
        evidence={"kind": "more", "files": more.files, "samples": members(more.samples)},
        limit={"flaws": 0},
        advice=(advice,),
    )
