"""Inputs of all splits in the types and shapes that a model takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dltool.core.errors import DataError, Location, Problem
from dltool.data.image_files import ImageFiles
from dltool.data.layout import Layout, layout_of
from dltool.data.padding import Padding
from dltool.data.table import Array, Table, examples, to_float32

FLOAT_BYTES = 512 * 2**20
"""Bytes (uint8) become float32 at once up to this size of the result, beyond it batch by batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Tables whose inputs are float32, int64 for tokens, or still uint8; ``sample_shape`` is one sample's."""

    tables: list[Table]
    layout: Layout
    sample_shape: tuple[int, ...]
    variable: bool
    assumptions: tuple[str, ...] = ()


def prepare_inputs(tables: Sequence[Table], *, tokens: bool, padding: Padding | None) -> Inputs:
    """Bring the inputs of all splits to one form.

    Raises:
        DataError: splits of different shape or columns, unequal lengths without padding, tokens that are no whole numbers.
    """
    _check_alike(tables)
    first = tables[0].inputs
    if isinstance(first, ImageFiles):
        return Inputs(tables=list(tables), layout=Layout.CHANNELS, sample_shape=first.shape, variable=False)
    if any(isinstance(table.inputs, list) for table in tables) or _lengthens(tables, padding):
        return _sequences(tables, tokens=tokens, padding=padding)
    arrays = [np.asarray(table.inputs) for table in tables]
    arrays, assumptions = _channels_first(arrays)
    layout = layout_of(arrays[0].shape[1:], arrays[0].dtype, tokens=tokens)
    if layout is Layout.GREY:
        assumptions += (f"Inputs of bytes {arrays[0].shape[1:]} are taken as grey images: one mean for all pixels.",)
    problems = [problem for table in tables if tokens and (problem := _no_tokens(table)) is not None]
    if problems:
        raise DataError(*problems)
    ready = [replace(table, inputs=_typed(array, tokens=tokens)) for table, array in zip(tables, arrays, strict=True)]
    shape = arrays[0].shape[1:]
    return Inputs(tables=ready, layout=layout, sample_shape=shape, variable=False, assumptions=assumptions)


def _check_alike(tables: Sequence[Table]) -> None:
    if len(tables) < 2:
        return
    train, val = tables
    problems = []
    if train.feature_names != val.feature_names:
        missing = [name for name in train.feature_names if name not in val.feature_names]
        extra = [name for name in val.feature_names if name not in train.feature_names]
        message = f"the columns of {val.path} are not those of {train.path}"
        message += f"; missing: {examples(missing)}" if missing else ""
        message += f"; only there: {examples(extra)}" if extra else ""
        problems.append(Problem(message=message, expected=f"{', '.join(train.feature_names)}, in this order"))
    shapes = [_inner_shape(table) for table in tables]
    if shapes[0] != shapes[1] and not problems:
        message = f"samples of {val.path} have shape {shapes[1]}, those of {train.path} {shapes[0]}"
        problems.append(Problem(message=message, expected="the same in both"))
    if problems:
        raise DataError(*problems)


def _inner_shape(table: Table) -> tuple[int | str, ...]:
    """One sample's shape; the length of sequences that differ in it is any."""
    if isinstance(table.inputs, ImageFiles):
        return table.inputs.shape
    if isinstance(table.inputs, list):
        return ("any", *table.inputs[0].shape[1:])
    shape: tuple[int, ...] = table.inputs.shape[1:]
    return shape


def _lengthens(tables: Sequence[Table], padding: Padding | None) -> bool:
    """Sequences of equal length that are padded to a greater one."""
    if padding is None or padding.length is None:
        return False
    return any(not isinstance(table.inputs, ImageFiles) and len(table.inputs[0]) != padding.length for table in tables)


def _sequences(tables: Sequence[Table], *, tokens: bool, padding: Padding | None) -> Inputs:
    lists = [list(table.inputs) if not isinstance(table.inputs, ImageFiles) else [] for table in tables]
    lengths = [len(sequence) for sequences in lists for sequence in sequences]
    if padding is None:
        message = f"the sequences have {min(lengths)} to {max(lengths)} steps"
        raise DataError(
            Problem(message=message, key="pad", expected="`pad: 0`, or {value: 0, length: ...}, to fill them up")
        )
    if padding.length is not None and max(lengths) > padding.length:
        message = f"sequences of up to {max(lengths)} steps do not fit into {padding.length}"
        raise DataError(Problem(message=message, key="pad.length", expected=f"at least {max(lengths)}"))
    problems = [problem for table in tables if tokens and (problem := _no_tokens(table)) is not None]
    if problems:
        raise DataError(*problems)
    ready = [[_step_axes(_typed(part, tokens=tokens), tokens=tokens) for part in sequences] for sequences in lists]
    longest = padding.length or max(lengths)
    return Inputs(
        tables=[replace(table, inputs=sequences) for table, sequences in zip(tables, ready, strict=True)],
        layout=Layout.TOKENS if tokens else Layout.SEQUENCE,
        sample_shape=(longest, *ready[0][0].shape[1:]),
        variable=True,
    )


def _step_axes(sequence: Array, *, tokens: bool) -> Array:
    """(T,) numbers become (T, 1): one feature a step. Tokens stay (T,)."""
    return sequence if tokens or sequence.ndim > 1 else sequence[:, None]


def _typed(values: Array, *, tokens: bool) -> Array:
    if tokens:
        return values.astype(np.int64)
    if values.dtype == np.uint8 and values.size * 4 > FLOAT_BYTES:
        return values
    return to_float32(values)


def _no_tokens(table: Table) -> Problem | None:
    parts = table.inputs if isinstance(table.inputs, list) else [np.asarray(table.inputs)]
    for row, part in enumerate(parts):
        bad = part[~np.isfinite(part) | (part != np.round(part)) | (part < 0)] if part.dtype.kind == "f" else part[part < 0]
        if bad.size:
            place = f"row {table.rows[row]} holds" if isinstance(table.inputs, list) else "the inputs hold"
            message = f"the model starts with an embedding, which looks up whole numbers from 0; {place} {bad.flat[0]}"
            return Problem(message=message, location=Location(file=table.path))
    return None


def _channels_first(arrays: list[Array]) -> tuple[list[Array], tuple[str, ...]]:
    """Images of bytes with their colours last, (N, H, W, 3), to (N, 3, H, W): the order of torch's convolutions."""
    shape = arrays[0].shape
    is_image = arrays[0].ndim == 4 and arrays[0].dtype == np.uint8
    if not is_image or shape[3] not in (1, 3) or shape[1] in (1, 3):
        return arrays, ()
    text = f"Images of shape {shape[1:]} have their colours last: they are moved to the front, {(shape[3], *shape[1:3])}."
    return [np.moveaxis(array, 3, 1) for array in arrays], (text,)
