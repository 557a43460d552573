"""Parquet files: marks, footer, the checksum of every page, then every value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from dltool.core.finding import Severity
from dltool.scanning.flaws import corrupt
from dltool.scanning.optional import optional
from dltool.scanning.parquet.arrow import ArrowReader, first_line
from dltool.scanning.parquet.cells import is_comparable
from dltool.scanning.parquet.fast import FastReader, NotDecodedError, is_plain
from dltool.scanning.parquet.footer import frame_flaw, promise_flaw
from dltool.scanning.parquet.pages import checksums_hold
from dltool.scanning.parquet.stretches import Stretch, stretches_of
from dltool.scanning.record import Flaw, Inspection, Tier
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import Source
from dltool.scanning.tables.block import Block
from dltool.scanning.tables.likely import FIRST_ROWS
from dltool.scanning.tables.table import Table

SMALLEST_FAST_BYTES = 1 << 22
"""Of smaller files pyarrow is given all: it refuses some damage that polars reads over, and time does not matter."""


def inspect_parquet(source: Source, settings: InspectSettings) -> Inspection:
    """Read a parquet file row group by row group; a damaged one is told and the next one read.

    Raises OSError.
    """
    flaw = frame_flaw(source)
    if flaw is not None:
        return _found(source, flaw)
    if optional("pyarrow") is None:
        return _found(source, _not_read())
    import pyarrow as pa

    with ExitStack() as stack:
        try:
            reader = ArrowReader(source, stack)
        except (pa.ArrowException, OSError, ValueError) as error:
            return _found(source, corrupt("bad-footer", f"the footer cannot be read: {first_line(error)}"))
        flaw = promise_flaw(reader.metadata, source.size_bytes, settings.max_expanded_bytes)
        if flaw is not None or settings.tier is Tier.QUICK:
            return _found(source, *([flaw] if flaw else []))
        return _read_fast(reader, source, settings) or _read(reader, source, settings)


def _read(reader: ArrowReader, source: Source, settings: InspectSettings) -> Inspection:
    """Whatever is in the file, and whatever is wrong with it."""
    table = _table(reader, settings, may_look_again=False)
    damage: list[Flaw] = []
    for block in reader.blocks(table, damage):
        table.add(block)
    return _summed_up(table, reader, source, damage)


def _read_fast(reader: ArrowReader, source: Source, settings: InspectSettings) -> Inspection | None:
    """A large file of plain columns in which everything is in order; None for any other."""
    schema = reader.schema
    if source.path is None or source.size_bytes < SMALLEST_FAST_BYTES or optional("polars") is None:
        return None
    if len(set(schema.names)) < len(schema.names) or not all(map(is_plain, schema.types)):
        return None
    fast, stretches = FastReader(source.path, schema), stretches_of(reader.metadata)
    if not stretches or not all(map(fast.takes, stretches)):
        return None
    table = _table(reader, settings, may_look_again=True)
    import pyarrow as pa

    try:
        table.begin(reader.head(table, FIRST_ROWS))
        for block in _verified(fast, stretches, reader.metadata, source):
            table.add(block)
        if (rows := table.likely_equal()) is not None:
            for stretch in stretches:
                start, stop = np.searchsorted(rows, (stretch.first_row, stretch.first_row + stretch.rows))
                if start < stop:
                    table.compare(fast.block(stretch), rows)
    except (NotDecodedError, pa.ArrowException, OSError, ValueError, StopIteration):
        return None
    return _summed_up(table, reader, source, [])


def _verified(fast: FastReader, stretches: Sequence[Stretch], metadata: Any, source: Source) -> Iterator[Block]:
    with source.open() as stream:
        for stretch in stretches:
            if not all(checksums_hold(stream, metadata, group) for group in stretch.groups):
                raise NotDecodedError("a checksum does not hold")
            yield fast.block(stretch)


def _table(reader: ArrowReader, settings: InspectSettings, *, may_look_again: bool) -> Table:
    schema = reader.schema
    return Table(
        schema.names,
        target=settings.target,
        want_row_hashes=settings.want_row_hashes,
        dtypes=[str(kind) for kind in schema.types],
        compare_rows=all(map(is_comparable, schema.types)),
        may_look_again=may_look_again,
    )


def _summed_up(table: Table, reader: ArrowReader, source: Source, damage: list[Flaw]) -> Inspection:
    table.rows = max(table.rows, reader.metadata.num_rows)
    if not table.rows:
        damage.append(corrupt("no-rows", "holds no rows"))
    facts, flaws, content = table.finish()
    return Inspection(
        format="parquet",
        size_bytes=source.size_bytes,
        content=None if damage else content,
        flaws=(*damage, *flaws),
        table=facts,
    )


def _found(source: Source, *flaws: Flaw) -> Inspection:
    return Inspection(format="parquet", size_bytes=source.size_bytes, flaws=flaws)


def _not_read() -> Flaw:
    return Flaw(
        rule="corrupt-file",
        kind="not-read",
        severity=Severity.INFO,
        detail="only its footer's place was checked: reading parquet needs pyarrow (pip install 'dltool[parquet]')",
    )
