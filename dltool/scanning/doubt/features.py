"""Samples as rows of numbers for a light model: reduced pictures, and the columns of tables.

Decoders may crash and hang here as anywhere: ``inspect_features`` runs in a worker of the pool.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltool.core.delimited import SNIFFED_LINES, names_again, preamble, sniff_delimiter
from dltool.scanning.record import Inspection
from dltool.scanning.settings import InspectSettings
from dltool.scanning.sniff import promised
from dltool.scanning.source import Source

MOST_ROWS = 10_000
"""Rows that are compared, each with each: some seconds."""

SIDE = 12
"""Pixels of a reduced picture's side."""

MOST_WORDS = 20
"""Different words of a column that is taken as a category; a column with more is left out."""

Numbers = NDArray[np.float64]


def inspect_features(source: Source, settings: InspectSettings) -> Inspection:
    """A picture's or a table's numbers for a light model; without any where nothing can be made of it.

    Raises OSError and MemoryError; whatever else a parser raises is for the worker to take.
    """
    kind = promised(source.name)
    if settings.target is None:
        small = of_picture(source.read())
        made = b"" if small is None else small.tobytes()
    else:
        read = of_table(source, "parquet" if source.head(4) == b"PAR1" else kind or "csv", settings.target)
        made = b"" if read is None else _packed(*read)
    return Inspection(format=kind, size_bytes=source.size_bytes, numbers=made)


def unpacked(packed: bytes) -> tuple[Numbers, list[str], list[int]]:
    """Features (n, d), labels and row numbers, of a table's ``Inspection.numbers``."""
    with np.load(io.BytesIO(packed), allow_pickle=False) as parts:
        return parts["features"], parts["labels"].tolist(), parts["rows"].tolist()


def _packed(features: Numbers, labels: Sequence[str], rows: Sequence[int]) -> bytes:
    kept = np.linspace(0, len(rows) - 1, min(MOST_ROWS, len(rows))).astype(np.intp)
    packed = io.BytesIO()
    np.savez(packed, features=features[kept], labels=np.array(labels)[kept], rows=np.array(rows)[kept])
    return packed.getvalue()


def of_picture(data: bytes) -> NDArray[np.uint8] | None:
    """(3 · 12 · 12,) values; None where Pillow cannot read it, or is not installed."""
    try:
        from PIL import Image
    except ModuleNotFoundError:
        return None
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.draft("RGB", (4 * SIDE, 4 * SIDE))
            small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
            return np.asarray(small).reshape(-1)
    except (OSError, ValueError, SyntaxError, ArithmeticError, Image.DecompressionBombError):
        return None


def of_table(source: Source, format_name: str, target: str) -> tuple[Numbers, list[str], list[int]] | None:
    """Features (n, d), labels and row numbers of a table's labelled rows; None where nothing can be made of it."""
    rows, labels, numbers = [], [], []
    for index, row in enumerate(_rows(source, format_name)):
        label = row.get(target)
        if label is not None and str(label).strip():
            labels.append(_label(label))
            rows.append(row)
            numbers.append(index)
    names = [name for name in dict.fromkeys(name for row in rows[:1000] for name in row) if name != target]
    columns = [part for name in names for part in _column([row.get(name) for row in rows])]
    return (np.stack(columns, axis=1), labels, numbers) if columns and rows else None


def _rows(source: Source, format_name: str) -> Iterator[Mapping[str, Any]]:
    if format_name == "parquet":
        import pyarrow.parquet as pq

        with source.open() as stream:
            for batch in pq.ParquetFile(stream).iter_batches():
                yield from batch.to_pylist()
    elif format_name == "jsonl":
        for line in source.read().decode("utf-8", "replace").splitlines():
            if line.strip():
                row = json.loads(line)
                yield row if isinstance(row, dict) else {}
    else:
        yield from _delimited(source.read().decode("utf-8-sig", "replace"))


def _delimited(text: str) -> Iterator[Mapping[str, Any]]:
    """Rows with the numbers that the scan gives them: without what stands before the header, or repeats it."""
    stream = io.StringIO(text, newline="")
    head = list(islice(stream, SNIFFED_LINES))
    skipped = preamble(head).lines if text.strip() else 0
    delimiter = sniff_delimiter([line for line in head[skipped:] if line.strip()] or [""])
    again = names_again([row for row in csv.reader(head[skipped:], delimiter=delimiter) if row][1:])
    stream.seek(0)
    rows = csv.DictReader(islice(stream, skipped, None), delimiter=delimiter)
    rows.fieldnames = [name.strip() for name in rows.fieldnames or ()]
    yield from islice(rows, again, None)


def _label(value: object) -> str:
    """As the counts of classes write it."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value).strip()
    return text[:-2] if text.endswith(".0") and text[:-2].lstrip("+-").isdigit() else text


def _column(values: Sequence[Any]) -> Iterator[Numbers]:
    """One column of numbers, with the median where there is none, or one for each word."""
    numbers = np.array([_number(value) for value in values])
    known = np.isfinite(numbers)
    if known.mean() > 0.5:
        yield np.where(known, numbers, np.median(numbers[known]))
        return
    words = sorted({str(value) for value in values})
    if len(words) <= MOST_WORDS:
        for word in words:
            yield np.array([float(str(value) == word) for value in values])


def _number(value: Any) -> float:
    if isinstance(value, list | dict | bytes) or value is None:
        return np.nan
    try:
        return float(value)
    except ValueError:
        return np.nan
