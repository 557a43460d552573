"""The pass at the end of a run: which units are dead or saturated with the weights as they are now, in eval mode."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from dltool.probes.activations import IdleCounts, Network
from dltool.probes.finite import is_finite
from dltool.probes.gates import GateCounts
from dltool.probes.nested import batch_size
from dltool.probes.preserve import evaluating
from dltool.training.experiment import Experiment
from dltool.training.placement import placer

LARGEST_BATCH = 256
LARGEST_BATCH_RATIO = 8
"""Without gradients a forward keeps two layers' activations where training keeps them all: eight times the samples fit."""


@dataclass(frozen=True, slots=True)
class Audit:
    """Counts by place and by recurrent module; ``all_samples`` when they cover the whole training split."""

    idle: IdleCounts
    gates: GateCounts
    all_samples: bool


def audit_batch_size(training: int) -> int:
    """Samples in a batch of the pass, given those of a training batch: fewer, larger batches cost less."""
    return max(training, min(LARGEST_BATCH, LARGEST_BATCH_RATIO * training))


def audit(
    experiment: Experiment, network: Network, limit: int, precision: Callable[[], AbstractContextManager[object]]
) -> Audit:
    """Count over at most ``limit`` unaugmented training samples.

    A model with weights that are not finite is not run: its units would tell nothing.
    """
    idle, gates = IdleCounts(network), GateCounts(network.modules)
    if not is_finite([parameter.detach() for parameter in experiment.model.parameters()]):
        return Audit(idle, gates, all_samples=False)
    source = experiment.train
    size = audit_batch_size(source.batch_size or 32)
    place = placer(experiment.device, experiment.settings.precision)
    seen = 0
    with evaluating(experiment.model), precision():
        for batch in source.fixed(limit, size):
            inputs = (batch if place is None else place(batch)).input
            samples = batch_size(inputs) or 1
            if not network.places:
                with network.learning_places(samples):
                    experiment.model(inputs)
            with idle.counting(samples), gates.counting():
                experiment.model(inputs)
            seen += samples
            if seen >= limit:
                break
    return Audit(idle, gates, all_samples=source.samples is not None and seen >= source.samples)
