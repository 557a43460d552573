"""Targets in the form that the loss takes: class numbers, zeros and ones, signs, or numbers.

Words become class numbers in sorted order. Whole numbers stay as they are: labels that start at 1 are for a rule to report,
not for us to mend. A missing label becomes the one that the loss passes over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dltool.core.errors import DataError, Location, Problem
from dltool.core.measured.task import TaskKind
from dltool.data.forms import FORMS, IGNORED, OTHER_TASKS, Form, Wanted, is_discrete
from dltool.data.table import Array, Table, examples, to_float32

LARGEST = 2**62
"""Labels beyond are taken for this one: int64, with room to count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """Targets of every split, encoded alike; a split's are a tensor (N, ...), or N tensors for unequal lengths.

    ``labels`` are the class numbers before any one-hot, None for a regression.
    """

    kind: TaskKind
    values: list[Tensor | list[Tensor]]
    labels: list[Tensor | list[Tensor]] | None
    width: int | None
    class_names: tuple[str, ...] | None = None
    valid: tuple[int, ...] | None = None
    """The labels that a model with one output allows, where the loss says so (0 and 1, or -1 and 1)."""
    assumptions: tuple[str, ...] = field(default=())


def encode_targets(tables: Sequence[Table], wanted: Wanted) -> Encoded:
    """Encode the targets of all splits.

    Raises:
        DataError: words where numbers are needed, fractions where classes are, more than two words for a binary loss.
    """
    form, kind = _form(tables, wanted)
    if form is Form.NUMBERS and not wanted.one_hot:
        return _numbers(tables, wanted, kind)
    if _are_probabilities(tables, form):
        return _probabilities(tables, kind)
    labels, names = _labels(tables, wanted, form)
    if wanted.one_hot:
        return _one_hot(tables, labels, names, wanted.ignored)
    if form is Form.CLASSES:
        return Encoded(
            kind=kind, values=labels, labels=labels, width=count_classes(labels, names, wanted.ignored), class_names=names
        )
    return _binary(tables, (labels, names), form, kind, wanted.ignored)


def count_classes(labels: Sequence[Tensor | list[Tensor]], names: tuple[str, ...] | None, ignored: int = IGNORED) -> int:
    """Classes that the labels need: the names, or the whole range from 0 (or from the lowest label, when it is above)."""
    if names is not None:
        return len(names)
    flat = torch.cat([flatten(part) for part in labels])
    flat = flat[flat != ignored]
    return int(flat.max()) - max(0, int(flat.min())) + 1 if len(flat) else 0


def flatten(values: Tensor | list[Tensor]) -> Tensor:
    """All targets of a split in one row."""
    return torch.cat([part.flatten() for part in values]) if isinstance(values, list) else values.flatten()


def _form(tables: Sequence[Table], wanted: Wanted) -> tuple[Form, TaskKind]:
    if wanted.loss is not None:
        form = FORMS.get(wanted.loss, Form.NUMBERS)
    elif wanted.task is not None:
        form = Form.CLASSES if wanted.task == "classification" else Form.NUMBERS
    else:
        form = Form.CLASSES if all(is_discrete(table.targets) for table in tables) else Form.NUMBERS
    if wanted.loss in OTHER_TASKS:
        return form, "other"
    if form is Form.CLASSES or (wanted.one_hot and form is Form.NUMBERS):
        return form, "classification"
    return form, "regression" if form is Form.NUMBERS else "binary"


def _numbers(tables: Sequence[Table], wanted: Wanted, kind: TaskKind) -> Encoded:
    for table in tables:
        if not isinstance(table.targets, list) and table.targets.dtype.kind == "U":
            shown = examples([repr(str(word)) for word in np.unique(table.targets)])
            loss = wanted.loss or "a regression"
            raise DataError(
                Problem(
                    message=f"{loss} needs numbers, but target {table.target_name!r} of {table.path} holds words ({shown})",
                    expected="cross_entropy as the loss, or `one_hot: true`",
                )
            )
    values = [_map(table.targets, lambda part: torch.from_numpy(to_float32(part))) for table in tables]
    values = [_with_last_axis(part) for part in values]
    return Encoded(kind=kind, values=values, labels=None, width=_width(values[0]))


def _are_probabilities(tables: Sequence[Table], form: Form) -> bool:
    """Two axes of shares that sum to 1: class probabilities, or classes that are one-hot already."""
    if form is not Form.CLASSES:
        return False
    for table in tables:
        targets = table.targets
        if isinstance(targets, list) or targets.dtype.kind == "U" or targets.ndim != 2 or targets.shape[1] < 2:
            return False
        is_sequence = (
            isinstance(table.inputs, np.ndarray) and table.inputs.ndim >= 3 and table.inputs.shape[1] == targets.shape[1]
        )
        if is_sequence or (targets < 0).any() or not np.allclose(targets.sum(axis=1), 1.0, atol=1e-4):
            return False
    return True


def _probabilities(tables: Sequence[Table], kind: TaskKind) -> Encoded:
    arrays = [np.asarray(table.targets) for table in tables]
    return Encoded(
        kind=kind,
        values=[torch.from_numpy(to_float32(array)) for array in arrays],
        labels=[torch.from_numpy(array.argmax(axis=1)) for array in arrays],
        width=arrays[0].shape[1],
        assumptions=("The targets' rows sum to 1: they are taken as class probabilities (or one-hot classes).",),
    )


