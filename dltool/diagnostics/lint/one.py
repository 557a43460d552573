"""One target, judged: its design, the rules' word on it, and each finding at its line."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dltool.core.errors import Location
from dltool.core.finding import Finding
from dltool.core.measurements import Measurements
from dltool.core.report import Report, RunInfo
from dltool.core.version import VERSION
from dltool.diagnostics.ignored_lines import orders_to_ignore, without_ignored_lines
from dltool.diagnostics.lint.correction import SpecText
from dltool.diagnostics.lint.options import LintOptions
from dltool.rules.select import Judged, judge_all
from dltool.specs.design.of_spec import design_of
from dltool.specs.load import LoadedSpec, load
from dltool.specs.yaml_nodes import read_text

if TYPE_CHECKING:
    from dltool.specs.design.samples import Glances

COMMAND = "lint"


def lint_spec(path: str, options: LintOptions, known: Glances | None = None, *, alone: bool = True) -> Report:
    """The report of one spec; ``known`` keeps data that several specs share. Measurements are in it if it is ``alone``.

    Raises:
        UserError: a spec that cannot be loaded or built, or whose data cannot be read.
    """
    started_s = time.perf_counter()
    loaded = load(path, options.overrides)
    if options.seed is not None:
        loaded = replace(loaded, spec=loaded.spec.model_copy(update={"seed": options.seed}))
    measured = design_of(loaded, look_at_data=options.look_at_data, known=known)
    asked = judge_all(
        measured,
        select=options.select,
        ignore=orders_to_ignore(loaded.ignored_rules(), options.ignore),
        thresholds=loaded.spec.rules.thresholds,
    )
    judged = without_ignored_lines(_at_their_lines(asked, loaded), loaded.orders)
    if judged.findings and not options.overrides:  # what the command line says stands on no line
        written = SpecText(path, read_text(path, path), options.look_at_data, known)
        judged = replace(judged, findings=written.with_lines(judged.findings))
    assumptions = () if options.look_at_data else ("The data were not looked at (--no-data).",)
    return _report(
        path, judged, measured if alone else Measurements(), _Run(loaded.spec.seed, loaded.sha256, started_s, assumptions)
    )


@dataclass(frozen=True, slots=True)
class _Run:
    seed: int
    spec_sha256: str
    started_s: float
    assumptions: tuple[str, ...]


def _report(target: str, judged: Judged, measured: Measurements, run: _Run) -> Report:
    return Report(
        command=COMMAND,
        target=target,
        run=RunInfo(
            seed=run.seed,
            torch=None,
            device=None,
            spec_sha256=run.spec_sha256,
            seconds=round(time.perf_counter() - run.started_s, 3),
            deterministic=True,
            assumptions=run.assumptions,
        ),
        tool_version=VERSION,
        findings=judged.findings,
        checks=judged.checks,
        measurements=measured.to_dict(),
        suppressed=judged.suppressed,
        stale=judged.stale,
    )


def _at_their_lines(judged: Judged, loaded: LoadedSpec) -> Judged:
    """Findings, and those that are ignored, with file and line of the key that they name."""
    if not judged.findings and not judged.suppressed:
        return judged
    lines, file = loaded.key_lines(), loaded.path
    return replace(
        judged,
        findings=tuple(_at_its_line(finding, lines, file) for finding in judged.findings),
        suppressed=tuple(replace(each, finding=_at_its_line(each.finding, lines, file)) for each in judged.suppressed),
    )


def _at_its_line(finding: Finding, lines: Mapping[str, Location], file: str) -> Finding:
    where = finding.where
    if where.file is not None:
        return finding
    key = where.key or ""
    while key and key not in lines:  # a default: the nearest thing around it that was written
        key = key.rpartition(".")[0]
    at = lines.get(key, Location(file=file))
    return replace(finding, where=replace(where, file=at.file, line=at.line))
