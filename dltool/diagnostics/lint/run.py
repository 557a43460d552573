"""``dltool lint``: what is wrong with a spec, without running it. Several at once make one report.

Specs are judged without torch and without running code of the user's; a factory is called, and its model traced.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from dltool.core.errors import Problem, UserError
from dltool.core.finding import Check, Outcome
from dltool.core.measured.lint import LintedSpec, LintedSpecs
from dltool.core.measurements import Measurements
from dltool.core.report import Report
from dltool.diagnostics.lint.one import lint_spec
from dltool.diagnostics.lint.options import LintOptions
from dltool.diagnostics.lint.targets import SUFFIXES, expanded
from dltool.rules.select import choose

if TYPE_CHECKING:
    from dltool.specs.design.samples import Glances


@dataclass(frozen=True, slots=True)
class Linted:
    """The report on all that could be read (None where nothing could), and the mistakes in the rest."""

    report: Report | None
    problems: tuple[Problem, ...]


def run(target: str, options: LintOptions) -> Report:
    """The report on one spec or factory, or on all specs in a folder.

    Raises:
        UserError: what cannot be read or built.
    """
    linted = lint([target], options)
    if linted.problems or linted.report is None:
        raise UserError(*linted.problems)
    return linted.report


def lint(targets: Sequence[str], options: LintOptions) -> Linted:
    """One report on all targets; a spec that cannot be read does not keep the others from being judged.

    Raises:
        UserError: a selector that means nothing, no target, or overrides for more than one.
    """
    choose(options.select, options.ignore, {})
    named = expanded(targets, specs_only=options.specs_only)
    if not named:
        return Linted(None, ())
    if options.overrides and len(named) != 1:
        raise UserError(
            Problem(
                message=f"an override changes one spec, and here are {len(named)}",
                value=" ".join(options.overrides),
                expected="one SPEC.yaml",
            )
        )
    reports: dict[str, Report | None] = {}
    problems: dict[Problem, None] = {}
    known: Glances | None = None
    if options.look_at_data:
        from dltool.specs.design.samples import Glances  # numpy

        known = Glances()
    for target in named:
        try:
            reports[target] = _one(target, options, known, alone=len(named) == 1)
        except UserError as error:
            reports[target] = None
            problems |= dict.fromkeys(error.problems)
    return Linted(_together(targets, reports), tuple(problems))


def _one(target: str, options: LintOptions, known: Glances | None, *, alone: bool) -> Report:
    if ":" in target and not target.endswith(SUFFIXES):
        from dltool.diagnostics.lint.code import lint_code  # torch

        return lint_code(target, options)
    return lint_spec(target, options, known, alone=alone)


def _together(targets: Sequence[str], reports: dict[str, Report | None]) -> Report | None:
    """The one report there is, or all in one: findings by spec, and the gravest outcome of each rule."""
    read = [report for report in reports.values() if report is not None]
    if not read or (len(reports) == 1 and len(targets) == 1):
        return read[0] if read else None
    specs = tuple(
        LintedSpec(
            spec=target,
            spec_sha256=None if report is None else report.run.spec_sha256,
            findings=None if report is None else len(report.findings),
        )
        for target, report in reports.items()
    )
    first = read[0].run
    return Report(
        command=read[0].command,
        target=targets[0] if len(targets) == 1 else _common(list(reports)),
        run=replace(
            first,
            spec_sha256=None,
            seconds=round(sum(report.run.seconds for report in read), 3),
            assumptions=tuple(dict.fromkeys(said for report in read for said in report.run.assumptions)),
        ),
        tool_version=read[0].tool_version,
        findings=tuple(finding for report in read for finding in report.findings),
        checks=tuple(_outcomes(checks) for checks in zip(*(report.checks for report in read), strict=True)),
        measurements=Measurements([LintedSpecs(specs=specs)]).to_dict(),
        suppressed=tuple(each for report in read for each in report.suppressed),
        stale=tuple(each for report in read for each in report.stale),
        parts=tuple(read),
    )


def _common(targets: Sequence[str]) -> str:
    """The folder that all lie in."""
    absolute = [PurePath(target).is_absolute() for target in targets]
    if len(set(absolute)) > 1:
        return "."
    folders = [PurePath(target).parent for target in targets]
    return PurePath(os.path.commonpath(folders)).as_posix() if all(f.parts for f in folders) else "."


def _outcomes(checks: Sequence[Check]) -> Check:
    """Failed where it failed once, passed where it could judge once; skipped everywhere for one reason, or for several."""
    order: tuple[Outcome, ...] = ("failed", "passed", "skipped")
    outcome = min((check.outcome for check in checks), key=order.index)
    if outcome != "skipped":
        return Check(rule=checks[0].rule, outcome=outcome)
    reasons = Counter(check.reason or "" for check in checks).most_common()
    return Check(rule=checks[0].rule, outcome="skipped", reason=reasons[0][0])
