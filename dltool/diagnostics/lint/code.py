"""A factory's model judged by the same rules: it is built, traced, and not trained."""

from __future__ import annotations

import time
from dataclasses import replace

from dltool.core.errors import TargetError
from dltool.core.finding import Severity
from dltool.core.measured.design import Architecture
from dltool.core.measurements import Measurements
from dltool.core.report import Report
from dltool.diagnostics.judgement import Judgement, judge_run
from dltool.diagnostics.lint.of_code import design_of_experiment
from dltool.diagnostics.lint.options import LintOptions
from dltool.specs.target import open_target
from dltool.training.experiment import Experiment


def lint_code(target: str, options: LintOptions) -> Report:
    """The report of ``file.py:factory`` or ``package.module:factory``. Naming it is consent to run it.

    Where the loss raises on the first batch, an error of the design that was found tells why.

    Raises:
        UserError: a factory that cannot be called, whose model or loss raises for no reason found, or overrides, which are
            for specs.
    """
    started_s = time.perf_counter()
    try:
        experiment = open_target(target, overrides=options.overrides, seed=options.seed)
    except TargetError as failure:
        return _untried(target, options, failure, started_s)
    return _judged(experiment, options, started_s)


def _untried(target: str, options: LintOptions, failure: TargetError, started_s: float) -> Report:
    experiment = open_target(target, overrides=options.overrides, seed=options.seed, try_first=False)
    raised = tuple(f"The first batch fails: {problem.message}" for problem in failure.problems)
    report = _judged(replace(experiment, assumptions=(*experiment.assumptions, *raised)), options, started_s)
    followed = Architecture.key in report.measurements
    if not (followed and any(finding.severity is Severity.ERROR for finding in report.findings)):
        raise failure
    return report


def _judged(experiment: Experiment, options: LintOptions, started_s: float) -> Report:
    judgement = Judgement("lint", experiment, select=options.select, ignore=options.ignore, started_s=started_s)
    return judge_run(judgement, Measurements(design_of_experiment(experiment)))
