"""Plain delimited text by polars or pyarrow: all or nothing. What they do not take is read exactly."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any

import numpy as np

from dltool.scanning.delimited.cells import NO_VALUE, Kind, cells_of, words_of
from dltool.scanning.optional import optional
from dltool.scanning.tables.block import ABSENT, Cells

NAMED_NOTHING = sorted(NO_VALUE - {""})
Columns = list[Cells]
FastReader = Callable[[bytes, str, Sequence[Kind], bool], Columns | None]
"""Text, separator, kinds, whether there are quotes -> columns; None where something is not as expected."""


def fast_reader() -> FastReader | None:
    """The fastest that is installed, for one file; None for none."""
    if optional("polars") is not None:
        return WithPolars()
    return None if optional("pyarrow") is None else with_pyarrow


class WithPolars:
    """Reads with polars, which raises at rows that are too long and at words among numbers.

    It takes half as long again to look for words that stand for nothing, so that is done from the first block on that has
    some in a column of numbers.
    """

    def __init__(self) -> None:
        self._meets_nothing = False

    def __call__(self, data: bytes, delimiter: str, kinds: Sequence[Kind], is_quoted: bool) -> Columns | None:  # noqa: FBT001
        """The columns of a block."""
        frame = None if self._meets_nothing else _polars_frame(data, delimiter, kinds, is_quoted=is_quoted, null_values=None)
        if frame is None:
            frame = _polars_frame(data, delimiter, kinds, is_quoted=is_quoted, null_values=NAMED_NOTHING)
            self._meets_nothing |= frame is not None
        if frame is None:
            return None
        columns = []
        for series, kind in zip(frame.get_columns(), kinds, strict=True):
            cells = polars_words(series, NO_VALUE) if kind >= Kind.MIXED else polars_numbers(series)
            columns.append(_mixed(series, cells) if kind is Kind.MIXED else cells)
        return columns


def _polars_frame(
    data: bytes, delimiter: str, kinds: Sequence[Kind], *, is_quoted: bool, null_values: list[str] | None
) -> Any:
    import polars as pl

    types = {Kind.INTEGERS: pl.Int64, Kind.FLOATS: pl.Float64, Kind.MIXED: pl.String, Kind.WORDS: pl.String}
    try:
        return pl.read_csv(
            data,
            has_header=False,
            separator=delimiter,
            quote_char='"' if is_quoted else None,
            schema={str(at): types[kind] for at, kind in enumerate(kinds)},
            null_values=null_values,
        )
    except pl.exceptions.PolarsError:
        return None


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


def arrow_words(array: Any, nothing: Container[str] = ("",)) -> Cells:
    """An arrow array of text; ``nothing`` are texts that stand for nothing."""
    encoded = array.dictionary_encode()
    codes = encoded.indices.fill_null(ABSENT).to_numpy(zero_copy_only=False).astype(np.int32)
    words = encoded.dictionary.to_pylist()
    if any(word in nothing for word in words):
        kept = [word not in nothing for word in words]
        new = np.where(kept, np.cumsum(kept) - 1, ABSENT).astype(np.int32)
        codes = np.where(codes == ABSENT, np.int32(ABSENT), new[codes])
        words = [word for word in words if word not in nothing]
    return Cells(codes=codes, words=words)


def polars_numbers(series: Any) -> Cells:
    """A polars column of numbers."""
    if not series.null_count():
        return Cells(numbers=series.to_numpy())
    return Cells(numbers=series.fill_null(0).to_numpy(), absent=series.is_null().to_numpy())


def polars_words(series: Any, nothing: Container[str] = ("",)) -> Cells:
    """A polars column of text; ``nothing`` are texts that stand for nothing."""
    if optional("pyarrow") is None:
        return words_of([None if text is None or text in nothing else text for text in series.to_list()])
    import pyarrow as pa

    return arrow_words(series.to_arrow().cast(pa.large_string()), nothing)


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
