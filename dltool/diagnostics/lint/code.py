"""A factory's model judged by the same rules: it is built, traced, and not trained."""

from __future__ import annotations

import time

from dltool.core.measurements import Measurements
from dltool.core.report import Report
from dltool.diagnostics.judgement import Judgement, judge_run
from dltool.diagnostics.lint.of_code import design_of_experiment
from dltool.diagnostics.lint.options import LintOptions
from dltool.specs.target import open_target


def lint_code(target: str, options: LintOptions) -> Report:
    """The report of ``file.py:factory`` or ``package.module:factory``. Naming it is consent to run it.

    Raises:
        UserError: a factory that cannot be called, or overrides, which are for specs.
    """
    started_s = time.perf_counter()
    experiment = open_target(target, overrides=options.overrides, seed=options.seed)
    judgement = Judgement("lint", experiment, select=options.select, ignore=options.ignore, started_s=started_s)
    return judge_run(judgement, Measurements(design_of_experiment(experiment)))
