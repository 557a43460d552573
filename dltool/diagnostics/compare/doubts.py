"""What stands between two sides: what could not be compared at all, and what makes a worse value less than certain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from dltool.core.measured.compare import ComparedFindings, ComparedSides, Doubt, RulesLost, Side
from dltool.core.measured.speed import Speed
from dltool.core.measured.task import Task
from dltool.core.measured.training import Optimisation
from dltool.core.report import SCHEMA_VERSION
from dltool.diagnostics.compare.read import Opened


def side_of(opened: Opened, findings: int) -> Side:
    """The facts of a side; of a baseline with one target that one."""
    report = opened.report
    if report is None:
        commands = {section.command for section in opened.known}
        targets = {section.target for section in opened.known}
        return Side(
            path=opened.path,
            kind=opened.kind,
            command=commands.pop() if len(commands) == 1 else None,
            target=targets.pop() if len(targets) == 1 else None,
            schema_version=opened.schema_version,
            findings=findings,
        )
    speed = opened.measured.get(Speed)
    return Side(
        path=opened.path,
        kind=opened.kind,
        command=report.command,
        target=report.target,
        tool_version=report.tool_version,
        schema_version=opened.schema_version,
        seed=report.run.seed,
        torch=report.run.torch,
        device=report.run.device,
        spec_sha256=report.run.spec_sha256,
        machine=None if speed is None else speed.machine,
        seconds=report.run.seconds,
        interrupted=report.run.interrupted,
        findings=findings,
    )


def doubts_of(before: Opened, after: Opened, sides: ComparedSides) -> Iterator[Doubt]:
    """Everything that differs between the sides beside what they measured, or was left out."""
    yield from _of_files(before, after, sides)
    if before.report is None or after.report is None:
        yield Doubt(what="measurements", reason="a baseline holds findings alone")
        return
    first, second = sides.before, sides.after
    if first.command != second.command:
        reason = f"before is of {first.command}, after of {second.command}: they measure different things"
        yield Doubt(what="measurements", reason=reason, weakens=True)
    yield from _of_runs(first, second)
    yield from _of_training(before, after)


def unjudged_before(before: Opened, compared: ComparedFindings) -> Iterator[Doubt]:
    """New findings of rules that could not have told before."""
    if before.report is None:
        return
    outcomes = {check.rule: check for check in before.report.checks}
    for rule in dict.fromkeys(each.rule for each in compared.new):
        check = outcomes.get(rule)
        if check is None or check.outcome == "skipped":
            reason = "not asked" if check is None else check.reason or "skipped"
            yield Doubt(what=rule, reason=f"was not judged before ({reason}): its findings may be older than they look")


def lost_doubts(lost: RulesLost) -> Iterator[Doubt]:
    """Rules that are silent now."""
    for rule in lost.rules:
        found = " and had findings" if rule.failed else ""
        yield Doubt(what=rule.rule, reason=f"was judged before{found}, and is not after: {rule.reason}")


def _of_files(before: Opened, after: Opened, sides: ComparedSides) -> Iterator[Doubt]:
    for name, opened in (("before", before), ("after", after)):
        if opened.schema_version > SCHEMA_VERSION:
            yield Doubt(
                what=name,
                reason=f"has version {opened.schema_version} of the report's schema; what this dltool knows of it was read",
                weakens=True,
            )
        for key, reason in opened.unread:
            yield Doubt(what=f"{key} {name}", reason=f"cannot be read: {reason}")
        if opened.report is not None and opened.report.run.interrupted:
            yield Doubt(what=name, reason="was interrupted: it holds what was known by then", weakens=True)
    if sides.same_file:
        yield Doubt(what="sides", reason="both are one file")


def _of_runs(before: Side, after: Side) -> Iterator[Doubt]:
    """Circumstances. The spec itself may differ: what a change of it did is what most people ask."""
    if before.target != after.target:
        other = _name(before.target) != _name(after.target)  # a checkout elsewhere is no other target
        yield Doubt(what="target", reason=f"{before.target} before, {after.target} after", weakens=other)
    for what, first, second, weakens in (
        ("torch", before.torch, after.torch, False),
        ("device", before.device, after.device, False),
        ("dltool", before.tool_version, after.tool_version, False),
        ("seed", before.seed, after.seed, False),
    ):
        if first != second:
            yield Doubt(what=what, reason=f"{_said(first)} before, {_said(second)} after", weakens=weakens)


def _of_training(before: Opened, after: Opened) -> Iterator[Doubt]:
    first, second = before.measured.get(Optimisation), after.measured.get(Optimisation)
    if first is not None and second is not None:
        for name, run in (("before", first), ("after", second)):
            if run.stopped == "timeout":
                yield Doubt(what=name, reason="was ended by --timeout", weakens=True)
        if first.steps != second.steps:
            yield Doubt(what="length", reason=f"{first.steps:,} steps before, {second.steps:,} after")
    one, two = before.measured.get(Task), after.measured.get(Task)
    if one is not None and two is not None:
        if one.loss != two.loss:
            yield Doubt(what="losses", reason=f"{one.loss} before, {two.loss} after: their values do not compare")
        for split, a, b in (
            ("training", one.train_samples, two.train_samples),
            ("validation", one.val_samples, two.val_samples),
        ):
            if a != b:
                yield Doubt(what=f"{split} data", reason=f"{_said(a)} samples before, {_said(b)} after")


def _name(target: str | None) -> str:
    return PurePosixPath((target or "").replace("\\", "/")).name


def _said(value: object) -> str:
    return "unknown" if value is None else str(value)
