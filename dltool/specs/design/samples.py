"""What a glance at a spec's data tells (``core.measured.design.Samples``). numpy, not torch.

Of a table at most ``Glance.most_rows`` rows or ``most_bytes`` of text or inputs are read; of images names and one header.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dltool.core.errors import DataError, Problem
from dltool.core.measured.design import Samples
from dltool.data.checks import check_batch_size, check_normalize, held_out
from dltool.data.inputs import Inputs, prepare_inputs
from dltool.data.layout import Layout
from dltool.data.moments import Moments
from dltool.data.padding import Padding
from dltool.data.subset import exclude, keep_classes, limit, read_exclusions
from dltool.data.table import Array, Glance, Table
from dltool.data.transforms import Normalize, fit_normalizer
from dltool.specs.design.targets import target_facts
from dltool.specs.load import LoadedSpec
from dltool.specs.read_source import Known, at_its_key, read_tables
from dltool.specs.schema.base import Target
from dltool.specs.schema.layer_linear import Embedding
from dltool.specs.schema.model import Layered
from dltool.specs.schema.sources import Synthetic
from dltool.specs.shapes.incoming import Incoming
from dltool.specs.wanted import wanted

GLANCE = Glance()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The facts, and what reaches the model."""

    samples: Samples
    incoming: Incoming


@dataclass(slots=True)
class Glances:
    """What was seen already, for the next spec with the same data: tables by source, facts by the whole data section."""

    tables: Known = field(default_factory=dict)
    seen: dict[tuple[object, ...], Seen] = field(default_factory=dict)


def looked_at(loaded: LoadedSpec, known: Glances) -> Seen:
    """The facts of the data that the spec names.

    Raises:
        DataError: data that cannot be read or split, or that sequences of unequal length need padding for.
    """
    spec = loaded.spec
    drawn = spec.data.limit is not None or isinstance(spec.data.source or spec.data.train, Synthetic)
    seed = spec.seed if drawn else 0
    key = (loaded.directory, seed, spec.data, wanted(spec), _has_tokens(spec.model))
    if key not in known.seen:
        known.seen[key] = _look(loaded, known.tables)
    return known.seen[key]


def _look(loaded: LoadedSpec, known: Known) -> Seen:
    spec = loaded.spec
    train, val = read_tables(loaded, spec.seed, GLANCE, known)
    try:
        tables, counts = _counted(loaded, [train] if val is None else [train, val])
        inputs = _inputs(loaded, tables)
    except DataError as error:
        raise at_its_key(loaded, error, ("data",)) from None
    table = tables[0]
    facts = target_facts(table, wanted(spec), spec.data.normalize_target)
    tokens = inputs.layout is Layout.TOKENS
    samples = Samples(
        train_samples=counts[0],
        val_samples=counts[1],
        input_shape=inputs.sample_shape,
        integer_inputs=tokens,
        rows_read=len(table),
        all_read=table.left_out == 0,
        source_key=_source_key(loaded),
        **_input_ranges(inputs, spec.data.normalize),
        **facts,
    )
    incoming = Incoming(inputs.sample_shape, sequence=inputs.variable, padded=inputs.variable, integers=tokens)
    return Seen(samples=samples, incoming=incoming)


def _source_key(loaded: LoadedSpec) -> str:
    data = loaded.spec.data
    if data.source is not None:
        return f"data.{data.source.kind}"
    assert data.train is not None
    return f"data.train.{data.train.kind}"


def _counted(loaded: LoadedSpec, tables: list[Table]) -> tuple[list[Table], tuple[int | None, int | None]]:
    """The tables without what is left out, and the sizes of both splits; what is left out of a part is not known."""
    data = loaded.spec.data
    if any(table.left_out != 0 for table in tables):
        if data.exclude is not None:
            read_exclusions(loaded.directory / data.exclude)
        filtered = data.exclude is not None or data.classes is not None
        sizes = [None if filtered or table.left_out is None else len(table) + table.left_out for table in tables]
    else:
        if data.exclude is not None:
            path = loaded.directory / data.exclude
            tables = exclude(tables, read_exclusions(path), path)
        if data.classes is not None:
            tables = [keep_classes(table, data.classes) for table in tables]
        empty = [table.path for table in tables if len(table) == 0]
        if empty:
            raise DataError(*(Problem(message=f"no sample of {path} is left", key="exclude") for path in empty))
        sizes = [len(table) for table in tables]
        if data.limit is not None:
            tables[0] = limit(tables[0], data.limit, loaded.spec.seed)
    if data.limit is not None:
        sizes[0] = None if sizes[0] is None else min(sizes[0], data.limit)
    return tables, _split(loaded, sizes)


def _split(loaded: LoadedSpec, sizes: list[int | None]) -> tuple[int | None, int | None]:
    data = loaded.spec.data
    train, val = sizes[0], sizes[1] if len(sizes) > 1 else None
    if data.split is not None:
        val = None if train is None else held_out(train, data.split.val)
        train = None if train is None or val is None else train - val
    elif len(sizes) == 1:
        val = 0
    if train is not None:
        check_batch_size(data.batch_size, train, asked="batch_size" in data.model_fields_set)
    return train, val


def _inputs(loaded: LoadedSpec, tables: list[Table]) -> Inputs:
    data, tokens = loaded.spec.data, _has_tokens(loaded.spec.model)
    check_normalize(data.normalize, tokens=tokens)
    padding = None if data.pad is None else Padding(data.pad.value, data.pad.length)
    return prepare_inputs(tables, tokens=tokens, padding=padding)


def _has_tokens(model: Layered | Target) -> bool:
    return isinstance(model, Layered) and isinstance(model.layers[0], Embedding)


def _input_ranges(inputs: Inputs, normalize: Normalize) -> dict[str, Any]:
    """Mean, standard deviation and range of the inputs as the model gets them; of images only what must hold of bytes."""
    values = inputs.tables[0].inputs
    names = ("input_mean", "input_std", "input_min", "input_max")
    if inputs.layout is Layout.TOKENS:
        return {}
    if not isinstance(values, np.ndarray | list):
        return {"input_mean": 0.0, "input_std": 1.0} if normalize == "standard" else {"input_min": 0.0, "input_max": 1.0}
    whole: Array = np.concatenate(values) if isinstance(values, list) else values
    columns = inputs.layout.columns(whole)
    moments = Moments(columns.shape[1])
    moments.add(columns)
    normalizer = fit_normalizer(normalize, moments, inputs.layout)
    if normalizer is not None:
        moments = moments.moved(normalizer.shift, normalizer.scale)
    pooled = moments.pooled()
    return {} if pooled is None else dict(zip(names, pooled, strict=True))
