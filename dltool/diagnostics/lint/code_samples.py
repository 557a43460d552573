"""What a factory's batches hold, from as many of them as anybody has to read anyway."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from dltool.core.measured.design import Samples, TargetKind
from dltool.probes.nested import first_tensor
from dltool.training.experiment import Experiment

MOST_INPUTS = 512
"""Samples whose inputs are measured, at the most."""
MOST_LABELS = 20
"""Distinct whole numbers that are classes even where the loss measures distances."""
FEWEST_IN_ORDER = 20
"""Samples below which an order by target can be chance: for two balanced classes 2 in 184,756 at 20."""
SUM_TOLERANCE = 1e-4


class Seen(NamedTuple):
    """What a pass through model and loss told of the targets.

    ``output_shape`` is that of one sample's output, to tell a target that has a value for each output from a map of labels;
    ``integer_targets`` and ``same_targets`` are those of ``probes.design.describe.Design``; ``of_numbers``: a term of the
    loss is a distance.
    """

    output_shape: tuple[int, ...] | None = None
    integer_targets: bool | None = None
    same_targets: bool = True
    of_numbers: bool = False


class Read(NamedTuple):
    """Inputs, at most ``MOST_INPUTS`` samples of them, and targets, in the order in which they came."""

    inputs: list[Tensor]
    targets: list[Tensor]


def samples_of_code(experiment: Experiment, rows: int, seen: Seen | None) -> Samples:
    """The first tensors of inputs and targets of at most ``rows`` samples; ``seen`` where the loss could be followed."""
    read = _read(experiment, rows)
    train, val = experiment.train.samples, experiment.val
    count = sum(len(target) for target in read.targets)
    known = Samples(
        train_samples=train,
        val_samples=None if val is None else val.samples,
        rows_read=count,
        all_read=train is not None and count >= train,
    )
    return _with_targets(_with_inputs(known, read.inputs), read.targets, seen or Seen())


def _read(experiment: Experiment, rows: int) -> Read:
    inputs: list[Tensor] = []
    targets: list[Tensor] = []
    for batch in experiment.train.fixed(rows):
        given, target = first_tensor(batch.input), first_tensor(batch.target)
        if given is not None and given.ndim and not given.is_sparse and sum(map(len, inputs)) < MOST_INPUTS:
            inputs.append(given)
        if isinstance(batch.target, Tensor) and target is not None and target.ndim:
            targets.append(target)
    return Read(inputs, targets)


def _with_inputs(known: Samples, inputs: list[Tensor]) -> Samples:
    if not inputs or inputs[0].is_complex():
        return known
    shapes = {tensor.shape[1:] for tensor in inputs}
    flat = torch.cat([tensor.reshape(-1) for tensor in inputs]).double()
    if not flat.numel():
        return known
    return replace(
        known,
        input_shape=tuple(inputs[0].shape[1:]) if len(shapes) == 1 else None,
        input_min=float(flat.min()),
        input_max=float(flat.max()),
        input_mean=float(flat.mean()),
        input_std=float(flat.std(correction=0)),
        integer_inputs=not inputs[0].is_floating_point(),
    )


def _with_targets(known: Samples, targets: list[Tensor], seen: Seen) -> Samples:
    if not targets or targets[0].is_complex() or len({tensor.ndim for tensor in targets}) > 1:
        return known
    flat = torch.cat([tensor.reshape(-1) for tensor in targets])
    if not flat.numel():
        return known
    if all(target.numel() == len(target) for target in targets):
        known = replace(known, sorted_by_target=_is_in_order(flat))
    if not seen.same_targets:
        return known
    shapes = {tuple(tensor.shape[1:]) for tensor in targets}
    shape = shapes.pop() if len(shapes) == 1 else None
    integers = not flat.is_floating_point() if seen.integer_targets is None else seen.integer_targets
    kind = _kind(targets, flat, per_output=bool(shape) and shape == seen.output_shape, integers=integers, seen=seen)
    known = replace(known, target_kind=kind, target_shape=shape, integer_targets=integers)
    if kind == "class-index":
        return replace(known, classes=len(torch.unique(flat)), label_min=int(flat.min()), label_max=int(flat.max()))
    numbers = flat.double()
    return replace(
        known,
        target_min=float(numbers.min()),
        target_max=float(numbers.max()),
        target_mean=float(numbers.mean()),
        target_std=float(numbers.std(correction=0)),
    )


def _kind(targets: list[Tensor], flat: Tensor, *, per_output: bool, integers: bool, seen: Seen) -> TargetKind:
    """What the targets are, by the type that the loss gets, their values and their shape."""
    zeros_and_ones = flat.dtype == torch.bool or bool(((flat == 0) | (flat == 1)).all())
    wide = targets[0].ndim > 1 and targets[0].shape[1] > 1
    sums_to_one = wide and all(bool(((t.double().sum(1) - 1).abs() < SUM_TOLERANCE).all()) for t in targets)
    whole = not flat.is_floating_point()
    if (integers or whole) and not (per_output and zeros_and_ones and wide):
        if flat.dtype == torch.bool:
            return "multi-hot"
        return "counts" if seen.of_numbers and len(torch.unique(flat)) > MOST_LABELS else "class-index"
    if zeros_and_ones:
        return "one-hot" if sums_to_one else "multi-hot"
    if sums_to_one and bool((flat >= 0).all()):
        return "probabilities"
    return "signs" if bool(((flat == 1) | (flat == -1)).all()) else "numbers"


def _is_in_order(values: Tensor) -> bool | None:
    """Whether they come class by class, or rise or fall throughout; None for too few to tell, or all alike."""
    if len(values) < FEWEST_IN_ORDER or not bool((values != values[0]).any()):
        return None
    steps = values[1:].double() - values[:-1].double()
    changes = int((steps != 0).sum())
    return bool((steps >= 0).all() or (steps <= 0).all()) or (
        changes + 1 == len(torch.unique(values)) and changes < len(values) // 2
    )
