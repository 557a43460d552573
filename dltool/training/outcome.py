"""What a run of the loop leaves behind, beside the trained model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from dltool.core.measured.training import History, LossTrace, Optimisation
from dltool.training.experiment import Experiment
from dltool.training.step_clock import StepClock

Stopped = Literal["finished", "early-stopping", "non-finite", "interrupted", "timeout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOutcome:
    """The measurements of the loop itself, and the best weights; the last weights are in the model.

    ``best_weights`` are CPU tensors by their ``state_dict`` name, none before the first evaluation. ``skipped_steps`` are
    those that a gradient scaler left out; ``remeasured_every`` is the interval, in epochs, at which the training loss was
    measured again, on ``remeasured_samples`` of its split (None: all of them); ``resumed_at`` is the step at which a resumed
    run took up. ``clock`` timed the steps since then.
    """

    history: History
    optimisation: Optimisation
    loss_trace: LossTrace
    steps_planned: int
    steps_per_epoch: int
    skipped_steps: int
    remeasured_every: int
    remeasured_samples: int | None
    resumed_at: int | None
    best_weights: Mapping[str, Tensor]
    clock: StepClock = field(default_factory=StepClock)

    @property
    def stopped(self) -> Stopped:
        """Why training ended."""
        return self.optimisation.stopped


def describe_optimisation(
    experiment: Experiment, *, clipped_steps: int, steps: int, epochs_run: int, stopped: Stopped
) -> Optimisation:
    """The Optimisation section; without an optimizer its name is "none" and its numbers are 0."""
    settings = experiment.settings
    optimizer = experiment.optimizer
    group = optimizer.param_groups[0] if optimizer is not None else {}
    return Optimisation(
        optimizer="none" if optimizer is None else type(optimizer).__name__.lower(),
        lr=_lr_as_set(experiment),
        momentum=float(group.get("momentum", group.get("betas", (0.0,))[0])),
        weight_decay=float(group.get("weight_decay", 0.0)),
        l1=settings.regularisation.l1,
        l2=settings.regularisation.l2,
        max_norm=settings.regularisation.max_norm,
        clip_norm=settings.clip_norm,
        clip_value=settings.clip_value,
        clipped_steps=clipped_steps,
        steps=steps,
        epochs_planned=settings.epochs,
        epochs_run=epochs_run,
        schedule=None if experiment.schedule is None else experiment.schedule.name,
        precision=settings.precision,
        accumulate=settings.accumulate,
        stopped=stopped,
    )


def _lr_as_set(experiment: Experiment) -> float:
    """A schedule overwrites the group's rate; torch's own keep it as ``initial_lr``, every optimizer in ``defaults``."""
    if experiment.optimizer is None:
        return 0.0
    group = experiment.optimizer.param_groups[0]
    now = group.get("lr", 0.0)
    return float(
        now if experiment.schedule is None else group.get("initial_lr", experiment.optimizer.defaults.get("lr", now))
    )
