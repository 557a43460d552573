"""Trials: a rate is trained with for a while, and the loss evaluated before and after says what it was worth."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dltool.core.measured.lr_find import Ended, LrTrial, Stage
from dltool.diagnostics.rate.candidates import CLOSE_RATIO, SPREAD, Candidate, two_digits
from dltool.diagnostics.rate.runs import Runs
from dltool.training.evaluate import Evaluation
from dltool.training.experiment import BatchSource, Experiment

FEWEST_STEPS = 100
"""A trial is an epoch, but of small data no fewer steps than this: in five steps the highest rate wins that survives."""

LONGER = 3
"""The best are tried again, this many times longer: short runs favour rates that are too high (Wu et al. 2018,
"Understanding short-horizon bias in stochastic meta-optimization")."""

FINER = math.sqrt(SPREAD[-1])
"""Factor between the rates of the longer trials."""

MOST_LONG_TRIALS = 6
AS_GOOD_RATIO = 0.99
"""Share of the best gain from which on two trials differ by luck rather than by their rates."""

BLOWN_UP_RATIO = 1e3
"""A trial ends when its loss has risen by this many times the loss at the start or its scatter, whichever is more."""

CLEAR_ERRORS = 3.0
"""Standard errors of the paired difference of the evaluated blocks that a gain must exceed."""
SMALLEST_SPREAD_RATIO = 1e-2
SMALLEST_LOSS_RATIO = 1e-6
"""Gains below this share of the scatter between blocks, or of the loss, are no learning, however regular they are."""


@dataclass(frozen=True, slots=True)
class Length:
    """Optimizer steps of the two kinds of trials."""

    short: int
    long: int


def trial_length(experiment: Experiment, asked: int | None) -> Length:
    """An epoch (``FEWEST_STEPS`` at least), or the steps asked for, and three times that; never longer than the run."""
    epoch = math.ceil(len(experiment.train) / experiment.settings.accumulate)
    planned = experiment.settings.epochs * epoch
    if asked is not None:
        return Length(asked, max(asked, min(LONGER * asked, planned)))
    short = min(planned, max(epoch, FEWEST_STEPS))
    return Length(short, min(planned, LONGER * short))


class Trials:
    """Tries rates, and keeps what became of them."""

    def __init__(self, runs: Runs, source: BatchSource, samples: int, *, split: Literal["train", "val"]) -> None:
        self.split = split
        self._runs = runs
        self._source = source
        self._samples = samples
        self.start = runs.evaluate(source, samples)
        self.made: list[LrTrial] = []
        self._ends: dict[int, Evaluation] = {}

    def run(self, lr: float, origin: str, stage: Stage, steps: int, *, scheduled: bool = False) -> LrTrial:
        """Train ``steps`` steps from the start at ``lr`` (or under the schedule that has its peak there) and evaluate."""
        limit = BLOWN_UP_RATIO * max(abs(self.start.loss), _scatter(self.start))
        ended: Ended = "finished"
        evaluation = Evaluation(loss=math.nan, blocks=(), block_weights=())
        with self._runs.begin(0, scheduled=scheduled) as walk:
            for done in range(1, steps + 1):
                loss = walk.step(None if scheduled else lr)
                self._runs.pace.advance(loss)
                if not loss - self.start.loss <= limit:
                    ended = "diverged"
                    self._runs.pace.skip(steps - done)
                    break
            taken = walk.steps
            if ended == "finished":
                evaluation = self._runs.evaluate(self._source, self._samples, walk)
        if not math.isfinite(evaluation.loss):
            ended = "diverged"
        trial = LrTrial(
            lr=lr,
            origin=origin,
            stage=stage,
            steps=taken,
            loss=evaluation.loss,
            ended=ended,
        )
        self._ends[len(self.made)] = evaluation
        self.made.append(trial)
        return trial

    def gain(self, trial: LrTrial) -> float:
        """How far the loss fell; minus infinity for a trial that diverged."""
        return self.start.loss - trial.loss if trial.ended == "finished" else -math.inf

    def resolution(self, trial: LrTrial) -> float:
        """The least gain of this trial that is not chance: by the paired differences of the blocks, and not too small."""
        index = next(i for i, one in enumerate(self.made) if one is trial)
        before, after = self.start.blocks, self._ends[index].blocks
        changes = [b - a for b, a in zip(before, after, strict=True)] if len(before) == len(after) else []
        error = statistics.stdev(changes) / math.sqrt(len(changes)) if len(changes) > 1 else 0.0
        least = max(SMALLEST_SPREAD_RATIO * _scatter(self.start), SMALLEST_LOSS_RATIO * abs(self.start.loss))
        return max(CLEAR_ERRORS * error, least)

    def best(self, stage: Stage) -> LrTrial | None:
        """The trial of a stage with the lowest loss, the lower rate of two alike; None where none finished."""
        finished = [t for t in self.made if t.stage == stage and t.ended == "finished"]
        return min(finished, key=lambda t: (t.loss, t.lr), default=None)


def try_short(trials: Trials, wanted: Sequence[Candidate], steps: int) -> LrTrial | None:
    """Every rate that was not tried yet, then on beyond the end of those tried while that end is the best.

    Returns:
        The best, if any finished.
    """
    for one in wanted:
        if not any(near(one.lr, t.lr) for t in trials.made if t.stage == "short"):
            trials.run(one.lr, one.origin, "short", steps)
    for _ in range(len(SPREAD)):
        best = trials.best("short")
        tried = sorted(t.lr for t in trials.made if t.stage == "short")
        if best is None:
            beyond, origin = two_digits(tried[0] * SPREAD[0] ** 2), "below all that diverged"
        elif best.lr == tried[0]:
            beyond, origin = two_digits(best.lr * SPREAD[0]), "below the lowest"
        elif best.lr == tried[-1]:
            beyond, origin = two_digits(best.lr * SPREAD[-1]), "above the highest"
        else:
            break
        trials.run(beyond, origin, "short", steps)
    return trials.best("short")


def refine(trials: Trials, best: LrTrial, steps: int) -> LrTrial:
    """Climb down the loss of longer runs from the best short one, in finer steps, to lower rates first."""

    def long(lr: float) -> float:
        known = next((t for t in trials.made if t.stage == "long" and t.lr == lr), None)
        trial = known or trials.run(lr, "longer", "long", steps)
        return trial.loss if trial.ended == "finished" else math.inf

    here, loss = best.lr, long(best.lr)
    for factor in (1.0 / FINER, FINER):
        moved = False
        while len([t for t in trials.made if t.stage == "long"]) < MOST_LONG_TRIALS:
            further = two_digits(here * factor)
            if not (there := long(further)) < loss:
                break
            here, loss, moved = further, there, True
        if moved:
            break
    return central(trials, "long") or best


def central(trials: Trials, stage: Stage) -> LrTrial | None:
    """Of the trials of a stage that are as good as its best, the one in the middle: the furthest from both cliffs."""
    best = trials.best(stage)
    if best is None or not trials.gain(best) > 0.0:
        return best
    least = trials.gain(best) * AS_GOOD_RATIO
    good = [t for t in trials.made if t.stage == stage and trials.gain(t) >= least]
    middle = statistics.fmean([math.log(t.lr) for t in good])
    return min(good, key=lambda t: (round(abs(math.log(t.lr) - middle), 6), t.lr))  # too high costs more than too low


def expected_steps(wanted: int, length: Length) -> int:
    """Steps that the trials will take, about: one beyond the end, three longer ones, and that of the target's own rate."""
    return (wanted + 2) * length.short + 3 * length.long


def _scatter(evaluation: Evaluation) -> float:
    """Standard deviation between the blocks; 0 where there are too few to tell."""
    return statistics.stdev(evaluation.blocks) if len(evaluation.blocks) > 1 else 0.0


def near(a: float, b: float) -> bool:
    """Whether training hardly tells two rates apart."""
    return max(a, b) <= CLOSE_RATIO * min(a, b)
