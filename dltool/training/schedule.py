"""How long a run is, and when its learning-rate schedule is stepped: the same for every loop that takes its steps."""

from __future__ import annotations

import math
from typing import Any

from dltool.core.errors import DataError
from dltool.training.experiment import Experiment, Schedule
from dltool.training.failure import explain


def run_length(experiment: Experiment) -> tuple[int, int]:
    """Steps planned in all, and in an epoch.

    Raises:
        DataError: there are no batches to train on.
    """
    settings = experiment.settings
    steps_per_epoch = math.ceil(len(experiment.train) / settings.accumulate)
    if not steps_per_epoch:
        raise DataError("the training split gives no batch")
    length = settings.epochs * steps_per_epoch
    return length if settings.max_steps is None else min(length, settings.max_steps), steps_per_epoch


def after_step(schedule: Schedule | None, *, updated: bool) -> None:
    """Step a schedule that goes by steps, unless a gradient scaler left the step out."""
    if updated and schedule is not None and schedule.unit == "step":
        _step(schedule.scheduler)


def after_epoch(schedule: Schedule | None, loss: float) -> None:
    """Step a schedule that goes by epochs; ``loss`` is for those that need a metric."""
    if schedule is not None and schedule.unit == "epoch":
        _step(schedule.scheduler, *([loss] if schedule.needs_metric else []))


def current_lr(experiment: Experiment) -> float:
    """The learning rate of the first parameter group now."""
    return 0.0 if experiment.optimizer is None else float(experiment.optimizer.param_groups[0].get("lr", 0.0))


def _step(scheduler: Any, *metric: float) -> None:
    """``scheduler.step()``; one that was made for a shorter run raises."""
    try:
        scheduler.step(*metric)
    except Exception as problem:
        raise explain(problem, f"stepping the scheduler, {type(scheduler).__name__}") from problem
