"""Parquet files: marks, footer, the checksum of every page, then every value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any

from dltool.core.finding import Severity
from dltool.scanning.flaws import corrupt
from dltool.scanning.optional import optional
from dltool.scanning.parquet.cells import cells_of_arrow, is_comparable
from dltool.scanning.parquet.footer import frame_flaw, promise_flaw
from dltool.scanning.record import Flaw, Inspection, Tier
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import Source
from dltool.scanning.tables.ahead import ahead
from dltool.scanning.tables.block import Block
from dltool.scanning.tables.table import Table, threads

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

    with ExitStack() as stack:
        try:
            files = [_opened(source, stack)]
            parts = _parts(files[0].schema_arrow)
            files += [_opened(source, stack) for _ in parts[1:]]
        except (pa.ArrowException, OSError, ValueError) as error:
            return _found(source, corrupt("bad-footer", f"the footer cannot be read: {_first_line(error)}"))
        flaw = promise_flaw(files[0].metadata, source.size_bytes, settings.max_expanded_bytes)
        if flaw is not None or settings.tier is Tier.QUICK:
            return _found(source, *([flaw] if flaw else []))
        return _read(files, parts, source, settings)


def _opened(source: Source, stack: ExitStack) -> Any:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(
        source.path or stack.enter_context(source.open()),
        page_checksum_verification=True,
        thrift_string_size_limit=STRING_LIMIT_BYTES,
        thrift_container_size_limit=CONTAINER_LIMIT,
    )
    return stack.enter_context(file)


def _parts(schema: Any) -> list[list[str]]:
    """Column names for each reader; one of all where columns cannot be asked for by name."""
    names = list(schema.names)
    plain = len(set(names)) == len(names) and all(is_comparable(kind) for kind in schema.types)
    number = min(threads(), len(names)) if plain and not any("." in name for name in names) else 1
    return [names[start::number] for start in range(number)] if number else []


def _read(files: Sequence[Any], parts: Sequence[list[str]], source: Source, settings: InspectSettings) -> Inspection:
    schema = files[0].schema_arrow
    table = Table(
        schema.names,
        target=settings.target,
        want_row_hashes=settings.want_row_hashes,
        dtypes=[str(kind) for kind in schema.types],
        compare_rows=all(map(is_comparable, schema.types)),
    )
    damage: list[Flaw] = []
    for block in _blocks(files, parts, table, damage):
        table.add(block)
    table.rows = max(table.rows, files[0].metadata.num_rows)
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


def _blocks(files: Sequence[Any], parts: Sequence[list[str]], table: Table, damage: list[Flaw]) -> Iterator[Block]:
    import pyarrow as pa

    metadata = files[0].metadata
    most = max(LEAST_BATCH_ROWS, min(MOST_BATCH_ROWS, BATCH_CELLS // max(metadata.num_columns, 1)))
    first_row = 0
    for group in range(metadata.num_row_groups):
        rows, read = metadata.row_group(group).num_rows, 0
        try:
            for arrays in _arrays(files, parts, group, most):
                yield _block(arrays, table, first_row + read)
                read += len(arrays[0])
        except (pa.ArrowException, OSError, ValueError) as error:
            damage.append(_damage(files[0], group, first_row, error))
        else:
            if read != rows and parts:
                damage.append(corrupt("row-count", f"row group {group} holds {read} rows, the footer says {rows}"))
        first_row += rows


def _arrays(files: Sequence[Any], parts: Sequence[list[str]], group: int, rows: int) -> Iterator[list[Any]]:
    """Batches of a row group, columns shared among readers that each have a thread: pyarrow's own wait for each other."""
    with ExitStack() as stack:
        readers = []
        for file, names in zip(files, parts, strict=True):
            wanted = names if len(parts) > 1 else None
            batches = file.iter_batches(batch_size=rows, row_groups=[group], columns=wanted, use_threads=False)
            readers.append(stack.enter_context(closing(ahead(batches))))
        for batches in zip(*readers, strict=True):
            if len(batches) == 1:
                yield batches[0].columns
                continue
            held = {name: array for batch in batches for name, array in zip(batch.schema.names, batch.columns, strict=True)}
            yield [held[name] for name in files[0].schema_arrow.names]


def _block(arrays: Sequence[Any], table: Table, first_row: int) -> Block:
    columns = []
    for column, array in zip(table.columns, arrays, strict=True):
        cells, column.is_data = cells_of_arrow(array)
        columns.append(cells)
    return Block(first_row=first_row, count=len(arrays[0]), columns=columns)


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
