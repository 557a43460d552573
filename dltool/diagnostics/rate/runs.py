"""Runs that all begin at one and the same moment, and leave no trace: the steps of ladders and trials."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from dltool.core.errors import TargetError
from dltool.diagnostics.rate.own_rate import Rates
from dltool.training import rng
from dltool.training.evaluate import Evaluation, Evaluator
from dltool.training.experiment import Batch, BatchSource, Experiment
from dltool.training.modes import set_training
from dltool.training.moment import Moment, Position
from dltool.training.observer import StepInfo
from dltool.training.placement import grouped, place_model, placer
from dltool.training.progress import Progress
from dltool.training.schedule import after_step
from dltool.training.step import Stepper
from dltool.training.stop import StopFlag, StopReason

TICK_S = 0.1
"""How often progress is told; nothing that is computed depends on it."""


THROWN_RATIO = 1e3
"""Weights this many times as large as at the start (or as 1) are no outcome of training."""

START = Position(step=0, epoch=0, batch=0)


class StoppedEarlyError(Exception):
    """Ctrl-C or the deadline came between two steps."""

    def __init__(self, reason: StopReason) -> None:
        super().__init__(reason)
        self.reason = reason


class Pace:
    """Counts the steps of all runs together, and tells the progress how fast they go."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._done = self._taken = 0
        self.later = 0
        """Steps that will be expected after those that are."""
        self._started_s = self._told_s = time.monotonic()

    def expect(self, steps: int) -> None:
        """``steps`` more are to come, and ``later`` ones."""
        self._progress.start(self._done + steps + self.later)
        if self._done:
            self._progress.advance(self._done, None, self._rate_per_s)

    def advance(self, loss: float) -> None:
        """One more step is done."""
        self._done += 1
        self._taken += 1
        now_s = time.monotonic()
        if now_s - self._told_s >= TICK_S:
            self._told_s = now_s
            self._progress.advance(self._done, loss, self._rate_per_s)

    def skip(self, steps: int) -> None:
        """``steps`` that were expected are not needed: a run diverged."""
        self._done += steps

    @property
    def _rate_per_s(self) -> float:
        return self._taken / max(time.monotonic() - self._started_s, 1e-9)


class Walk:
    """One run, step by step."""

    def __init__(self, experiment: Experiment, rates: Rates, batches: Iterator[Sequence[Batch]], *, scheduled: bool) -> None:
        self._experiment = experiment
        self._rates = rates
        self._batches = batches
        self._stepper = Stepper(experiment, ())
        self._schedule = experiment.schedule if scheduled else None
        self._size = _largest(experiment.model)
        self.steps = 0

    def step(self, lr: float | None) -> float:
        """Train on the next batch, at the rate ``lr`` or at the schedule's own (None); NaN where that broke the model."""
        if lr is not None:
            self._rates.set(lr)
        try:
            loss = self._stepper.take(StepInfo(self.steps, 0, 0), next(self._batches))
        except TargetError:
            if self.steps == 0 or not self.broken:
                raise
            return math.nan
        self.steps += 1
        after_step(self._schedule, updated=self._stepper.updated)
        return loss

    @property
    def broken(self) -> bool:
        """Whether the weights were thrown far off: a loss that checks its arguments then raises instead of being NaN."""
        return not _largest(self._experiment.model) <= THROWN_RATIO * max(1.0, self._size)


def _largest(model: nn.Module) -> float:
    """The largest weight in absolute value; NaN where one is no number."""
    norms = torch._foreach_norm([p.detach() for p in model.parameters()], torch.inf)  # noqa: SLF001
    return max((norm.item() for norm in norms), key=lambda n: (math.isnan(n), n), default=0.0)


class Runs:
    """Begins runs at the moment it was made in, and evaluates the model as a run left it.

    ``close`` gives everything back as it was found, the precision of the weights included.
    """

    def __init__(self, experiment: Experiment, stop: StopFlag, pace: Pace) -> None:
        self._experiment = experiment
        loaders = [source for source in (experiment.train, experiment.val) if source is not None]
        drawn_from = [generator for source in loaders for generator in getattr(source, "generators", ())]
        self._found = Moment(experiment, START, also=drawn_from)
        self._stop = stop
        self.pace = pace
        self.rates = Rates(experiment)
        self._evaluator = Evaluator(experiment)
        self._place = placer(experiment.device, experiment.settings.precision)
        place_model(experiment)
        self._moment = Moment(experiment, START, also=drawn_from) if experiment.settings.precision == "fp64" else self._found

    @contextmanager
    def begin(self, order: int, *, part: float = 0.0, scheduled: bool = False) -> Iterator[Walk]:
        """A run from the start; afterwards everything is as it was, also after an exception.

        Args:
            order: which of many random orders of the data, dropout masks and augmentations.
            part: how far into an epoch to begin, 0 to 1: a list of batches has one order only.
            scheduled: step the target's own schedule.
        """
        experiment = self._experiment
        self._moment.restore()  # an evaluation may have read from a loader that draws its order
        try:
            with rng.seeded(experiment.seed + order, experiment.device):
                set_training(experiment.model, experiment.kept_in_eval)
                yield Walk(experiment, self.rates, self._batches(order, part), scheduled=scheduled)
        finally:
            self._moment.restore()

    def close(self) -> None:
        """Everything is as it was."""
        self._found.restore()

    def evaluate(self, source: BatchSource, samples: int | None, walk: Walk | None = None) -> Evaluation:
        """The loss on ``samples`` of ``source``, in eval mode; NaN where ``walk`` broke the model."""
        try:
            return self._evaluator(source, samples)
        except TargetError:
            if walk is None or not walk.broken:
                raise
            return Evaluation(loss=math.nan, blocks=(), block_weights=())

    def check(self) -> None:
        """Raise if the search was asked to end."""
        if (reason := self._stop.reason) is not None:
            raise StoppedEarlyError(reason)

    def _batches(self, order: int, part: float) -> Iterator[Sequence[Batch]]:
        train, accumulate = self._experiment.train, self._experiment.settings.accumulate
        start = int(part * len(train)) // accumulate * accumulate
        for epoch in itertools.count(order * 1_000):
            for group in grouped(train.epoch(epoch, start), accumulate):
                self.check()
                yield group if self._place is None else [self._place(batch) for batch in group]
            start = 0
