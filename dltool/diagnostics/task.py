"""The Task section: what is to be learnt, as seen from the built experiment and a sample of its training targets."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dltool.core.measured.task import Task
from dltool.data.target_statistics import MOST_CLASSES
from dltool.diagnostics.example import example
from dltool.training.experiment import BatchSource, Experiment

MOST_TARGETS = 20_000
"""Samples that the statistics of the targets are taken from, at the most."""


def describe_task(experiment: Experiment) -> Task:
    """Sum up kind, sizes and target statistics."""
    outputs = _outputs(experiment)
    train, val = experiment.train, experiment.val
    targets = _targets(train)
    numbers = None if targets is None or not targets.is_floating_point() else targets.double()
    labels = targets if experiment.task == "classification" and targets is not None and numbers is None else None
    modules = list(experiment.model.modules())
    return Task(
        kind=experiment.task,
        loss=experiment.criterion.name,
        loss_terms=tuple(experiment.criterion.terms),
        outputs=outputs,
        train_samples=train.samples,
        val_samples=None if val is None else val.samples,
        batch_size=train.batch_size,
        full_batch=len(train) == 1,
        steps_per_epoch=-(-len(train) // experiment.settings.accumulate),
        class_counts=None if labels is None else _count(labels, outputs),
        target_mean=None if numbers is None else float(numbers.mean()),
        target_std=None if numbers is None else float(numbers.std(correction=0)),
        target_min=None if numbers is None else float(numbers.min()),
        target_max=None if numbers is None else float(numbers.max()),
        per_element=labels is not None and labels.ndim > 1,
        dropout=any(isinstance(m, nn.modules.dropout._DropoutNd) and m.p > 0 for m in modules),  # noqa: SLF001
        augmented=bool((experiment.spec or {}).get("data", {}).get("augment")),
        batch_norm=any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in modules),  # noqa: SLF001
    )


def _outputs(experiment: Experiment) -> int | None:
    """Scores or values that the model returns for a sample, a pixel or a time step; None for nested outputs."""
    if experiment.facts is not None:
        return experiment.facts.outputs
    shown = example(experiment)
    output = None if shown is None else shown[1]
    if not isinstance(output, Tensor) or not output.ndim:
        return None
    return 1 if output.ndim == 1 else output.shape[1]


def _targets(source: BatchSource) -> Tensor | None:
    parts = [batch.target for batch in source.fixed(limit=MOST_TARGETS)]
    if not parts or not all(isinstance(part, Tensor) and part.numel() for part in parts):
        return None
    if parts[0].ndim > 1:  # padded sequences: batches differ in length
        return torch.cat([part.flatten() for part in parts]).unsqueeze(1)
    return torch.cat(parts)


def _count(labels: Tensor, outputs: int | None) -> tuple[int, ...] | None:
    valid = labels[labels >= 0].flatten()
    if valid.numel() and int(valid.max()) >= MOST_CLASSES:
        return None
    return tuple(int(count) for count in torch.bincount(valid.long(), minlength=outputs or 0))
