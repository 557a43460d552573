"""``dltool train``: does it learn, and if not, what stops it.

The experiment is the training itself, watched by the recorder; afterwards the model is asked what a curve cannot tell. Data
that spoil every run are found before the first step.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from dltool.core.codec import dumps
from dltool.core.measured.speed import Speed
from dltool.core.measurements import Measurements, Section
from dltool.core.report import Report
from dltool.diagnostics.aftermath import examine
from dltool.diagnostics.judgement import Judgement, judge_run
from dltool.diagnostics.kept_spec import write_spec
from dltool.diagnostics.lint.in_training import designed, with_corrections
from dltool.diagnostics.lint.of_code import design_of_experiment
from dltool.diagnostics.machine import machine_of
from dltool.diagnostics.task import MOST_TARGETS, describe_task
from dltool.specs.target import open_target
from dltool.training.experiment import Experiment
from dltool.training.loop import fit
from dltool.training.outcome import FitOutcome
from dltool.training.progress import Progress
from dltool.training.recorder import Recorder
from dltool.training.run_folder import RunFolder
from dltool.training.stop import StopFlag

SPOILERS = frozenset({"non-finite-value", "label-out-of-range", "labels-not-zero-based"})
"""Findings on the data after which a training step can only fail, or ruin the weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """What the command line adds to the target; None leaves the choice to the spec or to the default."""

    overrides: tuple[str, ...] = ()
    seed: int | None = None
    device: str = "cpu"
    epochs: int | None = None
    steps: int | None = None
    timeout_s: float | None = None
    run_dir: str | None = None
    resume: bool = False
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow_import: tuple[str, ...] = ()
    progress: Progress | None = None
    stop: StopFlag | None = None


def run(target: str, options: TrainOptions) -> Report:
    """Train ``target`` under observation and report; the run folder holds the same report.

    Raises:
        UserError: the target, its data, a selector, or a run folder that cannot be written.
    """
    started_s = time.perf_counter()
    stop = options.stop or StopFlag(options.timeout_s)
    experiment = open_target(
        target,
        overrides=options.overrides,
        seed=options.seed,
        device=options.device,
        epochs=options.epochs,
        steps=options.steps,
        allow_import=options.allow_import,
    )
    judgement = Judgement("train", experiment, select=options.select, ignore=options.ignore, started_s=started_s)
    known = [*_known_before(experiment), *designed(target, options.overrides)]
    spoilt = judge_run(judgement, Measurements(known), reason_not_run="training was not started: mend the data first")
    folder = (RunFolder.reopen if options.resume else RunFolder.create)(experiment.name, options.run_dir)
    if not options.resume:
        write_spec(folder, experiment, options.overrides)
    if any(finding.name in SPOILERS for finding in spoilt.findings):
        report = spoilt
    else:
        recorder = Recorder(experiment)
        outcome = fit(
            experiment,
            observers=(recorder,),
            progress=options.progress,
            stop=stop,
            run_folder=folder,
            resume=options.resume,
        )
        if options.resume:  # only now is it certain that this is the run that the folder holds
            write_spec(folder, experiment, options.overrides)
        seen = recorder.sections()
        asked = examine(experiment, outcome, recorder.initial_loss)
        report = judge_run(judgement, Measurements([*known, *_told_by(outcome), _speed(experiment, outcome), *seen, *asked]))
    report = with_corrections(report, options.overrides)
    folder.write_report(dumps(report.to_dict(), indent=2) + "\n")
    return report


def _known_before(experiment: Experiment) -> list[Section]:
    facts = experiment.facts
    task = describe_task(experiment)
    if experiment.spec is None:  # code: what a spec would say is seen from a pass of a few samples
        return [task, *design_of_experiment(experiment, rows=MOST_TARGETS)]
    return [task] if facts is None else [task, facts]


def _told_by(outcome: FitOutcome) -> list[Section]:
    return [outcome.optimisation, outcome.history, outcome.loss_trace]


def _speed(experiment: Experiment, outcome: FitOutcome) -> Speed:
    batch = experiment.train.batch_size
    samples = None if batch is None else batch * experiment.settings.accumulate
    return Speed(
        step_ms=tuple(outcome.clock.step_ms),
        step_cpu_ms=tuple(outcome.clock.step_cpu_ms),
        reference_ms=tuple(outcome.clock.reference_ms),
        batch_samples=samples,
        machine=machine_of(experiment.device),
    )
