"""From measurements to a report: rules judge, findings get their place in the spec, and the run is signed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from dltool.core.codec import encode
from dltool.core.errors import Location
from dltool.core.finding import Finding
from dltool.core.measured.task import Task
from dltool.core.measured.training import Optimisation
from dltool.core.measurements import Measurements
from dltool.core.report import Report, RunInfo
from dltool.core.version import VERSION
from dltool.diagnostics.ignored_lines import PYTHON, orders_to_ignore, without_ignored_lines
from dltool.rules.batch_size import batch_size_advice
from dltool.rules.fit_verdict import FitVerdict
from dltool.rules.select import Judged, concluded, judge_all
from dltool.training.experiment import Experiment


@dataclass(frozen=True, slots=True)
class Judgement:
    """What every report of one run has in common."""

    command: str
    experiment: Experiment
    select: Sequence[str]
    ignore: Sequence[str]
    started_s: float


def judge_run(
    run: Judgement, measured: Measurements, *, reason_not_run: str | None = None, interrupted: bool = False
) -> Report:
    """Judge ``measured`` and make the report; ``train`` adds the fit, and ``reason_not_run`` where there is none.

    ``interrupted`` says that a signal cut the work short, for commands without an ``Optimisation`` to tell it.

    Raises:
        UserError: a selector, an ignored rule or a threshold that does not exist.
    """
    experiment = run.experiment
    thresholds = experiment.rule_thresholds
    asked = judge_all(
        measured, select=run.select, ignore=orders_to_ignore(experiment.ignored_rules, run.ignore), thresholds=thresholds
    )
    judged = without_ignored_lines(_all_placed(asked, experiment), experiment.orders, _code_of(experiment))
    fit = _fit(measured, thresholds, reason_not_run) if run.command == "train" else {}
    return Report(
        command=run.command,
        target=experiment.target,
        run=_signature(run, measured, interrupted=interrupted),
        tool_version=VERSION,
        findings=judged.findings,
        checks=judged.checks,
        measurements={**fit, **measured.to_dict()},
        suppressed=judged.suppressed,
        stale=judged.stale,
    )


def _all_placed(judged: Judged, experiment: Experiment) -> Judged:
    """Findings and those that are ignored, with their places in the spec."""
    ignored = [each.finding for each in judged.suppressed]
    placed = located([*judged.findings, *ignored], experiment)
    counting, others = placed[: len(judged.findings)], placed[len(judged.findings) :]
    suppressed = tuple(replace(each, finding=f) for each, f in zip(judged.suppressed, others, strict=True))
    return replace(judged, findings=tuple(counting), suppressed=suppressed)


def _code_of(experiment: Experiment) -> list[str]:
    file = experiment.target.rpartition(":")[0]
    return [file] if file.endswith(PYTHON) else []


def located(findings: Sequence[Finding], experiment: Experiment) -> list[Finding]:
    """Findings with the spec key, file and line of the module or parameter that they point at, where a spec wrote it."""
    placed = [_placed(finding, experiment) for finding in findings]
    renamed = {before.fingerprint: after.fingerprint for before, after in zip(findings, placed, strict=True)}
    return [f if f.caused_by is None else replace(f, caused_by=renamed[f.caused_by]) for f in placed]


def _placed(finding: Finding, experiment: Experiment) -> Finding:
    where = finding.where
    for name in (where.parameter, where.module):
        if name is not None and name in experiment.sources and where.key is None:
            key, location = experiment.sources[name]
            file, line = (None, None) if location is None else (location.file, location.line)
            return replace(finding, where=replace(where, key=key, file=where.file or file, line=where.line or line))
    written = None if where.key is None or where.file is not None else _written_at(where.key, experiment.key_lines)
    return finding if written is None else replace(finding, where=replace(where, file=written.file, line=written.line))


def _written_at(key: str, lines: Mapping[str, Location]) -> Location | None:
    """Where a key stands, or the nearest thing around it when it was not written itself."""
    while key and key not in lines:
        key = key.rpartition(".")[0]
    return lines.get(key)


def _signature(run: Judgement, measured: Measurements, *, interrupted: bool) -> RunInfo:
    experiment, optimisation = run.experiment, measured.get(Optimisation)
    return RunInfo(
        seed=experiment.seed,
        torch=torch.__version__.split("+")[0],
        device=str(experiment.device),
        spec_sha256=experiment.spec_sha256,
        seconds=round(time.perf_counter() - run.started_s, 3),
        deterministic=experiment.device.type == "cpu",
        interrupted=interrupted or (optimisation is not None and optimisation.stopped == "interrupted"),
        assumptions=tuple(experiment.assumptions),
    )


def _fit(measured: Measurements, thresholds: Any, reason_not_run: str | None) -> dict[str, Any]:
    fit = concluded(measured, thresholds).get(FitVerdict)
    if fit is None:
        fit = FitVerdict(status="inconclusive", reason=reason_not_run or "nothing was trained")
    advice = batch_size_advice(measured[Task]) if Task in measured else ()
    return {"fit_status": fit.status, "fit": encode(fit), "advice": advice}
