"""What is seen of the data in one pass: values that are not finite, statistics, and labels against a model's outputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dltool.core.errors import DataError, Problem
from dltool.core.measured.task import DataFacts, DataProblemRows
from dltool.data.dataset import DataBundle, Labels
from dltool.data.image_files import ImageFiles
from dltool.data.layout import Layout
from dltool.data.moments import Moments
from dltool.data.table import Array, Table
from dltool.data.targets import flatten
from dltool.data.transforms import Normalizer

FIRST_ROWS = 10
"""Rows that a fact names; the others are counted."""
FIRST_FILES = 20
"""Corrupt images that an error names; the others are counted."""
BLOCK_VALUES = 2**20
"""Values of inputs looked at at once."""


@dataclass(frozen=True, slots=True)
class Survey:
    """One split's inputs: their statistics (None for tokens) and the rows that hold NaN or Inf."""

    moments: Moments | None
    non_finite: tuple[DataProblemRows, ...]


def survey_inputs(split: str, table: Table, layout: Layout) -> Survey:
    """Pass once over the inputs as they will be delivered, before normalisation.

    Raises:
        DataError: images that cannot be decoded: the first of them by name, and how many.
    """
    moments: Moments | None = None
    bad: list[NDArray[np.bool_]] = []
    for block in _blocks(table):
        if isinstance(block, list):
            bad.append(np.array([[bool(_is_bad(part).any())] for part in block]))
            values = np.concatenate(block)
        else:
            flags = _is_bad(block)
            by_column = layout is Layout.FEATURES
            bad.append(flags if by_column else np.array(flags.reshape(len(block), -1).any(axis=1, keepdims=True)))
            values = block
        if layout is not Layout.TOKENS:
            columns = layout.columns(values)
            moments = moments or Moments(columns.shape[1])
            moments.add(columns)
    names = table.feature_names if layout is Layout.FEATURES else ()
    return Survey(moments, _problem_rows(split, np.concatenate(bad), table.rows, names))


def non_finite_targets(split: str, table: Table) -> tuple[DataProblemRows, ...]:
    """Rows whose target is NaN, Inf or, for words, empty."""
    targets = table.targets
    if isinstance(targets, list):
        bad = np.array([bool(_is_bad(part).any()) for part in targets])
    elif targets.dtype.kind == "U":
        bad = np.array(targets == "", dtype=bool)
    else:
        bad = np.array(_is_bad(targets).reshape(len(targets), -1).any(axis=1))
    return _problem_rows(split, bad[:, None], table.rows, (table.target_name,))


def describe(
    train: Survey,
    normalizer: Normalizer | None,
    layout: Layout,
    *,
    non_finite_inputs: tuple[DataProblemRows, ...],
    non_finite_targets: tuple[DataProblemRows, ...],
    labels: Sequence[Labels],
    ignored: int,
) -> DataFacts:
    """The facts of all splits; statistics are of the training inputs as the model gets them (normalised)."""
    moments = train.moments
    constant: tuple[int, ...] = ()
    if moments is not None and layout is Layout.FEATURES:
        constant = tuple(np.flatnonzero(moments.constant & (moments.count > 0)).tolist())
    if moments is not None and normalizer is not None:
        moments = moments.moved(normalizer.shift, normalizer.scale)
    pooled = None if moments is None else moments.pooled()
    mean, std, minimum, maximum = pooled or (None, None, None, None)
    known = [flat[flat != ignored] for flat in (flatten(part.values) for part in labels)]
    together = torch.cat(known) if known else torch.empty(0, dtype=torch.int64)
    return DataFacts(
        non_finite_inputs=non_finite_inputs,
        non_finite_targets=non_finite_targets,
        label_min=int(together.min()) if len(together) else None,
        label_max=int(together.max()) if len(together) else None,
        labels_present=len(set(known[0].tolist())) if known else None,
        outputs=None,
        out_of_range=(),
        input_mean=mean,
        input_std=std,
        input_min=minimum,
        input_max=maximum,
        constant_features=constant,
    )


def with_outputs(bundle: DataBundle, outputs: int) -> DataFacts:
    """The bundle's facts, once it is known how many outputs the model has: labels are then out of range or not.

    A class label must be from 0 to ``outputs`` - 1; a loss on two classes allows 0 and 1 (or -1 and 1) at every output.
    """
    allowed = torch.tensor(bundle.valid_labels) if bundle.valid_labels is not None else None
    found: list[DataProblemRows] = []
    for labels in bundle.labels:
        parts = labels.values if isinstance(labels.values, list) else [labels.values]
        bad = [_out_of_range(part, outputs, allowed, bundle.ignored_label) for part in parts]
        if isinstance(labels.values, list):
            flags = np.array([bool(part.any()) for part in bad])
        else:
            flags = bad[0].reshape(len(labels.rows), -1).any(dim=1).numpy()
        found += _problem_rows(labels.split, flags[:, None], labels.rows, ())
    return replace(bundle.facts, outputs=outputs, out_of_range=tuple(found))


def _out_of_range(labels: Tensor, outputs: int, allowed: Tensor | None, ignored: int) -> Tensor:
    wrong = (labels < 0) | (labels >= outputs) if allowed is None else ~torch.isin(labels, allowed)
    return wrong & (labels != ignored)


def _blocks(table: Table) -> Iterator[Array | list[Array]]:
    inputs = table.inputs
    if isinstance(inputs, ImageFiles):
        yield from _decoded(inputs)
        return
    if isinstance(inputs, list):
        size = max(1, BLOCK_VALUES // max(part.size for part in inputs))
    else:
        size = max(1, BLOCK_VALUES // max(1, int(np.prod(inputs.shape[1:]))))
    for start in range(0, len(inputs), size):
        yield inputs[start : start + size]


def _decoded(files: ImageFiles) -> Iterator[Array]:
    problems: list[Problem] = []
    size = max(1, BLOCK_VALUES // int(np.prod(files.shape)))
    for start in range(0, len(files), size):
        pixels, failed = files.try_read(range(start, min(start + size, len(files))))
        problems += failed
        yield (pixels.float() / 255).numpy()
    if problems:
        more = len(problems) - FIRST_FILES
        rest = [Problem(message=f"{more} more files are not readable images", key="exclude")] if more > 0 else []
        raise DataError(*problems[:FIRST_FILES], *rest)


def _is_bad(values: Array) -> NDArray[np.bool_]:
    return ~np.isfinite(values) if values.dtype.kind == "f" else np.zeros(values.shape, dtype=bool)


def _problem_rows(
    split: str, bad: NDArray[np.bool_], rows: NDArray[np.int64], names: Sequence[str]
) -> tuple[DataProblemRows, ...]:
    found = []
    for column in np.flatnonzero(bad.any(axis=0)).tolist():
        hits = np.flatnonzero(bad[:, column])
        found.append(
            DataProblemRows(
                split=split,
                column=names[column] if column < len(names) else None,
                count=len(hits),
                rows=tuple(rows[hits[:FIRST_ROWS]].tolist()),
            )
        )
    return tuple(found)
