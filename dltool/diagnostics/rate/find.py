"""The search: climb, read the ladders, try what they suggest, and answer; the experiment is left as it was."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from dltool.core.errors import DataError
from dltool.core.measured.lr_find import (
    Curve,
    LrAnswer,
    LrDecades,
    LrRange,
    LrTrials,
    OwnLr,
    SuggestedLr,
)
from dltool.core.measurements import Section
from dltool.diagnostics.rate.answer import Answer, answer, decades, graded
from dltool.diagnostics.rate.candidates import candidates, to_try
from dltool.diagnostics.rate.climbs import climb_all, curve, diverged_at
from dltool.diagnostics.rate.ladder import RUNGS, Climb
from dltool.diagnostics.rate.runs import Pace, Runs, StoppedEarlyError
from dltool.diagnostics.rate.trials import Length, Trials, central, expected_steps, refine, trial_length, try_short
from dltool.training.experiment import Experiment
from dltool.training.progress import Progress
from dltool.training.step import needs_closure
from dltool.training.stop import StopFlag, StopReason

LEAST_SAMPLES = 512
"""Samples that a trial is judged on, where there are as many."""

USUALLY_TRIED = 8
"""Rates that ladders have tried, about: for the time left before they are climbed."""

MEANINGLESS = "this optimizer searches along the line itself, again and again within a step: it has no learning rate in the \
sense of a range test"


@dataclass(slots=True)
class Search:
    """What a search has found so far, and why it ended early if it did."""

    length: Length = field(default_factory=lambda: Length(0, 0))
    climbs: list[Climb] = field(default_factory=list)
    trials: Trials | None = None
    own: OwnLr | None = None
    answer: Answer = field(default_factory=lambda: Answer("unfinished", "the search was ended before a rate was tried"))
    ended: StopReason | None = None

    def sections(self) -> list[Section]:
        """The measurements of the report."""
        points, apart, said = curve(self.climbs), diverged_at(self.climbs), self.answer
        made = [] if self.trials is None else graded(self.trials)
        sections: list[Section] = [
            SuggestedLr(lr=said.lr),
            LrRange(ends=said.ends),
            LrAnswer(
                outcome=said.outcome,
                reason=said.reason,
                advice=said.advice,
                diverged_at=apart,
                ladders=len(self.climbs),
                ladder_steps=RUNGS,
                trial_steps=self.length.short,
                long_steps=self.length.long,
            ),
            Curve(points=points),
            LrDecades(decades=decades(points, made, apart)),
        ]
        return sections + list(self._tried())

    def _tried(self) -> Iterator[Section]:
        trials = self.trials
        if trials is not None:
            yield LrTrials(
                split=trials.split,
                samples=trials.start.samples,
                start_loss=trials.start.loss,
                resolution=max((trials.resolution(t) for t in trials.made if t.ended == "finished"), default=0.0),
                trials=tuple(graded(trials)),
            )
        if self.own is not None:
            yield self.own


def find(experiment: Experiment, *, trial_steps: int | None, progress: Progress, stop: StopFlag) -> Search:
    """Search for the learning rate of ``experiment``, which is left bit for bit as it was.

    Raises:
        TargetError: the model, its loss or its optimizer raised.
        DataError: there are no batches to train on.
    """
    search = Search()
    optimizer = experiment.optimizer
    if optimizer is None:
        search.answer = Answer("nothing-to-train", "no parameter is trainable: there is no rate to look for")
        return search
    if needs_closure(optimizer):
        name = type(optimizer).__name__
        search.answer = Answer(
            "meaningless",
            f"{name}: {MEANINGLESS}",
            advice=("leave the rate at 1 with a strong_wolfe line search, or choose sgd or adam to have one to look for",),
        )
        return search
    if not len(experiment.train):
        raise DataError("the training split gives no batch")
    runs = Runs(experiment, stop, Pace(progress))
    try:
        _search(search, runs, experiment, trial_steps)
    except StoppedEarlyError as stopped:
        search.ended = stopped.reason
        _answer_early(search)
    finally:
        runs.close()
        progress.close()
    return search


def _search(search: Search, runs: Runs, experiment: Experiment, trial_steps: int | None) -> None:
    search.length = length = trial_length(experiment, trial_steps)
    trained_on = length.short * experiment.settings.accumulate * (experiment.train.batch_size or 1)
    most = max(LEAST_SAMPLES, trained_on)
    trials = (
        Trials(runs, experiment.train, most, split="train")
        if experiment.val is None
        else Trials(runs, experiment.val, most, split="val")
    )
    search.trials = trials
    if not math.isfinite(trials.start.loss):
        search.answer = Answer(
            "not-finite",
            f"the loss is {trials.start.loss} before any step: no rate can mend that",
            advice=("find where the first NaN or Inf comes from (dltool nan-hunt)",),
        )
        return
    runs.pace.later = expected_steps(USUALLY_TRIED, length)
    climb_all(runs, search.climbs)
    wanted = to_try(candidates(search.climbs))
    runs.pace.later = 0
    runs.pace.expect(expected_steps(len(wanted), length))
    _try_own(search, runs, experiment)
    best = try_short(trials, wanted, length.short)
    if best is not None and trials.gain(best) > trials.resolution(best):
        best = refine(trials, best, length.long) if length.long > length.short else central(trials, "short")
    search.answer = answer(trials, best)


def _try_own(search: Search, runs: Runs, experiment: Experiment) -> None:
    """The rate that the target has, trained with just as the target would begin to."""
    assert search.trials is not None
    own, schedule, steps = runs.rates.own, experiment.schedule, search.length.short
    if not own > 0.0:
        return
    by_step = schedule is not None and schedule.unit == "step"
    trial = search.trials.run(own, "the target's own", "own" if by_step else "short", steps, scheduled=by_step)
    per_epoch = -(-len(experiment.train) // experiment.settings.accumulate)
    search.own = OwnLr(
        lr=own,
        optimizer=type(experiment.optimizer).__name__.lower(),
        schedule=None if schedule is None else schedule.name,
        scheduled=by_step,
        planned_ratio=max(1.0, experiment.settings.epochs * per_epoch / steps),
        loss=trial.loss,
        ended=trial.ended,
    )


def _answer_early(search: Search) -> None:
    """The best of what was tried until the search was ended."""
    trials = search.trials
    best = None if trials is None else central(trials, "long") or central(trials, "short")
    if trials is not None and best is not None and trials.gain(best) > trials.resolution(best):
        search.answer = answer(trials, best)
