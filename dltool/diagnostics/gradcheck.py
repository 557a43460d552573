"""``dltool gradcheck``: whether the analytic gradients are right.

Autograd's gradients are compared with two-sided differences of the loss, in float64, on a copy of the model: at the
initial weights, and again after a few steps of training where that was asked for.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

from dltool.core.errors import Problem, TargetError, closest
from dltool.core.measured.gradcheck import (
    CheckedInputs,
    CheckedParameters,
    CheckedPoints,
    Culprit,
    Culprits,
    GradientRecord,
)
from dltool.core.measured.non_finite import NonFinite, NonFiniteEvent
from dltool.core.measurements import Measurements, Section
from dltool.core.report import Report
from dltool.diagnostics.gradcheck_estimate import Counter
from dltool.diagnostics.gradcheck_point import groups_of, left_out, own_precision, point_of, precision_cost
from dltool.diagnostics.judgement import Judgement, judge_run
from dltool.probes.gradcheck.check import PointChecked, check_point
from dltool.probes.gradcheck.lifting import double_by_default, single_by_default
from dltool.probes.gradcheck.point import Point
from dltool.probes.nested import batch_size
from dltool.specs.target import open_target
from dltool.training import rng
from dltool.training.experiment import Experiment
from dltool.training.progress import Progress, Silent
from dltool.training.stop import StopFlag
from dltool.training.walk import Walk


@dataclass(frozen=True, slots=True, kw_only=True)
class GradcheckOptions:
    """What the command line adds to the target.

    Attributes:
        full: compare every element of every parameter, not only those of parameters whose projections fail.
        inputs: check the gradient of the loss with respect to the input too.
        after_steps: check again after this many steps of training.
        detached: names of parameters (or modules, or patterns with *) whose gradient is meant to differ.
    """

    overrides: tuple[str, ...] = ()
    seed: int | None = None
    device: str = "cpu"
    full: bool = False
    inputs: bool = False
    after_steps: int = 0
    detached: tuple[str, ...] = ()
    timeout_s: float | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow_import: tuple[str, ...] = ()
    progress: Progress | None = None
    stop: StopFlag | None = None


def run(target: str, options: GradcheckOptions) -> Report:
    """Check the gradients of ``target`` and report; its model is left as it was.

    Raises:
        UserError: the target, its data, a selector, or a name in ``detached`` that no parameter has.
    """
    started_s = time.perf_counter()
    experiment = open_target(
        target,
        overrides=options.overrides,
        seed=options.seed,
        device=options.device,
        steps=options.after_steps or None,
        allow_import=options.allow_import,
    )
    judgement = Judgement("gradcheck", experiment, select=options.select, ignore=options.ignore, started_s=started_s)
    judge_run(judgement, Measurements())  # a rule that does not exist is told before the work, not after it
    sections = examine(experiment, options)
    measured = Measurements(sections)
    stopped = measured[CheckedPoints].stopped
    report = judge_run(judgement, measured, interrupted=stopped == "interrupted")
    steady = all(point.deterministic for point in measured[CheckedPoints].points)
    return report if steady else replace(report, run=replace(report.run, deterministic=False))


def examine(experiment: Experiment, options: GradcheckOptions) -> list[Section]:
    """Check ``experiment`` at every point that was asked for."""
    stop = options.stop or StopFlag(options.timeout_s)
    progress = options.progress or Silent()
    checked: list[PointChecked] = []
    with rng.seeded(experiment.seed, experiment.device), closing(progress), double_by_default():
        point, batch = point_of(experiment, with_inputs=options.inputs)
        skipped = left_out(experiment, point, with_inputs=options.inputs)
        _check_names(options.detached, [*point.leaves, *skipped])
        groups = None if options.full else groups_of(point)
        counter = Counter(point, progress, stop, full=options.full, points=2 if options.after_steps else 1)
        counter.start()
        for steps, here in _points(experiment, options):
            checked.append(
                check_point(
                    here or point,
                    seed=experiment.seed,
                    groups=groups,
                    after_steps=steps,
                    tick=counter.tick,
                    ways=counter.ways if here is None else None,
                )
            )
            if not checked[-1].complete:
                break
        inputs, lifted = frozenset(point.inputs), point.lifted
    costs = precision_cost(experiment, batch)
    records = _records(checked, costs, options.detached)
    stopped: Literal["finished", "interrupted", "timeout"] = "finished"
    if not checked[-1].complete:
        stopped = stop.reason or "interrupted"
    told = CheckedPoints(
        points=tuple(each.point for each in checked),
        samples=batch_size(batch.input) or 1,
        full=options.full,
        lifted=lifted,
        own_precision=own_precision(experiment),
        not_checked=skipped,
        stopped=stopped,
    )
    sections: list[Section] = [
        CheckedParameters(parameters={n: r for n, r in records.items() if n not in inputs}),
        Culprits(culprits=_merged(checked)),
        told,
    ]
    if options.inputs:
        sections.append(CheckedInputs(inputs={n: r for n, r in records.items() if n in inputs}))
    return [*sections, *_not_finite(told)]


def _points(experiment: Experiment, options: GradcheckOptions) -> Iterator[tuple[int, Point | None]]:
    """(steps trained, the point there): the initial one, then the one after training, which is taken back again."""
    yield 0, None
    if not options.after_steps:
        return
    with single_by_default(), Walk(experiment) as walk:
        before = walk.moment()
        try:
            while walk.step < options.after_steps and walk.take(closely=False) is not None:
                pass
            with double_by_default():
                yield walk.step, point_of(experiment, with_inputs=options.inputs)[0]
        finally:
            walk.go_back(before)


def _check_names(patterns: tuple[str, ...], names: list[str]) -> None:
    unknown = [pattern for pattern in patterns if not any(_named(name, pattern) for name in names)]
    modules = {name.rpartition(".")[0] for name in names}
    if unknown:
        raise TargetError(
            *(
                Problem(
                    message="--detached names no parameter",
                    value=repr(pattern),
                    expected="a parameter or module of the model, or a pattern with *",
                    suggestion=closest(pattern, [*names, *modules]),
                )
                for pattern in unknown
            )
        )


def _named(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def _records(
    checked: list[PointChecked], costs: Mapping[str, float], detached: tuple[str, ...]
) -> dict[str, GradientRecord]:
    """Of several points the record of the one where a gradient came out worst."""
    records: dict[str, GradientRecord] = {}
    for each in checked:
        for name, record in each.records.items():
            known = records.get(name)
            if known is None or not record.relative_error <= known.relative_error:
                records[name] = replace(
                    record,
                    after_steps=each.point.after_steps,
                    precision_error=costs.get(name),
                    expected=any(_named(name, pattern) for pattern in detached),
                )
    return records


def _merged(checked: list[PointChecked]) -> tuple[Culprit, ...]:
    """Culprits of all points, each once."""
    found: dict[tuple[str | None, str | None], Culprit] = {}
    for culprit in (culprit for each in checked for culprit in each.culprits):
        key = (culprit.module, culprit.function)
        known = found.get(key)
        if known is None:
            found[key] = culprit
            continue
        names = dict.fromkeys((*known.parameters, *culprit.parameters))
        found[key] = replace(
            known, parameters=tuple(names), relative_error=max(known.relative_error, culprit.relative_error)
        )
    return tuple(found.values())


def _not_finite(told: CheckedPoints) -> list[Section]:
    """A loss that is not finite where it was to be checked is told by the rule for it."""
    events = [
        NonFiniteEvent(phase="loss", step=point.after_steps, value="nan" if math.isnan(point.loss) else "inf", count=1)
        for point in told.points
        if not math.isfinite(point.loss)
    ]
    return [NonFinite(events=tuple(events[:1]))] if events else []
