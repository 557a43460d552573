"""``dltool init-stats``: do signals and gradients survive the depth, before any training."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from dltool.core.errors import Problem, SpecError
from dltool.core.measured.init_stats import LossAtStart
from dltool.core.measurements import Measurements, Section
from dltool.core.report import Report
from dltool.diagnostics.initialisation.batches import start_batches
from dltool.diagnostics.initialisation.candidates import Named, parse
from dltool.diagnostics.initialisation.compare import compare, measurements_needed, refuse_pretrained
from dltool.diagnostics.initialisation.coordinate import SEEDS as WIDTH_SEEDS
from dltool.diagnostics.initialisation.coordinate import coordinate_check
from dltool.diagnostics.initialisation.here import measured, sections
from dltool.diagnostics.initialisation.widths import Varied, vary
from dltool.diagnostics.initialisation.work import Work
from dltool.diagnostics.judgement import Judgement, judge_run
from dltool.diagnostics.task import describe_task
from dltool.diagnostics.train import SPOILERS
from dltool.specs.target import open_target
from dltool.training.experiment import Experiment
from dltool.training.progress import Progress
from dltool.training.stop import StopFlag

DEFAULT_SEEDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class InitStatsOptions:
    """What the command line adds to the target; None leaves the choice to the spec or to the default.

    ``compare`` are candidates (``normal:0.01``), ``widths`` those of the coordinate check, ``seeds`` how many further seeds
    the best candidates are measured on.
    """

    overrides: tuple[str, ...] = ()
    seed: int | None = None
    device: str = "cpu"
    compare: tuple[str, ...] = ()
    widths: tuple[int, ...] = ()
    seeds: int = DEFAULT_SEEDS
    timeout_s: float | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow_import: tuple[str, ...] = ()
    progress: Progress | None = None
    stop: StopFlag | None = None


def run(target: str, options: InitStatsOptions) -> Report:
    """Look at the start of ``target``'s model, which is left as it was, and report.

    Raises:
        UserError: the target, its data, a selector, a candidate or a width that means nothing.
    """
    started_s = time.perf_counter()
    stop = options.stop or StopFlag(options.timeout_s)
    candidates = parse(options.compare)
    _check_widths(options.widths)
    experiment = open_target(
        target, overrides=options.overrides, seed=options.seed, device=options.device, allow_import=options.allow_import
    )
    if candidates:
        refuse_pretrained(experiment)
    varied = None
    if options.widths:
        varied = vary(
            target, options.overrides, experiment.spec, device=options.device, allow_import=options.allow_import
        )  # fmt: skip
    judgement = Judgement("init-stats", experiment, select=options.select, ignore=options.ignore, started_s=started_s)
    facts = experiment.facts
    known: list[Section] = [describe_task(experiment), *([] if facts is None else [facts])]
    before = judge_run(judgement, Measurements(known))
    if any(finding.name in SPOILERS for finding in before.findings):
        return before
    total = 1 + measurements_needed(len(candidates), options.seeds) + len(set(options.widths)) * WIDTH_SEEDS
    with Work(total, options.progress, stop) as work:
        found = _measure(experiment, candidates, options, varied, work)
    return judge_run(judgement, Measurements([*known, *found]), interrupted=stop.reason == "interrupted")


def _measure(
    experiment: Experiment, candidates: Sequence[Named], options: InitStatsOptions, varied: Varied | None, work: Work
) -> list[Section]:
    batches = start_batches(experiment)
    start = measured(experiment, batches)
    found = sections(experiment, batches, start)
    work.one_done()
    if candidates and not work.stopped:
        loss = next(section for section in found if isinstance(section, LossAtStart))
        found.append(compare(experiment, batches, candidates, (start, loss), seeds=options.seeds, work=work))
    if varied is not None and not work.stopped:
        checked = coordinate_check(varied, options.widths, experiment.seed, work)
        found += [] if checked is None else [checked]
    return found


def _check_widths(widths: Sequence[int]) -> None:
    if widths and (len(set(widths)) < 2 or min(widths) < 1):
        raise SpecError(
            Problem(
                message="widths are compared with one another",
                key="--widths",
                value=",".join(map(str, widths)),
                expected="two or more, such as 64,128,256,512",
            )
        )
