"""One small batch and what the model makes of it: how wide the output is, and what shape a constant must have."""

from __future__ import annotations

from dltool.probes.preserve import evaluating
from dltool.training.experiment import Batch, Experiment, Nested
from dltool.training.placement import placer

SAMPLES = 4


def example(experiment: Experiment) -> tuple[Nested, Nested] | None:
    """A few samples' input and the model's output for it, in eval mode; None where there is no batch."""
    for batch in experiment.train.fixed(SAMPLES, SAMPLES):
        given = placed(experiment, batch)
        with evaluating(experiment.model):
            return given.input, experiment.model(given.input)
    return None


def placed(experiment: Experiment, batch: Batch) -> Batch:
    """The batch as the loop would hand it to the model: on the device, in the precision of the run."""
    place = placer(experiment.device, experiment.settings.precision)
    return batch if place is None else place(batch)