def _labels(
    tables: Sequence[Table], wanted: Wanted, form: Form
) -> tuple[list[Tensor | list[Tensor]], tuple[str, ...] | None]:
    if wanted.classes is not None:
        numbers = {str(name): at for at, name in enumerate(wanted.classes)}
        return [_by_name(table.targets, numbers, wanted.ignored) for table in tables], tuple(numbers)
    words = [not isinstance(table.targets, list) and table.targets.dtype.kind == "U" for table in tables]
    if all(words):
        found = sorted({str(word) for table in tables for word in np.unique(np.asarray(table.targets))} - {""})
        numbers = {name: at for at, name in enumerate(found)}
        return [_by_name(table.targets, numbers, wanted.ignored) for table in tables], tuple(found)
    if any(words):
        raise DataError(Problem(message="one split has words as labels, the other has numbers"))
    problems = [problem for table in tables if (problem := _fractions(table, wanted, form)) is not None]
    if problems:
        raise DataError(*problems)
    return [_map(table.targets, lambda part: _whole(part, wanted.ignored)) for table in tables], None


def _by_name(targets: Array | list[Array], numbers: dict[str, int], ignored: int) -> Tensor:
    names = np.asarray(targets)
    if names.dtype.kind == "f":
        names = np.where(np.isfinite(names), names, ignored).astype(np.int64)
    values, inverse = np.unique(names, return_inverse=True)
    lookup = np.array([numbers.get(str(value), ignored) for value in values], dtype=np.int64)
    return torch.from_numpy(lookup[inverse.reshape(-1)])


def _whole(part: Array, ignored: int) -> Tensor:
    if part.dtype.kind == "f":
        part = np.where(np.isfinite(part), part, ignored)
    # no class has such a number, but a rule can say so only if it stays one
    part = np.minimum(part, LARGEST) if part.dtype.kind == "u" else np.clip(part, -LARGEST, LARGEST)
    return torch.from_numpy(part.astype(np.int64))


def _fractions(table: Table, wanted: Wanted, form: Form) -> Problem | None:
    if is_discrete(table.targets) or (form is Form.BITS and not wanted.one_hot):
        return None
    parts = table.targets if isinstance(table.targets, list) else [table.targets]
    flat = np.concatenate([part.reshape(-1) for part in parts])
    bad = flat[np.isfinite(flat) & (flat != np.round(flat))]
    return Problem(
        message=f"{wanted.loss or 'classification'} needs {form.value}, but target {table.target_name!r} holds fractions",
        location=Location(file=table.path),
        value=examples([f"{value:g}" for value in bad[:4]], len(bad)),
        expected="mse, or another regression loss, for a target of measured numbers",
    )


def _one_hot(
    tables: Sequence[Table], labels: list[Tensor | list[Tensor]], names: tuple[str, ...] | None, ignored: int
) -> Encoded:
    classes = count_classes(labels, names, ignored)
    for table, part in zip(tables, labels, strict=True):
        if isinstance(part, list) or part.ndim != 1:
            raise DataError(Problem(message="one_hot needs one label for each sample", key="one_hot"))
        known = part[part != ignored]
        if len(known) and (int(known.min()) < 0 or int(known.max()) >= classes):
            message = (
                f"one_hot needs labels from 0 to {classes - 1}; {table.path} has {int(known.min())} to {int(known.max())}"
            )
            raise DataError(Problem(message=message, key="one_hot", expected="labels that count from 0"))
    return Encoded(
        kind="classification",
        values=[_encode_one_hot(flatten(part), classes, ignored) for part in labels],
        labels=labels,
        width=classes,
        class_names=names,
    )


def _encode_one_hot(labels: Tensor, classes: int, ignored: int) -> Tensor:
    rows = torch.zeros(len(labels), classes)
    known = labels != ignored
    rows[known] = torch.nn.functional.one_hot(labels[known], classes).float()
    rows[~known] = torch.nan
    return rows


def _binary(
    tables: Sequence[Table],
    found: tuple[list[Tensor | list[Tensor]], tuple[str, ...] | None],
    form: Form,
    kind: TaskKind,
    ignored: int,
) -> Encoded:
    labels: list[Tensor | list[Tensor]] | None
    labels, names = found
    if names is not None and len(names) > 2:
        message = f"a loss on {form.value} tells two classes apart, but {tables[0].target_name!r} has {len(names)}"
        raise DataError(Problem(message=f"{message}: {examples(names)}", expected="cross_entropy, or `one_hot: true`"))
    if names is None:
        values = [_map(table.targets, lambda part: torch.from_numpy(to_float32(part))) for table in tables]
        if not all(is_discrete(table.targets) for table in tables):
            labels = None  # shares between 0 and 1, as in distillation
    else:
        values = [_map(part, lambda t: _signed(t, form, ignored)) for part in labels]
        labels = [_map(part, lambda t: torch.where(t == ignored, t, _signed(t, form, ignored).long())) for part in labels]
    values = [_with_last_axis(part) for part in values]
    valid = (0, 1) if form is Form.BITS else (-1, 1)
    return Encoded(kind=kind, values=values, labels=labels, width=_width(values[0]), class_names=names, valid=valid)


def _signed(labels: Tensor, form: Form, ignored: int) -> Tensor:
    numbers = labels.float()
    if form is Form.SIGNS:
        numbers = numbers * 2 - 1
    return torch.where(labels == ignored, torch.nan, numbers)


def _with_last_axis(values: Tensor | list[Tensor]) -> Tensor | list[Tensor]:
    """(N,) to (N, 1), and steps (T,) to (T, 1): the shape that a model with one output gives."""
    if isinstance(values, list):
        return [part.unsqueeze(-1) if part.ndim == 1 else part for part in values]
    return values.unsqueeze(-1) if values.ndim == 1 else values


def _width(values: Tensor | list[Tensor]) -> int:
    return int(values[0].shape[-1])


def _map(values: Any, change: Callable[[Any], Tensor]) -> Tensor | list[Tensor]:
    return [change(part) for part in values] if isinstance(values, list) else change(values)
