"""``dltool compare``: what got worse between two saved results. No torch, no target, no run: only what was written."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from dltool.core.baseline import Section as BaselineSection
from dltool.core.finding import Check, Finding, Where
from dltool.core.measured.compare import (
    Change,
    Changes,
    ComparedCurves,
    ComparedFindings,
    ComparedSides,
    ComparedWords,
    Doubt,
    Doubts,
)
from dltool.core.measurements import Measurements, Section
from dltool.core.report import Report, RunInfo
from dltool.core.version import VERSION
from dltool.diagnostics.compare.answers import gradcheck_changes, hunt_changes, rate_changes
from dltool.diagnostics.compare.data import compared_samples, data_changes
from dltool.diagnostics.compare.doubts import doubts_of, lost_doubts, side_of, unjudged_before
from dltool.diagnostics.compare.findings import Found, compare_findings, found_on, regressed, rules_lost
from dltool.diagnostics.compare.layers import layer_changes, start_changes
from dltool.diagnostics.compare.losses import curves_of, loss_changes, metric_changes
from dltool.diagnostics.compare.read import Opened, open_both
from dltool.diagnostics.compare.speed import speed_changes
from dltool.diagnostics.compare.words import words_of
from dltool.rules.catalogue import RULES
from dltool.rules.select import choose, judge

COMMAND = "compare"
FAMILY = "CMP"
IGNORED_HERE = "ignored on the command line"
MEASURED = (
    loss_changes,
    metric_changes,
    layer_changes,
    start_changes,
    gradcheck_changes,
    rate_changes,
    data_changes,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """Which rules count: those whose findings are new, and those on what was measured (CMP)."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


def run(before: str, after: str, options: CompareOptions) -> Report:
    """Compare two reports, run folders or baselines.

    Findings are those of the side after that are new or graver, as they stand there, then what the measurements say. The
    checks are those of the side after (a rule without a new finding has passed) and of the CMP rules.

    Raises:
        DataError: a side that is none of the three kinds.
        UserError: a selector that means nothing.
    """
    started_s = time.perf_counter()
    ignored = dict.fromkeys(options.ignore, IGNORED_HERE)
    judge(Measurements(), select=options.select, ignore=ignored)  # selectors that mean nothing are told first
    sides = open_both(before, after)
    sections, new = _sections(*sides)
    measured = Measurements(sections)
    judged, asked = judge(measured, select=options.select, ignore=ignored)
    selected = {rule.id for rule in choose(options.select, ignored, {}).rules} - {
        check.rule for check in asked if check.reason == IGNORED_HERE
    }
    kept = [finding for finding in new if finding.rule in selected or finding.rule not in {rule.id for rule in RULES}]
    findings = [*_self_contained(kept), *judged]
    return Report(
        command=COMMAND,
        target=f"{before} {after}",
        run=_signature(sides[1], started_s),
        tool_version=VERSION,
        findings=tuple(_placed(finding, sides[1]) for finding in findings),
        checks=tuple(_checks(asked, sides[1], {finding.rule for finding in kept})),
        measurements=measured.to_dict(),
    )


def _sections(before: Opened, after: Opened) -> tuple[list[Section], list[Finding]]:
    """Everything that is to be said of the two, and the findings after that are new or graver."""
    found = [found_on(side, _matching(side, other)) for side, other in ((before, after), (after, before))]
    facts = ComparedSides(
        before=side_of(before, sum(known.count for known in found[0].known.values())),
        after=side_of(after, sum(known.count for known in found[1].known.values())),
        same_file=_same_file(before, after),
    )
    lost = rules_lost(before, after)
    compared = compare_findings(found[0], found[1], lost)
    changes, doubts = _changes(before, after)
    doubts = [*doubts_of(before, after, facts), *doubts, *unjudged_before(before, compared), *lost_doubts(lost)]
    sections: list[Section] = [facts, compared, lost, Changes(changes=tuple(changes))]
    samples = compared_samples(before.measured, after.measured)
    sections += [] if samples is None else [samples]
    if _comparable(before, after):
        sections.append(ComparedWords(words=tuple(words_of(before, after))))
        sections.append(ComparedCurves(curves=curves_of(before.measured, after.measured)))
    sections.append(Doubts(doubts=tuple(dict.fromkeys(doubts))))
    new = _as_findings(compared, found[1]) if after.report is None else regressed(after.report, compared)
    return sections, new


