"""Batches of a dataset for ``--probe``, each of samples of one form, with their places."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from dltool.core.errors import Problem, TargetError
from dltool.diagnostics.scan.dataset.leaves import Leaf, is_input, label_of, leaves_of
from dltool.diagnostics.scan.dataset.parts import Part
from dltool.diagnostics.scan.dataset.reading import Read, rows_in
from dltool.diagnostics.scan.dataset.shapes import batch_of
from dltool.diagnostics.scan.dataset.survey import Survey
from dltool.diagnostics.scan.default_net import as_input, features_of
from dltool.diagnostics.scan.probe import BATCH, Place, Placed
from dltool.probes.nested import tensors
from dltool.specs.factory_batches import as_batch
from dltool.training.experiment import Batch

PAIR = 2


def pair_of(collated: Any) -> Batch:
    """What a loader gives as what a model and a loss take: the first two parts, or a mapping without its labels.

    Raises:
        TargetError: nothing that a model can be called with.
    """
    if isinstance(collated, tuple | list) and len(collated) >= PAIR and not hasattr(collated, "_fields"):
        return Batch(collated[0], collated[1])
    if isinstance(collated, dict):
        given = {key: value for key, value in collated.items() if is_input(Leaf(str(key), None))}
        target = next((value for key, value in collated.items() if key not in given), None)
        first = next(iter(given.values()), None) if len(given) == 1 else given
        return _with_target(first, target)
    return _with_target(collated, None)


def _with_target(given: Any, target: Any) -> Batch:
    if next(tensors(given), None) is None:
        raise TargetError(
            Problem(message="a sample holds no tensor that a model could be given", expected="(input, target)")
        )
    return Batch(given, torch.zeros(rows_in(Batch(given, None))) if target is None else target)


def loader_batches(part: Part, survey: Survey, reads: Iterable[Read], items: Callable[[], Iterable[Read]]) -> Placed:
    """Batches as the loader makes them, for the target's own model: of samples, or ``items`` where those are batches."""
    if part.form == "batches":
        row = 0
        for item in items():
            if item.raised is not None:
                row += 1
                continue
            batch = as_batch(item.value, part.name)
            count = rows_in(batch)
            yield [Place(survey.path, survey.file, row + at) for at in range(count)], batch
            row += count
        return
    for group in _by_form(reads, part.batch_size or BATCH):
        made: Batch | None = None
        with suppress(Exception):  # what cannot be put together was told with its shape
            made = pair_of(batch_of(part, [read.value for read in group]))
        if made is not None:
            yield [Place(survey.path, survey.file, read.row) for read in group], made


def default_batches(survey: Survey, reads: Iterable[Read], classes: dict[str, int], shape: tuple[int, ...]) -> Placed:
    """Batches for the default net: the first part that is an array, and the label's number, or the target itself."""
    features = features_of(shape)
    for group in _grouped(reads, BATCH, lambda read: _main(leaves_of(read.value)) is not None):
        inputs = torch.stack([as_input(_array(read), features) for read in group])
        targets = torch.stack([_target(read, classes) for read in group])
        yield [Place(survey.path, survey.file, read.row) for read in group], Batch(inputs, targets)


def main_shape(survey: Survey) -> tuple[int, ...] | None:
    """Of the part that the default net is given, in the first sample that has one; None where none is an array."""
    for value in survey.examples.values():
        leaf = _main(leaves_of(value))
        if leaf is not None and leaf.array is not None:
            return tuple(leaf.array.shape)
    return None


def _main(leaves: list[Leaf]) -> Leaf | None:
    return next((leaf for leaf in leaves if is_input(leaf) and leaf.array is not None and leaf.array.size), None)


def _array(read: Read) -> Any:
    leaf = _main(leaves_of(read.value))
    assert leaf is not None
    return leaf.array


def _target(read: Read, classes: dict[str, int]) -> Tensor:
    label = label_of(leaves_of(read.value))
    if classes:
        word = "" if label is None else label.word if label.array is None else str(int(label.array.reshape(-1)[0]))
        return torch.tensor(classes.get(word, 0))
    value = 0.0 if label is None or label.array is None else float(label.array.reshape(-1)[0])
    return torch.tensor([value])


def _by_form(reads: Iterable[Read], size: int) -> Iterator[list[Read]]:
    """Samples of one form together, as others cannot be stacked."""
    waiting: dict[tuple[str, ...], list[Read]] = {}
    for read in reads:
        if read.raised is not None:
            continue
        group = waiting.setdefault(tuple(leaf.signature for leaf in leaves_of(read.value)), [])
        group.append(read)
        if len(group) == size:
            yield group[:]
            group.clear()
    yield from (group for group in waiting.values() if group)


def _grouped(reads: Iterable[Read], size: int, wanted: Callable[[Read], bool]) -> Iterator[list[Read]]:
    group: list[Read] = []
    for read in reads:
        if read.raised is None and wanted(read):
            group.append(read)
            if len(group) == size:
                yield group
                group = []
    if group:
        yield group
