"""Data that is ready to be trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dltool.core.measured.task import DataFacts, TaskKind
from dltool.training.experiment import BatchSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Class numbers of one split, with the row of every sample in its source."""

    split: str
    rows: NDArray[np.int64]
    values: Tensor | list[Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataBundle:
    """Data that is ready to be trained on, and what is known of it.

    ``input_shape`` is one sample's (for sequences of unequal length with the longest); ``output_size`` the number of
    classes, or of target columns. ``target_*`` are statistics of the training targets as delivered, and a delivered target
    times ``target_scale`` plus ``target_shift`` is the original one. ``labels`` and ``valid_labels`` are what
    ``data.facts.with_outputs`` judges against a model's outputs.
    """

    train: BatchSource
    val: BatchSource | None
    facts: DataFacts
    task: TaskKind
    input_shape: tuple[int, ...]
    output_size: int | None
    class_counts: tuple[int, ...] | None = None
    class_names: tuple[str, ...] | None = None
    target_mean: float | None = None
    target_std: float | None = None
    target_min: float | None = None
    target_max: float | None = None
    target_shift: tuple[float, ...] | None = None
    target_scale: tuple[float, ...] | None = None
    integer_inputs: bool = False
    variable_length: bool = False
    labels: tuple[Labels, ...] = ()
    valid_labels: tuple[int, ...] | None = None
    ignored_label: int = -100
    assumptions: tuple[str, ...] = ()
