"""A baseline: the findings that a project knows of, so that only new ones fail its gate.

One file serves all gates of a repository: it holds a section for each command and target. Findings are told apart by their
fingerprint alone and counted, so that it survives a re-run and another machine, and a second finding with the fingerprint of
a known one is new.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from dltool.core.codec import encode
from dltool.core.finding import Finding, Severity, Where
from dltool.core.report import Report
from dltool.core.suppression import Stale, Suppressed, Suppression, settled

SCHEMA_VERSION = 1
KIND = "dltool-baseline"
ANY_TARGET = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Findings with one fingerprint: how many, how grave the gravest, and in words what they are."""

    fingerprint: str
    rule: str
    name: str
    severity: Severity
    where: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What is known of one target by one command."""

    command: str
    target: str
    findings: tuple[Known, ...]


@dataclass(frozen=True, slots=True)
class Baseline:
    """Sections by command and target; ``file`` is the name that it was given by."""

    sections: tuple[Section, ...] = ()
    file: str = ""

    def of(self, command: str, targets: Sequence[str]) -> Section | None:
        """The section of a target that may be told by any of these names, the first that there is."""
        by_name = {(section.command, section.target): section for section in self.sections}
        return next((by_name[command, name] for name in targets if (command, name) in by_name), None)

    def allowance(self, targets: Sequence[str]) -> Counter[str]:
        """How many findings of each fingerprint are known of a target: what one command knows, all do."""
        known: Counter[str] = Counter()
        for section in self.sections:
            if section.target in targets:
                known |= Counter({each.fingerprint: each.count for each in section.findings})
        return known

    def with_section(self, section: Section) -> Baseline:
        """In place of the one for the same command and target, if there is one."""
        key = (section.command, section.target)
        others = [each for each in self.sections if (each.command, each.target) != key]
        return replace(self, sections=tuple(sorted([*others, section], key=lambda each: (each.target, each.command))))

    def dumps(self) -> str:
        """The file: sorted, one finding a line, and nothing in it that changes without the findings."""
        sections = ",".join(_written(section) for section in self.sections)
        head = f'"schema_version": {SCHEMA_VERSION},\n  "kind": {json.dumps(KIND)},\n  "tool": "dltool"'
        return f'{{\n  {head},\n  "targets": [{sections}{chr(10) + "  " if sections else ""}]\n}}\n'


def known_of(findings: Iterable[Finding]) -> tuple[Known, ...]:
    """Findings as a baseline keeps them, sorted by rule and place."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.fingerprint, []).append(finding)
    return tuple(sorted((_known(mark, group) for mark, group in groups.items()), key=_order))


def held_against(report: Report, baseline: Baseline, targets: Sequence[str]) -> Report:
    """The report without the findings that ``baseline`` knows: those are ``suppressed``, and known ones gone are ``stale``.

    ``targets`` are the names that the baseline may have for the report's target, the likeliest first.
    """
    room = baseline.allowance(targets)
    why = Suppression(by="baseline", file=baseline.file)
    new: list[Finding] = []
    known: list[Suppressed] = []
    for finding in report.findings:
        if room[finding.fingerprint] > 0:
            room[finding.fingerprint] -= 1
            known.append(Suppressed(finding=finding, suppression=why))
        else:
            new.append(finding)
    suppressed = (*report.suppressed, *known)
    section = baseline.of(report.command, targets)
    return replace(
        report,
        findings=tuple(new),
        checks=settled(report.checks, new, suppressed),
        suppressed=suppressed,
        stale=(*report.stale, *(() if section is None else _gone(section, report, why))),
        baseline=baseline.file,
    )


def summed(whole: Report, parts: Sequence[Report]) -> Report:
    """``whole`` again, from its parts after they were held against a baseline."""
    findings = tuple(finding for part in parts for finding in part.findings)
    suppressed = tuple(each for part in parts for each in part.suppressed)
    return replace(
        whole,
        findings=findings,
        checks=settled(whole.checks, findings, suppressed),
        suppressed=suppressed,
        stale=tuple(each for part in parts for each in part.stale),
        baseline=parts[0].baseline,
        parts=tuple(parts),
    )


def _gone(section: Section, report: Report, why: Suppression) -> Iterable[Stale]:
    """What the section knows and a whole run of the same rules does not find any more."""
    if report.run.interrupted:
        return
    judged = _judged(report)
    found = Counter(finding.fingerprint for finding in _all(report))
    for each in section.findings:
        missing = each.count - found[each.fingerprint]
        if missing > 0 and each.rule in judged:
            at = f" at {each.where}" if each.where else ""
            yield Stale(rule=each.name, suppression=why, message=f"no longer occurs{at}", count=missing)


def recorded(report: Report, baseline: Baseline, targets: Sequence[str]) -> Baseline:
    """``baseline`` with all that the report found, new or known; what is ignored for another reason needs no entry.

    Entries of rules that this run did not judge (not selected, skipped) stay as they are.
    """
    before = baseline.of(report.command, targets)
    judged = _judged(report)
    kept = () if before is None else tuple(each for each in before.findings if each.rule not in judged)
    known = [each.finding for each in report.suppressed if each.suppression.by == "baseline"]
    fresh = known_of((*report.findings, *known))
    marks = {each.fingerprint for each in fresh}
    findings = sorted((*fresh, *(each for each in kept if each.fingerprint not in marks)), key=_order)
    target = targets[0] if before is None else before.target
    return baseline.with_section(Section(command=report.command, target=target, findings=tuple(findings)))


def moved(baseline: Baseline, command: str, target: str) -> tuple[str, ...]:
    """Targets of the same file name that the baseline knows by this command; whether they are gone, the caller can see."""
    name = PurePosixPath(target).name
    return tuple(s.target for s in baseline.sections if s.command == command and PurePosixPath(s.target).name == name)


def _judged(report: Report) -> set[str]:
    return {check.rule for check in report.checks if check.outcome != "skipped"} | {f.rule for f in report.findings}


def _all(report: Report) -> list[Finding]:
    return [*report.findings, *(each.finding for each in report.suppressed)]


def _known(fingerprint: str, group: Sequence[Finding]) -> Known:
    worst = max(group, key=lambda finding: finding.severity.rank)
    return Known(
        fingerprint=fingerprint,
        rule=worst.rule,
        name=worst.name,
        severity=worst.severity,
        where=_place(worst.where),
        count=len(group),
    )


def _order(known: Known) -> tuple[str, str, str]:
    return known.rule, known.where, known.fingerprint


def _place(where: Where) -> str:
    """What of the place is in the fingerprint: it holds on another machine."""
    module = None if where.module is None or where.parameter else f"module {where.module}" if where.module else "the model"
    return ", ".join(part for part in (where.parameter, module, where.op, where.key) if part)


def _written(section: Section) -> str:
    lines = ",".join(f"\n        {json.dumps(encode(each), ensure_ascii=True)}" for each in section.findings)
    head = f'"target": {json.dumps(section.target)},\n      "command": {json.dumps(section.command)}'
    return f'\n    {{\n      {head},\n      "findings": [{lines}{chr(10) + "      " if lines else ""}]\n    }}'


def as_baseline(report: Report, file: str) -> Baseline:
    """A saved report in the part of a baseline: all that it found is known, whichever target is held against it."""
    known = [each.finding for each in report.suppressed if each.suppression.by == "baseline"]
    findings = known_of((*report.findings, *known))
    return Baseline((Section(command=report.command, target=ANY_TARGET, findings=findings),), file)
