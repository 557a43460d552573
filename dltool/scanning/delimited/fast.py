"""Plain delimited text by polars or pyarrow: all or nothing. What they do not take is read exactly."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from dltool.scanning.delimited.cells import NO_VALUE, Kind, cells_of, words_of
from dltool.scanning.tables.block import ABSENT, Cells

Columns = list[Cells]
FastReader = Callable[[bytes, str, Sequence[Kind], bool], Columns | None]
"""Text, separator, kinds, whether there are quotes -> columns; None where something is not as expected."""


@cache
def fast_reader() -> FastReader | None:
    """The fastest that is installed; None for none."""
    for name, reader in (("polars", with_polars), ("pyarrow", with_pyarrow)):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        return reader
    return None


def with_polars(data: bytes, delimiter: str, kinds: Sequence[Kind], is_quoted: bool) -> Columns | None:  # noqa: FBT001
    """Read with polars, which raises at rows that are too long and at words among numbers."""
    import polars as pl

    types = {Kind.INTEGERS: pl.Int64, Kind.FLOATS: pl.Float64, Kind.MIXED: pl.String, Kind.WORDS: pl.String}
    try:
        frame = pl.read_csv(
            data,
            has_header=False,
            separator=delimiter,
            quote_char='"' if is_quoted else None,
            schema={str(at): types[kind] for at, kind in enumerate(kinds)},
            null_values=sorted(NO_VALUE - {""}),
        )
    except pl.exceptions.PolarsError:
        return None
    columns = []
    for series, kind in zip(frame.get_columns(), kinds, strict=True):
        cells = _polars_words(series) if kind >= Kind.MIXED else _polars_numbers(series)
        columns.append(_mixed(series, cells) if kind is Kind.MIXED else cells)
    return columns


def with_pyarrow(data: bytes, delimiter: str, kinds: Sequence[Kind], is_quoted: bool) -> Columns | None:  # noqa: FBT001
    """Read with pyarrow, which raises at rows of any other length and at words among numbers."""
    import pyarrow as pa
    from pyarrow import csv

    if b"0x" in data or b"0X" in data:
        return None  # pyarrow takes 0x10 for an integer, others for a word
    names = [str(at) for at in range(len(kinds))]
    types = {Kind.INTEGERS: pa.int64(), Kind.FLOATS: pa.float64(), Kind.MIXED: pa.string(), Kind.WORDS: pa.string()}
    try:
        table = csv.read_csv(
            pa.BufferReader(data),
            read_options=csv.ReadOptions(column_names=names, block_size=max(len(data), 1)),
            parse_options=csv.ParseOptions(
                delimiter=delimiter,
                quote_char='"' if is_quoted else False,
                newlines_in_values=is_quoted,
                ignore_empty_lines=False,
            ),
            convert_options=csv.ConvertOptions(
                column_types={name: types[kind] for name, kind in zip(names, kinds, strict=True)},
                null_values=sorted(NO_VALUE),
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowException:
        return None
    columns = []
    for chunked, kind in zip(table.columns, kinds, strict=True):
        array = chunked.combine_chunks()
        if kind < Kind.MIXED:
            columns.append(arrow_numbers(array))
        elif kind is Kind.WORDS:
            columns.append(arrow_words(array))
        else:
            columns.append(cells_of([text or "" for text in array.to_pylist()], Kind.MIXED)[0])
    return columns


def arrow_numbers(array: Any) -> Cells:
    """An arrow array of integers or floats."""
    if not array.null_count:
        return Cells(numbers=array.to_numpy(zero_copy_only=False))
    absent = array.is_null().to_numpy(zero_copy_only=False)
    return Cells(numbers=array.fill_null(0).to_numpy(zero_copy_only=False), absent=absent)


def arrow_words(array: Any) -> Cells:
    """An arrow array of text; empty text is nothing."""
    encoded = array.dictionary_encode()
    codes = encoded.indices.fill_null(ABSENT).to_numpy(zero_copy_only=False).astype(np.int32)
    words = encoded.dictionary.to_pylist()
    if "" in words:
        empty = words.index("")
        words.pop(empty)
        codes[codes == empty] = ABSENT
        codes[codes > empty] -= 1
    return Cells(codes=codes, words=words)


def _polars_numbers(series: Any) -> Cells:
    if not series.null_count():
        return Cells(numbers=series.to_numpy())
    return Cells(numbers=series.fill_null(0).to_numpy(), absent=series.is_null().to_numpy())


def _polars_words(series: Any) -> Cells:
    if importlib.util.find_spec("pyarrow") is None:
        return words_of([text or None for text in series.to_list()])
    import pyarrow as pa

    return arrow_words(series.to_arrow().cast(pa.large_string()))


def _mixed(series: Any, words: Cells) -> Cells:
    """Numbers where the cells are, the other cells by word."""
    import polars as pl

    numbers = series.str.strip_chars().cast(pl.Float64, strict=False)
    absent = numbers.is_null().to_numpy()
    if not absent.any():
        return Cells(numbers=numbers.to_numpy())
    cells = Cells(numbers=numbers.fill_null(0.0).to_numpy(), absent=absent)
    codes = np.where(absent, words.codes, np.int32(ABSENT)) if words.codes is not None else None
    if codes is not None and bool((codes != ABSENT).any()):
        used, again = np.unique(codes[codes != ABSENT], return_inverse=True)
        codes[codes != ABSENT] = again.astype(np.int32)
        cells.codes, cells.words = codes, [words.words[code] for code in used]
    return cells
