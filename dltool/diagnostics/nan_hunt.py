"""``dltool nan-hunt``: where does the first NaN or Inf come from."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from dltool.core.codec import dumps
from dltool.core.measured.hunt import Evidence, FirstBadStep, StepsPlanned, StepsRun
from dltool.core.measured.non_finite import NonFinite, NonFiniteEvent
from dltool.core.measurements import Measurements, Section
from dltool.core.report import Report
from dltool.diagnostics.hunt.code import line_of
from dltool.diagnostics.hunt.evidence import write_evidence
from dltool.diagnostics.hunt.examine import first_guilty
from dltool.diagnostics.hunt.fix_check import try_fixes
from dltool.diagnostics.hunt.inputs import pass_inputs
from dltool.diagnostics.judgement import Judgement, judge_run
from dltool.diagnostics.kept_spec import write_spec
from dltool.specs.target import SPEC_SUFFIXES, open_target
from dltool.training.experiment import Experiment
from dltool.training.patrol import Patrol
from dltool.training.progress import Progress
from dltool.training.run_folder import RunFolder
from dltool.training.stop import StopFlag

DEFAULT_STEPS = 100
"""Of a factory, which does not say how long to train; a spec does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NanHuntOptions:
    """What the command line adds to the target; None leaves the choice to the spec or to the default."""

    overrides: tuple[str, ...] = ()
    seed: int | None = None
    device: str = "cpu"
    steps: int | None = None
    inputs_only: bool = False
    snapshot_every: int | None = None
    fix_check: bool = False
    timeout_s: float | None = None
    run_dir: str | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow_import: tuple[str, ...] = ()
    progress: Progress | None = None
    stop: StopFlag | None = None


def run(target: str, options: NanHuntOptions) -> Report:
    """Hunt for the first NaN or Inf of ``target`` and report; the run folder holds the same report.

    Raises:
        UserError: the target, its data, a selector, or a run folder that cannot be written.
    """
    started_s = time.perf_counter()
    stop = options.stop or StopFlag(options.timeout_s)
    steps = options.steps or (None if target.endswith(SPEC_SUFFIXES) else DEFAULT_STEPS)
    experiment = open_target(
        target,
        overrides=options.overrides,
        seed=options.seed,
        device=options.device,
        steps=steps,
        allow_import=options.allow_import,
        try_first=options.inputs_only,
    )
    judgement = Judgement("nan-hunt", experiment, select=options.select, ignore=options.ignore, started_s=started_s)
    judge_run(judgement, Measurements())  # a selector that means nothing is told before the work
    folder = RunFolder.create(experiment.name, options.run_dir)
    write_spec(folder, experiment, options.overrides)
    if options.inputs_only:
        found = _from_inputs(experiment, options, stop)
    else:
        found = _from_steps(experiment, options, stop, folder)
    report = judge_run(judgement, Measurements(found), interrupted=stop.reason == "interrupted")
    if options.inputs_only:
        report = _unrelated(report)
    folder.write_report(dumps(report.to_dict(), indent=2) + "\n")
    return report


def _from_steps(experiment: Experiment, options: NanHuntOptions, stop: StopFlag, folder: RunFolder) -> list[Section]:
    with Patrol(experiment, snapshot_every=options.snapshot_every, progress=options.progress, stop=stop) as patrol:
        guilty = first_guilty(patrol)
        sections: list[Section] = [
            StepsRun(steps=patrol.steps_run),
            StepsPlanned(steps=patrol.walk.steps_planned),
            FirstBadStep(step=None if guilty is None else guilty.caught.step),
            patrol.guarding(),
            NonFinite(events=() if guilty is None else (_with_code(guilty.event),)),
        ]
        if guilty is None:
            return sections
        sections.append(guilty.caught.lead_up)
        if options.fix_check:
            sections.append(try_fixes(guilty.caught, guilty.event))
        sections.append(Evidence(folder=write_evidence(folder, guilty.caught, guilty.event).as_posix()))
        guilty.caught.leave()
    return sections


def _from_inputs(experiment: Experiment, options: NanHuntOptions, stop: StopFlag) -> list[Section]:
    bad, events = pass_inputs(experiment, progress=options.progress, stop=stop)
    return [
        StepsRun(steps=bad.batches_passed),
        StepsPlanned(steps=len(experiment.train)),
        FirstBadStep(step=events[0].step if events else None),
        bad,
        NonFinite(events=events),
    ]


def _with_code(event: NonFiniteEvent) -> NonFiniteEvent:
    return replace(event, code=line_of(event.file, event.line))


def _unrelated(report: Report) -> Report:
    """No finding because of another: every batch was passed on its own."""
    return replace(report, findings=tuple(replace(finding, caused_by=None) for finding in report.findings))
