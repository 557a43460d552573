"""The batches that every measurement of a start is made on."""

from __future__ import annotations

from dltool.core.errors import DataError, Problem
from dltool.diagnostics.example import placed
from dltool.probes.nested import batch_size, tensors
from dltool.training.experiment import Batch, Experiment

MOST_SAMPLES = 512
"""Enough to prove a unit dead (299 samples that it never fires on bound its rate below 1 %)."""

MOST_VALUES = 1 << 23
"""Input values after which no further batch is taken, so that images do not make it slow."""


def start_batches(experiment: Experiment, limit: int = MOST_SAMPLES) -> list[Batch]:
    """The same samples at every call, in batches of the size that is trained on, on the device.

    Raises:
        DataError: no batch holds two samples, so that nothing can differ between them.
    """
    found: list[Batch] = []
    values = 0
    for batch in experiment.train.fixed(limit, min(limit, experiment.train.batch_size or limit)):
        if (batch_size(batch.input) or 0) < 2:
            continue
        found.append(placed(experiment, batch))
        values += sum(tensor.numel() for tensor in tensors(batch.input))
        if values >= MOST_VALUES:
            break
    if not found:
        raise DataError(Problem(message="no batch holds two samples", expected="batch_size of 2 or more"))
    return found
