"""How a factory's model is to be trained, read off its optimizer, schedule and batches."""

from __future__ import annotations

from typing import Any

from dltool.core.measured.design import Plan, Samples
from dltool.training.experiment import Experiment


def plan_of_code(experiment: Experiment, samples: Samples) -> Plan:
    """The plan as far as code says it: how many epochs it does not, and what dltool would take is no choice of the user's.

    ``lr`` is the highest of the parameter groups; of a one-cycle schedule its peak.
    """
    optimizer, settings = experiment.optimizer, experiment.settings
    groups: list[dict[str, Any]] = [] if optimizer is None else [dict(group) for group in optimizer.param_groups]
    batch_size = experiment.train.batch_size
    return Plan(
        optimizer=None if optimizer is None else type(optimizer).__name__.lower(),
        lr=_highest(groups, ("max_lr", "lr")),
        momentum=_highest(groups, ("momentum",)),
        weight_decay=_highest(groups, ("weight_decay",)),
        l1=settings.regularisation.l1,
        l2=settings.regularisation.l2,
        max_norm=settings.regularisation.max_norm,
        clip_norm=settings.clip_norm,
        clip_value=settings.clip_value,
        schedule=None if experiment.schedule is None else experiment.schedule.name.lower(),
        steps_per_epoch=-(-len(experiment.train) // settings.accumulate),
        batch_size=batch_size,
        full_batch=len(experiment.train) == 1 and experiment.train.samples == batch_size,
        shuffle=False if samples.sorted_by_target else None,
        precision=settings.precision,
    )


def _highest(groups: list[dict[str, Any]], names: tuple[str, ...]) -> float | None:
    """The largest number that a group has under the first of ``names`` that it has."""
    found = [next((group[name] for name in names if name in group), None) for group in groups]
    return max((float(value) for value in found if value is not None), default=None)
