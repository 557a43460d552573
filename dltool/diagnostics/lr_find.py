"""``dltool lr-find``: the learning rate that trains best, and the range around it.

The rate is searched for on the target as it is given: its data, loss, optimizer, clipping and penalties. Data that spoil
every run are found first.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from dltool.core.measured.lr_find import Curve, LrAnswer, LrRange, SuggestedLr
from dltool.core.measurements import Measurements, Section
from dltool.core.report import Report
from dltool.diagnostics.judgement import Judgement, judge_run
from dltool.diagnostics.rate.find import find
from dltool.diagnostics.task import describe_task
from dltool.diagnostics.train import SPOILERS
from dltool.specs.target import open_target
from dltool.training.progress import Progress, Silent
from dltool.training.stop import StopFlag


@dataclass(frozen=True, slots=True, kw_only=True)
class LrFindOptions:
    """What the command line adds to the target; None leaves the choice to the spec or to the default.

    ``steps`` is the length of a short trial: an epoch, and of small data 100 steps, where it is None.
    """

    overrides: tuple[str, ...] = ()
    seed: int | None = None
    device: str = "cpu"
    steps: int | None = None
    timeout_s: float | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow_import: tuple[str, ...] = ()
    progress: Progress | None = None
    stop: StopFlag | None = None


def run(target: str, options: LrFindOptions) -> Report:
    """Find the learning rate of ``target`` and report.

    Raises:
        UserError: the target, its data, its optimizer (it has no rate), or a selector.
    """
    started_s = time.perf_counter()
    stop = options.stop or StopFlag(options.timeout_s)
    experiment = open_target(
        target,
        overrides=options.overrides,
        seed=options.seed,
        device=options.device,
        allow_import=options.allow_import,
    )
    judgement = Judgement("lr-find", experiment, select=options.select, ignore=options.ignore, started_s=started_s)
    facts = experiment.facts
    known: list[Section] = [describe_task(experiment), *([] if facts is None else [facts])]
    spoilt = [f for f in judge_run(judgement, Measurements(known)).findings if f.name in SPOILERS]
    if spoilt:
        reason = f"the search was not begun: mend the data first ({spoilt[0].name})"
        nothing = [SuggestedLr(lr=None), LrRange(ends=None), LrAnswer(outcome="unfinished", reason=reason), Curve(points=())]
        return judge_run(judgement, Measurements([*known, *nothing]))
    search = find(experiment, trial_steps=options.steps, progress=options.progress or Silent(), stop=stop)
    return judge_run(judgement, Measurements([*known, *search.sections()]), interrupted=search.ended == "interrupted")
