"""What is to be learnt: the task, what was seen of its data, and what the model returns for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from dltool.core.measurements import Section

TaskKind = Literal["classification", "binary", "regression", "other"]


@dataclass(frozen=True, kw_only=True)
class Task(Section):
    """What is to be learnt, from which data, against which loss."""

    key: ClassVar[str] = "task"
    kind: TaskKind
    loss: str
    loss_terms: tuple[str, ...]
    outputs: int | None
    train_samples: int | None
    val_samples: int | None
    batch_size: int | None
    full_batch: bool
    steps_per_epoch: int
    class_counts: tuple[int, ...] | None = None
    target_mean: float | None = None
    target_std: float | None = None
    target_min: float | None = None
    target_max: float | None = None
    per_element: bool = False
    dropout: bool = False
    augmented: bool = False
    batch_norm: bool = False


@dataclass(frozen=True, kw_only=True)
class Output(Section):
    """What the trained (or starting) model returns on a sample of the data, in eval mode."""

    key: ClassVar[str] = "output"
    final_module: str | None
    final_activation: str | None
    loss_expects: Literal["logits", "probabilities", "log-probabilities", "values", "unknown"]
    rows_sum_to_one: bool | None
    non_negative: bool
    within_unit_interval: bool
    spread_ratio: float | None
    initial_loss: float | None
    expected_initial_loss: float | None


@dataclass(frozen=True, kw_only=True)
class DataProblemRows:
    """Rows of one split that share a fault; ``rows`` are the first few, counted from 0 in that split's source order."""

    split: str
    column: str | None
    count: int
    rows: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class DataFacts(Section):
    """What was seen of the data before training."""

    key: ClassVar[str] = "data"
    non_finite_inputs: tuple[DataProblemRows, ...]
    non_finite_targets: tuple[DataProblemRows, ...]
    label_min: int | None
    label_max: int | None
    labels_present: int | None
    outputs: int | None
    out_of_range: tuple[DataProblemRows, ...]
    input_mean: float | None
    input_std: float | None
    input_min: float | None
    input_max: float | None
    constant_features: tuple[int, ...]