def _changes(before: Opened, after: Opened) -> tuple[list[Change], list[Doubt]]:
    """Every quantity that both sides measured; none where they answer different questions."""
    if not _comparable(before, after):
        return [], []
    changes = [change for measure in MEASURED for change in measure(before.measured, after.measured)]
    seeds = {side.report.run.seed for side in (before, after) if side.report is not None}
    changes += hunt_changes(before.measured, after.measured, same_seed=len(seeds) == 1)
    timed = list(speed_changes(before, after))
    changes += [each for each in timed if isinstance(each, Change)]
    return changes, [each for each in timed if isinstance(each, Doubt)]


def _comparable(before: Opened, after: Opened) -> bool:
    return before.report is not None and after.report is not None and before.report.command == after.report.command


def _matching(side: Opened, other: Opened) -> Sequence[BaselineSection]:
    """Of a baseline the sections that are about what the other side is about; all where that cannot be told."""
    if side.report is not None or other.report is None:
        return side.known
    name = PurePath(other.report.target).name
    same = [section for section in side.known if PurePath(section.target).name == name]
    return same or side.known


def _as_findings(compared: ComparedFindings, found: Found) -> list[Finding]:
    """New entries of a baseline, which keeps no messages."""
    return [
        Finding(
            rule=each.rule,
            name=each.name,
            severity=found.known[each.fingerprint].severity,
            message=f"known after and not before{f': {each.where}' if each.where else ''}",
            where=Where(key=found.known[each.fingerprint].where or None),
        )
        for each in compared.new
    ]


def _self_contained(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Causes that are no findings here are not referred to."""
    every = list(findings)
    there = {finding.fingerprint for finding in every}
    for finding in every:
        yield finding if finding.caused_by in there else replace(finding, caused_by=None)


def _checks(asked: Sequence[Check], after: Opened, failed: set[str]) -> Iterator[Check]:
    """The CMP rules as they were judged, the others by the report after, held against the one before."""
    theirs = {} if after.report is None else {check.rule: check for check in after.report.checks}
    for check in asked:
        other = theirs.get(check.rule)
        if check.rule.startswith(FAMILY) or check.reason == IGNORED_HERE:
            yield check
        elif check.rule in failed:
            yield Check(rule=check.rule, outcome="failed")
        elif other is None:
            yield Check(rule=check.rule, outcome="skipped", reason="the side after does not say whether it was judged")
        elif other.outcome == "failed":
            yield Check(rule=check.rule, outcome="passed", reason="no finding that is new")
        else:
            yield other


def _placed(finding: Finding, after: Opened) -> Finding:
    """A finding that names no file is about the target after; in a comparison the report's own target is none."""
    target = "" if after.report is None else after.report.target
    head, colon, _ = target.rpartition(":")
    file = head if colon and head.endswith(".py") else target if target.endswith((".yaml", ".yml")) else None
    return finding if finding.where.file else replace(finding, where=replace(finding.where, file=file))


def _signature(after: Opened, started_s: float) -> RunInfo:
    """Of the comparison itself, but for seed and spec, which are those of the side after."""
    run = None if after.report is None else after.report.run
    return RunInfo(
        seed=0 if run is None else run.seed,
        torch=None,
        device=None,
        spec_sha256=None if run is None else run.spec_sha256,
        seconds=round(time.perf_counter() - started_s, 3),
        deterministic=True,
    )


def _same_file(before: Opened, after: Opened) -> bool:
    try:
        return before.file.samefile(after.file)
    except OSError:
        return False
