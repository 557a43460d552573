"""From what a source read to what a loop trains on: leave out, encode, split, look, normalise, batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dltool.core.errors import DataError, Problem
from dltool.data.augment import Augmentation, check_augmentation
from dltool.data.batches import Batches, Samples
from dltool.data.checks import check_batch_size, check_normalize
from dltool.data.dataset import DataBundle, Labels
from dltool.data.facts import Survey, describe, non_finite_targets, survey_inputs
from dltool.data.forms import Wanted
from dltool.data.image_files import ImageFiles
from dltool.data.inputs import Inputs, prepare_inputs
from dltool.data.layout import Layout
from dltool.data.padding import Padding
from dltool.data.split import split_samples
from dltool.data.subset import exclude, keep_classes, limit, read_exclusions
from dltool.data.table import Table
from dltool.data.target_statistics import class_counts, normalize_targets, target_statistics
from dltool.data.targets import Encoded, encode_targets
from dltool.data.transforms import Normalize, Normalizer, fit_normalizer

PASS_OVER_PADDING = frozenset({"cross_entropy", "nll", "hinge", "ctc"})
"""Losses that leave out the label that fills up targets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a spec says of its data, beside the source. ``val`` is a share (float) or a number (int) of samples."""

    seed: int
    batch_size: int | Literal["full"] = 32
    batch_size_asked: bool = True
    """Whether the batch size was asked for, or is a default that small data may fall short of."""
    val: float | None = None
    split_seed: int | None = None
    stratify: bool | None = None
    shuffle: bool = True
    excluded: Path | None = None
    samples: int | None = None
    wanted: Wanted = field(default_factory=Wanted)
    normalize: Normalize = "none"
    normalize_target: Normalize = "none"
    augmentation: Augmentation | None = None
    padding: Padding | None = None
    tokens: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One split, between encoding and batching."""

    name: str
    table: Table
    values: Tensor | list[Tensor]
    labels: Tensor | list[Tensor] | None


def assemble(train: Table, val: Table | None, options: Options) -> DataBundle:
    """Make the bundle; ``val`` is None where ``train`` is to be split, or where there is no validation.

    Raises:
        DataError: targets that the loss cannot take, splits that are empty or differ in shape, unequal lengths without
            padding, a batch larger than the data, corrupt images, augmentations that make no sense.
    """
    tables = _subset([train] if val is None else [train, val], options)
    inputs = prepare_inputs(tables, tokens=options.tokens, padding=options.padding)
    encoded = encode_targets(inputs.tables, options.wanted)
    _check_steps(inputs, encoded, options)
    parts = _parts(inputs.tables, encoded, options)
    check_batch_size(options.batch_size, len(parts[0].table), asked=options.batch_size_asked)
    if options.augmentation is not None:
        check_augmentation(options.augmentation, inputs.layout, inputs.sample_shape, variable=inputs.variable)
        _check_moving_targets(options.augmentation, encoded)
    surveys = [survey_inputs(part.name, part.table, inputs.layout) for part in parts]
    return _bundle(parts, surveys, inputs, encoded, options)


def _subset(tables: list[Table], options: Options) -> list[Table]:
    if options.excluded is not None:
        tables = exclude(tables, read_exclusions(options.excluded), options.excluded)
    if options.wanted.classes is not None:
        tables = [keep_classes(table, options.wanted.classes) for table in tables]
    if options.samples is not None:
        tables[0] = limit(tables[0], options.samples, options.seed)
    empty = [table.path for table in tables if len(table) == 0]
    if empty:
        raise DataError(*(Problem(message=f"no sample of {path} is left", key="exclude") for path in empty))
    return tables


def _parts(tables: list[Table], encoded: Encoded, options: Options) -> list[_Part]:
    labels: Sequence[Tensor | list[Tensor] | None] = encoded.labels or [None] * len(tables)
    parts = [
        _Part(name=name, table=table, values=values, labels=label)
        for name, table, values, label in zip(("train", "val"), tables, encoded.values, labels, strict=False)
    ]
    if len(parts) == 2 or options.val is None:
        return parts
    whole = parts[0]
    seed = options.seed if options.split_seed is None else options.split_seed
    index = split_samples(len(whole.table), options.val, seed, _strata(whole, encoded, options))
    return [_part_of(whole, name, chosen) for name, chosen in zip(("train", "val"), index, strict=True)]


def _strata(whole: _Part, encoded: Encoded, options: Options) -> NDArray[np.int64] | None:
    if options.stratify is False:
        return None
    labels = whole.labels
    single = isinstance(labels, Tensor) and (labels.ndim == 1 or labels.shape[1:] == (1,))
    if not single or encoded.kind == "other":
        if options.stratify:
            message = "stratify needs one class label for each sample, and the targets are not class labels"
            raise DataError(Problem(message=message, key="split.stratify"))
        return None
    assert isinstance(labels, Tensor)
    strata: NDArray[np.int64] = labels.flatten().numpy()
    return strata


def _part_of(whole: _Part, name: str, index: NDArray[np.int64]) -> _Part:
    return _Part(
        name=name,
        table=whole.table.take(index),
        values=_take(whole.values, index),
        labels=None if whole.labels is None else _take(whole.labels, index),
    )


def _take(values: Tensor | list[Tensor], index: NDArray[np.int64]) -> Tensor | list[Tensor]:
    return [values[i] for i in index.tolist()] if isinstance(values, list) else values[torch.from_numpy(index)]


