"""What a TARGET becomes: everything the loop needs, already built, whether from a spec or from a factory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from dltool.core.errors import Location
from dltool.core.measured.task import DataFacts, TaskKind
from dltool.core.suppression import Order, Suppression

Nested = Any
"""A tensor, or a nested tuple, list or dict of tensors: inputs, targets and outputs."""


class Batch(NamedTuple):
    """One batch: the model is called as ``model(input)``, the loss as ``criterion(output, target)``."""

    input: Nested
    target: Nested


class BatchSource(Protocol):
    """Batches of one split, in an order that (seed, epoch) decides and nothing else: what makes a run resumable."""

    @property
    def samples(self) -> int | None:
        """Samples in an epoch, or None when the source cannot tell."""

    @property
    def batch_size(self) -> int | None:
        """Samples in a full batch, or None when the source cannot tell."""

    def __len__(self) -> int:
        """Batches in an epoch."""

    def epoch(self, index: int, start: int = 0) -> Iterator[Batch]:
        """The batches of epoch ``index`` on the CPU, from batch ``start``; shuffled and augmented where asked for."""

    def fixed(self, limit: int | None = None, batch_size: int | None = None) -> Iterator[Batch]:
        """The same samples in the same order at every call, never augmented.

        At most ``limit`` of them, spread over the split: a seeded sample without replacement, not its first rows.
        """


class Criterion(Protocol):
    """A loss, or several named terms added up."""

    name: str
    terms: Mapping[str, float]
    """Weight of each term by name; one entry where the loss has a single term."""

    def __call__(self, output: Nested, target: Nested) -> Tensor:
        """The scalar that is trained on (without regularisation)."""

    def term_values(self, output: Nested, target: Nested) -> Mapping[str, Tensor]:
        """Each term before its weight; used to name the term that went bad."""

    def per_sample(self, output: Nested, target: Nested) -> Tensor | None:
        """Loss of every sample, shape (N,), whose mean is the loss under mean reduction.

        None where the loss cannot be split by sample (a user's callable).
        """


@runtime_checkable
class CountsTerms(Protocol):
    """A criterion that can say what its means divide by. Where this is missing, every term is a mean over samples.

    Batches of unequal weight need it: padded sequences (tokens), ``ignore_index``, class weights, a ragged last batch. It
    makes k accumulated batches equal to one big batch, and a split's loss independent of how it was cut into batches.
    """

    def term_counts(self, target: Nested) -> Mapping[str, float | None]:
        """By term, what its mean over this batch divides by; None where the term is a sum.

        That is samples, elements or tokens that are not ignored, or their class weights added up.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number for people, such as accuracy: ``update`` returns (sum, count) of a batch, and the metric is sum / count."""

    name: str
    update: Callable[[Nested, Nested], tuple[float, int]]
    higher_is_better: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStopping:
    """Stop after ``patience`` epochs in which ``monitor`` did not improve by more than ``min_delta``."""

    patience: int
    monitor: str = "val_loss"
    min_delta: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A learning-rate schedule; ``scheduler`` has torch's ``step``, called per ``unit`` (plateau gets the val loss)."""

    name: str
    scheduler: Any
    unit: Literal["step", "epoch"]
    needs_metric: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Regularisation:
    """Penalties added to the loss, and the norm that every unit's incoming weights are held to after each step.

    ``l2`` adds l2 / 2 · ‖w‖² (so that its gradient is l2 · w, like torch's weight_decay), ``l1`` adds l1 · ‖w‖₁; both over
    weights, not biases or normalisation parameters. ``layer_l2`` maps a parameter's name to its own coefficient.
    """

    l1: float = 0.0
    l2: float = 0.0
    max_norm: float | None = None
    layer_l2: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How long and how to step; mirrors the spec's ``train`` and ``watch`` keys."""

    epochs: int
    max_steps: int | None = None
    clip_norm: float | None = None
    clip_value: float | None = None
    early_stopping: EarlyStopping | None = None
    precision: Literal["fp32", "bf16", "fp64"] = "fp32"
    accumulate: int = 1
    regularisation: Regularisation = field(default_factory=Regularisation)
    watch_overhead: float = 0.05
    watch_every: int | None = None


@dataclass(slots=True, kw_only=True)
class Experiment:
    """A model with its data, loss and optimizer. ``optimizer`` is None when no parameter is trainable.

    ``sources`` maps a module path or parameter name in the model to where the spec (or nothing, for a factory) wrote it,
    and its spec key (``model.layers.2``). ``kept_in_eval`` names modules that stay in eval mode while training (frozen
    batch norm). ``assumptions`` are sentences for the report: what the target left open and what was taken.
    ``orders`` are the comments ``# dltool: ignore[...]`` of the spec, and ``key_lines`` is where its keys were written.
    ``whole_batches``: the model takes batches of its own size alone (a recurrent state is kept from one to the next).
    """

    name: str
    target: str
    model: nn.Module
    train: BatchSource
    val: BatchSource | None
    criterion: Criterion
    optimizer: torch.optim.Optimizer | None
    schedule: Schedule | None
    metrics: Sequence[Metric]
    settings: TrainSettings
    task: TaskKind
    facts: DataFacts | None
    seed: int
    device: torch.device
    spec: Mapping[str, Any] | None = None
    spec_sha256: str | None = None
    sources: Mapping[str, tuple[str, Location | None]] = field(default_factory=dict)
    kept_in_eval: frozenset[str] = frozenset()
    assumptions: tuple[str, ...] = ()
    scaler: Any = None
    ignored_rules: Mapping[str, Suppression] = field(default_factory=dict)
    orders: tuple[Order, ...] = ()
    key_lines: Mapping[str, Location] = field(default_factory=dict)
    rule_thresholds: Mapping[str, float] = field(default_factory=dict)
    allow_nonfinite: tuple[str, ...] = ()
    whole_batches: bool = False
