"""From measurements to a report: rules judge, findings get their place in the spec, and the run is signed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from dltool.core.codec import encode
from dltool.core.finding import Finding
from dltool.core.measurements import Measurements, Optimisation, Task
from dltool.core.report import Report, RunInfo
from dltool.core.version import VERSION
from dltool.rules.batch_size import batch_size_advice
from dltool.rules.fit_verdict import FitVerdict
from dltool.rules.select import concluded, judge
from dltool.training.experiment import Experiment

IGNORED_HERE = "ignored on the command line"


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
    ignored = dict(experiment.ignored_rules) | dict.fromkeys(run.ignore, IGNORED_HERE)
    thresholds = experiment.rule_thresholds
    findings, checks = judge(measured, select=run.select, ignore=ignored, thresholds=thresholds)
    fit = _fit(measured, thresholds, reason_not_run) if run.command == "train" else {}
    return Report(
        command=run.command,
        target=experiment.target,
        run=_signature(run, measured, interrupted=interrupted),
        tool_version=VERSION,
        findings=tuple(located(findings, experiment)),
        checks=tuple(checks),
        measurements={**fit, **measured.to_dict()},
    )


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
    return finding


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
