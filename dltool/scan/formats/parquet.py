"""Parquet files: marks, footer, the checksum of every page, then every value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dltool.core.finding import Severity
from dltool.scan.flaws import corrupt
from dltool.scan.optional import optional
from dltool.scan.parquet.cells import cells_of_arrow, is_comparable
from dltool.scan.parquet.footer import frame_flaw, promise_flaw
from dltool.scan.record import Flaw, Inspection, Tier
from dltool.scan.settings import InspectSettings
from dltool.scan.source import Source
from dltool.scan.tables.ahead import ahead
from dltool.scan.tables.block import Block
from dltool.scan.tables.table import Table

BATCH_CELLS = 1 << 21
MOST_BATCH_ROWS = 1 << 16
LEAST_BATCH_ROWS = 1 << 8
STRING_LIMIT_BYTES = 100_000_000
MOST_PROBED = 256
"""Columns of a damaged row group that are read one by one to find the damage."""
CONTAINER_LIMIT = 1_000_000
"""pyarrow's own limits on what a footer may make it allocate."""


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
    import pyarrow.parquet as pq

    with source.open() as stream:
        try:
            file = pq.ParquetFile(
                source.path or stream,
                page_checksum_verification=True,
                thrift_string_size_limit=STRING_LIMIT_BYTES,
                thrift_container_size_limit=CONTAINER_LIMIT,
            )
        except (pa.ArrowException, OSError, ValueError) as error:
            return _found(source, corrupt("bad-footer", f"the footer cannot be read: {_first_line(error)}"))
        with file:
            flaw = promise_flaw(file.metadata, source.size_bytes, settings.max_expanded_bytes)
            if flaw is not None or settings.tier is Tier.QUICK:
                return _found(source, *([flaw] if flaw else []))
            return _read(file, source, settings)


def _read(file: Any, source: Source, settings: InspectSettings) -> Inspection:
    schema = file.schema_arrow
    table = Table(
        schema.names,
        target=settings.target,
        want_row_hashes=settings.want_row_hashes,
        dtypes=[str(kind) for kind in schema.types],
        compare_rows=all(map(is_comparable, schema.types)),
    )
    damage: list[Flaw] = []
    for block in ahead(_blocks(file, table, damage)):
        table.add(block)
    table.rows = max(table.rows, file.metadata.num_rows)
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


def _blocks(file: Any, table: Table, damage: list[Flaw]) -> Iterator[Block]:
    import pyarrow as pa

    metadata = file.metadata
    most = max(LEAST_BATCH_ROWS, min(MOST_BATCH_ROWS, BATCH_CELLS // max(metadata.num_columns, 1)))
    first_row = 0
    for group in range(metadata.num_row_groups):
        rows, read = metadata.row_group(group).num_rows, 0
        try:
            for batch in file.iter_batches(batch_size=most, row_groups=[group]):
                yield _block(batch, table, first_row + read)
                read += batch.num_rows
        except (pa.ArrowException, OSError, ValueError) as error:
            damage.append(_damage(file, group, first_row, error))
        else:
            if read != rows:
                damage.append(corrupt("row-count", f"row group {group} holds {read} rows, the footer says {rows}"))
        first_row += rows


def _block(batch: Any, table: Table, first_row: int) -> Block:
    columns = []
    for column, array in zip(table.columns, batch.columns, strict=True):
        cells, column.is_data = cells_of_arrow(array)
        columns.append(cells)
    return Block(first_row=first_row, count=batch.num_rows, columns=columns)


def _damage(file: Any, group: int, first_row: int, error: Exception) -> Flaw:
    """What is wrong with a row group, by the first of its columns that cannot be read."""
    import pyarrow as pa

    reason, where = _first_line(error), f"row group {group}"
    offset_bytes, name = None, None
    for at in range(min(file.metadata.num_columns, MOST_PROBED)):
        chunk = file.metadata.row_group(group).column(at)
        try:
            for _ in file.iter_batches(row_groups=[group], columns=[chunk.path_in_schema]):
                pass
        except (pa.ArrowException, OSError, ValueError) as own:
            name, reason, offset_bytes = chunk.path_in_schema, _first_line(own), chunk.data_page_offset
            where = f"column {name!r} of row group {group}"
            break
    kind = "page-checksum" if "crc" in reason.lower() or "checksum" in reason.lower() else "damaged-page"
    return Flaw(
        rule="corrupt-file",
        kind=kind,
        severity=Severity.ERROR,
        detail=f"{where} cannot be read: {reason}",
        row=first_row,
        column=name,
        offset_bytes=offset_bytes,
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


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
