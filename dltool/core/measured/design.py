"""The design of a training, known before anything runs: layers as a graph, the loss, the data in brief, the plan.

A spec says all of it, without torch; of code it is traced. Shapes are one sample's, without the dimension of the batch.
None is "not known" everywhere: a rule judges what is known and skips the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from dltool.core.measurements import Section

Argument = int | float | bool | str | tuple[int | float, ...] | None
LossExpects = Literal["logits", "probabilities", "log-probabilities", "values", "log-rates", "rates", "signs", "unknown"]
TargetKind = Literal["class-index", "one-hot", "multi-hot", "probabilities", "numbers", "counts", "signs", "unknown"]

UNKNOWN_LAYER = "unknown"
"""``kind`` of a layer or operation that dltool has no name for: rules must not conclude across it."""


@dataclass(frozen=True, kw_only=True)
class DesignedInit:
    """How a layer's weight starts: an initialiser of docs/spec.md, or "default" (torch's own for that layer).

    ``arguments`` are its own (nonlinearity, gain, std, value). Of traced models ``name`` is "zeros" or "constant" where all
    weights are alike, else None.
    """

    name: str | None
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    key: str | None = None


@dataclass(frozen=True, kw_only=True)
class DesignedLayer:
    """A layer, or an operation of traced code, where it acts.

    Attributes:
        kind: its name in docs/spec.md (linear, conv2d, relu, softmax, residual-add for the sum that ends a residual block,
            add, mul, cat, ... for traced arithmetic), ``UNKNOWN_LAYER`` for others.
        module: dotted path in the model; None for an operation outside any module but the root.
        key: where the spec wrote it ("model.layers.2").
        file, line: where code called it.
        follows: indices (in ``Architecture.layers``) of what it takes its input from; -1 is the model's input.
        arrives, leaves: shapes before and after it.
        arguments: torch's own argument names with their values, defaults filled in; for dims: as counted in a batch.
        parameters: how many weights it owns (0 where it has none), None where not known.
        init, frozen: of its weight; None and False where it has none.
    """

    kind: str
    module: str | None
    follows: tuple[int, ...]
    key: str | None = None
    file: str | None = None
    line: int | None = None
    arrives: tuple[int, ...] | None = None
    leaves: tuple[int, ...] | None = None
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    parameters: int | None = None
    init: DesignedInit | None = None
    frozen: bool = False


@dataclass(frozen=True, kw_only=True)
class Architecture(Section):
    """The layers in the order in which they act; ``outputs`` are indices of those whose results the loss is given.

    That is what the model returns. What a loss of the user's own does to it first (a softmax, a selection) are layers too,
    after all others. -1 among them: the loss is given the input itself.

    ``complete`` is False where part of it could not be followed (a model of the user's own inside a spec, code that no trace
    went through): what is absent then proves nothing.
    """

    key: ClassVar[str] = "architecture"

    layers: tuple[DesignedLayer, ...]
    outputs: tuple[int, ...]
    input_shape: tuple[int, ...] | None
    complete: bool


@dataclass(frozen=True, kw_only=True)
class LossTerm:
    """One term: ``name`` as in docs/spec.md. ``expects`` is what it takes the model's output for.

    ``class_weights`` counts the weights by class that it was given, if any. ``takes`` are indices of the layers whose
    results it is given; None for all of the architecture's outputs. A loss that a model's author wrote out himself and that
    nothing recognised has the name "custom" and expects "unknown". ``target_shape`` is that of one sample's target as code
    was seen to give it to the loss, after all reshaping (None: not seen; a spec's loss gets targets as in ``Samples``).
    ``key``, ``file`` and ``line`` are its place.
    """

    name: str
    expects: LossExpects
    reduction: Literal["mean", "sum", "unknown"] = "mean"
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    class_weights: int | None = None
    takes: tuple[int, ...] | None = None
    target_shape: tuple[int, ...] | None = None
    key: str | None = None
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True, kw_only=True)
class Objective(Section):
    """The loss, term by term, and what the data says that is to be learnt (data.task, or the kind of the targets)."""

    key: ClassVar[str] = "objective"

    terms: tuple[LossTerm, ...]
    task: Literal["classification", "regression"] | None


@dataclass(frozen=True, kw_only=True)
class Samples(Section):
    """Inputs and targets as the loss gets them, after normalisation and encoding; None for what was not looked at.

    Attributes:
        train_samples, val_samples: how many.
        input_shape, input_min, input_max, input_mean, input_std: over the samples that were read.
        integer_inputs: they are tokens.
        target_kind, target_shape: () for one number or label a sample. ``integer_targets``: their dtype is an integer type.
        classes: distinct labels, whatever their numbers. label_min, label_max: as stored, before any re-numbering.
        renumbered: labels are names (or are re-numbered from 0) and cannot be out of range.
        target_min, target_max, target_mean, target_std: of numbers, as the loss gets them.
        sorted_by_target: the samples lie class by class (or in the order of their target) in the source.
        rows_read: how many samples these facts are from; ``all_read`` when that is every one.
        key: where the spec names the source.
    """

    key: ClassVar[str] = "samples"

    train_samples: int | None = None
    val_samples: int | None = None
    input_shape: tuple[int, ...] | None = None
    input_min: float | None = None
    input_max: float | None = None
    input_mean: float | None = None
    input_std: float | None = None
    integer_inputs: bool | None = None
    target_kind: TargetKind = "unknown"
    target_shape: tuple[int, ...] | None = None
    integer_targets: bool | None = None
    classes: int | None = None
    label_min: int | None = None
    label_max: int | None = None
    renumbered: bool = False
    target_min: float | None = None
    target_max: float | None = None
    target_mean: float | None = None
    target_std: float | None = None
    sorted_by_target: bool | None = None
    rows_read: int = 0
    all_read: bool = False
    source_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Plan(Section):
    """How it is to be trained. ``keys`` maps a field's name to the spec's key that set it.

    ``batch_size`` is None for full batches or where it is not known.
    """

    key: ClassVar[str] = "plan"

    optimizer: str | None = None
    lr: float | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    l1: float | None = None
    l2: float | None = None
    max_norm: float | None = None
    clip_norm: float | None = None
    clip_value: float | None = None
    schedule: str | None = None
    warmup_steps: int | None = None
    epochs: int | None = None
    steps_per_epoch: int | None = None
    batch_size: int | None = None
    full_batch: bool = False
    shuffle: bool | None = None
    early_stopping: bool = False
    precision: str | None = None
    normalize: str | None = None
    pretrained: bool = False
    keys: Mapping[str, str] = field(default_factory=dict)