def _check_steps(inputs: Inputs, encoded: Encoded, options: Options) -> None:
    """Targets for every step need a loss that leaves out padding, and as many steps as their input (CTC aligns itself)."""
    loss = options.wanted.loss
    for table, values in zip(inputs.tables, encoded.values, strict=True):
        if not isinstance(values, list) or loss == "ctc":
            continue
        if values[0].is_floating_point() or (loss is not None and loss not in PASS_OVER_PADDING):
            message = f"{loss or 'a regression'} would count the padding of targets of unequal length as data"
            expected = f"one target for each sequence, or class labels with {', '.join(sorted(PASS_OVER_PADDING))}"
            raise DataError(Problem(message=message, key="pad", expected=expected))
        steps = (
            [len(part) for part in table.inputs]
            if isinstance(table.inputs, list)
            else [inputs.sample_shape[0]] * len(values)
        )
        odd = [row for row, (target, step) in enumerate(zip(values, steps, strict=True)) if len(target) != step]
        if odd:
            row = odd[0]
            message = f"{len(odd)} samples of {table.path} have not one target for each step: "
            message += f"row {table.rows[row]} has {steps[row]} steps and {len(values[row])} targets"
            raise DataError(Problem(message=message))


def _check_moving_targets(augmentation: Augmentation, encoded: Encoded) -> None:
    values = encoded.values[0]
    if augmentation.moves_pixels and isinstance(values, Tensor) and values.ndim >= 3 and values.is_floating_point():
        message = (
            "shift, rotate, scale and hflip move pixels, and targets for each pixel can only move along as class numbers"
        )
        raise DataError(Problem(message=message, key="augment"))


def _bundle(parts: list[_Part], surveys: list[Survey], inputs: Inputs, encoded: Encoded, options: Options) -> DataBundle:
    ignored, layout = options.wanted.ignored, inputs.layout
    check_normalize(options.normalize, tokens=layout is Layout.TOKENS)
    moments = surveys[0].moments
    normalizer = None if moments is None else fit_normalizer(options.normalize, moments, layout)
    values, target_normalizer = normalize_targets([part.values for part in parts], encoded.kind, options.normalize_target)
    parts = [replace(part, values=part_values) for part, part_values in zip(parts, values, strict=True)]
    labels = tuple(Labels(split=p.name, rows=p.table.rows, values=p.labels) for p in parts if p.labels is not None)
    facts = describe(
        surveys[0],
        normalizer,
        layout,
        non_finite_inputs=tuple(problem for survey in surveys for problem in survey.non_finite),
        non_finite_targets=tuple(problem for part in parts for problem in non_finite_targets(part.name, part.table)),
        labels=labels,
        ignored=ignored,
    )
    sources = [_batches(part, inputs, normalizer, options, training=part.name == "train") for part in parts]
    return DataBundle(
        train=sources[0],
        val=sources[1] if len(sources) > 1 else None,
        facts=facts,
        task=encoded.kind,
        input_shape=inputs.sample_shape,
        output_size=encoded.width,
        class_names=encoded.class_names,
        class_counts=class_counts(parts[0].labels, encoded, ignored),
        **target_statistics(parts[0].values),
        target_shift=None if target_normalizer is None else tuple(target_normalizer.shift.tolist()),
        target_scale=None if target_normalizer is None else tuple(target_normalizer.scale.tolist()),
        integer_inputs=options.tokens,
        variable_length=inputs.variable,
        labels=labels,
        valid_labels=encoded.valid,
        ignored_label=ignored,
        assumptions=(*inputs.assumptions, *_resized(parts), *encoded.assumptions, *_smaller_batch(parts[0], options)),
    )


def _resized(parts: list[_Part]) -> tuple[str, ...]:
    files = [part.table.inputs for part in parts if isinstance(part.table.inputs, ImageFiles)]
    if not any(part.resized for part in files):
        return ()
    _, height, width = files[0].shape
    return (f"Images of another size are resized to {height}x{width}.",)


def _smaller_batch(train: _Part, options: Options) -> tuple[str, ...]:
    n = len(train.table)
    if options.batch_size == "full" or options.batch_size <= n:
        return ()
    return (f"The training data of {n} samples make one batch, smaller than the usual {options.batch_size}.",)


def _batches(part: _Part, inputs: Inputs, normalizer: Normalizer | None, options: Options, *, training: bool) -> Batches:
    """Tables are normalised once; bytes, files and images that are changed first are normalised batch by batch."""
    raw = part.table.inputs
    augmentation = options.augmentation if training else None
    late = augmentation is not None and augmentation.needs_images
    ready: Tensor | list[Tensor] | ImageFiles
    if isinstance(raw, ImageFiles):
        ready = raw
    elif isinstance(raw, list):
        ready = [torch.from_numpy(sequence) for sequence in raw]
        if normalizer is not None:
            ready = [normalizer.apply(sequence, sequence.ndim) for sequence in ready]
            normalizer = None
    else:
        ready = torch.from_numpy(np.ascontiguousarray(raw))
        if normalizer is not None and not late and ready.dtype != torch.uint8:
            ready = normalizer.apply(ready, ready.ndim - 1)
            normalizer = None
    samples = Samples(
        inputs=ready,
        targets=part.values,
        normalizer=normalizer,
        padding=(options.padding or Padding()) if inputs.variable else None,
        ignored=options.wanted.ignored,
        path=part.table.path,
        rows=part.table.rows,
        target_length=options.padding.length if options.padding is not None and options.wanted.loss != "ctc" else None,
    )
    size = len(samples) if options.batch_size == "full" else min(options.batch_size, len(samples))
    shuffle = options.shuffle and training
    return Batches(samples, batch_size=size, seed=options.seed, shuffle=shuffle, augmentation=augmentation)
