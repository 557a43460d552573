"""Parquet files, read with pyarrow (the extra ``parquet``)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dltool.core.errors import DataError, Location, Problem
from dltool.data.sources.columns import Column, Selection, missing_column, to_table
from dltool.data.table import Array, Glance, Table, existing_file


def read_parquet(path: Path, selection: Selection, *, glance: Glance | None = None) -> Table:
    """Read the selected columns: numbers, booleans, text, and lists (sequences). Nulls become NaN.

    Raises:
        DataError: pyarrow is missing, not a parquet file, unknown columns, a column of a type that is none of these.
    """
    existing_file(path)
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise DataError(Problem(message="reading parquet needs pyarrow: pip install 'dltool[parquet]'")) from None
    try:
        with pq.ParquetFile(path) as file:
            names = list(file.schema_arrow.names)
            wanted = _wanted(str(path), names, selection)
            samples = file.metadata.num_rows
            if glance is None or samples <= glance.most_rows:
                arrow = file.read(columns=wanted)
            else:
                arrow = pa.Table.from_batches([next(file.iter_batches(glance.most_rows, columns=wanted))])
    except (pa.ArrowException, OSError) as error:
        message = f"not a readable parquet file: {error}".splitlines()[0]
        raise DataError(Problem(message=message, location=Location(file=str(path)))) from None
    problems: list[Problem] = []
    columns = [column for name in wanted if (column := _column(str(path), name, arrow[name], problems)) is not None]
    if problems:
        raise DataError(*problems)
    table = to_table(str(path), columns, selection)
    return replace(table, left_out=samples - len(table))


def _wanted(path: str, names: list[str], selection: Selection) -> list[str]:
    """The columns to read: all of them, or only those that are selected by name."""
    if selection.features is None or any(isinstance(name, int) for name in (*selection.features, *selection.target)):
        return names
    chosen = [
        (str(name), key) for part, key in ((selection.features, "features"), (selection.target, "target")) for name in part
    ]
    problems = [missing_column(path, name, names, key) for name, key in chosen if name not in names]
    if problems:
        raise DataError(*problems)
    selected = {name for name, _ in chosen}
    return [name for name in names if name in selected]


def _column(path: str, name: str, chunked: Any, problems: list[Problem]) -> Column | None:
    import pyarrow as pa

    kind = chunked.type
    if pa.types.is_dictionary(kind):
        chunked = chunked.cast(kind.value_type)
        kind = kind.value_type
    if pa.types.is_integer(kind) and chunked.null_count == 0:
        return Column(name=name, numbers=chunked.to_numpy())
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind):
        return Column(name=name, numbers=_floats(chunked))
    if pa.types.is_null(kind):
        return Column(name=name, numbers=np.full(len(chunked), np.nan))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = {row: text for row, text in enumerate(chunked.to_pylist()) if text is not None}
        return Column(name=name, numbers=np.full(len(chunked), np.nan), texts=texts)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        arrays = _lists(path, name, chunked, problems)
        return None if arrays is None else Column(name=name, numbers=np.empty(0), arrays=arrays)
    message = f"column {name!r} has type {kind}"
    problems.append(Problem(message=message, location=Location(file=path), expected="numbers, text or lists of numbers"))
    return None


def _floats(chunked: Any) -> Array:
    import pyarrow as pa

    if chunked.null_count == 0 and pa.types.is_floating(chunked.type):
        floats: Array = chunked.to_numpy().astype(np.float64)
        return floats
    return np.array([np.nan if value is None else float(value) for value in chunked.to_pylist()], dtype=np.float64)


def _lists(path: str, name: str, chunked: Any, problems: list[Problem]) -> list[Array] | None:
    arrays = []
    for row, value in enumerate(chunked.to_pylist()):
        try:
            array = np.array(value, dtype=None if _is_whole(chunked.type) else np.float64)
        except (ValueError, TypeError):
            array = np.empty(0, dtype=object)
        if value is None or array.dtype.kind not in "if":
            message = f"column {name!r}, row {row}: not a list of numbers, or its inner lists differ in length"
            problems.append(Problem(message=message, location=Location(file=path)))
            return None
        arrays.append(array)
    return arrays


def _is_whole(kind: Any) -> bool:
    import pyarrow as pa

    while pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        kind = kind.value_type
    return bool(pa.types.is_integer(kind))
