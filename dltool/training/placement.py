"""Model and batches to the device they are trained on; batches by step, and how many samples they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Literal

import torch
from torch import Tensor

from dltool.probes.nested import batch_size, place
from dltool.training.experiment import Batch, Experiment, Nested


def placer(device: torch.device, precision: Literal["fp32", "bf16", "fp64"]) -> Callable[[Batch], Batch] | None:
    """What brings a CPU batch to ``device`` (under fp64 its floats become doubles), or None where it is good as it is."""
    dtype = torch.float64 if precision == "fp64" else None
    if device.type == "cpu" and dtype is None:
        return None
    return lambda batch: Batch(place(batch.input, device, dtype), place(batch.target, device, dtype))


def place_model(experiment: Experiment) -> None:
    """The model to its device, in doubles under fp64."""
    dtype = torch.float64 if experiment.settings.precision == "fp64" else None
    experiment.model.to(device=experiment.device, dtype=dtype)


def grouped(batches: Iterator[Batch], size: int) -> Iterator[Sequence[Batch]]:
    """The batches of one step each: ``size`` of them, fewer at the end of an epoch."""
    while group := list(islice(batches, size)):
        yield group


def samples_in(value: Nested) -> int:
    """Length of the first dimension of the first tensor that has one; 1 where there is none."""
    if isinstance(value, Tensor) and value.ndim:
        return value.shape[0]
    return batch_size(value) or 1
