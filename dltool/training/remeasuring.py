"""On which epochs the training loss is measured again in eval mode, decided from sizes and never from the clock.

Work is counted in forward passes of the same model: a step is three of them (the forward, and a backward of twice its
work), so an epoch is 3 · F(steps, samples) with F(batches, samples) = batches · operators · C + samples · FLOP per sample,
where C is what calling an operator costs (``forward_work.OPERATOR_FLOPS``). Measuring the sample again is F(its batches, its
samples). Every k-th epoch costs that divided by k, so that

    k = ceil(F(measured) / (SHARE · overhead · 3 · F(epoch))).

The first epoch, the last and the best are measured whatever k says: they are three, however long the run is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dltool.training.evaluate import Evaluator
from dltool.training.experiment import Experiment
from dltool.training.forward_work import ForwardWork, measure

SHARE = 0.4
"""The part of ``watch.overhead`` that re-measuring may take; the recorder's looks have the rest."""
FEWEST_SAMPLES = 256
STEP_IN_FORWARDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Remeasuring:
    """``samples`` of the training split (None: all that its source gives) every ``every`` epochs."""

    samples: int | None
    every: int

    def due(self, epoch: int) -> bool:
        """Whether the training loss is measured after this epoch even if it is neither the last nor the best."""
        return epoch % self.every == 0


def plan(experiment: Experiment, evaluator: Evaluator) -> Remeasuring:
    """Decide for one run; costs one evaluated batch."""
    train, val = experiment.train, experiment.val
    val_samples = (val.samples or 0) if val is not None else 0
    wanted = max(val_samples, FEWEST_SAMPLES)
    samples = wanted if train.samples is None else min(train.samples, wanted)
    work = measure(evaluator, train)
    size = evaluator.batch_size(train) or 1
    every = interval(
        work,
        epoch_batches=len(train),
        epoch_samples=train.samples or len(train) * size,
        measured_batches=math.ceil(samples / size),
        measured_samples=samples,
        overhead=experiment.settings.watch_overhead,
    )
    return Remeasuring(samples=samples, every=every)


def interval(
    work: ForwardWork,
    *,
    epoch_batches: int,
    epoch_samples: int,
    measured_batches: int,
    measured_samples: int,
    overhead: float,
) -> int:
    """The k of the formula above; with no overhead allowed, an interval that no run reaches."""
    if not overhead > 0:
        return 2**31
    measured = work.flops(measured_batches, measured_samples)
    epoch = STEP_IN_FORWARDS * work.flops(epoch_batches, epoch_samples)
    return max(1, math.ceil(measured / (SHARE * overhead * epoch)))
